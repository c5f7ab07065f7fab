"""The questions of the inventory: the table that control socket and command line share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TABLE, JSON = "table", "json"
ALL, ACTIVE, INACTIVE = "all", "active", "inactive"
MOST = 256
"""Interfaces whose documents one call may ask for by name."""

QUESTIONS: Mapping[str, str] = {
    "interfaces": f"{TABLE}|{JSON} [{ALL}|{ACTIVE}|{INACTIVE} [generation]]",
    "interface-xml": "name...",
    "every-interface-xml": "",
}
"""Each question with the arguments it takes."""


def why_wrong(question: str, arguments: Sequence[str]) -> str:
    """Return what is wrong with the arguments, in words, or ""."""
    takes = f"{question} takes {QUESTIONS[question] or 'no argument'}"
    if question == "interfaces":
        is_right = 1 <= len(arguments) <= 3 and arguments[0] in (TABLE, JSON)
        is_right = is_right and (len(arguments) < 2 or arguments[1] in (ALL, ACTIVE, INACTIVE))
    elif question == "interface-xml":
        is_right = 1 <= len(arguments) <= MOST
        takes += f", {MOST} names at most"
    else:
        is_right = not arguments
    return "" if is_right else takes
