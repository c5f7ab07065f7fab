"""IP configuration on its way from one device to another.

What the kernel makes by itself when an address is added (prefix routes, the local table, ff00::/8: all of
RTPROT_KERNEL) is left to it. Everything else is carried over as it was, only pointing at another device. IPv6 addresses
go with IFA_F_NODAD: they were this machine's a millisecond ago, and a second of duplicate address detection would be a
second of silence.

One trap: NetworkManager gives addresses IFA_F_NOPREFIXROUTE, adds the prefix routes itself, and signs them
RTPROT_KERNEL. Where an address has that flag, such routes are carried over, too; else no gateway would be accepted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace

from failoverd.model.inet import FOREVER, Address, Route
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, AddRoute, DropAddress, Request

AF_INET6 = 10
IFA_F_TEMPORARY = 0x01
IFA_F_NODAD = 0x02
IFA_F_DADFAILED = 0x08
IFA_F_MANAGETEMPADDR = 0x100
IFA_F_NOPREFIXROUTE = 0x200
IFA_ADDRESS = 1
IFA_LABEL = 3
SCOPE_LINK = 253
RTN_UNICAST = 1
RT_TABLE_LOCAL = 255
RTPROT_KERNEL = 2
RTPROT_RA = 9
RTA_PRIORITY = 6
RTA_GATEWAY = 5
RTA_VIA = 18
RTA_NH_ID = 30


def to_device(inet: Inet, ifindex: int) -> Inet:
    """The same configuration, on another device."""
    by_hand = {a.family for a in inet.addresses if a.flags & IFA_F_NOPREFIXROUTE}
    routes = [r for r in inet.routes if _is_somebodys(r, by_hand)] + _advertised(inet.routes)
    return Inet(
        tuple(_address_to(a, ifindex) for a in inet.addresses),
        tuple(_route_to(r, ifindex) for r in sorted(routes, key=_order)),
    )


def _is_somebodys(route: Route, by_hand: set[int]) -> bool:
    """Whether the kernel would not make this route again by itself. `by_hand`: families without its prefix routes."""
    if route.protocol == RTPROT_KERNEL:
        return route.family in by_hand and route.type == RTN_UNICAST and route.table != RT_TABLE_LOCAL
    return route.protocol != RTPROT_RA


def _advertised(routes: Iterable[Route]) -> list[Route]:
    """What router advertisements brought, one step less preferred than it was.

    The device's coming up makes the kernel ask for an advertisement, and it adds the same routes itself. Where it met
    ours with the same metric, it would set the expiry of ours to now (net/ipv6/ip6_fib.c, fib6_add_rt2node), and the
    machine would be without a default route until the next advertisement. So ours stands behind and fills the gap.

    systemd-networkd asks, too, and since 256 its routes have a nexthop object, which goes with its device. The kernel
    also says what is in the object (nexthop_compat_mode), and that is enough for as long as the gap lasts.
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
    """A gateway is accepted only when a route to it is there already: those without one first, the longest first."""
    has_gateway = bool(route.hops) or any(kind in (RTA_GATEWAY, RTA_VIA) for kind, _ in route.attrs)
    return has_gateway, -route.dst_len


def is_link_local(address: Address) -> bool:
    """Whether this is an IPv6 link-local address."""
    return address.family == AF_INET6 and address.scope == SCOPE_LINK


def add_links_local(wanted: Inet, there: Inet) -> list[Request]:
    """The link-local addresses that are missing. They go in while the device is down, ahead of the kernel's own."""
    return [AddAddress(a) for a in _missing_addresses(wanted, there) if is_link_local(a)]


def add_others(wanted: Inet, there: Inet, up: bool) -> list[Request]:
    """Every other address that is missing and, where the device is up, as they need it, every route."""
    addresses: list[Request] = [AddAddress(a) for a in _missing_addresses(wanted, there) if not is_link_local(a)]
    known = {_route_key(r) for r in there.routes}
    return addresses + [AddRoute(r) for r in wanted.routes if up and _route_key(r) not in known]


