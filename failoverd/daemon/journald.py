"""Signals as structured entries in systemd's journal: one datagram each, fields that programs can match.

    journalctl MESSAGE_ID=4618d75a3eef42019599644ce75903af -o json

The native protocol is a datagram of fields to one socket (systemd's docs/JOURNAL_NATIVE_PROTOCOL.md): `NAME=value` and
a newline, or, if the value holds a newline, the name, a newline, the value's length as a little-endian 64-bit number,
the value, a newline. So it needs no library. Entries that do not fit into a datagram would go by a sealed memfd;
failoverd's are bounded so that they fit.

Each signal is logged once. It is an entry if stderr goes to the journal, as systemd says by JOURNAL_STREAM
(systemd.exec(5)); otherwise, and while journald's socket is not there, the same sentence goes to the log on stderr. A
journald that does not read fills its socket; then entries are dropped and counted, and failoverd does not wait. Signals
above a rate limit are dropped and counted, too: a program that renames a device in a loop must not push everything else
out of the journal. Pairs and declared links each have a limit of their own: a thousand links that are made at a start
must not keep a failover out.
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

from failoverd.core.document import Document
from failoverd.core.signal_facts import as_text, facts, sentence, told
from failoverd.core.told import INFO, NOTICE, WARNING
from failoverd.model.signals import Moment, Signal

log = logging.getLogger("failoverd")

SOCKET = Path("/run/systemd/journal/socket")

DROPPED = "65835237b40444a3b64ed865bffeb14c"
"""The MESSAGE_ID of the entry that says how many others were dropped."""

LONGEST = 4096
"""Bytes of one field's value. Names are at most 15, reasons are sentences."""

LEVELS = {WARNING: logging.WARNING, NOTICE: logging.INFO, INFO: logging.INFO}
BURST, WINDOW = 100, 10.0
"""The rate limit: so many signals within so many seconds are logged, and of the rest only the number."""
FULL = (errno.EAGAIN, errno.ENOBUFS)


class Journald:
    """A receiver; see the module. Without a `path` every signal goes to the log."""

    def __init__(self, path: Path | None) -> None:
        self.dropped = 0
        self._path = path
        self._windows: dict[str, tuple[float, int]] = {}
        """By the subject of a signal, master or link: when its window began, and how many entries it has had since."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def close(self) -> None:
        """Close the socket; nothing more is logged."""
        self._socket.close()

    def signalled(self, signal: Signal, moment: Moment, /) -> None:
        """See Receiver. Never fails: what cannot be an entry becomes a line on stderr."""
        if not self._count(told(signal).subject, moment.monotonic):
            self.dropped += 1
            return
        if not self._tell(entry(signal, moment)):
            log.log(LEVELS[told(signal).priority(signal)], "%s", sentence(signal))
        self._tell_of_dropped()

    def stepped(self, _document: Document, /) -> None:
        """See Receiver. The state is not logged, but there may be room in the socket again."""
        self._tell_of_dropped()

    def _count(self, subject: str, now: float) -> bool:
        """Count an entry about such a subject. Returns whether it is within the limit."""
        begun, count = self._windows.get(subject, (-math.inf, 0))
        if now >= begun + WINDOW:
            begun, count = now, 0
        self._windows[subject] = begun, min(count + 1, BURST)
        return count < BURST

    def _has_room(self, now: float) -> bool:
        """Return whether an entry about any subject would be within the limit."""
        return all(count < BURST or now >= begun + WINDOW for begun, count in self._windows.values())

    def _tell(self, data: bytes) -> bool:
        """Return whether the journal has it, or it was dropped because the journal does not read."""
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
    """Return the journal's socket if stderr is connected to the journal: JOURNAL_STREAM has its device and inode."""
    try:
        told = (os.environ if environ is None else environ)["JOURNAL_STREAM"].partition(":")
        found = os.fstat(sys.stderr.fileno() if stderr is None else stderr)
        return SOCKET if (int(told[0]), int(told[2])) == (found.st_dev, found.st_ino) else None
    except (KeyError, ValueError, OSError):
        return None


def entry(signal: Signal, moment: Moment) -> bytes:
    """Return the datagram; docs/reference/journal.md lists the fields."""
    fields: dict[str, object] = {
        "MESSAGE": sentence(signal),
        "MESSAGE_ID": told(signal).message_id,
        "PRIORITY": told(signal).priority(signal),
        "SYSLOG_IDENTIFIER": "failoverd",
    }
    for key, fact in facts(signal, moment).items():
        if fact is not None:
            fields[f"FAILOVERD_{key.upper()}"] = as_text(fact)
    return encode(fields)


def encode(fields: Mapping[str, object]) -> bytes:
    """Encode fields in the journal's native protocol. A device's name goes as its plain bytes."""
    parts = []
    for name, value in fields.items():
        raw = str(value).encode("utf-8", "surrogateescape")[:LONGEST]
        length = b"\n" + struct.pack("<Q", len(raw)) if b"\n" in raw else b"="
        parts.append(name.encode("ascii") + length + raw + b"\n")
    return b"".join(parts)
