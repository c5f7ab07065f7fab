"""RTM_NEWROUTE, DELROUTE and GETROUTE: which routes are accepted, and which they replace (fib_trie.c, fib_semantics.c,
ip6_fib.c).

The families differ. IPv4 keeps routes of one prefix and metric side by side if their next hops differ (NLM_F_APPEND);
IPv6 makes one multipath route of them. Refusals have the kernel's text where it has one.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.inetmsg import announce_route, route_body
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Reply, Request, Row
from failoverd_lab.simkernel.routeparse import check_hop, dump_filter, parse
from failoverd_lab.simkernel.state import Hop, Refused, Route


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWROUTE."""
    route = parse(net, request)
    for hop in route.hops:
        check_hop(net, route, hop)
    ours = {a.local for d in net.devices.values() for a in (*d.v4, *d.v6)}
    if route.prefsrc and route.prefsrc not in ours:
        words = "Invalid prefsrc address" if route.family == n.AF_INET else "Invalid source address"
        raise Refused(errno.EINVAL, words)
    rivals = [r for r in net.routes if r.same_place(route) and r.priority == route.priority]
    if rivals and request.wants(n.NLM_F_EXCL):
        raise Refused(errno.EEXIST)
    if not rivals:
        _insert_first(net, request, route)
    elif request.wants(n.NLM_F_REPLACE):
        _replace(net, request, rivals[0], route)
    elif any(_twin(route, rival) for rival in rivals):
        raise Refused(errno.EEXIST)
    else:
        _insert_beside(net, request, rivals, route)
    return []


def delete(net: Net, request: Request) -> list[Reply]:
    """RTM_DELROUTE: removes the first route that matches everything in the request."""
    wanted = parse(net, request, deleting=True)
    for route in net.routes:
        if route.same_place(wanted) and _fits(route, wanted):
            net.routes.remove(route)
            announce_route(net, route, n.RTM_DELROUTE, request.cause)
            return []
    whatever = not (wanted.dst_len or wanted.hops or wanted.priority or wanted.protocol)
    # The IPv6 tables' root has a null entry, which would match such a request.
    raise Refused(errno.ENOENT if wanted.family == n.AF_INET6 and whatever else errno.ESRCH)


def dump(net: Net, request: Request) -> Iterator[Row]:
    """RTM_GETROUTE. Only a strict socket's filters are applied: table, protocol, type, RTA_OIF."""
    family = request.body[0] if request.body else n.AF_UNSPEC
    keep = dump_filter(net, request) if request.strict else None
    order = sorted(net.routes, key=lambda r: (r.family, r.table & 0xFF, r.dst, r.dst_len, r.priority))
    for route in order:
        if family in (n.AF_UNSPEC, route.family) and (keep is None or keep(route)) and route in net.routes:
            yield n.RTM_NEWROUTE, route_body(net, route), 1


def _twin(one: Route, other: Route) -> bool:
    """Return whether adding one would duplicate the other."""
    if one.family == n.AF_INET6:
        return one.type == other.type and any(hop in other.hops for hop in one.hops)
    return (one.type, one.scope, one.protocol, one.prefsrc, one.hops) == (
        (other.type, other.scope, other.protocol, other.prefsrc, other.hops)
    )  # fmt: skip


def _insert_first(net: Net, request: Request, route: Route) -> None:
    if not request.wants(n.NLM_F_CREATE):
        raise Refused(errno.ENOENT)
    net.routes.append(route)
    _live(net, route)
    announce_route(net, route, cause=request.cause, flags=n.NLM_F_CREATE | request.flags & n.NLM_F_EXCL)


def _insert_beside(net: Net, request: Request, rivals: list[Route], route: Route) -> None:
    """Insert a route beside its equals: at their end with NLM_F_APPEND, else before them; in IPv6 as one more path of
    the first."""
    gated = [r for r in rivals if r.hops and all(hop.gateway for hop in r.hops)]
    if route.family == n.AF_INET6 and gated and all(hop.gateway for hop in route.hops):
        gated[0].hops = route.hops + gated[0].hops
        announce_route(net, gated[0], cause=request.cause, flags=n.NLM_F_APPEND)
        return
    if not request.wants(n.NLM_F_CREATE):
        raise Refused(errno.ENOENT)
    last = request.wants(n.NLM_F_APPEND) or route.family == n.AF_INET6
    net.routes.insert(net.routes.index(rivals[-1]) + 1 if last else net.routes.index(rivals[0]), route)
    _live(net, route)
    announce_route(net, route, cause=request.cause, flags=request.flags & (n.NLM_F_CREATE | n.NLM_F_APPEND))


def _replace(net: Net, request: Request, old: Route, route: Route) -> None:
    if route.family == n.AF_INET and _twin(route, old):
        return
    net.routes[net.routes.index(old)] = route
    _live(net, route)
    announce_route(net, route, cause=request.cause, flags=n.NLM_F_REPLACE)


def _live(net: Net, route: Route) -> None:
    if route.expires is not None:
        net.timers.at(route.expires, lambda: _expire(net, route))


def _expire(net: Net, route: Route) -> None:
    if route in net.routes:
        net.routes.remove(route)
        announce_route(net, route, n.RTM_DELROUTE)


def _fits(route: Route, wanted: Route) -> bool:
    """fib_table_delete(), ip6_route_del(): a zero, or scope "nowhere", matches anything."""
    asked = [
        (wanted.type, route.type),
        (wanted.protocol, route.protocol),
        (wanted.priority, route.priority),
        (wanted.prefsrc, route.prefsrc),
    ]
    if any(want and want != is_ for want, is_ in asked):
        return False
    if route.family == n.AF_INET and wanted.scope not in (n.RT_SCOPE_NOWHERE, route.scope):
        return False
    if len(wanted.hops) > 1:
        return wanted.hops == route.hops
    return all(_hop_fits(hop, route) for hop in wanted.hops)


def _hop_fits(wanted: Hop, route: Route) -> bool:
    hops = route.hops if route.family == n.AF_INET6 else route.hops[:1]
    return any(wanted.oif in (0, h.oif) and wanted.gateway in (b"", h.gateway) for h in hops)
