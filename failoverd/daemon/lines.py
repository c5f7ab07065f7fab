"""Lines for stderr, which is the journal's under systemd. The engine writes them, so nobody may have to be waited for.

journald can stand still: it may be stopped, or wait for a frozen disk itself. Then the socket to it is full at some
time, and a plain write would keep the engine. Here a line that is not taken at once is dropped and counted; the count
is said before the next line that is taken.

A descriptor's O_NONBLOCK belongs to everybody who has it open, the shell behind a terminal for one. So a socket is sent
to with MSG_DONTWAIT, and a pipe or a terminal is opened again, for ourselves. A file, and what cannot be opened again,
is written to as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat

from failoverd.model.text import printable


class Lines(logging.Handler):
    """Writes log records to a file descriptor; see the module."""

    def __init__(self, file: int) -> None:
        self._file = _own(file)
        super().__init__()
        self.setFormatter(_OneLine("%(levelname)s: %(message)s"))
        self._is_socket = stat.S_ISSOCK(os.fstat(self._file).st_mode)
        self._dropped = 0
        self._is_cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it."""
        text = f"{self.format(record)}\n"
        if self._dropped:
            text = f"WARNING: {self._dropped} lines are missing here: they would have had to be waited for\n{text}"
        data = ("\n" * self._is_cut + text).encode("utf-8", "backslashreplace")
        try:
            self._is_cut = self._write(data) < len(data)
            self._dropped = 0
        except OSError:
            self._dropped += 1

    def close(self) -> None:
        """Give the descriptor back."""
        super().close()
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _write(self, data: bytes) -> int:
        if not self._is_socket:
            return os.write(self._file, data)
        sock = socket.socket(fileno=self._file)
        try:
            return sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        finally:
            sock.detach()


class _OneLine(logging.Formatter):
    """One line a message, whatever bytes a device's name is made of."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


def _own(file: int) -> int:
    """The same file, by a descriptor of our own."""
    mode = os.fstat(file).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return os.dup(file)
