"""Multicast reports as they come in: the groups, and the ports of the switch. A service of a `Peer`.

IGMPv2 (RFC 2236) and v3 (RFC 3376), MLDv1 (RFC 2710) and v2 (RFC 3810). A source list is ignored, and so is a message
with a bad checksum, as any router does.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from failoverd_lab.frames import Address, checksum
from failoverd_lab.vlans import untagged

V2_REPORT, V3_REPORT, MLD1_REPORT, MLD2_REPORT = 0x16, 0x22, 131, 143
LEFT = 3
"""CHANGE_TO_INCLUDE_MODE, which without sources means that a group was left."""


@dataclass(frozen=True, slots=True)
class Member:
    """A report of a group: when (time.monotonic), by which port, in which VLAN."""

    at: float
    port: str
    vlan: int
    group: Address


@dataclass(slots=True)
class Memberships:
    """All reports so far."""

    heard: list[Member] = field(default_factory=list)

    def answer(self, frame: bytes, port: str, at: float) -> Sequence[bytes]:
        """Record the reports in a frame; no frame is ever sent."""
        vlan, bare = untagged(frame)
        self.heard += [Member(at, port, vlan, group) for group in reported(bare)]
        return ()

    def since(self, at: float, port: str, vlan: int = 0) -> set[str]:
        """Return the groups reported by a port from this moment on."""
        return {str(m.group) for m in self.heard if m.at >= at and (m.port, m.vlan) == (port, vlan)}


def reported(frame: bytes) -> list[Address]:
    """Return the groups that a frame reports."""
    kind, body = frame[12:14], frame[14:]
    if kind == b"\x08\x00" and len(body) >= 28 and body[9] == 2:
        message = body[(body[0] & 0xF) * 4 :]
        if checksum(message) or body[8] != 1:
            return []
        if message[0] == V2_REPORT:
            return [ipaddress.IPv4Address(message[4:8])]
        return [ipaddress.IPv4Address(raw) for raw in _records(message, 4)] if message[0] == V3_REPORT else []
    if kind == b"\x86\xdd" and len(body) >= 72 and body[6] == 0 and body[40] == 58:
        message = body[48:]
        pseudo = body[8:40] + struct.pack("!II", len(message), 58)
        if checksum(pseudo + message) or body[7] != 1:
            return []
        if message[0] == MLD1_REPORT:
            return [ipaddress.IPv6Address(message[8:24])]
        return [ipaddress.IPv6Address(raw) for raw in _records(message, 16)] if message[0] == MLD2_REPORT else []
    return []


def _records(message: bytes, length: int) -> Iterator[bytes]:
    """Yield the groups of an IGMPv3 or MLDv2 report; `length` is an address's."""
    offset = 8
    for _ in range(int.from_bytes(message[6:8], "big")):
        kind, auxiliary, sources = struct.unpack_from("!BBH", message, offset)
        if kind != LEFT or sources:
            yield message[offset + 4 : offset + 4 + length]
        offset += 4 + length + sources * length + auxiliary * 4
