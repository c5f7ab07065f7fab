"""Gateways of existing routes that the kernel would refuse in a new route, since no network covers them any more.

The kernel checks a gateway when a route is made, and never again: an address that is deleted takes along the route to
its network and leaves the routes by gateways there (net/ipv4/fib_frontend.c, fib_del_ifaddr). They go on working, as
the gateway is where it was. To be made anew on another device, they have to say themselves that it is on the link
(RTNH_F_ONLINK).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from failoverd.model.inet import Attr, Route

AF_INET6 = 10
RTA_GATEWAY = 5
RTA_VIA = 18
RTNH_F_ONLINK = 0x4
LINK_LOCAL = (AF_INET6, b"\xfe\x80" + bytes(14), 10)

Prefix = tuple[int, bytes, int]
"""A network: its family, an address of it, its length."""


def has_gateway(route: Route) -> bool:
    """Whether a route leads to another machine first."""
    return bool(route.hops) or any(kind in (RTA_GATEWAY, RTA_VIA) for kind, _ in route.attrs)


def on_link(route: Route, links: Iterable[Prefix]) -> Route:
    """Return the route, with each gateway that is in none of these networks marked as on the link."""
    prefixes = [LINK_LOCAL, *links]
    flags = route.flags | _flag(route.family, route.attrs, prefixes)
    hops = tuple(replace(hop, flags=hop.flags | _flag(route.family, hop.attrs, prefixes)) for hop in route.hops)
    return replace(route, flags=flags, hops=hops)


def _flag(family: int, attrs: Iterable[Attr], links: Iterable[Prefix]) -> int:
    gateway = dict(attrs).get(RTA_GATEWAY)
    if gateway is None or any(covers(prefix, family, gateway) for prefix in links):
        return 0
    return RTNH_F_ONLINK


def covers(prefix: Prefix, family: int, address: bytes) -> bool:
    """Whether an address of this family is in a network."""
    of, network, length = prefix
    rest = len(address) * 8 - length
    return of == family and int.from_bytes(address) >> rest == int.from_bytes(network or bytes(len(address))) >> rest
