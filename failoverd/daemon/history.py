"""The history: what happened to every pair, a line of JSON for each event, in <state>/history.

It survives a reboot and needs no journal; `failoverctl history` reads it, also with no daemon running. A line says when
(the wall clock, the boot, CLOCK_MONOTONIC) and what (core.sentences.facts). "started" and "stopped" are the daemon's
own; without them nobody could tell "nothing happened" from "nobody looked".

The lines are written by a thread (daemon/behind.py says why). Every line is one write(2) with O_APPEND, so that a crash
cuts the last line at most, and a reader passes that over. What a disk would not take is lost here and said once a
minute; the journal has it.

The file is bounded: where it would pass LIMIT, its older half is dropped, by writing beside and renaming. Two
generations (history, history.1) were the other way; then a reader has two files to put together. Only the daemon that
holds the lock writes.
"""

from __future__ import annotations

import errno
import json
import os
import time
from functools import partial
from pathlib import Path

from failoverd import __version__
from failoverd.core.sentences import Facts, facts
from failoverd.core.status import Document
from failoverd.daemon.behind import Behind
from failoverd.daemon.files import hand_over, make_directory, put
from failoverd.daemon.tellers import Moment
from failoverd.model.signals import Signal

LIMIT = 512 * 1024
"""Bytes of the file: more than 1500 events."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LinesLostError(OSError):
    """Lines are missing in the history, because the disk did not take them in time."""


class History:
    """A teller: see the module. A trouble with the disk is raised by whatever is called next."""

    def __init__(self, path: Path, behind: Behind | None = None, limit: int = LIMIT) -> None:
        self._path = path
        self._behind = behind or Behind()
        self._limit = limit
        self._boot = boot_id()
        self._trouble: OSError | None = None

    def started(self) -> None:
        """The daemon has begun. Comes before everything it sees."""
        self._add({"event": "started", "version": __version__}, Moment(time.time(), time.monotonic()))

    def stopped(self, reason: str) -> None:
        """The daemon ends in good order. Waits a moment for the disk; what it has not taken by then is lost."""
        self._add({"event": "stopped", "reason": reason}, Moment(time.time(), time.monotonic()))
        self._behind.end()

    def signalled(self, signal: Signal, moment: Moment, /) -> None:
        """See Teller."""
        self._add(facts(signal), moment)
        self._complain()

    def stepped(self, _document: Document, /) -> None:
        """See Teller. The state is no event."""
        self._complain()

    def _add(self, what: Facts, moment: Moment) -> None:
        when = {"at": round(moment.wall, 6), "boot": self._boot, "monotonic": round(moment.monotonic, 6)}
        line = json.dumps(when | what, separators=(",", ":")).encode() + b"\n"
        if not self._behind.do(partial(append, self._path, line, self._limit), self._failed):
            self._trouble = LinesLostError(f"{self._path}: events are lost, for the disk does not take them")

    def _complain(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def _failed(self, error: OSError) -> None:
        error.filename = error.filename or str(self._path)
        self._trouble = error


def append(path: Path, line: bytes, limit: int = LIMIT) -> None:
    """Add a line to a file that everybody may read, which never grows beyond `limit` bytes. Raises OSError.

    Where its last line was cut, the new one stands on a line of its own all the same.
    """
    make_directory(path.parent)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
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
    """Whole lines only, and no more than half of the limit, whatever the file holds."""
    data = os.pread(file, limit // 2, max(size - limit // 2, 0))
    return data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1]


def boot_id() -> str:
    """This boot's id as `journalctl --boot=ID` takes it; "" where /proc is hidden."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except (OSError, UnicodeDecodeError):
        return ""
