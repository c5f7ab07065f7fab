"""Bonds (drivers/net/bonding; linux/if_link.h, IFLA_BOND_*)."""

from __future__ import annotations

from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.kinds.base import Attributes, Data, from_u8, from_u32, u8, u32

MODE, ACTIVE_SLAVE, MIIMON, PRIMARY, PRIMARY_RESELECT, FAIL_OVER_MAC = 1, 2, 3, 11, 12, 13
NUM_PEER_NOTIF, ALL_SLAVES_ACTIVE, LP_INTERVAL = 16, 17, 19

ACTIVE_BACKUP = 1
"""`mode`: one slave carries, the others stand by."""
FOLLOW_ACTIVE = 1
"""`fail_over_mac`: the bond has the MAC of its active slave, and does not write the slaves' MACs."""
ON_FAILURE = 2
"""BOND_PRI_RESELECT_FAILURE. Since 6.0 slaves have priorities, and the first one that is up is preferred. Without this,
enslaving another would make the kernel go back to it, whatever was chosen (seen on 6.1).
"""

SIGNATURE = 0x666F7664
"""`lp_interval` of a bond that failoverd made, in seconds (54 years; "fovd")."""
HEARING = SIGNATURE + 1
"""The same while the bond takes in frames on slaves that do not carry (all_slaves_active)."""


@dataclass(frozen=True, slots=True)
class Bond:
    """A bond's options.

    A new bond gets its mode, `miimon`, `fail_over_mac`, `peer_notifications` and `lp_interval`. The other options are
    set when it has slaves.
    """

    kind: ClassVar = "bond"
    wanted: ClassVar = frozenset(
        (MODE, ACTIVE_SLAVE, MIIMON, PRIMARY, FAIL_OVER_MAC, NUM_PEER_NOTIF, ALL_SLAVES_ACTIVE, LP_INTERVAL)
    )

    mode: int = 0

    active: int = 0
    """The ifindex of the active slave, 0 for none."""

    miimon: int = 0
    """How often the kernel checks the slaves' carriers, in milliseconds; 0 for never."""

    fail_over_mac: int = 0

    primary: int = 0
    """The ifindex of the slave that the kernel prefers, 0 for none."""

    hears_both: bool = False
    """Whether it takes in frames on slaves that do not carry."""

    peer_notifications: int = 0
    """The number of times the kernel announces a change of the active slave."""

    lp_interval: int = 0
    """Seconds between two learning packets. active-backup does not send them, so the value can serve as a mark."""

    @classmethod
    def read(cls, data: Data) -> Bond:
        """Read the options of an existing bond."""
        options = data.options
        return cls(
            mode=u8(options, MODE),
            active=u32(options, ACTIVE_SLAVE),
            miimon=u32(options, MIIMON),
            fail_over_mac=u8(options, FAIL_OVER_MAC),
            primary=u32(options, PRIMARY),
            hears_both=bool(u8(options, ALL_SLAVES_ACTIVE)),
            peer_notifications=u8(options, NUM_PEER_NOTIF),
            lp_interval=u32(options, LP_INTERVAL),
        )

    def write(self) -> Attributes:
        """Return the attributes that create a bond."""
        return (
            (MODE, from_u8(self.mode)),
            (MIIMON, from_u32(self.miimon)),
            (PRIMARY_RESELECT, from_u8(ON_FAILURE)),
            (FAIL_OVER_MAC, from_u8(self.fail_over_mac)),
            (NUM_PEER_NOTIF, from_u8(self.peer_notifications)),
            (LP_INTERVAL, from_u32(self.lp_interval)),
        )

    def words(self) -> tuple[str, ...]:
        """Describe a new bond for the administrator."""
        return (f"miimon {self.miimon} ms",)
