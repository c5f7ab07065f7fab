"""Bridges (net/bridge; linux/if_link.h, IFLA_BR_*)."""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, from_u8, from_u32, u8, u32

FORWARD_DELAY, STP_STATE, VLAN_FILTERING = 1, 5, 7


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
