"""The NIC by which a frame would go now, for the judges of stories. Pure functions of the state.

A switch sends frames for a MAC to the port where it last saw that MAC as a source. With a daemon that lets several NICs
carry one MAC, that is the NIC which sent last. A guest with traffic sends all the time, so the switch is taken to have
learned at once. What remains is the guest's own side: the device that holds the address must be up with a carrier, and
so must everything below it.

tc comes in between (act_mirred.c of 6.1). A redirect on a device's egress takes its frames before the queue, so the
device need not have a carrier, but the redirect's target must, or the frames are dropped. Incoming frames climb from
the NIC to the holder of the address; a redirect on the way must lead to a device that is up and has a carrier. So a
paravirtual NIC without carrier is deaf, even while its VF carries (seen on 6.18). A VF without redirect would still
give IPv4's unicast to the stack (the weak host model); as nothing else arrives so, it does not count.
"""

from __future__ import annotations

from failoverd_lab.simkernel import netvsc
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.state import Device, Route
from failoverd_lab.simkernel.tcstate import redirect

NEST = 4
"""Most redirects in a row that mirred allows."""


def port_below(device: Device) -> Device | None:
    """Return the NIC at the bottom of a device: a VLAN's lower one, a bond's active slave, the target of its egress
    redirect. None where there is none."""
    if redirect(device, n.TC_H_MIN_EGRESS) is not None:
        return carries(device)
    if device.lower is not None:
        return port_below(device.lower)
    if device.bond is not None:
        return port_below(device.bond.active) if device.bond.active else None
    is_port = not device.ports or netvsc.vf_of(device) is not None
    return device if device.type == n.ARPHRD_ETHER and is_port else None


def carries(device: Device, nest: int = 0) -> Device | None:
    """Return the NIC by which frames of this device leave at this moment; None where they are lost."""
    taken = redirect(device, n.TC_H_MIN_EGRESS) if device.up else None
    if taken is not None:
        target = taken.target
        if taken.eaction != n.TCA_EGRESS_REDIR or target is None or not target.running or nest == NEST:
            return None
        return carries(target, nest + 1)
    if not device.running:
        return None
    if (vf := netvsc.vf_of(device)) is not None and vf.running:
        return vf
    if device.lower is not None:
        return carries(device.lower, nest)
    if device.bond is not None:
        return carries(device.bond.active, nest) if device.bond.active else None
    return port_below(device)


def arrives(net: Net, nic: Device, holder: Device, nest: int = 0) -> bool:
    """Return whether frames that come in by a NIC (or rise to a device) reach the device that holds the address."""
    if not nic.running or nest > NEST:
        return False
    taken = redirect(nic, n.TC_H_MIN_INGRESS)
    if taken is not None:
        leads = taken.eaction == n.TCA_INGRESS_REDIR and taken.target is not None
        return leads and taken.target is not None and arrives(net, taken.target, holder, nest + 1)
    upper = [*net.uppers_of(nic, "vlan"), *([nic.master] if _rises(nic) and nic.master is not None else [])]
    return nic is holder or any(arrives(net, device, holder, nest) for device in upper)


def _rises(nic: Device) -> bool:
    """Return whether a slave's frames are its master's: a bond's, or that of a driver which has enslaved it."""
    return nic.port is not None or (nic.master is not None and netvsc.vf_of(nic.master) is nic)


def path_to(net: Net, address: bytes) -> int | None:
    """Return the ifindex of the NIC by which frames to an address of this machine come in; None if they are lost."""
    for device in net.devices.values():
        if device.master is None and any(a.local == address and not a.tentative for a in (*device.v4, *device.v6)):
            port = carries(device)
            if port is not None and arrives(net, port, device):
                return port.index
    return None


def path_from(net: Net, peer: bytes) -> int | None:
    """Return the ifindex of the NIC by which packets to this peer leave, by the routing table; None if they are
    lost."""
    route = _best(net, peer)
    if route is None or route.type != n.RTN_UNICAST or not route.hops:
        return None
    device = net.devices.get(route.hops[0].oif)
    port = carries(device) if device is not None and device.master is None else None
    return port.index if port is not None else None


def _best(net: Net, peer: bytes) -> Route | None:
    """Return the route with the longest prefix in the tables local and main, and of those the smallest metric."""
    family = n.AF_INET if len(peer) == 4 else n.AF_INET6
    fitting = [r for r in net.routes if r.family == family and r.table in (254, 255) and _covers(r, peer)]
    return min(fitting, key=lambda r: (r.table != n.RT_TABLE_LOCAL, -r.dst_len, r.priority), default=None)


def _covers(route: Route, peer: bytes) -> bool:
    shift = len(peer) * 8 - route.dst_len
    return int.from_bytes(route.dst, "big") >> shift == int.from_bytes(peer, "big") >> shift
