"""For a judge: by which NIC would a frame go, now? Pure functions of the state.

A switch sends frames for a MAC to the port where it last saw that MAC as a source. With a daemon that lets several NICs
carry one MAC, that is the NIC which sent last; a guest with traffic sends all the time, so the switch is taken to have
learned at once. What remains is the guest's own side: the device that holds the address must be up with a carrier, and
so must everything below it.
"""

from __future__ import annotations

from failoverd.lab.simkernel import uapi as n
from failoverd.lab.simkernel.net import Net
from failoverd.lab.simkernel.state import Device, Route


def port_below(device: Device) -> Device | None:
    """The NIC at the bottom of a device: a VLAN's lower one, a bond's active slave. None where there is none."""
    if device.lower is not None:
        return port_below(device.lower)
    if device.bond is not None:
        return port_below(device.bond.active) if device.bond.active else None
    return device if device.type == n.ARPHRD_ETHER and not device.ports else None


def carries(device: Device) -> Device | None:
    """The NIC by which frames of this device pass at this moment; None where they are lost."""
    if not device.running:
        return None
    if device.lower is not None:
        return carries(device.lower)
    if device.bond is not None:
        return carries(device.bond.active) if device.bond.active else None
    return port_below(device)


def path_to(net: Net, address: bytes) -> int | None:
    """The ifindex of the NIC by which frames to one of our addresses come in; None if they are lost."""
    for device in net.devices.values():
        if device.master is None and any(a.local == address and not a.tentative for a in (*device.v4, *device.v6)):
            port = carries(device)
            if port is not None:
                return port.index
    return None


def path_from(net: Net, peer: bytes) -> int | None:
    """The ifindex of the NIC by which packets to this peer go out, by the routing table; None if they are lost."""
    route = _best(net, peer)
    if route is None or route.type != n.RTN_UNICAST or not route.hops:
        return None
    device = net.devices.get(route.hops[0].oif)
    port = carries(device) if device is not None and device.master is None else None
    return port.index if port is not None else None


def _best(net: Net, peer: bytes) -> Route | None:
    """The longest prefix of the tables local and main, of those the smallest metric."""
    family = n.AF_INET if len(peer) == 4 else n.AF_INET6
    fitting = [r for r in net.routes if r.family == family and r.table in (254, 255) and _covers(r, peer)]
    return min(fitting, key=lambda r: (r.table != n.RT_TABLE_LOCAL, -r.dst_len, r.priority), default=None)


def _covers(route: Route, peer: bytes) -> bool:
    shift = len(peer) * 8 - route.dst_len
    return int.from_bytes(route.dst, "big") >> shift == int.from_bytes(peer, "big") >> shift
