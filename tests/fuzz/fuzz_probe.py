"""Frames of the network that a probe of a path takes for answers: the filter in the kernel lets the like of them pass.

Only a whole answer to our MAC about an address that was asked for is one; anything else is none, and no error.
"""

from __future__ import annotations

import struct

from fuzzing import Harness

from failoverd.netlink.announce import ETH_P_ARP, ETH_P_IPV6, ICMPV6
from failoverd.netlink.probe import ADVERT, is_answer, question

MAC = bytes.fromhex("525400aabbcc")
OTHER = bytes.fromhex("020000000001")
TARGETS = (bytes([10, 0, 0, 1]), bytes.fromhex("fe80") + bytes(13) + b"\1")


def one(data: bytes) -> None:
    """See the module."""
    if is_answer(data, MAC, TARGETS):
        assert data[:6] == MAC
        assert len(data) >= 32
        assert any(target in data for target in TARGETS)


def seeds() -> list[bytes]:
    """The answers to both questions, and the questions."""
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + OTHER + TARGETS[0] + MAC + bytes(4)
    advert = struct.pack("!BBHI", ADVERT, 0, 0, 0x60000000) + TARGETS[1] + b"\x02\x01" + OTHER
    header = struct.pack("!IHBB", 6 << 28, len(advert), ICMPV6, 255) + TARGETS[1] + TARGETS[1]
    return [
        MAC + OTHER + struct.pack("!H", ETH_P_ARP) + arp,
        MAC + OTHER + struct.pack("!H", ETH_P_IPV6) + header + advert,
        *(question(MAC, target) for target in TARGETS),
    ]


HARNESS = Harness("probe", one, seeds, TARGETS)
