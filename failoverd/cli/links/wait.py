"""`failoverctl links wait`: until links are ready. On a terminal it says what it waits for, if that takes a while."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from failoverd.cli.client import PATIENCE, NoDaemonError, call
from failoverd.cli.commands import DONE, TIMED_OUT
from failoverd.cli.links.show import picked, why
from failoverd.cli.show import rows, text
from failoverd.cli.tables import terminal_text

Row = dict[str, Any]

INTERVAL = 0.1
"""Seconds between two looks."""
QUIET = 2.0
"""Seconds after which a terminal is told what is waited for."""
GRACE = 2.0
"""Seconds after which a name that is not declared is a mistake: a failoverd that has just started declares its links a
moment later."""


def wait(names: Sequence[str], timeout: float | None) -> tuple[int, Row, list[str]]:
    """Wait until these links are ready, `timeout` seconds at the longest. Returns the exit code, a document and lines.

    Raises NoDaemonError if there is no daemon at the beginning, and NotDoneError for a name that is not declared.
    """
    begun = time.monotonic()
    deadline = math.inf if timeout is None else begun + timeout
    progress, look = _Progress(sys.stderr), _Look(names)
    look.again(PATIENCE)
    try:
        while look.lacking and (left := deadline - time.monotonic()) > 0:
            if time.monotonic() >= begun + QUIET:
                progress.say(f"waiting for {_first(look.lacking)}")
            time.sleep(min(INTERVAL, left))
            try:
                look.again(min(PATIENCE, max(left, INTERVAL)))
            except NoDaemonError:
                progress.say("failoverd does not answer; waiting for it")
    finally:
        progress.clear()
    document = {"ready": not look.lacking, "links": look.found}
    lines = [terminal_text(_stand(row)) for row in look.lacking or look.found]
    return TIMED_OUT if look.lacking else DONE, document, lines


class _Look:
    """The links with these names, as they were at the last look."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._generation = ""
        self._known: list[Row] = []
        self._whole_at = time.monotonic()
        self.found: list[Row] = []
        self.lacking: list[Row] = []

    def again(self, patience: float) -> None:
        """Look; if nothing has changed, the daemon answers just that. Raises NoDaemonError and NotDoneError."""
        document = call("links", "", self._generation, patience=patience)
        if "links" in document:
            self._generation, self._known = text(document, "generation"), rows(document, "links")
        now = time.monotonic()
        known = {text(row, "name") for row in self._known}
        if known.issuperset(self._names):
            self._whole_at = now
        if now < self._whole_at + GRACE:
            names = [name for name in self._names if name in known]
            absent = [{"name": name, "state": "not declared"} for name in self._names if name not in known]
        else:
            names, absent = list(self._names), []
        self.found = [*picked(self._known, names), *absent]
        self.lacking = [row for row in self.found if text(row, "state") != "ready"]


def _stand(row: Row) -> str:
    return f"{text(row, 'name')}: {text(row, 'state')}{f': {why(row)}' if why(row) else ''}"


def _first(lacking: list[Row]) -> str:
    more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
    return f"{_stand(lacking[0])}{more}"


class _Progress:
    """One line on a terminal, which is written over; nothing anywhere else."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._said = ""

    def say(self, words: str) -> None:
        """Show this line, cut to the terminal's width (DECAWM)."""
        if self._stream is not None and words != self._said:
            self._stream.write(f"\r\x1b[?7l{terminal_text(words)}\x1b[K\x1b[?7h")
            self._stream.flush()
            self._said = words

    def clear(self) -> None:
        """Take the line away."""
        if self._stream is not None and self._said:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
