"""IP configuration as sets: what is in both, what is missing, what is whose, by the identity that the kernel gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from failoverd.model.inet import Address, Label, Neighbour, Route
from failoverd.model.pairs import Inet

AF_INET6 = 10
IFA_F_TEMPORARY = 0x01
IFA_F_MANAGETEMPADDR = 0x100
IFA_ADDRESS = 1
SCOPE_LINK = 253
RTPROT_KERNEL = 2
RTPROT_RA = 9
RTA_NH_ID = 30
NDA_DST = 1
NTF_PROXY = 0x08


def union(first: Inet, second: Inet) -> Inet:
    """Return everything that is in either. Where both have it, the first one's is taken."""
    addresses = {address_key(a): a for a in (*second.addresses, *first.addresses)}
    routes = {route_key(r): r for r in (*second.routes, *first.routes)}
    return Inet(
        tuple(addresses[key] for key in _in_order(address_key(a) for a in (*first.addresses, *second.addresses))),
        tuple(routes[key] for key in _in_order(route_key(r) for r in (*first.routes, *second.routes))),
        (*first.neighbours, *missing_neighbours(second, first)),
        (*first.labels, *missing_labels(second, first)),
        tuple({**dict(second.settings), **dict(first.settings)}.items()),
    )


def own(inet: Inet) -> Inet:
    """Return the part of a VF's configuration that goes to the master: all but its settings, which are the NIC's."""
    return replace(inet, settings=())


def given(inet: Inet) -> Inet:
    """Return what programs and users have put on a device, without what the kernel and routers give it."""
    rest = without_advertised(own(inet))
    addresses = tuple(a for a in rest.addresses if not is_link_local(a))
    return replace(rest, addresses=addresses, routes=tuple(r for r in rest.routes if r.protocol != RTPROT_KERNEL))


def renewed(journal: Inet, seen: Inet) -> Inet:
    """Return the journal's configuration with what has come since. Each setting is as it is now."""
    return union(Inet(settings=seen.settings), union(journal, seen))


def adds_to(first: Inet, second: Inet) -> bool:
    """Whether the second has an address that the first has not, link-local ones aside."""
    return any(not is_link_local(a) for a in missing_addresses(second, first))


def is_in(part: Inet, whole: Inet) -> bool:
    """Whether the whole has everything of the part, settings aside, of which every device has all."""
    routes = {route_key(r) for r in part.routes} - {route_key(r) for r in whole.routes}
    others = missing_neighbours(part, whole) or missing_labels(part, whole)
    return not routes and not others and not missing_addresses(part, whole)


def missing(wanted: Inet, there: Inet) -> Inet:
    """Return the wanted configuration that is not there, without settings and routes that advertisements bring back."""
    known = {route_key(r) for r in there.routes}
    return Inet(
        tuple(missing_addresses(wanted, there)),
        tuple(r for r in wanted.routes if route_key(r) not in known and r.protocol != RTPROT_RA),
        tuple(missing_neighbours(wanted, there)),
        tuple(missing_labels(wanted, there)),
    )


def has_own_routes6(inet: Inet) -> bool:
    """Whether there are IPv6 routes that a program or a user has set.

    There is only one such route to a place at a metric, whatever the device (net/ipv6/ip6_fib.c, fib6_add_rt2node), so
    it cannot be on another device first.
    """
    return any(r.family == AF_INET6 and r.protocol not in (RTPROT_KERNEL, RTPROT_RA) for r in inet.routes)


def is_advertised_to(inet: Inet) -> bool:
    """Whether a router advertisement has left routes. They outlive the last address, until the device is down."""
    return any(r.family == AF_INET6 and r.protocol == RTPROT_RA for r in inet.routes)


def without_advertised(inet: Inet) -> Inet:
    """Return the configuration without the results of router advertisements.

    The kernel marks the addresses that it makes of a prefix, and its temporary ones (net/ipv6/addrconf.c,
    addrconf_prefix_rcv_add_addr).
    """
    made = IFA_F_MANAGETEMPADDR | IFA_F_TEMPORARY
    addresses = tuple(a for a in inet.addresses if a.family != AF_INET6 or not a.flags & made)
    return replace(inet, addresses=addresses, routes=tuple(r for r in inet.routes if r.protocol != RTPROT_RA))


def is_own_route6(route: Route) -> bool:
    """Whether this is an IPv6 route that the kernel has not made for an address of the device."""
    return route.family == AF_INET6 and route.protocol != RTPROT_KERNEL and not route.hops


def unmovable_reason(inet: Inet) -> str:
    """Return what of this configuration could not be restored on another device, in words, or ""."""
    lasting = [route for route in inet.routes if route.protocol != RTPROT_RA]
    if any(kind == RTA_NH_ID for route in lasting for kind, _ in route.attrs):
        return "a route through it uses a nexthop object (ip nexthop), which failoverd cannot move"
    return ""


def is_link_local(address: Address) -> bool:
    """Whether this is an IPv6 link-local address."""
    return address.family == AF_INET6 and address.scope == SCOPE_LINK


def missing_addresses(wanted: Inet, there: Inet) -> list[Address]:
    """Return the wanted addresses that are not there."""
    known = {address_key(a) for a in there.addresses}
    return [a for a in wanted.addresses if address_key(a) not in known]


def missing_neighbours(wanted: Inet, there: Inet) -> list[Neighbour]:
    """Return the wanted permanent neighbours that are not there."""
    known = {_neighbour_key(n) for n in there.neighbours}
    return [n for n in wanted.neighbours if _neighbour_key(n) not in known]


def missing_labels(wanted: Inet, there: Inet) -> list[Label]:
    """Return the wanted address labels that are not there."""
    known = {(label.prefix, label.prefixlen) for label in there.labels}
    return [label for label in wanted.labels if (label.prefix, label.prefixlen) not in known]


def _neighbour_key(neighbour: Neighbour) -> object:
    return (neighbour.family, neighbour.flags & NTF_PROXY, dict(neighbour.attrs).get(NDA_DST, b""))


def _in_order(keys: Iterable[object]) -> dict[object, None]:
    return dict.fromkeys(keys)


def address_key(address: Address) -> object:
    """The identity of an address on a device: for IPv6 the prefix does not count, for IPv4 the peer counts, too."""
    if address.family == AF_INET6:
        return (address.family, address.local)
    return (address.family, address.local, address.prefixlen, dict(address.attrs).get(IFA_ADDRESS, address.local))


def route_key(route: Route) -> object:
    """The identity of a route, whichever device it is on."""
    hops = tuple((h.weight, h.attrs) for h in route.hops)
    fixed = (route.family, route.dst_len, route.src_len, route.tos, route.table, route.protocol, route.type)
    return (*fixed, tuple(sorted(route.attrs)), hops)
