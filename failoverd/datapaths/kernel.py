"""A pair that the kernel has joined itself: net_failover, where the hypervisor offers VIRTIO_NET_F_STANDBY.

The kernel makes the master, enslaves the VF when it comes, and sends by it while it has a carrier. failoverd can change
nothing of that, so this datapath watches: the roles, the slave that carries, the faults. The slave that carries is
computed from the slaves' states by the kernel's own rule. The datapath does three things that the kernel leaves out,
none of which gets in its way:

- it announces the addresses after each change (the kernel sends neither gratuitous ARP nor NA);
- it gives the standby `<master>nsby` as an alternative name where udev has not named it so;
- where it is configured, it closes the kernel's hole. As long as a VF is *there*, whatever its carrier, the kernel
  drops what the standby receives (drivers/net/net_failover.c, net_failover_handle_frame), so a VF that is plugged in
  and has no carrier cuts the machine off. Traffic control sees a frame before that: a filter on the standby's ingress
  hook hands it to the master. It does no harm when the VF's carrier is back, and is removed then.
"""

from __future__ import annotations

from typing import Literal

from failoverd.config.spec import Config
from failoverd.datapaths.adopted import Adopted
from failoverd.datapaths.redirect import clean, drop, leads_to, make_slot, unmark
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.model.requests import AddAltname, AddRedirect, DropRedirect, Request
from failoverd.policy.election import unfit_reason
from failoverd.policy.naming import is_marked


class KernelDatapath(Adopted):
    """See failoverd.datapaths.base.Datapath."""

    name = "net_failover"

    def has_joined(self, pair: Pair, is_touched: bool) -> bool:
        """The master is a third device."""
        return pair.adopted and pair.master not in (0, pair.nic)

    def is_remembered(self, pair: Pair) -> bool:
        """The kernel makes its own master anew at each boot."""
        return False

    def nic_is(self, pair: Pair) -> Literal["standby", "master", "one of three", "nothing"]:
        """The master, a third device, has its MAC."""
        return "one of three" if pair.master not in (0, pair.nic) else "nothing"

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> list[Request]:
        """Name the standby, and close the hole where that is configured."""
        if standby is None:
            return []
        name = master.name + config.naming.standby_suffix
        named: list[Request] = []
        if name != standby.name and name not in standby.altnames:
            named.append(AddAltname(standby.ifindex, name))
        if not config.kernel_failover.close_hole:
            return named + (clean(standby) or unmark(standby))
        close = AddRedirect(standby.ifindex, "ingress", master.ifindex)
        slot = make_slot(standby)
        if slot and not is_marked(standby, "qdisc"):
            return [*named, *slot]
        if _hole(master, primary):
            return named if leads_to(standby, "ingress", master) else [*named, *slot, close]
        if slot:
            # Add the filter once for nothing, so that the kernel has its modules loaded by the time it matters.
            return [*named, *slot, close, DropRedirect(standby.ifindex, "ingress")]
        return [*named, *drop(standby, "ingress")]

    def holds(self, slave: Link, master: Link) -> bool:
        """IFLA_MASTER."""
        return slave.master == master.ifindex

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """The kernel's own rule (net_failover_start_xmit): the VF if it is up and has a carrier, else the standby."""
        for slave in (primary, standby):
            if slave is not None and not unfit_reason(slave, self.holds(slave, master)):
                return slave.ifindex
        return 0

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """The hole, unless it is closed."""
        hole = _hole(master, primary)
        if not hole or (standby is not None and leads_to(standby, "ingress", master)):
            return ""
        return f"{hole}; set close_hole in [kernel_failover], or unplug the VF"


def _hole(master: Link, primary: Link | None) -> str:
    """Return why the master receives nothing, in words, or "". Only a master that is up is meant to receive."""
    if primary is None or primary.master != master.ifindex or not master.up or (primary.up and primary.carrier):
        return ""
    trouble = "has no carrier" if primary.up else "is down"
    return f"{primary.name} {trouble} and is plugged in: the kernel drops all that its standby receives"


DATAPATH = KernelDatapath()
