"""Macvlans: MACs of their own on a lower device (drivers/net/macvlan.c; linux/if_link.h, IFLA_MACVLAN_*).

The lower device is NewDevice.lower and Link.link. A macvlan on a macvlan gets that one's lower device. The first one on
a device takes the device's receive handler: the kernel then refuses to enslave it (EBUSY).
"""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, from_u16, from_u32, u16, u32

MODE, FLAGS = 1, 2
PRIVATE, VEPA, BRIDGE, PASSTHRU, SOURCE = 1, 2, 4, 8, 16
MODES = {PRIVATE: "private", VEPA: "vepa", BRIDGE: "bridge", PASSTHRU: "passthru", SOURCE: "source"}
NO_PROMISCUITY = 1
"""MACVLAN_FLAG_NOPROMISC, for passthru: the lower device is not made promiscuous."""


@dataclass(frozen=True, slots=True)
class Macvlan:
    """A macvlan's options."""

    kind: ClassVar = "macvlan"
    wanted: ClassVar = frozenset((MODE, FLAGS))

    mode: int = VEPA
    """Which macvlans of one lower device reach each other: a key of MODES."""

    flags: int = 0

    @classmethod
    def read(cls, data: Data) -> Macvlan:
        """Read the options of an existing macvlan."""
        return cls(u32(data.options, MODE), u16(data.options, FLAGS))

    def write(self) -> Attributes:
        """Return the attributes that create a macvlan."""
        return ((MODE, from_u32(self.mode)), (FLAGS, from_u16(self.flags)))

    def words(self) -> tuple[str, ...]:
        """Describe a new macvlan for the administrator."""
        return (f"mode {MODES.get(self.mode, self.mode)}",)
