"""A dump under way: rows to datagrams, each made only when its reader has come that far."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.requests import Row
from failoverd_lab.simkernel.wire import Message

CHUNK = 2048
"""Bytes of a dump in one datagram: about as many rows as in the kernel's, whose rows are longer."""


class Dump:
    """A dump under way. Rows are made only when their chunk is."""

    def __init__(self, rows: Iterator[Row], seq: int, pid: int, flags: int) -> None:
        self._rows, self._seq, self._pid, self._flags = rows, seq, pid, flags
        self._before: int | None = None
        self.done = False

    def chunk(self) -> bytes:
        """Return the next datagram; the last one has only NLMSG_DONE."""
        parts, size = [], 0
        for kind, body, count in self._rows:
            flags = self._flags | (n.NLM_F_DUMP_INTR if self._before not in (None, count) else 0)
            self._before = count
            parts.append(Message(kind, flags, self._seq, self._pid, body).pack())
            size += len(parts[-1])
            if size >= CHUNK:
                break
        if parts:
            return b"".join(parts)
        self.done = True
        return Message(n.NLMSG_DONE, self._flags, self._seq, self._pid, struct.pack("=i", 0)).pack()
