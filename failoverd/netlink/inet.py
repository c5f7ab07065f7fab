"""Convert RTM_NEWADDR and RTM_NEWROUTE to the model and back, attribute by attribute.

By hand, not with a codec: an address or a route has to come back as it was, and a codec gives back only what it knows.
Only what has to change for another device is taken apart: the ifindexes, and the lifetimes, which the kernel reports in
one attribute and expects in another.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from failoverd.model.inet import FOREVER, Address, Attr, Hop, Route
from failoverd.netlink.frames import Message, NetlinkError, align, attribute, attributes

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

AF_INET6 = 10
IFADDR = struct.Struct("=BBBBI")
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_CACHEINFO, IFA_FLAGS = 1, 2, 3, 6, 8
IFA_CACHE = struct.Struct("=IIII")

RTMSG = struct.Struct("=BBBBBBBBI")
NUMBER, INDEX = struct.Struct("=I"), struct.Struct("=i")
NEXTHOP = struct.Struct("=HBBi")
RTA_OIF, RTA_MULTIPATH, RTA_CACHEINFO, RTA_TABLE, RTA_EXPIRES = 4, 9, 12, 15, 23
ROUTE_CACHE = struct.Struct("=IIiIIIII")
HERTZ = 100
"""User-space ticks a second (USER_HZ), the unit of a route's expiry in rta_cacheinfo."""

RTM_F_CLONED = 0x200
RTNH_STATE = 0x01 | 0x08 | 0x10 | 0x20 | 0x40
"""Flags of a next hop's present state (dead, offload, linkdown, unresolved, trap), not of its configuration."""


def read_address(message: Message) -> Address:
    """Return one address. Raises NetlinkError for a message too short to be one."""
    payload = message.payload
    if len(payload) < IFADDR.size:
        raise NetlinkError(f"an address message of {len(payload)} bytes")
    family, prefixlen, flags, scope, ifindex = IFADDR.unpack_from(payload)
    preferred = valid = FOREVER
    rest: list[Attr] = []
    found = dict(attributes(payload, IFADDR.size))
    for kind, data in attributes(payload, IFADDR.size):
        if kind == IFA_CACHEINFO:
            preferred, valid, _, _ = _fields(IFA_CACHE, data)
        elif kind == IFA_FLAGS:
            (flags,) = _fields(NUMBER, data)
        else:
            rest.append((kind, data))
    local = found.get(IFA_LOCAL, found.get(IFA_ADDRESS, b""))
    return Address(ifindex, family, prefixlen, scope, flags, local, tuple(rest), valid, preferred)


def write_address(address: Address) -> bytes:
    """Return the payload that adds or removes this address. Of the flags, the kernel keeps those that an administrator
    may set."""
    head = IFADDR.pack(address.family, address.prefixlen, address.flags & 0xFF, address.scope, address.ifindex)
    parts = [attribute(kind, data) for kind, data in address.attrs]
    parts.append(attribute(IFA_FLAGS, struct.pack("=I", address.flags)))
    if address.valid != FOREVER or address.preferred != FOREVER:
        parts.append(attribute(IFA_CACHEINFO, IFA_CACHE.pack(address.preferred, address.valid, 0, 0)))
    return head + b"".join(parts)


def without_label(address: Address) -> Address:
    """Return the address without its label.

    The kernel changes the label when the device is renamed (net/ipv4/devinet.c, inetdev_changename), and finds the
    address without it.
    """
    return replace(address, attrs=tuple((kind, data) for kind, data in address.attrs if kind != IFA_LABEL))


def read_route(message: Message) -> Route | None:
    """Return one route; None for a cached clone, which is not configuration. Raises NetlinkError."""
    payload = message.payload
    if len(payload) < RTMSG.size:
        raise NetlinkError(f"a route message of {len(payload)} bytes")
    family, dst_len, src_len, tos, table, protocol, scope, kind, flags = RTMSG.unpack_from(payload)
    if flags & RTM_F_CLONED:
        return None
    found = dict(attributes(payload, RTMSG.size))
    expires = _expiry(found.get(RTA_CACHEINFO, b""))
    apart = (RTA_OIF, RTA_MULTIPATH, RTA_CACHEINFO, RTA_TABLE, RTA_EXPIRES)
    return Route(
        ifindex=_fields(INDEX, found[RTA_OIF])[0] if RTA_OIF in found else 0,
        family=family,
        dst_len=dst_len,
        src_len=src_len,
        tos=tos,
        table=_fields(NUMBER, found[RTA_TABLE])[0] if RTA_TABLE in found else table,
        protocol=protocol,
        scope=scope,
        type=kind,
        flags=flags & ~RTNH_STATE & 0xFF,
        attrs=tuple((k, data) for k, data in attributes(payload, RTMSG.size) if k not in apart),
        hops=_read_hops(found.get(RTA_MULTIPATH, b"")),
        expires=expires,
    )


def write_route(route: Route) -> bytes:
    """Return the payload that adds this route."""
    head = RTMSG.pack(
        route.family,
        route.dst_len,
        route.src_len,
        route.tos,
        route.table if route.table < 256 else 0,
        route.protocol,
        route.scope,
        route.type,
        route.flags,
    )
    parts = [attribute(RTA_TABLE, struct.pack("=I", route.table))]
    if route.ifindex and not route.hops:
        parts.append(attribute(RTA_OIF, struct.pack("=i", route.ifindex)))
    parts += [attribute(kind, data) for kind, data in route.attrs]
    if route.hops:
        parts.append(attribute(RTA_MULTIPATH, b"".join(_write_hop(hop) for hop in route.hops)))
    if route.expires is not None and route.family == AF_INET6:
        parts.append(attribute(RTA_EXPIRES, struct.pack("=I", route.expires)))
    return head + b"".join(parts)


def _fields(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    """Return the numbers in an attribute. A newer kernel may append some; fewer are an error."""
    if len(data) < layout.size:
        raise NetlinkError(f"an attribute of {len(data)} bytes that should have {layout.size}")
    return layout.unpack_from(data)


def _expiry(cache: bytes) -> int | None:
    """Return the seconds until the route expires, None for never."""
    if len(cache) < ROUTE_CACHE.size:
        return None
    ticks = ROUTE_CACHE.unpack_from(cache)[2]
    return max(1, ticks // HERTZ) if ticks > 0 else None


def _read_hops(data: bytes) -> tuple[Hop, ...]:
    hops: list[Hop] = []
    offset = 0
    while offset + NEXTHOP.size <= len(data):
        length, flags, weight, ifindex = NEXTHOP.unpack_from(data, offset)
        if length < NEXTHOP.size or offset + length > len(data):
            raise NetlinkError(f"a next hop says it has {length} bytes and {len(data) - offset} are left")
        inner = tuple(attributes(data[offset : offset + length], NEXTHOP.size))
        hops.append(Hop(ifindex, flags & ~RTNH_STATE, weight, inner))
        offset += align(length)
    return tuple(hops)


def _write_hop(hop: Hop) -> bytes:
    inner = b"".join(attribute(kind, data) for kind, data in hop.attrs)
    return NEXTHOP.pack(NEXTHOP.size + len(inner), hop.flags, hop.weight, hop.ifindex) + inner
