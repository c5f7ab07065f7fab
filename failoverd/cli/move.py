"""`failoverctl move`: the order, and the table of what it would do."""

from __future__ import annotations

from failoverd.cli.arguments import UsageError, Wanted
from failoverd.cli.client import call
from failoverd.cli.commands import DONE, REFUSED, TIMED_OUT
from failoverd.cli.show import rows, text
from failoverd.cli.tables import table, terminal_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Document = dict[str, Any]
    Outcome = tuple[int, Document, Sequence[str]]

PATIENCE = 70.0
"""Seconds to wait for the answer. The daemon gives itself 60."""


def move(wanted: Wanted) -> Outcome:
    """Order a move, or ask what it would do. Raises UsageError, NoDaemonError, NotDoneError."""
    is_home = "--home" in wanted.options
    if is_home == (len(wanted.arguments) > 1):
        raise UsageError("move wants either a NAMESPACE or --home", "move")
    if "--dry-run" in wanted.options:
        document = call("move-plan", *wanted.arguments, patience=PATIENCE)
        return REFUSED if text(document, "refused") else DONE, document, _plan(document)
    document = call("move", *wanted.arguments, patience=PATIENCE)
    if why := text(document, "pending"):
        where = f"the network namespace {text(document, 'namespace')}"
        lines = [f"{text(document, 'master')} moves into {where} as soon as that is there: {why}"]
        return TIMED_OUT, document, list(map(terminal_text, lines))
    where = "at home" if is_home else f"in the network namespace {text(document, 'namespace')}"
    return DONE, document, [terminal_text(f"{text(document, 'master')} is {where}, with all that stands on it")]


def _plan(document: Document) -> list[str]:
    found = rows(document, "devices")
    lines = [[text(row, key) for key in ("device", "kind", "how")] + [_words(row)] for row in found]
    why = text(document, "refused")
    waits = text(document, "pending")
    end = f"It stays where it is: {why}" if why else "Nothing keeps it from being moved."
    end += f" It would wait: {waits}." if waits and not why else ""
    return [*table(["DEVICE", "KIND", "HOW", "WHAT"], lines), terminal_text(end)]


def _words(row: Document) -> str:
    """Return why a device cannot be moved, or what goes along and what does not."""
    if why := text(row, "why"):
        return why
    takes, leaves = row.get("takes") or [], row.get("leaves") or []
    parts = [f"with {', '.join(map(str, takes))}"] if takes else []
    parts += [f"without {', '.join(map(str, leaves))}"] if leaves else []
    return "; ".join(parts)
