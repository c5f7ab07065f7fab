"""Ipvlans: addresses of their own behind the lower device's MAC (drivers/net/ipvlan; linux/if_link.h, IFLA_IPVLAN_*).

The lower device is NewDevice.lower and Link.link. An ipvlan on an ipvlan gets that one's lower device, and all ipvlans
of a device have one mode: a new one changes it for the others. The first one on a device takes the device's receive
handler: the kernel then refuses to enslave it (EBUSY).
"""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, from_u16, u16

MODE, FLAGS = 1, 2
L2, L3, L3S = 0, 1, 2
MODES = {L2: "l2", L3: "l3", L3S: "l3s"}
PRIVATE, VEPA = 1, 2


@dataclass(frozen=True, slots=True)
class Ipvlan:
    """An ipvlan's options."""

    kind: ClassVar = "ipvlan"
    wanted: ClassVar = frozenset((MODE, FLAGS))

    mode: int = L3
    """Which layer it forwards by: a key of MODES. In L3 and L3S it answers no ARP."""

    flags: int = 0
    """PRIVATE: ipvlans of one lower device do not reach each other. VEPA: they do by way of the switch."""

    @classmethod
    def read(cls, data: Data) -> Ipvlan:
        """Read the options of an existing ipvlan."""
        return cls(u16(data.options, MODE), u16(data.options, FLAGS))

    def write(self) -> Attributes:
        """Return the attributes that create an ipvlan."""
        return ((MODE, from_u16(self.mode)), (FLAGS, from_u16(self.flags)))

    def words(self) -> tuple[str, ...]:
        """Describe a new ipvlan for the administrator."""
        return (f"mode {MODES.get(self.mode, self.mode)}",)
