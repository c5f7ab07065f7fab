"""A pair joined by traffic control, for kernels without bonding: the "transparent" model of two devices.

The paravirtual NIC P is the master and keeps its name and its configuration. Frames that P would send are sent by the
VF V, and frames that V receives are received by P:

    out:  IP -> P's egress hook --redirect--> V        (while V carries)
    in:   V's ingress hook --redirect--> P -> IP       (as long as the two are joined)

So a switch is one filter on P. V's filter is there first and stays: frames that still arrive by V during a switch are
not lost, and the way back costs nothing.

Nothing in the kernel removes P's filter when V goes or loses its link; P's traffic is then dropped until failoverd has
removed it. Bonding does better there, and is preferred where the kernel has it. Filters are u32 that match everything,
because matchall is missing in more kernels. They have a handle of their own, as a repeated add would stack a second
one, and a cookie that identifies them.

Devices stacked on P are heard through V, too. V has been told of none of P's VLANs, and of no MAC but its own; so as
long as there is a VLAN, a macvlan or a capture on P, V takes in everything. Rejected: VLAN devices on V, down, for the
sake of its filter (no other request registers a VLAN with a NIC), which every user would see; and entries in V's MAC
filter, which an untrusted VF refuses as it refuses to be promiscuous.

A bridge with P as its port is not possible in this way. Its broadcasts leave by V, the host's switch floods them to P
as well, and the bridge learns from that that its own machines are out there. Bonding drops the frames of the slave that
does not carry; here both are open. So P in a bridge carries by itself. (A way out would be to drop frames that reach P
by itself while V carries. But the frames that V hands over pass the same hook, and could be told apart only by a mark
on the frame, which is the administrator's: fwmark, nftables.)

Frames that P's own qdisc would shape, P's XDP program would see, or another program's filter on one of the two hooks
would judge, take another way or come from nowhere. failoverd cannot tell whether that is harmless, so such a pair is
refused.

P without a carrier is deaf: act_mirred drops frames redirected to it, while outgoing frames go on. Rejected for now: a
cls_bpf program with bpf_redirect(BPF_F_INGRESS), which requires only IFF_UP and works (seen on 6.18, by hand); the
daemon would need CAP_BPF and bpf(2). No other way in was found: IFLA_CARRIER needs a driver that has it (virtio_net has
not), and everything else that gives a frame to another device sits above it.
"""

from __future__ import annotations

from failoverd.config.spec import Config
from failoverd.datapaths.inplace import InPlace
from failoverd.datapaths.redirect import clean, drop, leads_to, make_slot, ours, unmark
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
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

VIRTIO = "virtio_net"


