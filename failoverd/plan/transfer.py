"""IP configuration on its way from one device to another.

What the kernel makes by itself when an address is added (prefix routes, the local table, ff00::/8: all of
RTPROT_KERNEL) is left to it. Everything else is carried over unchanged, except that it points at another device. IPv6
addresses go with IFA_F_NODAD: they were this machine's a millisecond ago, and a second of duplicate address detection
would be a second of silence.

One trap: NetworkManager gives addresses IFA_F_NOPREFIXROUTE, adds the prefix routes itself, and signs them
RTPROT_KERNEL. Where an address has that flag, such routes are carried over, too; otherwise no gateway would be
accepted.

Policy rules are not carried over: they name devices by name, and the kernel binds them anew when the master takes the
name (net/core/fib_rules.c, NETDEV_CHANGENAME).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace

from failoverd.model.inet import FOREVER, Address, Route
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, AddLabel, AddNeighbour, AddRoute, DropAddress, Request
from failoverd.plan.gateways import Prefix, has_gateway, on_link
from failoverd.plan.inet_sets import (
    AF_INET6,
    IFA_ADDRESS,
    RTA_NH_ID,
    RTPROT_KERNEL,
    RTPROT_RA,
    address_key,
    is_link_local,
    missing_addresses,
    missing_labels,
    missing_neighbours,
    route_key,
)

IFA_F_NODAD = 0x02
IFA_F_DADFAILED = 0x08
IFA_F_TENTATIVE = 0x40
IFA_F_NOPREFIXROUTE = 0x200
IFA_LABEL = 3
RTN_UNICAST = 1
RT_TABLE_LOCAL = 255
RTA_DST = 1
RTA_PRIORITY = 6


def to_device(inet: Inet, ifindex: int) -> Inet:
    """Return the same configuration for another device."""
    by_hand = {a.family for a in inet.addresses if a.flags & IFA_F_NOPREFIXROUTE}
    routes = [r for r in inet.routes if _is_configured(r, by_hand)] + _advertised(inet.routes)
    links = _links(inet)
    routes = [on_link(route, links) for route in routes]
    return Inet(
        tuple(_address_to(a, ifindex) for a in inet.addresses),
        tuple(_route_to(r, ifindex) for r in sorted(routes, key=_order)),
        tuple(replace(n, ifindex=ifindex) for n in inet.neighbours),
        tuple(replace(label, ifindex=ifindex) for label in inet.labels),
        inet.settings,
    )


def _links(inet: Inet) -> list[Prefix]:
    """Return the networks on the link: those of the addresses, and those of routes without a gateway."""
    found = [(a.family, dict(a.attrs).get(IFA_ADDRESS, a.local), a.prefixlen) for a in inet.addresses]
    direct = [r for r in inet.routes if not has_gateway(r) and r.type == RTN_UNICAST]
    return found + [(r.family, dict(r.attrs).get(RTA_DST, b""), r.dst_len) for r in direct]


def _is_configured(route: Route, by_hand: set[int]) -> bool:
    """Whether the kernel would not make this route again by itself. `by_hand`: families without its prefix routes."""
    if route.protocol == RTPROT_KERNEL:
        return route.family in by_hand and route.type == RTN_UNICAST and route.table != RT_TABLE_LOCAL
    return route.protocol != RTPROT_RA


def _advertised(routes: Iterable[Route]) -> list[Route]:
    """Return the routes of router advertisements, one step less preferred than they were.

    When the device comes up, the kernel asks for an advertisement and adds the same routes itself. If it met a carried
    route with the same metric, it would set the expiry of that route to now (net/ipv6/ip6_fib.c, fib6_add_rt2node), and
    the machine would have no default route until the next advertisement. So the carried route stands behind and fills
    the gap.

    systemd-networkd asks, too, and since 256 its routes have a nexthop object, which goes with its device. The kernel
    also reports the content of the object (nexthop_compat_mode), and that is enough for as long as the gap lasts.
    """
    best: dict[object, Route] = {}
    for route in sorted((r for r in routes if r.protocol == RTPROT_RA), key=_metric):
        rest = tuple((kind, data) for kind, data in route.attrs if kind not in (RTA_PRIORITY, RTA_NH_ID))
        behind = (*rest, (RTA_PRIORITY, struct.pack("=I", min(_metric(route) + 1, 0xFFFFFFFF))))
        key = (route.family, route.dst_len, route.table, tuple(sorted(rest)))
        best.setdefault(key, replace(route, attrs=behind))
    return list(best.values())


def _metric(route: Route) -> int:
    raw = dict(route.attrs).get(RTA_PRIORITY, b"")
    return int(struct.unpack("=I", raw)[0]) if len(raw) == 4 else 0


def _address_to(address: Address, ifindex: int) -> Address:
    sure = address.family == AF_INET6 and not address.flags & IFA_F_DADFAILED
    return replace(address, ifindex=ifindex, flags=address.flags | IFA_F_NODAD if sure else address.flags)


def _route_to(route: Route, ifindex: int) -> Route:
    hops = tuple(replace(h, ifindex=ifindex) if h.ifindex == route.ifindex else h for h in route.hops)
    return replace(route, ifindex=ifindex, hops=hops)


def _order(route: Route) -> tuple[bool, int]:
    """The sort order of routes: without a gateway first, longest first. A gateway is accepted only if a route to it
    exists.
    """
    return has_gateway(route), -route.dst_len


def add_links_local(wanted: Inet, there: Inet) -> list[Request]:
    """Add the missing link-local addresses. They are added while the device is down, ahead of the kernel's own."""
    return [AddAddress(a) for a in missing_addresses(wanted, there) if is_link_local(a)]


