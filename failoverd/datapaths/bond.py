"""A pair joined by the kernel's bonding driver.

The bond is the safety net: miimon finds a dead link even while failoverd is not running. failoverd is the policy, so no
`primary` is set: with one, the kernel would switch to every newly enslaved VF at once, hold-down or not, and forget it
at a rename. `fail_over_mac=active` means that no slave's MAC is ever written, which untrusted VFs refuse even where it
is equal. A device must be down to be enslaved (drivers/net/bonding/bond_main.c, bond_enslave); the bond opens it
itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from failoverd.config.spec import Config
from failoverd.datapaths.base import Datapath
from failoverd.kinds import Bond, NewDevice
from failoverd.kinds.bond import ACTIVE_BACKUP, FOLLOW_ACTIVE, SIGNATURE
from failoverd.model.actions import AskConfigurer
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.model.requests import CreateLink, DeleteLink, HearAll, Request, SetActive, SetMaster, SetUp
from failoverd.policy.naming import passing_name
from failoverd.policy.stacking import BRIDGE

UNANNOUNCED = frozenset({BRIDGE, "macvtap"})
"""Kinds of devices above a bond whose addresses the bond does not announce."""


class BondDatapath(Datapath):
    """See failoverd.datapaths.base.Datapath."""

    name = "bond"

    def has_joined(self, pair: Pair, is_touched: bool) -> bool:
        """There is a bond that failoverd made."""
        return not pair.adopted and pair.master != 0

    def create(self, mac: str, nic: Link, config: Config) -> list[Request]:
        """Make the bond under its passing name. Its signature identifies it before it has its marks."""
        options = Bond(
            mode=ACTIVE_BACKUP,
            miimon=config.bond.miimon,
            fail_over_mac=FOLLOW_ACTIVE,
            peer_notifications=config.bond.peer_notifications,
            lp_interval=SIGNATURE,
        )
        return [CreateLink(NewDevice(passing_name(mac), mac, nic.mtu), options)]

    def attach(self, slave: Link, master: Link) -> list[Request]:
        """Down, then enslave."""
        if self.holds(slave, master):
            return []
        down: list[Request] = [SetUp(slave.ifindex, up=False)] if slave.up else []
        return [*down, SetMaster(slave.ifindex, master.ifindex)]

    def detach(self, slave: Link) -> list[Request]:
        """Release the slave; bonding closes it."""
        return [SetMaster(slave.ifindex, 0)] if slave.master else []

    def switch(self, master: Link, slave: int) -> list[Request]:
        """Choose the active slave; the kernel sends the gratuitous ARP and the unsolicited NA."""
        return [SetActive(master.ifindex, slave)]

    def hear(self, master: Link, both: bool) -> list[Request]:
        """A bond drops the frames that come to a slave that does not carry, unless it is told otherwise."""
        return [HearAll(master.ifindex, both)]

    def widen(self, slave: Link, everything: bool) -> list[Request]:
        """Bonding passes on what the bond wants to hear: addresses, VLANs, promiscuity (bond_hw_addr_swap)."""
        return []

    def remove(self, master: Link) -> list[Request]:
        """Delete the bond. The kernel releases its slaves and closes them."""
        return [DeleteLink(master.ifindex)]

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> list[Request]:
        """Bonding keeps its slaves as they have to be."""
        return []

    def holds(self, slave: Link, master: Link) -> bool:
        """IFLA_MASTER."""
        return slave.master == master.ifindex

    def to_announce(self, devices: Sequence[Link], is_joined: bool, is_leaving: bool) -> Sequence[Link]:
        """None, as a rule: a bond announces itself, its VLANs and macvlans, at its next tick.

        It goes no farther (net/bridge/br.c hands on NETDEV_RESEND_IGMP alone; a macvtap has no address here). So if one
        of those is on it, or if the next tick would be too late, everything is announced.
        """
        is_all = is_leaving or any(link.kind in UNANNOUNCED for link in devices)
        return devices if is_joined and is_all else []

    def ask_first(self, nic: Link, name: str) -> AskConfigurer | None:
        """Whether the NIC's configuration could follow to the bond."""
        return AskConfigurer(nic, name)

    def without_bonding(self) -> str:
        """It cannot be."""
        return ""

    def clone_obstacle(self) -> str:
        """None."""
        return ""

    def mtu_mismatch(self, primary: Link, master: Link) -> str:
        """Bonding sets the same MTU on all, and reports nothing where a slave takes another."""
        if primary.mtu == master.mtu:
            return ""
        return f"its MTU is {primary.mtu} and the master's {master.mtu}"

    def conflict(self, slave: Link, master: Link) -> str:
        """A slave's own filters and programs go on working in a bond."""
        return ""

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """IFLA_BOND_ACTIVE_SLAVE."""
        return master.info.active if isinstance(master.info, Bond) else 0

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """Another program may have changed the bond's options."""
        bond = master.info
        if not isinstance(bond, Bond) or bond.mode != ACTIVE_BACKUP:
            return f"{master.name} is not an active-backup bond"
        if not bond.miimon:
            return f"{master.name} has no miimon: a dead link is not noticed while failoverd is away"
        if bond.primary:
            return f"{master.name} has a primary: the kernel goes back to it at once, whatever the hold-down"
        return ""


DATAPATH = BondDatapath()