def drop_all(there: Inet) -> list[Request]:
    """Take the addresses off a slave. Its link-local one goes by itself when it is enslaved.

    Without lifetimes, so that the request is the same whenever it is made, and without the label: it follows the
    device's name, and the kernel removes nothing whose label is another (net/ipv4/devinet.c, inet_rtm_deladdr).
    """
    plain = [replace(a, valid=FOREVER, preferred=FOREVER) for a in there.addresses if not is_link_local(a)]
    return [DropAddress(replace(a, attrs=tuple(x for x in a.attrs if x[0] != IFA_LABEL))) for a in plain]


def drop_links_local(there: Inet) -> list[Request]:
    """Take a NIC's link-local addresses away: its master has the same ones, on the same link."""
    return [DropAddress(replace(a, valid=FOREVER, preferred=FOREVER)) for a in there.addresses if is_link_local(a)]


def union(first: Inet, second: Inet) -> Inet:
    """What is in either, the first one's where both have it."""
    addresses = {_address_key(a): a for a in (*second.addresses, *first.addresses)}
    routes = {_route_key(r): r for r in (*second.routes, *first.routes)}
    return Inet(
        tuple(addresses[key] for key in _in_order(_address_key(a) for a in (*first.addresses, *second.addresses))),
        tuple(routes[key] for key in _in_order(_route_key(r) for r in (*first.routes, *second.routes))),
    )


def adds_to(first: Inet, second: Inet) -> bool:
    """Whether the second has an address, but a link-local one, that the first has not."""
    return any(not is_link_local(a) for a in _missing_addresses(second, first))


def is_in(part: Inet, whole: Inet) -> bool:
    """Whether nothing of the one is missing in the other."""
    routes = {_route_key(r) for r in part.routes} - {_route_key(r) for r in whole.routes}
    return not routes and not _missing_addresses(part, whole)


def has_own_routes6(inet: Inet) -> bool:
    """Whether somebody has set IPv6 routes. Of those there is one to a place at a metric, whatever the device
    (net/ipv6/ip6_fib.c, fib6_add_rt2node), so it cannot be on another one first."""
    return any(r.family == AF_INET6 and r.protocol not in (RTPROT_KERNEL, RTPROT_RA) for r in inet.routes)


def is_advertised_to(inet: Inet) -> bool:
    """Whether a router advertisement has left routes. They outlive the last address, until the device is down."""
    return any(r.family == AF_INET6 and r.protocol == RTPROT_RA for r in inet.routes)


def without_advertised(inet: Inet) -> Inet:
    """What would be there if the kernel had heard no router: it marks what it makes of a prefix, and its temporary ones
    (net/ipv6/addrconf.c, addrconf_prefix_rcv_add_addr)."""
    made = IFA_F_MANAGETEMPADDR | IFA_F_TEMPORARY
    addresses = tuple(a for a in inet.addresses if a.family != AF_INET6 or not a.flags & made)
    return Inet(addresses, tuple(r for r in inet.routes if r.protocol != RTPROT_RA))


def is_own_route6(route: Route) -> bool:
    """Whether this is an IPv6 route that the kernel has not made for an address of the device."""
    return route.family == AF_INET6 and route.protocol != RTPROT_KERNEL and not route.hops


def why_not_movable(inet: Inet) -> str:
    """What of this configuration could not be given back on another device, in words, or ""."""
    lasting = [route for route in inet.routes if route.protocol != RTPROT_RA]
    if any(kind == RTA_NH_ID for route in lasting for kind, _ in route.attrs):
        return "a route through it uses a nexthop object (ip nexthop), which failoverd cannot move"
    return ""


def _missing_addresses(wanted: Inet, there: Inet) -> list[Address]:
    known = {_address_key(a) for a in there.addresses}
    return [a for a in wanted.addresses if _address_key(a) not in known]


def _in_order(keys: Iterable[object]) -> dict[object, None]:
    return dict.fromkeys(keys)


def _address_key(address: Address) -> object:
    """What makes two addresses of a device the same: for IPv6 whatever the prefix, for IPv4 the peer counts, too."""
    if address.family == AF_INET6:
        return (address.family, address.local)
    return (address.family, address.local, address.prefixlen, dict(address.attrs).get(IFA_ADDRESS, address.local))


def _route_key(route: Route) -> object:
    """What makes two routes the same, whichever device they are on."""
    hops = tuple((h.weight, h.attrs) for h in route.hops)
    fixed = (route.family, route.dst_len, route.src_len, route.tos, route.table, route.protocol, route.type)
    return (*fixed, tuple(sorted(route.attrs)), hops)
