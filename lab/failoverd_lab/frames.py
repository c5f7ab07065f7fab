"""The few kinds of Ethernet frame that a peer on the lab's switch sends and understands. Pure: bytes in, bytes out.

ARP is RFC 826; neighbour discovery is RFC 4861. An announcement is defined by RFC 5227 section 3 (an ARP whose sender
and target address are the same) and RFC 4861 section 7.2.6 (an unsolicited advertisement).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

BROADCAST = b"\xff" * 6
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_ETHER = struct.Struct("!6s6sH")
_ARP_BODY = struct.Struct("!HHBBH6s4s6s4s")
_UDP = struct.Struct("!HHHH")
_SOLICIT, _ADVERT = 135, 136
_SOLICITED = 0x40


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An ARP or a neighbour discovery message; the two carry the same facts.

    `sender_mac` claims `sender`, and asks for `target` or advertises it. `announcement`: it is unsolicited.
    """

    kind: Literal["arp", "nd"]
    request: bool
    sender_mac: bytes
    sender: Address | None
    target: Address
    announcement: bool


@dataclass(frozen=True, slots=True)
class Udp:
    """A UDP datagram, over IPv4 or IPv6."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Station:
    """A MAC address and an IP address that belong together."""

    mac: bytes
    address: Address


def mac(text: str) -> bytes:
    """Return the six bytes of a MAC address written with colons."""
    return bytes.fromhex(text.replace(":", ""))


def parse(frame: bytes) -> Neighbour | Udp | None:
    """Parse a frame; None for anything that this module does not know (fragments and options included)."""
    if len(frame) < _ETHER.size:
        return None
    _, source, kind = _ETHER.unpack_from(frame)
    body = frame[_ETHER.size :]
    if kind == _ARP and len(body) >= _ARP_BODY.size:
        return _parse_arp(body)
    if kind == _IPV4 and len(body) >= 28 and body[0] == 0x45 and body[9] == 17:
        return _parse_udp(ipaddress.IPv4Address(body[12:16]), ipaddress.IPv4Address(body[16:20]), body[20:])
    if kind == _IPV6 and len(body) >= 48:
        sender, to = ipaddress.IPv6Address(body[8:24]), ipaddress.IPv6Address(body[24:40])
        if body[6] == 17:
            return _parse_udp(sender, to, body[40:])
        if body[6] == 58:
            return _parse_nd(source, sender, body[40:])
    return None


def udp(source: Station, to: Station, ports: tuple[int, int], payload: bytes) -> bytes:
    """Build a frame with a UDP datagram in it; `ports` are the source's and the destination's."""
    size = _UDP.size + len(payload)
    blank = _UDP.pack(*ports, size, 0) + payload
    total = checksum(_pseudo(source.address, to.address, 17, size) + blank) or 0xFFFF
    return _ip(source, to, 17, _UDP.pack(*ports, size, total) + payload)


def ask(source: Station, target: Address) -> bytes:
    """Build an ARP request or a neighbour solicitation for `target`."""
    if isinstance(target, ipaddress.IPv4Address):
        return _arp(1, source, Station(bytes(6), target), BROADCAST)
    low = target.packed[-3:]
    group = ipaddress.IPv6Address(ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + low)
    option = b"\x01\x01" + source.mac
    return icmp6(source, Station(b"\x33\x33\xff" + low, group), _SOLICIT, bytes(4) + target.packed + option)


def answer(source: Station, to: Station) -> bytes:
    """Build an ARP reply or a solicited neighbour advertisement: `source` tells `to` about itself."""
    if isinstance(source.address, ipaddress.IPv4Address):
        return _arp(2, source, to, to.mac)
    body = bytes([_SOLICITED | 0x20, 0, 0, 0]) + source.address.packed + b"\x02\x01" + source.mac
    return icmp6(source, to, _ADVERT, body)


def icmp6(source: Station, to: Station, kind: int, body: bytes) -> bytes:
    """Build a frame with an ICMPv6 message in it; `body` is everything behind its checksum."""
    blank = bytes([kind, 0, 0, 0]) + body
    total = checksum(_pseudo(source.address, to.address, 58, len(blank)) + blank)
    return _ip(source, to, 58, bytes([kind, 0]) + total.to_bytes(2, "big") + body, hops=255)


def echo(source: Station, to: Station, number: int, size: int = 0) -> bytes:
    """Build an echo request of `size` bytes (RFC 792, RFC 4443); `number`, of 32 bits, comes back."""
    body = number.to_bytes(4, "big") + bytes(size)
    if isinstance(source.address, ipaddress.IPv6Address):
        return icmp6(source, to, 128, body)
    blank = bytes([8, 0, 0, 0]) + body
    return _ip(source, to, 1, blank[:2] + checksum(blank).to_bytes(2, "big") + body)


def echoed(frame: bytes) -> tuple[Address, int] | None:
    """Return the sender of an echo reply, and its number; None for any other frame.

    The code is checked as well: for a host that it cannot reach, QEMU's slirp sends a frame of the echo reply's type
    with the code "port unreachable", in the name of that host.
    """
    body = frame[_ETHER.size :]
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _IPV4 and len(body) >= 28 and (body[0], body[9], body[20], body[21]) == (0x45, 1, 0, 0):
        return ipaddress.IPv4Address(body[12:16]), int.from_bytes(body[24:28], "big")
    if kind == _IPV6 and len(body) >= 48 and (body[6], body[40]) == (58, 129):
        return ipaddress.IPv6Address(body[8:24]), int.from_bytes(body[44:48], "big")
    return None


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _parse_arp(body: bytes) -> Neighbour:
    _, _, _, _, op, sender_mac, sender, _, target = _ARP_BODY.unpack_from(body)
    return Neighbour(
        "arp", op == 1, sender_mac, ipaddress.IPv4Address(sender), ipaddress.IPv4Address(target), sender == target
    )


def _parse_nd(source: bytes, sender: Address, icmp: bytes) -> Neighbour | None:
    if len(icmp) < 24 or icmp[0] not in (_SOLICIT, _ADVERT):
        return None
    target = ipaddress.IPv6Address(icmp[8:24])
    if icmp[0] == _SOLICIT:
        return Neighbour("nd", True, source, None if sender.is_unspecified else sender, target, False)
    link_layer = icmp[26:32] if icmp[24:26] == b"\x02\x01" and len(icmp) >= 32 else source
    return Neighbour("nd", False, link_layer, target, target, not icmp[4] & _SOLICITED)


def _parse_udp(source: Address, destination: Address, segment: bytes) -> Udp:
    source_port, destination_port, size, _ = _UDP.unpack_from(segment)
    return Udp(source, destination, source_port, destination_port, segment[_UDP.size : size])


def _arp(op: int, source: Station, to: Station, destination: bytes) -> bytes:
    body = _ARP_BODY.pack(1, _IPV4, 6, 4, op, source.mac, source.address.packed, to.mac, to.address.packed)
    return _ETHER.pack(destination, source.mac, _ARP) + body


def _pseudo(source: Address, destination: Address, protocol: int, size: int) -> bytes:
    return source.packed + destination.packed + struct.pack("!II", size, protocol)


def _ip(source: Station, to: Station, protocol: int, payload: bytes, hops: int = 64) -> bytes:
    ends = source.address.packed + to.address.packed
    if isinstance(source.address, ipaddress.IPv4Address):
        blank = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, hops, protocol, 0) + ends
        header = blank[:10] + checksum(blank).to_bytes(2, "big") + blank[12:]
        return _ETHER.pack(to.mac, source.mac, _IPV4) + header + payload
    header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + ends
    return _ETHER.pack(to.mac, source.mac, _IPV6) + header + payload
