"""Messages on the wire: a length of four bytes, a head of 24, a payload.

The length counts itself. A message is an order to read so many bytes, so it is bounded: what the calls here take are
names and flags.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from failoverd.dataclass import dataclass

HEAD = struct.Struct(">IIIiiIi")
"""Length, program, its version, procedure, type, serial, status."""
LONGEST = 65536
"""Bytes of a message that is read: what libvirt itself makes room for at first (VIR_NET_MESSAGE_INITIAL)."""
REMOTE, REMOTE_VERSION = 0x20008086, 1
KEEPALIVE, KEEPALIVE_VERSION = 0x6B656570, 1
"""The programs: libvirt's calls, and "keep"."""
PING, PONG = 1, 2
"""The procedures of KEEPALIVE."""
CALL, REPLY, MESSAGE = 0, 1, 2
OK, ERROR = 0, 1


class BadMessageError(Exception):
    """The bytes are not libvirt's protocol, or more than is read; the connection has to end."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a client."""

    program: int
    version: int
    procedure: int
    type: int
    serial: int
    status: int
    payload: bytes

    @property
    def is_ping(self) -> bool:
        """Whether the client asks whether this end is alive."""
        what = (self.program, self.version, self.procedure, self.type)
        return what == (KEEPALIVE, KEEPALIVE_VERSION, PING, MESSAGE)


class Inbox:
    """Cuts a client's bytes into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def has_part(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._data)

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that end in these bytes. Raises BadMessageError."""
        self._data += data
        at = 0
        try:
            while len(self._data) - at >= 4:
                length = int.from_bytes(self._data[at : at + 4], "big")
                if not HEAD.size <= length <= LONGEST:
                    raise BadMessageError(f"a message of {length} bytes; {HEAD.size} to {LONGEST} are read")
                if len(self._data) - at < length:
                    break
                _, program, version, procedure, kind, serial, status = HEAD.unpack_from(self._data, at)
                payload = bytes(self._data[at + HEAD.size : at + length])
                at += length
                yield Message(program, version, procedure, kind, serial, status, payload)
        finally:
            del self._data[:at]


def reply_head(to: Message, status: int, length: int) -> bytes:
    """Return what precedes the payload of an answer, of so many bytes, to a call."""
    return HEAD.pack(HEAD.size + length, to.program, to.version, to.procedure, REPLY, to.serial, status)


def pong() -> bytes:
    """Return the answer to a ping."""
    return HEAD.pack(HEAD.size, KEEPALIVE, KEEPALIVE_VERSION, PONG, MESSAGE, 0, OK)
