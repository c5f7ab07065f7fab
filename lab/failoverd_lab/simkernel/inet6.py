"""IPv6 addresses: duplicate address detection, link-local addresses, and what is lost when a device goes down
(net/ipv6/addrconf.c).

Unlike IPv4, a device that goes down loses its addresses and its routes, each with a message. An address with
IFA_F_NODAD can be put on a device that is down, and it stays; one without waits, tentative, for the link.
"""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.conf import IPV6_MIN_MTU, is_off
from failoverd_lab.simkernel.fib import drop, install, subnet
from failoverd_lab.simkernel.inetmsg import announce_address, announce_route
from failoverd_lab.simkernel.judge import port_below
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Address, Device, Hop, Refused, Route

DAD_TIME = 1.5
"""Seconds of duplicate address detection: up to one of random delay (half of it here), and one probe."""
METRIC = 256
LINK_LOCAL = bytes.fromhex("fe80000000000000")
MULTICAST = bytes.fromhex("ff") + bytes(15)
IFAPROT_KERNEL_LO, IFAPROT_KERNEL_LL = 1, 3


def add(net: Net, device: Device, new: Address) -> None:
    """inet6_addr_add(). Raises Refused where IPv6 is off.

    An address that needs no duplicate address detection is reported after the acknowledgement.
    """
    if is_off(device):
        raise Refused(errno.EACCES)
    _link_in(device, new)
    _prefix_route(net, device, new)
    if new.flags & n.IFA_F_NODAD:
        net.urgent.append(lambda: _ready(net, device, new))
    else:
        new.flags |= n.IFA_F_TENTATIVE
        announce_address(net, device, new)
        _start(net, device, new)


def remove(net: Net, device: Device, address: Address) -> None:
    """ipv6_del_addr()."""
    device.v6.remove(address)
    announce_address(net, device, address, n.RTM_DELADDR)
    drop(net, _route(device, address.local, 128, n.RTN_LOCAL, n.RT_TABLE_LOCAL, 0))
    prefix = subnet(address.local, address.prefixlen)
    if not any(subnet(a.local, address.prefixlen) == prefix for a in device.v6):
        drop(net, _route(device, prefix, address.prefixlen))


def find(device: Device, local: bytes) -> Address | None:
    """Find an address; the prefix length does not matter."""
    return next((a for a in device.v6 if a.local == local), None)


def follow(net: Net, event: Event, device: Device) -> None:
    """addrconf_notify(). A bond's slaves get no address of their own."""
    if event in (Event.UP, Event.CHANGE) and device.running and not device.slave and not is_off(device):
        _link_ready(net, device, event)
    elif event in (Event.DOWN, Event.UNREGISTER) or (event is Event.CHANGEMTU and device.mtu < IPV6_MIN_MTU):
        if event is Event.CHANGEMTU:
            device.gen_mode = n.IN6_ADDR_GEN_MODE_EUI64
        lose_all(net, device)
    elif event is Event.NOTIFY_PEERS and any(not a.tentative for a in device.v6):
        port = port_below(device)
        if port is not None:
            net.announcements.append((net.now, port.index, "na"))


def _link_ready(net: Net, device: Device, event: Event) -> None:
    for address in device.v6:
        _prefix_route(net, device, address)
    if device.flags & n.IFF_LOOPBACK:
        _own(net, device, bytes(15) + b"\1", 128, n.RT_SCOPE_HOST, IFAPROT_KERNEL_LO)
    else:
        install(net, _route(device, MULTICAST, 8, n.RTN_MULTICAST, n.RT_TABLE_LOCAL))
        mac = device.mac
        eui = LINK_LOCAL + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
        wanted = device.gen_mode != n.IN6_ADDR_GEN_MODE_NONE
        if wanted and (event is Event.UP or not any(a.local.startswith(LINK_LOCAL) for a in device.v6)):
            _own(net, device, eui, 64, n.RT_SCOPE_LINK, IFAPROT_KERNEL_LL)
    for address in device.v6:
        _start(net, device, address)


def _own(net: Net, device: Device, local: bytes, prefixlen: int, scope: int, proto: int) -> None:
    """Add an address of the kernel's own. It is reported when it is usable, not before."""
    if find(device, local) is not None:
        return
    flags = n.IFA_F_PERMANENT | n.IFA_F_TENTATIVE
    new = Address(n.AF_INET6, local, prefixlen, scope, flags, local, proto=proto)
    new.created = new.updated = net.now
    _link_in(device, new)
    _prefix_route(net, device, new)


def _link_in(device: Device, new: Address) -> None:
    """ipv6_link_dev_addr(): wider scopes first, and within a scope the newest."""
    narrower = (i for i, old in enumerate(device.v6) if old.scope >= new.scope)
    device.v6.insert(next(narrower, len(device.v6)), new)


def _start(net: Net, device: Device, address: Address) -> None:
    """addrconf_dad_start(): not before the link is there, not at all with IFA_F_NODAD or on loopback."""
    if address.flags & n.IFA_F_NODAD:
        install(net, _route(device, address.local, 128, n.RTN_LOCAL, n.RT_TABLE_LOCAL, 0))
    elif address.tentative and device.flags & n.IFF_LOOPBACK:
        _complete(net, device, address)
    elif address.tentative and device.running:
        net.timers.at(net.now + DAD_TIME, lambda: _complete(net, device, address))


def _complete(net: Net, device: Device, address: Address) -> None:
    if address not in device.v6 or not address.tentative or not device.running:
        return
    address.flags &= ~n.IFA_F_TENTATIVE
    _ready(net, device, address)


def _ready(net: Net, device: Device, address: Address) -> None:
    """addrconf_dad_completed(): the address can be used."""
    if address in device.v6:
        announce_address(net, device, address)
        install(net, _route(device, address.local, 128, n.RTN_LOCAL, n.RT_TABLE_LOCAL, 0))


def lose_all(net: Net, device: Device) -> None:
    """addrconf_ifdown(): first every route, then every address."""
    for route in [r for r in net.routes if r.family == n.AF_INET6 and r.leads_through(device.index)]:
        rest = tuple(hop for hop in route.hops if hop.oif != device.index)
        announce_route(net, route, n.RTM_DELROUTE)
        if rest:
            route.hops = rest
        else:
            net.routes.remove(route)
    while device.v6:
        address = device.v6.pop(0)
        announce_address(net, device, address, n.RTM_DELADDR)


def _prefix_route(net: Net, device: Device, address: Address) -> None:
    if address.flags & n.IFA_F_NOPREFIXROUTE or address.prefixlen == 128 or not device.up:
        return
    prefix = subnet(address.local, address.prefixlen)
    route = _route(device, prefix, address.prefixlen, metric=address.metric or METRIC)
    route.expires = address.valid_until
    install(net, route)


def _route(
    device: Device,
    dst: bytes,
    length: int,
    kind: int = n.RTN_UNICAST,
    table: int = n.RT_TABLE_MAIN,
    metric: int = METRIC,
) -> Route:
    return Route(n.AF_INET6, dst, length, table, n.RTPROT_KERNEL, 0, kind, (Hop(device.index),), priority=metric)