class TcDatapath(InPlace):
    """See failoverd.datapaths.base.Datapath."""

    name = "tc"

    def vf_refusal_at_end(self) -> str:
        """Nothing takes the filter away when the VF fails."""
        return "failoverd ends, and the kernel would not leave it by itself"

    def to_poll(self, vf: int) -> int:
        """It is in no bond (core/switch.py)."""
        return vf

    def sets_filter(self, vf: int) -> bool:
        """It has been told of none of the master's addresses and VLANs."""
        return vf != 0

    def is_way_lost(self, active: int, pair: Pair) -> bool:
        """The filter of a device that is gone stays, and leads nowhere."""
        return active not in (pair.nic, pair.vf)

    def is_deaf(self, nic: Link) -> bool:
        """See `deaf`."""
        return deaf(nic)

    def create(self, mac: str, nic: Link, config: Config) -> list[Request]:
        """The paravirtual NIC is the master already. It gets its qdisc, at a time when it does not carry if possible.

        When a qdisc is put on it later, the kernel drops frames being sent (net/sched/sch_api.c, qdisc_graft,
        deactivates the device; seen on 6.18: up to 10 ms).
        """
        return make_slot(nic)

    def attach(self, slave: Link, master: Link) -> list[Request]:
        """First set the marks, then make the VF silent by itself, and last redirect what it receives and bring it up.

        With its filter the VF is joined, and everything else has to be in place by then. Frames that it receives before
        its filter is there are its own: a router advertisement would give it an address.
        """
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
        """Take the filter off the VF and restore its own multicast and link-local settings. It is down afterwards."""
        if not is_marked(slave, "vf") and ours(slave, "ingress") is None:
            return []
        requests: list[Request] = [SetUp(slave.ifindex, up=False)] if slave.up else []
        requests += clean(slave)
        requests += [SetAllMulticast(slave.ifindex, on=False)] if slave.all_multicast else []
        requests += self.widen(slave, everything=False)
        requests += [SetLinkLocal(slave.ifindex, on=True)] if not slave.link_local else []
        return requests or unmark(slave)

    def switch(self, master: Link, slave: int) -> list[Request]:
        """Redirect the master's outgoing frames to the VF, or let the master send them itself. failoverd announces the
        switch.
        """
        away = drop(master, "egress")
        return away if slave == master.ifindex else [*away, AddRedirect(master.ifindex, "egress", slave)]

    def hear(self, master: Link, both: bool) -> list[Request]:
        """Both are heard anyway."""
        return []

    def widen(self, slave: Link, everything: bool) -> list[Request]:
        """The VF is told nothing of the devices stacked on the master, so it takes in everything or only its own
        frames.
        """
        return [SetPromiscuous(slave.ifindex, everything)] if slave.promiscuous != everything else []

    def remove(self, master: Link) -> list[Request]:
        """Leave nothing of failoverd's on the paravirtual NIC."""
        return clean(master) or unmark(master)

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> list[Request]:
        """The master's MTU may grow, and another program may remove its qdisc or reset the VF's settings."""
        if primary is None or not self.holds(primary, master):
            return []
        return [*make_slot(master), *_shape(primary, master)]

    def holds(self, slave: Link, master: Link) -> bool:
        """The standby is the master itself; the VF is joined by its ingress filter."""
        return slave.ifindex == master.ifindex or leads_to(slave, "ingress", master)

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """The target of the master's egress filter, 0 if that device is gone; without a filter the master itself."""
        found = ours(master, "egress")
        return found.redirect if found is not None else master.ifindex

    def mtu_mismatch(self, primary: Link, master: Link) -> str:
        """A VF that takes larger frames than the master sends does no harm."""
        if primary.mtu >= master.mtu:
            return ""
        most = f", and its driver takes {primary.max_mtu} at most" if 0 < primary.max_mtu < master.mtu else ""
        return f"its MTU is {primary.mtu} and the master's {master.mtu}{most}"

    def conflict(self, slave: Link, master: Link) -> str:
        """See the module. Of the VF only incoming frames are redirected, of the master only outgoing ones."""
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
        """See `deaf`. A joined pair stays so, as its link may come back at any time."""
        is_deaf = master.up and deaf(master)
        if primary is None or not is_deaf or self.active(master, primary, standby) != primary.ifindex:
            return ""
        return (
            f"{master.name} has no carrier, and then the kernel drops all that {primary.name} receives for it; have "
            f"the host set the link of {master.name} up, or set [master] datapath to bond, then failoverctl release "
            f"{master.name} and failoverctl adopt {master.name}"
        )


def deaf(master: Link) -> bool:
    """Whether the kernel would redirect nothing to this device, because it has no carrier (net/sched/act_mirred.c).

    A virtio NIC knows whether it has a link even while it is down (drivers/net/virtio_net.c, virtnet_probe). Of other
    NICs that are down, nothing can be said.
    """
    return not master.carrier if master.up else master.driver == VIRTIO and not master.medium


def _shape(slave: Link, master: Link) -> list[Request]:
    """Return the requests that shape a VF: no addresses of its own, all multicast, an MTU not below the master's."""
    requests: list[Request] = []
    requests += [SetLinkLocal(slave.ifindex, on=False)] if slave.link_local else []
    requests += [SetAllMulticast(slave.ifindex, on=True)] if not slave.all_multicast else []
    # Where its driver takes no such MTU, it is joined and does not carry (`mtu_mismatch`) until the master's is
    # smaller.
    can = not slave.max_mtu or master.mtu <= slave.max_mtu
    return [*requests, SetMtu(slave.ifindex, master.mtu)] if slave.mtu < master.mtu and can else requests


DATAPATH = TcDatapath()
