"""Parse a route request, and check its next hops (fib_semantics.c, net/ipv6/route.c)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.conf import is_off
from failoverd_lab.simkernel.fib import subnet
from failoverd_lab.simkernel.inetmsg import NEXTHOP, RTMSG
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Request, number_of
from failoverd_lab.simkernel.state import Hop, Refused, Route

METRIC6 = 1024
SIZES = {n.AF_INET: 4, n.AF_INET6: 16}
DROPPING = (n.RTN_BLACKHOLE, n.RTN_UNREACHABLE, n.RTN_PROHIBIT, n.RTN_THROW)


def parse(net: Net, request: Request, deleting: bool = False) -> Route:
    """Return the route that a request is about. Raises Refused."""
    family, dst_len, _, tos, table, protocol, scope, kind, flags = request.head(RTMSG)
    attrs = request.attrs(RTMSG)
    if family not in SIZES:
        raise Refused(errno.EOPNOTSUPP)
    size = SIZES[family]
    dst = attrs.get(n.RTA_DST, b"").ljust(size, b"\0")
    if dst_len > size * 8:
        raise Refused(errno.EINVAL, "Invalid prefix length")
    if family == n.AF_INET and subnet(dst, dst_len) != dst:
        raise Refused(errno.EINVAL, "Invalid prefix for given prefix length")
    route = Route(family, subnet(dst, dst_len), dst_len, table or n.RT_TABLE_MAIN, protocol, scope, kind, tos=tos)
    if n.RTA_TABLE in attrs:
        route.table = number_of(attrs[n.RTA_TABLE])
    route.priority = number_of(attrs[n.RTA_PRIORITY]) if n.RTA_PRIORITY in attrs else 0
    if family == n.AF_INET6:
        route.scope = n.RT_SCOPE_UNIVERSE
        route.priority = route.priority or (0 if deleting else METRIC6)
        route.pref = attrs[n.RTA_PREF][0] if attrs.get(n.RTA_PREF) else 0
        if n.RTA_EXPIRES in attrs:
            route.expires = net.now + number_of(attrs[n.RTA_EXPIRES])
    route.prefsrc = attrs.get(n.RTA_PREFSRC, b"")
    route.metrics = attrs.get(n.RTA_METRICS, b"")
    route.hops = _hops(net, attrs, flags, route, deleting)
    return route


def _hops(net: Net, attrs: dict[int, bytes], flags: int, route: Route, deleting: bool) -> tuple[Hop, ...]:
    if n.RTA_MULTIPATH in attrs:
        return tuple(_multipath(attrs[n.RTA_MULTIPATH]))
    gateway = attrs.get(n.RTA_GATEWAY, b"")
    oif = number_of(attrs[n.RTA_OIF]) if n.RTA_OIF in attrs else 0
    if route.type in DROPPING:
        return (Hop(1),) if route.family == n.AF_INET6 else ()
    if deleting and not (oif or gateway):
        return ()
    if gateway and not oif and not deleting:
        oif = _device_towards(net, route.family, gateway)
    return (Hop(oif, gateway, flags & n.RTNH_F_ONLINK),)


def _multipath(data: bytes) -> Iterator[Hop]:
    at = 0
    while at + NEXTHOP.size <= len(data):
        length, flags, weight, oif = NEXTHOP.unpack_from(data, at)
        if length < NEXTHOP.size or at + length > len(data):
            raise Refused(errno.EINVAL, "Invalid nexthop configuration - extra data after nexthops")
        gateway = wire.table(data[at + NEXTHOP.size : at + length]).get(n.RTA_GATEWAY, b"")
        yield Hop(oif, gateway, flags & n.RTNH_F_ONLINK, weight)
        at += (length + 3) & ~3


def _device_towards(net: Net, family: int, gateway: bytes) -> int:
    on_link = [r for r in net.routes if r.family == family and r.hops and not r.hops[0].gateway and _covers(r, gateway)]
    best = max(on_link, key=lambda r: r.dst_len, default=None)
    return best.hops[0].oif if best is not None else 0


def _covers(route: Route, address: bytes) -> bool:
    return subnet(address, route.dst_len) == route.dst


def check_hop(net: Net, route: Route, hop: Hop) -> None:
    """fib_check_nh() and ip6_route_info_create(). Raises Refused."""
    if route.type in DROPPING:
        return
    device = net.devices.get(hop.oif)
    ipv4 = route.family == n.AF_INET
    if device is None:
        unreachable = hop.gateway and not hop.oif
        code = (errno.ENETUNREACH if ipv4 else errno.EHOSTUNREACH) if unreachable else errno.ENODEV
        raise Refused(code, "Nexthop has invalid gateway" if unreachable and ipv4 else "")
    _check_gateway(net, route, hop)
    if not ipv4 and is_off(device):
        raise Refused(errno.EACCES, "IPv6 is disabled on nexthop device")
    if not device.up:
        words = "Device for nexthop is not up" if ipv4 and not hop.gateway else "Nexthop device is not up"
        raise Refused(errno.ENETDOWN, words)


def _check_gateway(net: Net, route: Route, hop: Hop) -> None:
    """Check the gateway, before the device itself: one that is down has no route to any gateway."""
    ipv4 = route.family == n.AF_INET
    if not hop.gateway or hop.flags & n.RTNH_F_ONLINK or (not ipv4 and hop.gateway[:2] == b"\xfe\x80"):
        return
    on_link = (r for r in net.routes if r.family == route.family and Hop(hop.oif) in r.hops)
    if not any(_covers(r, hop.gateway) for r in on_link):
        if ipv4:
            raise Refused(errno.ENETUNREACH, "Nexthop has invalid gateway")
        raise Refused(errno.EHOSTUNREACH)


def dump_filter(net: Net, request: Request) -> Callable[[Route], bool]:
    """Return the filter of a strict socket's dump request: table, protocol, type, RTA_OIF. Raises Refused."""
    head, attrs = request.head(RTMSG), request.attrs(RTMSG)
    table = number_of(attrs[n.RTA_TABLE]) if n.RTA_TABLE in attrs else head[4]
    oif = number_of(attrs[n.RTA_OIF]) if n.RTA_OIF in attrs else 0
    if oif and oif not in net.devices:
        raise Refused(errno.ENODEV)

    def keep(route: Route) -> bool:
        wanted = ((table, route.table), (head[5], route.protocol), (head[7], route.type))
        return all(asked in (0, is_) for asked, is_ in wanted) and (not oif or route.leads_through(oif))

    return keep
