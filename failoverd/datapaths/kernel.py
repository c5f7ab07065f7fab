"""A pair the kernel has joined itself: net_failover, where the hypervisor offers VIRTIO_NET_F_STANDBY.

The kernel makes the master, takes the VF in when it comes, and sends by it while it has a carrier. Nothing of that can
be changed from here, so this datapath watches: the roles, who carries, what went wrong. It does three things that the
kernel leaves out, none of which gets in its way:

- it announces the addresses after each change (the kernel sends neither gratuitous ARP nor NA);
- it gives the standby `<master>nsby` as an alternative name where udev has not named it so;
- where it is configured, it closes the kernel's hole. As long as a VF is *there*, whatever its carrier, the kernel
  drops what the standby receives (drivers/net/net_failover.c, net_failover_handle_frame), so a VF that is plugged in
  and has no carrier cuts the machine off. Traffic control sees a frame before that: a filter on the standby's ingress
  hook hands it to the master. It does no harm when the VF's carrier is back, and is taken away then.
"""

from __future__ import annotations

from failoverd.config.spec import Config
from failoverd.datapaths.redirect import clean, drop, leads_to, make_slot, unmark
from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, AddRedirect, DropRedirect, Request
from failoverd.policy.election import why_unfit
from failoverd.policy.naming import is_marked


class KernelDatapath:
    """See failoverd.datapaths.base.Datapath."""

    name = "net_failover"
    in_place = True
    adopted = True
    survives = True
    announces = False
    polled = False

    def create(self, mac: str, nic: Link, config: Config) -> list[Request]:
        """The kernel has done it."""
        return []

    def attach(self, slave: Link, master: Link) -> list[Request]:
        """The kernel does it when the VF comes."""
        return []

    def detach(self, slave: Link) -> list[Request]:
        """The kernel lets a slave go when it is unplugged, and never before."""
        return []

    def switch(self, master: Link, slave: int) -> list[Request]:
        """The kernel sends by the VF whenever it has a carrier."""
        return []

    def hear(self, master: Link, both: bool) -> list[Request]:
        """Both are heard as it is."""
        return []

    def widen(self, slave: Link, everything: bool) -> list[Request]:
        """The kernel hands on addresses and VLANs itself."""
        return []

    def remove(self, master: Link) -> list[Request]:
        """The master is the kernel's."""
        return []

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> list[Request]:
        """Name the standby, and close the hole where that is wanted."""
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
            # Once in vain, so that the kernel has its modules loaded by the time it matters.
            return [*named, *slot, close, DropRedirect(standby.ifindex, "ingress")]
        return [*named, *drop(standby, "ingress")]

    def holds(self, slave: Link, master: Link) -> bool:
        """IFLA_MASTER."""
        return slave.master == master.ifindex

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """The kernel's own rule (net_failover_start_xmit): the VF if it is up and has a carrier, else the standby."""
        for slave in (primary, standby):
            if slave is not None and not why_unfit(slave, self.holds(slave, master)):
                return slave.ifindex
        return 0

    def unlike(self, primary: Link, master: Link) -> str:
        """The kernel gives its slaves the master's MTU."""
        return ""

    def conflict(self, slave: Link, master: Link) -> str:
        """The kernel has joined them whatever there is."""
        return ""

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """The hole, unless it is closed."""
        hole = _hole(master, primary)
        if not hole or (standby is not None and leads_to(standby, "ingress", master)):
            return ""
        return f"{hole}; set close_hole in [kernel_failover], or unplug the VF"


def _hole(master: Link, primary: Link | None) -> str:
    """Why nothing comes in, in words, or "". Only a master that is up is meant to hear anything."""
    if primary is None or primary.master != master.ifindex or not master.up or (primary.up and primary.carrier):
        return ""
    trouble = "has no carrier" if primary.up else "is down"
    return f"{primary.name} {trouble} and is plugged in: the kernel drops all that its standby receives"


DATAPATH = KernelDatapath()
