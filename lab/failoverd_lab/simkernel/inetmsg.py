"""RTM_NEWADDR and RTM_NEWROUTE as the kernel fills them (inet_fill_ifaddr, fib_dump_info, and their IPv6 counterparts).

The message of an IPv4 address or of a route shows its cause: it carries the request's sequence number and port. That of
an IPv6 address or of a link does not.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.state import Address, Device, Hop, Route
from failoverd_lab.simkernel.wire import Message

IFADDR = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
NEXTHOP = struct.Struct("=HBBi")
RT_TABLE_COMPAT = 252
HERTZ = 100


class Cause(NamedTuple):
    """The request behind a change; zeros for the kernel's own doing."""

    seq: int = 0
    pid: int = 0


KERNEL = Cause()


def address_body(net: Net, device: Device, address: Address) -> bytes:
    """Return the payload of RTM_NEWADDR and RTM_DELADDR."""
    head = IFADDR.pack(address.family, address.prefixlen, address.flags & 0xFF, address.scope, device.index)
    cache = wire.attr(n.IFA_CACHEINFO, _cacheinfo(net, address))
    flags = wire.u32(n.IFA_FLAGS, address.flags)
    metric = wire.u32(n.IFA_RT_PRIORITY, address.metric) if address.metric else b""
    proto = wire.u8(n.IFA_PROTO, address.proto) if address.proto else b""
    if address.family == n.AF_INET6:
        return head + wire.attr(n.IFA_ADDRESS, address.local) + metric + cache + flags + proto
    parts = [
        wire.attr(n.IFA_ADDRESS, address.address),
        wire.attr(n.IFA_LOCAL, address.local),
        wire.attr(n.IFA_BROADCAST, address.broadcast) if address.broadcast else b"",
        wire.string(n.IFA_LABEL, address.label) if address.label else b"",
        proto,
        flags,
        metric,
        cache,
    ]
    return head + wire.join(parts)


def route_body(net: Net, route: Route) -> bytes:
    """Return the payload of RTM_NEWROUTE and RTM_DELROUTE."""
    single = route.hops[0] if len(route.hops) == 1 else None
    flags = single.flags | _state(net, route, single) if single else 0
    table = route.table if route.table < 256 else RT_TABLE_COMPAT
    head = RTMSG.pack(route.family, route.dst_len, 0, route.tos, table, route.protocol, route.scope, route.type, flags)
    parts = [
        wire.u32(n.RTA_TABLE, route.table),
        wire.attr(n.RTA_DST, route.dst) if route.dst_len else b"",
        wire.u32(n.RTA_PRIORITY, route.priority) if route.priority or route.family == n.AF_INET6 else b"",
        wire.attr(n.RTA_METRICS, route.metrics) if route.metrics else b"",
        wire.attr(n.RTA_PREFSRC, route.prefsrc) if route.prefsrc else b"",
    ]
    if single is not None:
        parts.append(wire.attr(n.RTA_GATEWAY, single.gateway) if single.gateway else b"")
        parts.append(wire.u32(n.RTA_OIF, single.oif))
    elif route.hops:
        parts.append(wire.nest(n.RTA_MULTIPATH, *[_hop(net, route, hop) for hop in route.hops]))
    if route.family == n.AF_INET6:
        parts += [wire.attr(n.RTA_CACHEINFO, _route_cache(net, route)), wire.u8(n.RTA_PREF, route.pref)]
    return head + wire.join(parts)


def announce_address(
    net: Net, device: Device, address: Address, kind: int = n.RTM_NEWADDR, cause: Cause = KERNEL
) -> None:
    """rtmsg_ifa() and inet6_ifa_notify()."""
    net.address_seq += 1
    if address.family == n.AF_INET6:
        group, cause = n.RTNLGRP_IPV6_IFADDR, KERNEL
    else:
        group = n.RTNLGRP_IPV4_IFADDR
    net.publish(group, Message(kind, 0, *cause, address_body(net, device, address)))


def announce_route(net: Net, route: Route, kind: int = n.RTM_NEWROUTE, cause: Cause = KERNEL, flags: int = 0) -> None:
    """rtmsg_fib() and inet6_rt_notify(). `flags` are those of the request: NLM_F_REPLACE, NLM_F_APPEND, ..."""
    group = n.RTNLGRP_IPV6_ROUTE if route.family == n.AF_INET6 else n.RTNLGRP_IPV4_ROUTE
    net.publish(group, Message(kind, flags, *cause, route_body(net, route)))


def _cacheinfo(net: Net, address: Address) -> bytes:
    preferred = _left(net, address.preferred_until)
    valid = _left(net, address.valid_until)
    stamps = [round((at - net.born) * HERTZ) & 0xFFFFFFFF for at in (address.created, address.updated)]
    return struct.pack("=IIII", preferred, valid, *stamps)


def _left(net: Net, until: float | None) -> int:
    return n.INFINITY if until is None else max(0, int(until - net.now))


def _route_cache(net: Net, route: Route) -> bytes:
    ticks = 0 if route.expires is None else int((route.expires - net.now) * HERTZ)
    return struct.pack("=IIiIIIII", 0, 0, ticks, 0, 0, 0, 0, 0)


def _hop(net: Net, route: Route, hop: Hop) -> bytes:
    gateway = wire.attr(n.RTA_GATEWAY, hop.gateway) if hop.gateway else b""
    head = NEXTHOP.pack(NEXTHOP.size + len(gateway), hop.flags | _state(net, route, hop), hop.weight, hop.oif)
    return head + gateway


def _state(net: Net, route: Route, hop: Hop) -> int:
    """Return RTNH_F_DEAD and RTNH_F_LINKDOWN, which are the device's state and not configuration."""
    device = net.devices.get(hop.oif)
    if route.type == n.RTN_LOCAL or device is None:
        return 0
    if not device.up:
        return n.RTNH_F_DEAD | n.RTNH_F_LINKDOWN
    return 0 if device.carrier else n.RTNH_F_LINKDOWN
