"""Addresses and routes, kept attribute by attribute so that they can be given back exactly as they were.

A codec that knows only some attributes would lose the others when a route moves from one device to another.
So what failoverd does not need to understand stays as the kernel's own bytes in `attrs`.
"""

from __future__ import annotations

from dataclasses import dataclass

Attr = tuple[int, bytes]
FOREVER = 0xFFFFFFFF
"""An address lifetime that never ends (linux/if_addr.h, struct ifa_cacheinfo)."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as RTM_NEWADDR tells it; lifetimes in seconds, FOREVER for one without end.

    `attrs` holds every attribute but IFA_FLAGS and IFA_CACHEINFO, in the kernel's order.
    """

    ifindex: int
    family: int
    prefixlen: int
    scope: int
    flags: int
    local: bytes
    attrs: tuple[Attr, ...] = ()
    valid: int = FOREVER
    preferred: int = FOREVER


@dataclass(frozen=True, slots=True)
class Hop:
    """One next hop of a multipath route (struct rtnexthop and its attributes)."""

    ifindex: int
    flags: int
    weight: int
    attrs: tuple[Attr, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A route as RTM_NEWROUTE tells it; `expires` in seconds, None for never.

    `attrs` holds every attribute but RTA_TABLE, RTA_OIF, RTA_MULTIPATH, RTA_CACHEINFO and RTA_EXPIRES.
    """

    ifindex: int
    family: int
    dst_len: int
    src_len: int
    tos: int
    table: int
    protocol: int
    scope: int
    type: int
    flags: int
    attrs: tuple[Attr, ...] = ()
    hops: tuple[Hop, ...] = ()
    expires: int | None = None
