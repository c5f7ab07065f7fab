"""Netlink's framing in plain struct: messages in a datagram, attributes in a message.

Deliberately neither failoverd's codec nor pyroute2's: what this end builds, the other end has to decode independently.
Formats: linux/netlink.h; all numbers are in host order unless said otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port id."""
_NLA = struct.Struct("=HH")
NLA_TYPE_MASK = 0x3FFF
NLA_F_NESTED = 0x8000


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message, header and payload."""

    type: int
    flags: int
    seq: int
    pid: int
    body: bytes

    def pack(self) -> bytes:
        """Return the message with its header, padded to four bytes."""
        length = HEADER.size + len(self.body)
        return HEADER.pack(length, self.type, self.flags, self.seq, self.pid) + _padded(self.body)


def messages(datagram: bytes) -> Iterator[Message]:
    """Yield the messages in a datagram; stops at the first that does not fit, as netlink_rcv_skb() does."""
    at = 0
    while at + HEADER.size <= len(datagram):
        length, kind, flags, seq, pid = HEADER.unpack_from(datagram, at)
        if length < HEADER.size or at + length > len(datagram):
            return
        yield Message(kind, flags, seq, pid, datagram[at + HEADER.size : at + length])
        at += _align(length)


def attr(kind: int, payload: bytes) -> bytes:
    """Build one attribute, padded."""
    return _NLA.pack(_NLA.size + len(payload), kind) + _padded(payload)


def nest(kind: int, *parts: bytes) -> bytes:
    """Build an attribute of attributes, without NLA_F_NESTED, as most of rtnetlink does it."""
    return attr(kind, b"".join(parts))


def u8(kind: int, value: int) -> bytes:
    """Build an attribute of one byte."""
    return attr(kind, bytes([value]))


def u16(kind: int, value: int) -> bytes:
    """Build an attribute of two bytes."""
    return attr(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    """Build an attribute of four bytes."""
    return attr(kind, struct.pack("=I", value))


def i32(kind: int, value: int) -> bytes:
    """Build an attribute of four bytes with a sign."""
    return attr(kind, struct.pack("=i", value))


def string(kind: int, text: str) -> bytes:
    """Build an attribute of a NUL-terminated string."""
    return attr(kind, text.encode() + b"\0")


def attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Return every attribute in order, without its type's flag bits; one that does not fit is left out, as nla_ok()
    does."""
    found = []
    at = 0
    while at + _NLA.size <= len(data):
        length, kind = _NLA.unpack_from(data, at)
        if length < _NLA.size or at + length > len(data):
            break
        found.append((kind & NLA_TYPE_MASK, data[at + _NLA.size : at + length]))
        at += _align(length)
    return found


def table(data: bytes) -> dict[int, bytes]:
    """Return attributes by type; of a repeated one the last counts, as in the kernel's nla_parse()."""
    return dict(attributes(data))


def join(parts: Iterable[bytes]) -> bytes:
    """Concatenate attributes."""
    return b"".join(parts)


def text(payload: bytes) -> str:
    """Return a string attribute up to its NUL."""
    return payload.split(b"\0", 1)[0].decode(errors="surrogateescape")


def number(payload: bytes) -> int:
    """Return an unsigned number of 1, 2, 4 or 8 bytes in host order."""
    return int.from_bytes(payload, "little" if struct.pack("=H", 1) == b"\1\0" else "big")


def mac_bytes(mac: str) -> bytes:
    """Return `52:54:00:00:00:01` as six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(mac: bytes) -> str:
    """Return six bytes as `52:54:00:00:00:01`."""
    return mac.hex(":")


def _align(length: int) -> int:
    return (length + 3) & ~3


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
