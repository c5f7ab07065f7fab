"""Bridges (net/bridge; linux/if_link.h, IFLA_BR_*)."""

from __future__ import annotations

import struct
from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, from_u8, from_u32, u8, u32

FORWARD_DELAY, STP_STATE, VLAN_FILTERING = 1, 5, 7
REST = frozenset((*range(2, 5), 6, 8, 9, *range(22, 26), *range(27, 40), *range(43, 47)))
"""The further options that the kernel tells and takes: IFLA_BR_HELLO_TIME to AGEING_TIME, PRIORITY, VLAN_PROTOCOL,
GROUP_FWD_MASK, MCAST_ROUTER to MCAST_QUERIER, MCAST_HASH_MAX to VLAN_DEFAULT_PVID, MCAST_STATS_ENABLED to
MULTI_BOOLOPT."""
GROUP_ADDRESS, DEFAULT_GROUP = 20, bytes.fromhex("0180c2000000")
ATTR = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge's options."""

    kind: ClassVar = "bridge"
    wanted: ClassVar = frozenset((FORWARD_DELAY, STP_STATE, VLAN_FILTERING))

    forward_delay: int = 1500
    """How long a port listens, and then learns, before it forwards, in hundredths of a second each, if STP is on."""

    stp: bool = False
    """Whether it runs the spanning tree protocol, in the kernel or in another program."""

    vlan_filtering: bool = False
    """Whether each port has VLANs of its own."""

    @classmethod
    def read(cls, data: Data) -> Bridge:
        """Read the options of an existing bridge."""
        options = data.options
        return cls(u32(options, FORWARD_DELAY), bool(u32(options, STP_STATE)), bool(u8(options, VLAN_FILTERING)))

    def write(self) -> Attributes:
        """Return the attributes that create a bridge."""
        rows = ((FORWARD_DELAY, from_u32(self.forward_delay)), (STP_STATE, from_u32(self.stp)))
        # A kernel built without VLAN filtering refuses also to turn it off.
        return (*rows, (VLAN_FILTERING, from_u8(1))) if self.vlan_filtering else rows

    def words(self) -> tuple[str, ...]:
        """Describe a new bridge for the administrator."""
        return ("STP",) if self.stp else ()


@dataclass(frozen=True, slots=True)
class BridgeRest:
    """The options of REST, as the kernel told them of another bridge."""

    kind: ClassVar = "bridge"

    raw: bytes = b""
    """Attributes, one behind the other."""

    def write(self) -> Attributes:
        """Return the attributes that change a bridge."""
        found: list[tuple[int, bytes]] = []
        at = 0
        while at + ATTR.size <= len(self.raw):
            length, place = ATTR.unpack_from(self.raw, at)
            found.append((place, self.raw[at + ATTR.size : at + length]))
            at += max((length + 3) & ~3, ATTR.size)
        return tuple(found)

    def words(self) -> tuple[str, ...]:
        """Describe the change for the administrator."""
        return ("the options of the old one",)
