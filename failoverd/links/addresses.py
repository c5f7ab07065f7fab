"""Declared addresses and routes as the kernel's, and which of those that are there are failoverd's own.

Ours bear a protocol of our own: IFA_PROTO of addresses (since 5.18; without it an address is known by its value alone)
and rtm_protocol of routes. So after a restart, too, a declaration that was dropped can be told from what others put
on a device (linux/if_addr.h, linux/rtnetlink.h).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from functools import lru_cache

from failoverd.model.declared import DeclaredRoute, End
from failoverd.model.inet import RTA_DST, RTA_GATEWAY, Address, Route

PROTOCOL = 119
"""Of our addresses and routes; the kernel and the daemons that have registered one leave it free."""

AF_INET, AF_INET6 = 2, 10
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_PROTO = 1, 2, 4, 11
IFA_F_TENTATIVE, IFA_F_DADFAILED = 0x40, 0x08
RTA_PRIORITY = 6
UNIVERSE, LINK = 0, 253
"""Scopes: RT_SCOPE_UNIVERSE, RT_SCOPE_LINK."""
UNICAST = 1
"""RTN_UNICAST."""


def address(text: str, ifindex: int) -> Address:
    """Return a declared address on a device."""
    family, length, packed, attrs = _parsed(text)
    return Address(ifindex, family, length, UNIVERSE, 0, packed, attrs)


@lru_cache(4096)
def _parsed(text: str) -> tuple[int, int, bytes, tuple[tuple[int, bytes], ...]]:
    """Return the family, the length of the prefix, the address, and the attributes of a declared address."""
    given = ipaddress.ip_interface(text)
    packed, length = given.ip.packed, given.network.prefixlen
    attrs = [(IFA_ADDRESS, packed), (IFA_LOCAL, packed)]
    if isinstance(given, ipaddress.IPv4Interface) and length < 31:
        attrs.append((IFA_BROADCAST, given.network.broadcast_address.packed))
    attrs.append((IFA_PROTO, bytes([PROTOCOL])))
    return _family(given.version), length, packed, tuple(attrs)


def route(declared: DeclaredRoute, ifindex: int) -> Route:
    """Return a declared route through a device."""
    to = ipaddress.ip_network(declared.to)
    attrs: list[tuple[int, bytes]] = []
    if to.prefixlen:
        attrs.append((RTA_DST, to.network_address.packed))
    if declared.via:
        attrs.append((RTA_GATEWAY, ipaddress.ip_address(declared.via).packed))
    if declared.metric:
        attrs.append((RTA_PRIORITY, struct.pack("=I", declared.metric)))
    scope = LINK if to.version == 4 and not declared.via else UNIVERSE
    family, table = _family(to.version), declared.table
    return Route(ifindex, family, to.prefixlen, 0, 0, table, PROTOCOL, scope, UNICAST, 0, tuple(attrs))


def missing_addresses(end: End, ifindex: int, there: Iterable[Address]) -> list[Address]:
    """Return the declared addresses that the device does not have."""
    found = {_value(one) for one in there}
    return [address(text, ifindex) for text in end.addresses if _declared_value(text) not in found]


def surplus_addresses(end: End, there: Iterable[Address]) -> list[Address]:
    """Return the addresses to be taken off: ours that are no longer declared, and others' where they are not to stay.

    The link-local one, which the kernel makes, always stays.
    """
    declared = {_declared_value(text) for text in end.addresses}
    return [
        one
        for one in there
        if _value(one) not in declared and (_is_ours(one) or not (end.keeps_foreign_addresses or one.scope == LINK))
    ]


def missing_routes(end: End, ifindex: int, there: Iterable[Route]) -> list[Route]:
    """Return the declared routes that are not there."""
    found = [_destination(one) for one in there]
    return [one for one in (route(row, ifindex) for row in end.routes) if not _is_among(one, found)]


def surplus_routes(end: End, ifindex: int, there: Iterable[Route]) -> list[Route]:
    """Return our routes that are no longer declared."""
    declared = [route(row, ifindex) for row in end.routes]
    return [one for one in there if not any(_is_among(row, [_destination(one)]) for row in declared)]


def tentative(end: End, there: Iterable[Address]) -> list[Address]:
    """Return the declared addresses whose uniqueness the kernel has not found out yet, or has denied (RFC 4862)."""
    declared = {_declared_value(text) for text in end.addresses}
    return [one for one in there if _value(one) in declared and one.flags & IFA_F_TENTATIVE]


def is_duplicate(one: Address) -> bool:
    """Whether another machine has this address."""
    return bool(one.flags & IFA_F_DADFAILED)


def _family(version: int) -> int:
    return AF_INET if version == 4 else AF_INET6


def _value(one: Address) -> tuple[int, bytes, int]:
    return one.family, one.local, one.prefixlen


def _declared_value(text: str) -> tuple[int, bytes, int]:
    family, length, packed, _ = _parsed(text)
    return family, packed, length


def _is_ours(one: Address) -> bool:
    return (IFA_PROTO, bytes([PROTOCOL])) in one.attrs


def _destination(one: Route) -> tuple[int, bytes, int, bytes, int, bytes]:
    found = dict(one.attrs)
    return (
        one.family,
        found.get(RTA_DST, b""),
        one.dst_len,
        found.get(RTA_GATEWAY, b""),
        one.table,
        found.get(RTA_PRIORITY, b""),
    )


def _is_among(one: Route, there: list[tuple[int, bytes, int, bytes, int, bytes]]) -> bool:
    """Whether this route is there. Without a metric, IPv6's is the kernel's own choice."""
    wanted = _destination(one)
    return any(wanted[:5] == row[:5] and wanted[5] in {b"", row[5]} for row in there)
