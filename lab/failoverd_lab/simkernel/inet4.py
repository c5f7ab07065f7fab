"""IPv4 addresses, and the routes that come and go with them (net/ipv4/devinet.c, fib_frontend.c).

An address stays when its device goes down. Every route through the device goes, without a message, except the one that
makes the address local. When the device comes back up, so do the addresses' own routes, and no others.
"""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.fib import alike, drop, install, subnet
from failoverd_lab.simkernel.inetmsg import KERNEL, Cause, announce_address
from failoverd_lab.simkernel.judge import port_below
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Address, Device, Hop, Refused, Route


def add(net: Net, device: Device, new: Address, cause: Cause) -> None:
    """inet_insert_ifa(): primaries first, then the secondaries of their subnets."""
    new.flags &= ~n.IFA_F_SECONDARY
    for old in device.v4:
        if old.prefixlen == new.prefixlen and same_net(old, new.address):
            if old.scope != new.scope:
                raise Refused(errno.EINVAL, "ipv4: Invalid scope value")
            new.flags |= n.IFA_F_SECONDARY
    primaries = [i for i, a in enumerate(device.v4) if not a.secondary and new.scope <= a.scope]
    at = len(device.v4) if new.secondary else (primaries[-1] + 1 if primaries else 0)
    device.v4.insert(at, new)
    announce_address(net, device, new, cause=cause)
    _add_routes(net, device, new)


def remove(net: Net, device: Device, address: Address, cause: Cause = KERNEL) -> None:
    """__inet_del_ifa(): a primary takes its secondaries with it, unless promote_secondaries is set."""
    heirs = [a for a in device.v4 if a.secondary and _kin(a, address)] if not address.secondary else []
    if not net.promote_secondaries:
        for heir in heirs:
            _take_out(net, device, heir, cause)
    _take_out(net, device, address, cause)
    if net.promote_secondaries and heirs:
        heirs[0].flags &= ~n.IFA_F_SECONDARY
        announce_address(net, device, heirs[0], cause=cause)
        for heir in heirs:
            _add_routes(net, device, heir)


def find(device: Device, local: bytes, prefixlen: int, peer: bytes) -> Address | None:
    """Return the address that a new one would duplicate."""
    same = (a for a in device.v4 if a.prefixlen == prefixlen and a.local == local)
    return next((a for a in same if same_net(a, peer)), None)


def follow(net: Net, event: Event, device: Device) -> None:
    """inetdev_event() and fib_netdev_event()."""
    if event is Event.UP:
        _came_up(net, device)
    elif event is Event.DOWN:
        _lose_routes(net, device)
    elif event is Event.UNREGISTER:
        while device.v4:
            remove(net, device, device.v4[0])
        net.routes = [r for r in net.routes if r.family != n.AF_INET or not r.leads_through(device.index)]
    elif event is Event.CHANGENAME:
        _relabel(net, device)
    elif event is Event.NOTIFY_PEERS and device.v4:
        port = port_below(device)
        if port is not None:
            net.announcements.append((net.now, port.index, "arp"))


def _came_up(net: Net, device: Device) -> None:
    """Give loopback its address the first time, and every address the routes that it lacked."""
    if device.flags & n.IFF_LOOPBACK and not device.v4:
        own = b"\x7f\0\0\1"
        loopback = Address(n.AF_INET, own, 8, n.RT_SCOPE_HOST, n.IFA_F_PERMANENT, own, device.name)
        loopback.created = loopback.updated = net.now
        add(net, device, loopback, KERNEL)
    for address in device.v4:
        _add_routes(net, device, address)


def same_net(address: Address, other: bytes) -> bool:
    """inet_ifa_match(): whether `other` is in the subnet of an address."""
    return subnet(address.address, address.prefixlen) == subnet(other, address.prefixlen)


def _kin(secondary: Address, primary: Address) -> bool:
    return secondary.prefixlen == primary.prefixlen and same_net(primary, secondary.address)


def _relabel(net: Net, device: Device) -> None:
    """inetdev_changename(): the first label is the name; any other keeps what follows its colon, or gets a number."""
    for number, address in enumerate(device.v4, start=1):
        colon = address.label.find(":")
        suffix = address.label[colon:] if colon >= 0 else f":{number}"
        address.label = device.name if number == 1 else device.name[: 15 - len(suffix)] + suffix
        announce_address(net, device, address)


def _take_out(net: Net, device: Device, address: Address, cause: Cause) -> None:
    device.v4.remove(address)
    announce_address(net, device, address, n.RTM_DELADDR, cause)
    kept = [r for other in device.v4 for r in _routes_of(device, other)]
    for route in _routes_of(device, address):
        if not any(alike(route, other) for other in kept):
            drop(net, route)
    if not any(a.local == address.local for d in net.devices.values() for a in d.v4):
        net.routes = [r for r in net.routes if r.family != n.AF_INET or r.prefsrc != address.local]
    if not device.v4:
        _lose_routes(net, device, is_disabled=True)


def _add_routes(net: Net, device: Device, address: Address) -> None:
    """fib_add_ifaddr(). A device that is down gets only the local route."""
    for route in _routes_of(device, address):
        if device.up or route.type == n.RTN_LOCAL:
            install(net, route)


def _routes_of(device: Device, address: Address) -> list[Route]:
    """Return the local, broadcast and prefix route of an address, in the order in which the kernel makes them."""
    primary = next((a for a in device.v4 if not a.secondary and _kin(address, a)), address)
    hops = (Hop(device.index),)
    prefix = subnet(address.address, address.prefixlen)

    def route(dst: bytes, length: int, kind: int, scope: int, table: int, metric: int = 0) -> Route:
        return Route(n.AF_INET, dst, length, table, n.RTPROT_KERNEL, scope, kind, hops, 0, metric, primary.local)

    def local(dst: bytes, length: int) -> Route:
        return route(dst, length, n.RTN_LOCAL, n.RT_SCOPE_HOST, n.RT_TABLE_LOCAL)

    def broadcast(dst: bytes) -> Route:
        return route(dst, 32, n.RTN_BROADCAST, n.RT_SCOPE_LINK, n.RT_TABLE_LOCAL)

    found = [local(address.local, 32)]
    if address.broadcast not in (b"", b"\xff" * 4):
        found.append(broadcast(address.broadcast))
    if address.secondary or (address.prefixlen == 32 and prefix == address.local):
        return found
    if not address.flags & n.IFA_F_NOPREFIXROUTE:
        if device.flags & n.IFF_LOOPBACK:
            found.append(local(prefix, address.prefixlen))
        else:
            found.append(
                route(prefix, address.prefixlen, n.RTN_UNICAST, n.RT_SCOPE_LINK, n.RT_TABLE_MAIN, address.metric)
            )
    if address.prefixlen < 31:
        last = int.from_bytes(prefix, "big") | ((1 << (32 - address.prefixlen)) - 1)
        found.append(broadcast(last.to_bytes(4, "big")))
    return found


def _lose_routes(net: Net, device: Device, is_disabled: bool = False) -> None:
    """fib_disable_ip(): no message for any of them. A multipath route goes when its last device does.

    `is_disabled`: its last address has gone (fib_inetaddr_event), the device may be up.
    """

    def dead(route: Route) -> bool:
        if route.family != n.AF_INET or not route.leads_through(device.index) or route.type == n.RTN_LOCAL:
            return False
        gone = {device.index} if is_disabled else set()
        return all(hop.oif in gone or hop.oif not in net.devices or not net.devices[hop.oif].up for hop in route.hops)

    net.routes = [route for route in net.routes if not dead(route)]
