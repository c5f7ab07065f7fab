"""A pair joined by traffic control, for kernels without bonding: the "transparent" model of two devices.

The paravirtual NIC P is the master and keeps its name and its configuration. What it would send is sent by the VF V,
and what V receives is received by P:

    out:  IP -> P's egress hook --redirect--> V        (while V carries)
    in:   V's ingress hook --redirect--> P -> IP       (as long as the two are joined)

So a switch is one filter on P. V's filter is there first and stays: what still arrives by V during a switch is not
lost, and the way back costs nothing.

Nothing in the kernel removes P's filter when V goes or loses its link; then P's traffic is dropped until failoverd has
taken it away. That is what bonding does better, and why it is preferred where there is one. Filters are u32 that match
everything, for matchall is missing in more kernels; they have a handle of their own, as a repeated add would stack a
second one, and a cookie by which they are known again.

What stands on P is heard through V, too. V has been told of none of P's VLANs, and of no MAC but its own; so as long
as there is a VLAN, a macvlan or a capture on P, V takes in everything. (There is no request that registers a VLAN with
a NIC, but to make a VLAN device on it.)

A bridge with P as its port cannot be had in this way. Its broadcasts leave by V, the host's switch floods them to P as
well, and the bridge learns from that that its own machines are out there. Bonding drops what comes by the slave that
does not carry; here both are open. So P in a bridge carries by itself.

Frames that P's own qdisc would shape, P's XDP program would see, or somebody's filter on one of the two hooks would
judge, take another way or come from nowhere. Nobody can tell whether that is harmless, so such a pair is refused.
"""

from __future__ import annotations

from failoverd.config.spec import Config
from failoverd.datapaths.redirect import clean, drop, leads_to, make_slot, ours, unmark
from failoverd.model.links import Link
from failoverd.model.requests import (
    AddAltname,
    AddRedirect,
    Request,
    SetAllMulticast,
    SetLinkLocal,
    SetMtu,
    SetPromiscuous,
    SetUp,
)
from failoverd.policy.naming import is_marked, nic_mark


class TcDatapath:
    """See failoverd.datapaths.base.Datapath."""

    name = "tc"
    in_place = True
    adopted = False
    survives = False
    announces = False
    polled = True

    def create(self, mac: str, nic: Link, config: Config) -> list[Request]:
        """The paravirtual NIC is the master already. It gets its qdisc while it does not carry, where it can be chosen:
        for one that is put on it later the kernel drops what is sent (net/sched/sch_api.c, qdisc_graft, deactivates the
        device; seen on 6.18: up to 10 ms)."""
        return make_slot(nic)

    def attach(self, slave: Link, master: Link) -> list[Request]:
        """First the marks, then the VF made silent by itself, and last caught what it receives and brought up: with its
        filter it is joined, and everything else has to be so by then. What it would receive before its filter is there
        is its own: a router's word would give it an address."""
        if slave.ifindex == master.ifindex:
            return []
        up: list[Request] = [SetUp(slave.ifindex, up=True)] if not slave.up else []
        if self.holds(slave, master):
            return up
        if not is_marked(slave, "vf"):
            return [AddAltname(slave.ifindex, nic_mark(slave, "vf"))]
        shape = [*make_slot(master), *make_slot(slave), *_shape(slave, master)]
        return shape or [*drop(slave, "ingress"), AddRedirect(slave.ifindex, "ingress", master.ifindex), *up]

    def detach(self, slave: Link) -> list[Request]:
        """Take the filter off the VF and give it back its own multicast and link-local ways; it is down afterwards."""
        if not is_marked(slave, "vf") and ours(slave, "ingress") is None:
            return []
        requests: list[Request] = [SetUp(slave.ifindex, up=False)] if slave.up else []
        requests += clean(slave)
        requests += [SetAllMulticast(slave.ifindex, on=False)] if slave.all_multicast else []
        requests += self.widen(slave, everything=False)
        requests += [SetLinkLocal(slave.ifindex, on=True)] if not slave.link_local else []
        return requests or unmark(slave)

    def switch(self, master: Link, slave: int) -> list[Request]:
        """Redirect what the master sends to the VF, or let the master send it itself. The announcing is ours."""
        away = drop(master, "egress")
        return away if slave == master.ifindex else [*away, AddRedirect(master.ifindex, "egress", slave)]

    def hear(self, master: Link, both: bool) -> list[Request]:
        """Both are heard as it is."""
        return []

    def widen(self, slave: Link, everything: bool) -> list[Request]:
        """The VF is told nothing of what stands on the master, so it takes in all or its own."""
        return [SetPromiscuous(slave.ifindex, everything)] if slave.promiscuous != everything else []

    def remove(self, master: Link) -> list[Request]:
        """Leave nothing on the paravirtual NIC."""
        return clean(master) or unmark(master)

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> list[Request]:
        """The master's MTU may grow, and somebody may take its qdisc away, or give the VF ways of its own again."""
        if primary is None or not self.holds(primary, master):
            return []
        return [*make_slot(master), *_shape(primary, master)]

    def holds(self, slave: Link, master: Link) -> bool:
        """The standby is the master itself; the VF is joined by its ingress filter."""
        return slave.ifindex == master.ifindex or leads_to(slave, "ingress", master)

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """Where the master's egress filter leads, nowhere (0) where that device is gone; without one it carries."""
        found = ours(master, "egress")
        return found.redirect if found is not None else master.ifindex

    def unlike(self, primary: Link, master: Link) -> str:
        """A VF that takes larger frames than the master sends does no harm."""
        if primary.mtu >= master.mtu:
            return ""
        return f"its MTU is {primary.mtu} and the master's {master.mtu}"

    def conflict(self, slave: Link, master: Link) -> str:
        """See the module. Of the VF only what arrives is redirected, of the master only what leaves."""
        if slave.mac != master.mac:
            return f"its MAC is {slave.mac} and that of {master.name} {master.mac}"
        if master.master and master.slave_kind != "vrf":
            kind = master.slave_kind or "master"
            return f"{master.name} is in a {kind}, and what that sends by {slave.name} would come back by {master.name}"
        for link, hook in ((master, "egress"), (slave, "ingress")):
            if kinds := sorted({found.kind for found in link.tc.filters if found.hook == hook and not found.ours}):
                return f"{link.name} has a {', '.join(kinds)} filter on its {hook} that traffic would pass by"
        if master.tc.slot not in ("", "clsact"):
            return f"{master.name} has an {master.tc.slot} qdisc where clsact would have to be"
        if master.tc.root:
            return f"{master.name} has a {master.tc.root} qdisc that traffic would pass by"
        return f"{master.name} has an XDP program that traffic would pass by" if master.xdp else ""

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """The kernel redirects nothing to a device without carrier (net/sched/act_mirred.c)."""
        is_deaf = master.up and not master.carrier
        if primary is None or not is_deaf or self.active(master, primary, standby) != primary.ifindex:
            return ""
        return f"{master.name} has no carrier, and then the kernel drops all that {primary.name} receives for it"


def _shape(slave: Link, master: Link) -> list[Request]:
    """What a VF has to be like: without addresses of its own, open to every group, and its frames no shorter."""
    requests: list[Request] = []
    requests += [SetLinkLocal(slave.ifindex, on=False)] if slave.link_local else []
    requests += [SetAllMulticast(slave.ifindex, on=True)] if not slave.all_multicast else []
    return [*requests, SetMtu(slave.ifindex, master.mtu)] if slave.mtu < master.mtu else requests


DATAPATH = TcDatapath()
