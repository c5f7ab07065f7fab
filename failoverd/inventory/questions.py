"""The questions of the inventory: the table that control socket, D-Bus and command line share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TABLE, LIST, JSON = "table", "list", "json"
"""Rows of name, whether active and MAC; the same with the ifindex; all facts."""
ROW, XML = "row", "xml"
ALL, ACTIVE, INACTIVE = "all", "active", "inactive"
MOST = 256
"""Interfaces whose documents one call may ask for by name."""

QUESTIONS: Mapping[str, str] = {
    "interfaces": f"{TABLE}|{LIST}|{JSON} [{ALL}|{ACTIVE}|{INACTIVE} [generation]]",
    "interface": f"{ROW}|{XML} name",
    "interface-xml": "name...",
    "every-interface-xml": "",
    "generation": "",
}
"""Each question with the arguments it takes."""


def argument_error(question: str, arguments: Sequence[str]) -> str:
    """Return what is wrong with the arguments, in words, or ""."""
    takes = f"{question} takes {QUESTIONS[question] or 'no argument'}"
    if question == "interfaces":
        is_right = 1 <= len(arguments) <= 3 and arguments[0] in (TABLE, LIST, JSON)
        is_right = is_right and (len(arguments) < 2 or arguments[1] in (ALL, ACTIVE, INACTIVE))
    elif question == "interface":
        is_right = len(arguments) == 2 and arguments[0] in (ROW, XML)
    elif question == "interface-xml":
        is_right = 1 <= len(arguments) <= MOST
        takes += f", {MOST} names at most"
    else:
        is_right = not arguments
    return "" if is_right else takes
