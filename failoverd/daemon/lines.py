"""A log handler for stderr, which under systemd is the journal's. The engine logs through it, so it must never block.

journald can stall: it may be stopped, or wait for a frozen disk itself. Then the socket to it fills at some time, and a
plain write would block the engine. Here a line that is not taken at once is dropped and counted; the count is written
before the next line that is taken.

A failure can recur a thousand times a second, so lines of one kind are written a few times a minute, with the number of
those left out (bus/rate_limit.py): five a minute for warnings and errors, a hundred for information, five thousand for
all. The kind is the line's format string with its first argument, mostly the device or the pair.

A descriptor's O_NONBLOCK is shared by every process that has it open, such as the shell behind a terminal. So sockets
are sent to with MSG_DONTWAIT, and a pipe or a terminal is reopened privately. A file, and what cannot be reopened, is
written to as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat

from failoverd.bus.rate_limit import BURST, RateLimit
from failoverd.model.text import printable

INFO_BURST = 100
"""Lines of a kind in a minute below a warning: a pair that is joined has a dozen."""
MOST = 5000
"""Lines in a minute, of all kinds together. A start with hundreds of pairs has some thousand."""
LONGEST_KIND = 200
"""Characters of the argument that tells kinds apart."""


class Lines(logging.Handler):
    """Writes log records to a file descriptor; see the module."""

    def __init__(self, file: int) -> None:
        self._file = _own(file)
        super().__init__()
        self.setFormatter(_OneLine("%(levelname)s: %(message)s"))
        self._is_socket = stat.S_ISSOCK(os.fstat(self._file).st_mode)
        self._dropped = 0
        self._is_cut = False
        self._rate_limit, self._all = RateLimit(), RateLimit()

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it."""
        left_out = self._left_out(record)
        if left_out is None:
            return
        text = f"{self.format(record)}\n"
        if left_out:
            text = f"{record.levelname}: {left_out} more lines like the next one were left out\n{text}"
        if self._dropped:
            text = f"WARNING: {self._dropped} lines are missing here: they would have had to be waited for\n{text}"
        data = ("\n" * self._is_cut + text).encode("utf-8", "backslashreplace")
        try:
            self._is_cut = self._write(data) < len(data)
            self._dropped = 0
        except OSError:
            self._dropped += 1

    def close(self) -> None:
        """Close the private descriptor."""
        super().close()
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _left_out(self, record: logging.LogRecord) -> int | None:
        """Return the number of lines left out before this one; None if this one is over the limit as well. Debugging
        needs all lines, and a critical one is written in any case."""
        if not logging.INFO <= record.levelno < logging.CRITICAL:
            return 0
        first = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = (record.levelno, record.msg, str(first)[:LONGEST_KIND])
        left_out = self._rate_limit.left_out(kind, BURST if record.levelno >= logging.WARNING else INFO_BURST)
        if left_out is None or (others := self._all.left_out("", MOST)) is None:
            return None
        return left_out + others

    def _write(self, data: bytes) -> int:
        if not self._is_socket:
            return os.write(self._file, data)
        sock = socket.socket(fileno=self._file)
        try:
            return sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        finally:
            sock.detach()


class _OneLine(logging.Formatter):
    """One line per message, whatever bytes a device's name is made of."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


def _own(file: int) -> int:
    """Return the same file by a private descriptor."""
    mode = os.fstat(file).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return os.dup(file)
