"""Routes through a device."""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.model.inet import RTA_DST, Route
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddRoute, AddRule, DropRoute, DropRule
from failoverd.plan.gateways import LINK_LOCAL, RTA_GATEWAY, RTNH_F_ONLINK, Prefix, covers, has_gateway
from failoverd.plan.predict.machine import Machine, RefusedError

AF_INET6 = 10
RTA_PRIORITY = 6


def add(machine: Machine, request: AddRoute) -> None:
    """A gateway needs an existing route to it, and every route a device that is up (fib_check_nh, fib6_nh_init)."""
    found = request.route
    link, inet = machine.link(found.ifindex), machine.inet_of(found.ifindex)
    if not _is_on_link(inet, found):
        raise RefusedError(errno.EHOSTUNREACH if found.family == AF_INET6 else errno.ENETUNREACH)
    if not link.up:
        raise RefusedError(errno.ENETDOWN)
    if any(_is_same(found, other) for other in _rivals(machine, found)):
        raise RefusedError(errno.EEXIST)
    machine.inet[found.ifindex] = replace(inet, routes=(*inet.routes, found))


def drop(machine: Machine, request: DropRoute) -> None:
    """Only an existing route can be removed."""
    found = request.route
    inet = machine.inet_of(found.ifindex)
    if found not in inet.routes:
        raise RefusedError(errno.ESRCH)
    machine.inet[found.ifindex] = replace(inet, routes=tuple(r for r in inet.routes if r != found))


def add_rule(machine: Machine, request: AddRule) -> None:
    """fib_newrule()."""
    if request.rule in machine.rules:
        raise RefusedError(errno.EEXIST)
    machine.rules.append(request.rule)


def drop_rule(machine: Machine, request: DropRule) -> None:
    """fib_delrule()."""
    if request.rule not in machine.rules:
        raise RefusedError(errno.ENOENT)
    machine.rules.remove(request.rule)


def _rivals(machine: Machine, route: Route) -> list[Route]:
    """Return the routes that may clash with this one.

    IPv6 has one route to a place at a metric in a table, whatever the device (net/ipv6/ip6_fib.c, fib6_add_rt2node).
    """
    if route.family == AF_INET6:
        return [other for inet in machine.inet.values() for other in inet.routes]
    return list(machine.inet_of(route.ifindex).routes)


def _is_same(route: Route, other: Route) -> bool:
    return _place(route) == _place(other) if route.family == AF_INET6 else route == other


def _place(route: Route) -> object:
    attrs = dict(route.attrs)
    return route.family, route.table, route.dst_len, attrs.get(RTA_DST), attrs.get(RTA_PRIORITY)


def _is_on_link(inet: Inet, route: Route) -> bool:
    """Whether the gateway, if there is one, is on the device's link. For several next hops that is not predicted."""
    gateway = dict(route.attrs).get(RTA_GATEWAY)
    if gateway is None or route.flags & RTNH_F_ONLINK:
        return True
    direct = [other for other in inet.routes if not has_gateway(other)]
    links: list[Prefix] = [LINK_LOCAL, *((r.family, dict(r.attrs).get(RTA_DST, b""), r.dst_len) for r in direct)]
    return any(covers(prefix, route.family, gateway) for prefix in links)
