"""The history: the events of every pair, a line of JSON each, in <state>/history.

It survives a reboot and needs no journal; `failoverctl history` reads it, also without a running daemon. A line has the
time (the wall clock, the boot, CLOCK_MONOTONIC) and the event (core/signal_table.py). "started" and "stopped" are the
daemon's own; without them a reader could not tell "nothing happened" from "failoverd was not running".

A thread writes the lines (daemon/disk_writer.py says why). Lines that wait are one write(2) with O_APPEND, so that a
crash cuts the last line at most, and a reader skips that. Lines that the disk does not take are lost here, which is
logged once a minute; the journal has them.

The file is bounded: before it would pass LIMIT, its older half is dropped, by writing beside and renaming. Half of what
is kept then is for the events of masters, if there are so many: a start with a thousand declared links, each of which
says that it is ready, does not push the failovers out. Rejected: two generations (history, history.1), as every reader
would have to put two files together. Only the daemon that holds the lock writes.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections import deque
from pathlib import Path

from failoverd import __version__
from failoverd.core.document import Document
from failoverd.core.signal_facts import Facts, facts, happened
from failoverd.daemon.disk_writer import WAITING, DiskWriter
from failoverd.daemon.files import hand_over, make_directory, put, set_aside
from failoverd.model.signals import Moment, Signal

LIMIT = 512 * 1024
"""Bytes of the file: more than 1500 events."""

LINK = b'"link":"'
"""What the line of a link's event has in it. In a text the quotation marks would be escaped."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LinesLostError(OSError):
    """Lines are missing in the history, because the disk did not take them in time."""


class History:
    """A receiver; see the module. An error of the disk is raised by the next call."""

    def __init__(self, path: Path, disk_writer: DiskWriter | None = None, limit: int = LIMIT) -> None:
        self._path = path
        self._disk_writer = disk_writer or DiskWriter()
        self._limit = limit
        self._boot = boot_id()
        self._trouble: OSError | None = None
        self._lines: deque[bytes] = deque()
        """Lines that the thread has not taken yet: those of a burst are written together."""
        self._is_writing = False
        """Whether the thread has been asked to, and has not begun."""

    def started(self) -> None:
        """The daemon has begun. Comes before every other event."""
        self._add(happened("started", __version__, _now()))

    def stopped(self, reason: str) -> None:
        """The daemon ends in good order. Waits a moment for the disk; what it has not taken by then is lost."""
        self._add(happened("stopped", reason, _now()))
        self._disk_writer.end()

    def signalled(self, signal: Signal, moment: Moment, /) -> None:
        """See Receiver."""
        self._add(facts(signal, moment))
        self._complain()

    def stepped(self, _document: Document, /) -> None:
        """See Receiver. The state is no event."""
        self._complain()

    def _add(self, what: Facts) -> None:
        known = {key: fact for key, fact in what.items() if fact is not None}
        line = json.dumps(known | {"boot": self._boot}, separators=(",", ":")).encode() + b"\n"
        self._lines.append(line)
        if not self._is_writing:
            self._is_writing = self._disk_writer.do(self._write, self._failed)
        if not self._is_writing or len(self._lines) > WAITING:
            self._lines.pop()
            self._trouble = LinesLostError(f"{self._path}: events are lost, for the disk does not take them")

    def _write(self) -> None:
        """Write the lines that wait, in the thread. Raises OSError, and loses the lines that were to be written."""
        # What is added from here on asks to be written anew.
        self._is_writing = False
        while self._lines:
            together = b""
            while self._lines and len(together) < self._limit // 4:
                together += self._lines.popleft()
            append(self._path, together, self._limit)

    def _complain(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _failed(self, error: OSError) -> None:
        error.filename = error.filename or str(self._path)
        self._trouble = error


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())


def append(path: Path, line: bytes, limit: int = LIMIT) -> None:
    """Append a line, or several, to a world-readable file that never grows beyond `limit` bytes. Raises OSError.

    If the file's last line was cut, the new one still stands on a line of its own.
    """
    make_directory(path.parent)
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        set_aside(path)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    try:
        size = os.fstat(file).st_size
        if size + len(line) + 1 > limit:
            put(path, _newer_half(file, size, limit) + line, 0o644)
            return
        if not size:
            os.fchmod(file, 0o644)
            hand_over(path)
        is_cut = size and os.pread(file, 1, size - 1) != b"\n"
        line = b"\n" + line if is_cut else line
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fdatasync(file)
    finally:
        os.close(file)


def _newer_half(file: int, size: int, limit: int) -> bytes:
    """Return the newest whole lines, at most half of the limit, whatever the file holds."""
    data = os.pread(file, limit, max(size - limit, 0))
    whole = data[data.find(b"\n") + 1 if size > limit else 0 : data.rfind(b"\n") + 1].splitlines(keepends=True)
    of_links = sum(len(line) for line in whole if LINK in line)
    room = {False: max(limit // 4, limit // 2 - of_links)}
    room[True] = limit // 2 - min(room[False], sum(map(len, whole)) - of_links)
    kept = []
    for line in reversed(whole):
        room[LINK in line] -= len(line)
        if room[LINK in line] >= 0:
            kept.append(line)
    return b"".join(reversed(kept))


def boot_id() -> str:
    """Return this boot's id as `journalctl --boot=ID` takes it; "" if /proc is hidden."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except (OSError, UnicodeDecodeError):
        return ""
