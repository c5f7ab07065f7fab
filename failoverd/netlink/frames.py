"""The parts that all netlink messages share: headers, attributes, acknowledgements, ends of dumps.

Layouts: linux/netlink.h. Lengths on the wire are untrusted: a message or an attribute that claims more bytes than there
are raises NetlinkError, so that a truncated datagram leads to a new dump instead of a half-read device.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from failoverd.dataclass import dataclass

HEADER = struct.Struct("=IHHII")
ATTR = struct.Struct("=HH")

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4
NLMSGERR_ATTR_MSG = 1
MAX_ERRNO = 4095
"""include/linux/err.h."""

TYPE_MASK = 0x3FFF


class NetlinkError(Exception):
    """The kernel sent bytes that are not a valid netlink message. A new dump brings back whatever was lost."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a datagram; `raw` is all of it, header included."""

    type: int
    flags: int
    seq: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """The bytes behind the header."""
        return self.raw[HEADER.size :]


def split(datagram: bytes) -> Iterator[Message]:
    """Yield the messages in a datagram. Raises NetlinkError for an impossible length."""
    offset = 0
    while offset < len(datagram):
        if offset + HEADER.size > len(datagram):
            raise NetlinkError(f"a netlink message of {len(datagram) - offset} bytes")
        length, kind, flags, seq, _ = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size or offset + length > len(datagram):
            raise NetlinkError(f"a netlink message says it has {length} bytes and {len(datagram) - offset} are left")
        yield Message(kind, flags, seq, datagram[offset : offset + length])
        offset += align(length)


def build(kind: int, flags: int, seq: int, payload: bytes) -> bytes:
    """Build one message, padded so that another one can follow."""
    length = HEADER.size + len(payload)
    return pad(HEADER.pack(length, kind, flags | NLM_F_REQUEST, seq, 0) + payload)


def without_ack(message: bytes) -> bytes:
    """Return a message that asks for no acknowledgement; the kernel answers it where it refuses it."""
    flags = HEADER.unpack_from(message)[2] & ~NLM_F_ACK
    return message[:6] + struct.pack("=H", flags) + message[8:]


def pack(messages: Iterable[bytes], largest: int) -> list[bytes]:
    """Pack the messages, in order, into as few datagrams of at most `largest` bytes as hold them."""
    datagrams: list[bytes] = []
    for message in messages:
        if datagrams and len(datagrams[-1]) + len(message) <= largest:
            datagrams[-1] += message
        else:
            datagrams.append(message)
    return datagrams


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes in `data` from `offset` on, without their nested and byte-order flags."""
    while offset + ATTR.size <= len(data):
        length, kind = ATTR.unpack_from(data, offset)
        if length < ATTR.size or offset + length > len(data):
            raise NetlinkError(f"attribute {kind} says it has {length} bytes and {len(data) - offset} are left")
        yield kind & TYPE_MASK, data[offset + ATTR.size : offset + length]
        offset += align(length)


def pick(data: bytes, wanted: frozenset[int]) -> dict[int, bytes]:
    """Return the wanted attributes of `data`, by type. Reading ends at the last of them: a bridge's message has 45
    attributes."""
    found: dict[int, bytes] = {}
    offset, end = 0, len(data)
    while offset + ATTR.size <= end and len(found) < len(wanted):
        length, kind = ATTR.unpack_from(data, offset)
        if length < ATTR.size or offset + length > end:
            raise NetlinkError(f"attribute {kind} says it has {length} bytes and {end - offset} are left")
        if (kind := kind & TYPE_MASK) in wanted:
            found[kind] = data[offset + ATTR.size : offset + length]
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, data: bytes) -> bytes:
    """Build one attribute, padded."""
    return pad(ATTR.pack(ATTR.size + len(data), kind) + data)


def keep(data: bytes, fixed: int, wanted: frozenset[int]) -> bytes:
    """Return a message with only the wanted attributes behind its first `fixed` bytes.

    Most of an RTM_NEWLINK is statistics that failoverd does not use, and a codec decodes all that it is given.
    """
    parts = [data[:fixed]]
    offset = fixed
    while offset + ATTR.size <= len(data):
        length, kind = ATTR.unpack_from(data, offset)
        if length < ATTR.size or offset + length > len(data):
            raise NetlinkError(f"attribute {kind} says it has {length} bytes and {len(data) - offset} are left")
        if kind & TYPE_MASK in wanted:
            parts.append(pad(data[offset : offset + length]))
        offset += align(length)
    kept = b"".join(parts)
    return struct.pack("=I", len(kept)) + kept[4:]


def read_error(message: Message) -> tuple[int, str]:
    """Return the errno of an NLMSG_ERROR (0: acknowledged) and the kernel's text, "" where it has none.

    The text is NLMSGERR_ATTR_MSG behind the echoed request, or behind its header alone where NLM_F_CAPPED is set.
    """
    payload = message.payload
    if len(payload) < 4 + HEADER.size:
        raise NetlinkError(f"an acknowledgement of {len(payload)} bytes")
    number = _errno(payload)
    if not message.flags & NLM_F_ACK_TLVS:
        return number, ""
    echoed = HEADER.size if message.flags & NLM_F_CAPPED else HEADER.unpack_from(payload, 4)[0]
    for kind, data in attributes(payload, 4 + align(echoed)):
        if kind == NLMSGERR_ATTR_MSG:
            return number, data.rstrip(b"\0").decode("utf-8", "replace")
    return number, ""


def read_done(message: Message) -> int:
    """Return the errno with which a dump ended; 0: it is complete.

    A dump that fails half-way says so here and nowhere else (net/netlink/af_netlink.c, netlink_dump_done).
    """
    payload = message.payload
    return _errno(payload) if len(payload) >= 4 else 0


def _errno(payload: bytes) -> int:
    number = -int(struct.unpack_from("=i", payload)[0])
    if number > MAX_ERRNO:
        raise NetlinkError(f"the kernel has no error {number}")
    return max(0, number)


def align(length: int) -> int:
    """Round up to the next multiple of four."""
    return (length + 3) & ~3


def pad(data: bytes) -> bytes:
    """Fill with zeros up to the next multiple of four."""
    return data + b"\0" * (align(len(data)) - len(data))
