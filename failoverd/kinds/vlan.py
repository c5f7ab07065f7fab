"""VLANs (net/8021q; linux/if_link.h, IFLA_VLAN_*). The lower device is NewDevice.lower and Link.link."""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, be16, from_be16, from_u16, u16

ID, PROTOCOL = 1, 5
ETH_P_8021Q = 0x8100


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN's options."""

    kind: ClassVar = "vlan"
    wanted: ClassVar = frozenset((ID, PROTOCOL))

    id: int = 0

    protocol: int = ETH_P_8021Q
    """The EtherType of its tag: 802.1Q, or 802.1ad (0x88a8)."""

    @classmethod
    def read(cls, data: Data) -> Vlan:
        """Read the options of an existing VLAN."""
        return cls(u16(data.options, ID), be16(data.options, PROTOCOL))

    def write(self) -> Attributes:
        """Return the attributes that create a VLAN."""
        return ((ID, from_u16(self.id)), (PROTOCOL, from_be16(self.protocol)))

    def words(self) -> tuple[str, ...]:
        """Describe a new VLAN for the administrator."""
        return (f"VLAN {self.id}",)