def add_others(wanted: Inet, there: Inet, up: bool) -> list[Request]:
    """Add all other missing addresses and labels and, if the device is up, the missing routes and neighbours.

    Routes and neighbours need a device that is up: both go when it goes down.
    """
    addresses: list[Request] = [AddAddress(a) for a in missing_addresses(wanted, there) if not is_link_local(a)]
    labels: list[Request] = [AddLabel(label) for label in missing_labels(wanted, there)]
    if not up:
        return labels + addresses
    known = {route_key(r) for r in there.routes}
    routes: list[Request] = [AddRoute(r) for r in wanted.routes if route_key(r) not in known]
    return [*labels, *addresses, *routes, *(AddNeighbour(n) for n in missing_neighbours(wanted, there))]


def add_again(wanted: Inet, there: Inet) -> list[Request]:
    """Remove and add again each wanted IPv6 address that is here already, but not confirmed.

    The machine's other NIC has it, and has answered the duplicate address detection, or will. Where that has failed on
    both NICs, the address is checked once more, with the other NIC's answer out of the way.
    """
    by_key = {address_key(a): a for a in wanted.addresses if a.family == AF_INET6}
    found = ((a, by_key[address_key(a)]) for a in there.addresses if address_key(a) in by_key)
    doubted = ((a, w) for a, w in found if a.flags & (IFA_F_DADFAILED | IFA_F_TENTATIVE * bool(w.flags & IFA_F_NODAD)))
    return [request for a, w in doubted for request in (_drop(a), AddAddress(_unchecked(w)))]


def _unchecked(address: Address) -> Address:
    return replace(address, flags=address.flags & ~(IFA_F_DADFAILED | IFA_F_TENTATIVE))


def additions(wanted: Inet) -> list[Request]:
    """Return the requests that put all of this on its device, which is up."""
    return [*add_links_local(wanted, Inet()), *add_others(wanted, Inet(), up=True)]


def drop_all(there: Inet) -> list[Request]:
    """Remove the addresses of a slave. Its link-local one goes by itself when it is enslaved.

    Without lifetimes, so that the request is the same whenever it is made, and without the label: the label follows the
    device's name, and the kernel removes no address whose label differs (net/ipv4/devinet.c, inet_rtm_deladdr).
    """
    return [_drop(a) for a in there.addresses if not is_link_local(a)]


def _drop(address: Address) -> Request:
    attrs = tuple(x for x in address.attrs if x[0] != IFA_LABEL)
    return DropAddress(replace(address, valid=FOREVER, preferred=FOREVER, attrs=attrs))


def drop_links_local(there: Inet) -> list[Request]:
    """Remove a NIC's link-local addresses: its master has the same ones, on the same link."""
    return [DropAddress(replace(a, valid=FOREVER, preferred=FOREVER)) for a in there.addresses if is_link_local(a)]
