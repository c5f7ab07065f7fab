"""Netlink messages as the kernel sends them, laid out by hand: the codec under test has no part in them."""

from __future__ import annotations

import struct
from collections.abc import Iterable

RTM_NEWLINK, RTM_DELLINK = 16, 17
NEWQDISC, DELQDISC, GETQDISC, NEWTFILTER, DELTFILTER, GETTFILTER = 36, 37, 38, 44, 45, 46
ROOT, INGRESS_SLOT, INGRESS, EGRESS = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFFFFF3
NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 2, 3, 4
MULTI, DUMP_INTR, CAPPED, ACK_TLVS = 0x2, 0x10, 0x100, 0x200
UP, LOWER_UP = 0x1, 0x10000

Attr = tuple[int, bytes]


def message(kind: int, body: bytes, seq: int = 0, flags: int = 0) -> bytes:
    """One message with its header."""
    raw = struct.pack("=IHHII", 16 + len(body), kind, flags, seq, 0) + body
    return raw + b"\0" * (-len(raw) % 4)


def attr(kind: int, data: bytes) -> bytes:
    """One attribute."""
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def number(kind: int, value: int) -> bytes:
    """A 32-bit attribute."""
    return attr(kind, struct.pack("=I", value))


def link(
    index: int,
    name: bytes = b"",
    *more: bytes,
    kind: int = RTM_NEWLINK,
    seq: int = 0,
    flags: int = 0,
    state: int = 0,
    family: int = 0,
) -> bytes:
    """A device's message; `more` are further attributes, `state` its IFF_ flags."""
    attrs = attr(3, name + b"\0") if name else b""
    return message(kind, struct.pack("=BxHiII", family, 1, index, state, 0) + attrs + b"".join(more), seq, flags)


def nic(
    index: int, name: bytes, mac: str, bus: bytes, *more: bytes, seq: int = 0, flags: int = 0, state: int = 0
) -> bytes:
    """A NIC with its permanent MAC and its bus."""
    raw = bytes.fromhex(mac.replace(":", ""))
    hardware = (attr(1, raw), attr(54, raw), attr(57, bus + b"\0"), number(4, 1500))
    return link(index, name, *hardware, *more, seq=seq, flags=flags, state=state)


def tc(
    kind: int,
    index: int,
    parent: int,
    name: bytes = b"",
    *more: bytes,
    handle: int = 0,
    pref: int = 0,
    seq: int = 0,
    flags: int = 0,
) -> bytes:
    """A message about a qdisc or a filter; `pref` is a filter's priority, for all protocols where there is one."""
    info = pref << 16 | (0x0300 if pref else 0)
    attrs = attr(1, name + b"\0") if name else b""
    return message(kind, struct.pack("=BxxxiIII", 0, index, handle, parent, info) + attrs + b"".join(more), seq, flags)


def mirred(target: int, direction: int = 1, cookie: bytes = b"") -> bytes:
    """A u32 filter's options: a match-all selector and one action that redirects (1: to egress, 3: to ingress)."""
    parms = struct.pack("=IIiiiiI", 7, 0, 4, 1, 1, direction, target)
    stats = attr(4, attr(1, bytes(16)))
    kept = attr(6, cookie) if cookie else b""
    action = attr(1, b"mirred\0") + stats + attr(2 | 0x8000, attr(2, parms) + attr(1, bytes(32))) + kept
    selector = struct.pack("=BBBBHHhhI", 1, 0, 1, 0, 0, 0, 0, 0, 0) + bytes(16)
    return attr(2, number(1, 0x80000000) + attr(5, selector) + attr(7, attr(1, action)))


def done(seq: int, errno: int = 0, flags: int = MULTI) -> bytes:
    """The end of a dump."""
    return message(NLMSG_DONE, struct.pack("=i", -errno), seq, flags)


def ack(seq: int, errno: int = 0, text: str = "", echo: bytes = b"", capped: bool = True) -> bytes:
    """The answer to a request. The kernel echoes the request after an error, or its header alone where it is capped."""
    head = echo[:16] if echo else struct.pack("=IHHII", 16, 19, 5, seq, 0)
    echoed = head if capped else echo
    extra = attr(1, text.encode() + b"\0") if text else b""
    flags = (CAPPED if capped else 0) | (ACK_TLVS if text else 0)
    return message(NLMSG_ERROR, struct.pack("=i", -errno) + echoed + extra, seq, flags)


def headers(datagram: bytes) -> Iterable[tuple[int, int, int]]:
    """Type, flags and sequence number of every message in a datagram somebody sends to the kernel."""
    at = 0
    while at < len(datagram):
        length, kind, flags, seq, _ = struct.unpack_from("=IHHII", datagram, at)
        yield kind, flags, seq
        at += (length + 3) & ~3
