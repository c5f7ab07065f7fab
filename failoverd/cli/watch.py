"""`failoverctl watch`: the changes, as they happen.

It asks for the status twice a second. A call is about a millisecond's work for the daemon, and works with a daemon that
was killed, upgraded or restarted meanwhile, whereas a subscription would have to be renewed and could make a daemon
wait. Failovers that came and went between two looks are in the count of failovers.

Every change becomes one text. On a terminal the status is drawn with the last changes below; any other output gets
lines, or JSON objects with the whole row. The waiting is poll(2) on the output, as the output's end is how a pipeline
ends.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from failoverd.cli import show
from failoverd.cli.client import NoDaemonError, NotDoneError, call, control
from failoverd.cli.commands import DONE
from failoverd.cli.tables import terminal_text

Row = dict[str, Any]
Tell = Callable[[str, str, Row | None], None]
"""Tells a change: its kind in one word, its text, and the master's row if there is one."""

INTERVAL = 0.5
"""Seconds between two looks."""
PATIENCE = 2.0
"""Seconds to wait for an answer before the daemon counts as gone."""
KEPT = 100
"""How many changes a terminal may show, if it is that high."""


def watch(as_json: bool, colour: bool, stream: TextIO) -> int:
    """Follow until Ctrl-C or until the output's reader goes away. Returns the exit code. Raises NoDaemonError if there
    is no daemon at the beginning, and OSError if the output cannot be written."""
    follower = _Follower()
    screen = _Screen(stream, colour) if stream.isatty() and not as_json else None
    tell = screen.note if screen else _objects(stream) if as_json else _lines(stream)
    output = select.poll()
    output.register(stream.fileno(), 0)
    try:
        follower.begin(tell)
        while True:
            if screen:
                screen.draw(follower.masters)
            if output.poll(INTERVAL * 1000):
                return DONE
            follower.look(tell)
    except KeyboardInterrupt:
        if screen:
            stream.write("\n")
        return DONE


class _Follower:
    """Keeps what was last seen, and finds the differences."""

    def __init__(self) -> None:
        self.masters: list[Row] | None = None
        self._before: dict[str, Row] = {}
        self._start: tuple[int, ...] = ()

    def begin(self, tell: Tell) -> None:
        """Look for the first time. Raises NoDaemonError and NotDoneError."""
        self._start = _start()
        self._take(call("status"), tell)
        if not self._before:
            tell("none", show.NOTHING, None)

    def look(self, tell: Tell) -> None:
        """Look again; a daemon that is not there is a change like any other."""
        start = _start()
        try:
            document = call("status", patience=PATIENCE)
            show.rows(document, "masters")
        except (NoDaemonError, NotDoneError) as error:
            if self.masters is not None:
                self.masters = None
                tell("no-daemon", str(error), None)
            return
        if self.masters is None or start != self._start:
            anew = start != self._start
            self._start = start
            tell("daemon", "failoverd has been started anew" if anew else "failoverd answers again", None)
        self._take(document, tell)

    def _take(self, document: Row, tell: Tell) -> None:
        self.masters = show.rows(document, "masters")
        now = {show.text(row, "mac"): row for row in self.masters}
        for mac, row in now.items():
            before = self._before.get(mac)
            words = "; ".join(_differences(before, row) if before else _as_it_is(row))
            if words:
                tell("changed" if before else "master", f"{show.text(row, 'name')}: {words}", row)
        for mac, row in self._before.items():
            if mac not in now:
                tell("gone", f"{show.text(row, 'name')}: no longer a pair", row)
        self._before = now


def _as_it_is(row: Row) -> Iterator[str]:
    yield show.text(row, "state")
    yield f"traffic on {show.text(row, 'active') or 'nothing'}"
    for role in ("primary", "standby"):
        yield f"{role} {_name(row.get(role))}"
    if why := show.text(row, "reason"):
        yield f"why: {why}"


def _differences(old: Row, new: Row) -> Iterator[str]:
    for key, label in (("name", "renamed: "), ("state", ""), ("active", "traffic ")):
        before, after = show.text(old, key), show.text(new, key)
        if before != after:
            yield f"{label}{before or 'nothing'} -> {after or 'nothing'}"
    for role in ("primary", "standby"):
        yield from _slave(role, old.get(role), new.get(role))
    if bool(old.get("drained")) != bool(new.get("drained")):
        yield "drain begun" if new.get("drained") else "drain over"
    was, now = old.get("failovers"), new.get("failovers")
    if isinstance(was, int) and isinstance(now, int) and now - was > 1:
        yield f"{now - was} failovers since the last look"
    why = show.text(new, "reason")
    if why != show.text(old, "reason"):
        yield f"why: {why}" if why else "all is well"


def _slave(role: str, old: Any, new: Any) -> Iterator[str]:
    if _name(old) != _name(new):
        yield f"{role} {_name(old)} -> {_name(new)}"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key, words in (("up", ("down", "up")), ("carrier", ("no carrier", "carrier"))):
            if old.get(key) != new.get(key):
                yield f"{role} {_name(new)}: {words[bool(new.get(key))]}"
        if old.get("mtu") != new.get("mtu"):
            yield f"{role} {_name(new)}: MTU {show.text(new, 'mtu')}"


def _name(slave: Any) -> str:
    return show.text(slave, "name") or "none"


def _start() -> tuple[int, ...]:
    """Return what differs at every start of the daemon, the identity of its socket's file; empty without a file."""
    try:
        found = os.stat(control())  # noqa: PTH116
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_ctime_ns


def moment() -> str:
    """Return the time of day that begins every line of a watch."""
    now = time.time()
    local = time.localtime(now)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(now % 1 * 1000):03d}{time.strftime('%z', local)}"


def _lines(stream: TextIO) -> Tell:
    def tell(_event: str, words: str, _row: Row | None) -> None:
        print(moment(), terminal_text(words), file=stream, flush=True)

    return tell


def _objects(stream: TextIO) -> Tell:
    def tell(event: str, words: str, row: Row | None) -> None:
        found = {"time": round(time.time(), 6), "event": event, "text": words, "master": row}
        print(json.dumps(found), file=stream, flush=True)

    return tell


class _Screen:
    """A terminal: the status on top, the last changes below it."""

    def __init__(self, stream: TextIO, colour: bool) -> None:
        self._stream, self._colour = stream, colour
        self._notes: deque[str] = deque(maxlen=KEPT)
        self._drawn = ""

    def note(self, _event: str, words: str, _row: Row | None) -> None:
        self._notes.appendleft(f"{moment()} {terminal_text(words)}")

    def draw(self, masters: list[Row] | None) -> None:
        """Draw the status if it has changed. The terminal cuts what is too wide: no line wraps (DECAWM)."""
        top = show.status(masters, self._colour) if masters is not None else ["failoverd does not answer"]
        size = os.get_terminal_size(self._stream.fileno())
        lines = [*top, "", *self._notes][: max(1, size.lines - 1)]
        picture = f"{size}" + "\n".join(lines)
        if picture == self._drawn:
            return
        self._drawn = picture
        self._stream.write("\x1b[?7l\x1b[H" + "".join(f"{line}\x1b[K\r\n" for line in lines) + "\x1b[J\x1b[?7h")
        self._stream.flush()
