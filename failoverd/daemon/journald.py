"""Signals as structured entries in systemd's journal: one datagram each, fields that programs can match.

    journalctl MESSAGE_ID=4618d75a3eef42019599644ce75903af -o json

The native protocol is a datagram of fields to one socket (systemd's docs/JOURNAL_NATIVE_PROTOCOL.md): `NAME=value` and
a newline, or, where the value holds a newline, the name, a newline, the value's length as a little-endian 64-bit
number, the value, a newline. So it needs no library. Entries that do not fit into a datagram would go by a sealed
memfd; ours are bounded so that they fit.

A signal is told once. It is an entry where stderr goes to the journal, as systemd says by JOURNAL_STREAM
(systemd.exec(5)); otherwise, and while journald's socket is not there, it is the same sentence in the log on stderr. A
journald that does not read fills its socket; then entries are dropped and counted rather than waited for. So is what
comes faster than anybody reads: whoever renames a device in a loop shall not push everything else out of the journal.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from failoverd.core.sentences import FAILED_OVER, JOINED, RELEASED, RENAMED, facts, sentence
from failoverd.core.status import Document
from failoverd.daemon.tellers import Moment
from failoverd.model.signals import FailedOver, Signal

log = logging.getLogger("failoverd")

SOCKET = Path("/run/systemd/journal/socket")

MESSAGE_IDS = {
    FAILED_OVER: "4618d75a3eef42019599644ce75903af",
    RENAMED: "ce2bc060c3c94697825dfbb56779617b",
    JOINED: "40724e66cc3948ffb82db3d9e3293c78",
    RELEASED: "d7191e17b0e446529efd00db0d211afc",
}
"""By event; units/failoverd.catalog explains each to the administrator. They never change."""
DROPPED = "65835237b40444a3b64ed865bffeb14c"
"""The MESSAGE_ID of the entry that says how many others were dropped."""

LONGEST = 4096
"""Bytes of one field's value. Names are at most 15, reasons are sentences."""

WARNING, NOTICE, INFO = 4, 5, 6
LEVELS = {WARNING: logging.WARNING, NOTICE: logging.INFO, INFO: logging.INFO}
BURST, WINDOW = 100, 10.0
"""So many signals are told within so many seconds; of the others only their number."""
FULL = (errno.EAGAIN, errno.ENOBUFS)


class Journald:
    """A teller: see the module. Without a `path` every signal goes to the log."""

    def __init__(self, path: Path | None) -> None:
        self.dropped = 0
        self._path = path
        self._window, self._told = -math.inf, 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def close(self) -> None:
        """No more is told."""
        self._socket.close()

    def signalled(self, signal: Signal, moment: Moment, /) -> None:
        """See Teller. Never fails: what cannot be an entry is a line on stderr."""
        if not self._has_room(moment.monotonic):
            self.dropped += 1
            return
        self._told += 1
        if not self._tell(entry(signal, moment)):
            log.log(LEVELS[_priority(signal)], "%s", sentence(signal))
        self._tell_of_dropped()

    def stepped(self, _document: Document, /) -> None:
        """See Teller. The state is no news to the journal; there may be room in its socket again."""
        self._tell_of_dropped()

    def _has_room(self, now: float) -> bool:
        if now >= self._window + WINDOW:
            self._window, self._told = now, 0
        return self._told < BURST

    def _tell(self, data: bytes) -> bool:
        """Whether the journal has it, or it was dropped because the journal does not read."""
        if self._path is None:
            return False
        try:
            self._socket.sendto(data, os.fspath(self._path))
        except OSError as error:
            if error.errno not in FULL:
                return False
            self.dropped += 1
        return True

    def _tell_of_dropped(self) -> None:
        if not self.dropped or not self._has_room(time.monotonic()):
            return
        dropped, self.dropped = self.dropped, 0
        text = f"{dropped} entries were left out: too many at once; failoverctl history may have them"
        fields: dict[str, object] = {"MESSAGE": text, "MESSAGE_ID": DROPPED, "PRIORITY": WARNING}
        if not self._tell(encode(fields | {"SYSLOG_IDENTIFIER": "failoverd", "FAILOVERD_DROPPED": dropped})):
            log.warning("%s", text)
        elif self.dropped:
            self.dropped = dropped


def find(environ: Mapping[str, str] | None = None, stderr: int | None = None) -> Path | None:
    """The journal's socket, if stderr is connected to the journal: JOURNAL_STREAM has its device and inode."""
    try:
        told = (os.environ if environ is None else environ)["JOURNAL_STREAM"].partition(":")
        found = os.fstat(sys.stderr.fileno() if stderr is None else stderr)
        return SOCKET if (int(told[0]), int(told[2])) == (found.st_dev, found.st_ino) else None
    except (KeyError, ValueError, OSError):
        return None


def entry(signal: Signal, moment: Moment) -> bytes:
    """The datagram: docs/reference/journal.md lists the fields."""
    told = facts(signal)
    fields: dict[str, object] = {
        "MESSAGE": sentence(signal),
        "MESSAGE_ID": MESSAGE_IDS[str(told["event"])],
        "PRIORITY": _priority(signal),
        "SYSLOG_IDENTIFIER": "failoverd",
    }
    fields |= {f"FAILOVERD_{name.upper()}": value for name, value in told.items()}
    return encode(fields | {"FAILOVERD_MONOTONIC_USEC": round(moment.monotonic * 1e6)})


def encode(fields: Mapping[str, object]) -> bytes:
    """Fields in the journal's native protocol. A device's name goes as the bytes it is made of."""
    parts = []
    for name, value in fields.items():
        raw = str(value).encode("utf-8", "surrogateescape")[:LONGEST]
        length = b"\n" + struct.pack("<Q", len(raw)) if b"\n" in raw else b"="
        parts.append(name.encode("ascii") + length + raw + b"\n")
    return b"".join(parts)


def _priority(signal: Signal) -> int:
    """As syslog has it: a warning where nobody carries any more, a notice for every other failover."""
    if isinstance(signal, FailedOver):
        return NOTICE if signal.new else WARNING
    return INFO
