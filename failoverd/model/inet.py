"""Addresses and routes, kept attribute by attribute so that they can be restored exactly as they were.

A codec that knows only some attributes would lose the others when a route moves from one device to another. So
attributes that failoverd does not need to understand stay as the kernel's own bytes in `attrs`.
"""

from __future__ import annotations

import ipaddress

from failoverd.dataclass import dataclass

Attr = tuple[int, bytes]
Setting = tuple[str, str]
"""The name of a per-device setting (model/settings.py) and its value."""
FOREVER = 0xFFFFFFFF
"""An address lifetime that never ends (linux/if_addr.h, struct ifa_cacheinfo)."""
AF_INET6 = 10
RTA_DST = 1
RTA_GATEWAY = 5
NDA_DST = 1
NTF_PROXY = 0x08


@dataclass(frozen=True, slots=True)
class Address:
    """An address as in RTM_NEWADDR; lifetimes in seconds, FOREVER for one without end.

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

    def __str__(self) -> str:
        """10.0.0.2/24"""
        return f"{ip(self.local)}/{self.prefixlen}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent neighbour entry, or an address that the machine proxies (NTF_PROXY in `flags`): RTM_NEWNEIGH.

    `attrs` holds the attributes that an administrator can set: the address, the MAC, the protocol, the extended flags.
    """

    ifindex: int
    family: int
    state: int
    flags: int
    type: int
    attrs: tuple[Attr, ...] = ()

    def __str__(self) -> str:
        """the permanent neighbour 10.0.0.5"""
        where = ip(dict(self.attrs).get(NDA_DST, b""))
        return f"the proxy entry for {where}" if self.flags & NTF_PROXY else f"the permanent neighbour {where}"


@dataclass(frozen=True, slots=True)
class Label:
    """An IPv6 address label for one device (RTM_NEWADDRLABEL), used to choose source addresses (RFC 6724)."""

    ifindex: int
    prefix: bytes
    prefixlen: int
    label: int

    def __str__(self) -> str:
        """the address label 99 of 2001:db8::/32"""
        return f"the address label {self.label} of {ip(self.prefix)}/{self.prefixlen}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule as in RTM_NEWRULE (ip rule).

    `flags` has only what an administrator sets (FIB_RULE_INVERT). `attrs` holds every attribute that has no field.
    """

    family: int
    priority: int
    table: int
    """The table that it leads to; 0 where it leads to none."""
    action: int
    """FR_ACT_*."""
    iif: str = ""
    """The device that a packet came in by; "" for any. The kernel has the name, whether there is such a device or
    not."""
    oif: str = ""
    """The device that a packet is to leave by."""
    dst_len: int = 0
    src_len: int = 0
    tos: int = 0
    flags: int = 0
    attrs: tuple[Attr, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The devices that it names."""
        return frozenset({self.iif, self.oif} - {""})

    def __str__(self) -> str:
        """the policy rule 100 (IPv6)"""
        return f"the policy rule {self.priority}{' (IPv6)' if self.family == AF_INET6 else ''}"


@dataclass(frozen=True, slots=True)
class Hop:
    """One next hop of a multipath route (struct rtnexthop and its attributes)."""

    ifindex: int
    flags: int
    weight: int
    attrs: tuple[Attr, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A route as in RTM_NEWROUTE; `expires` in seconds, None for never.

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

    def __str__(self) -> str:
        """10.1.0.0/16 (table 254)"""
        found = dict(self.attrs).get(RTA_DST)
        where = f"{ip(found)}/{self.dst_len}" if found else "default"
        return f"{where} (table {self.table})"


def ip(packed: bytes) -> str:
    """Return an address as text, or its bytes in hexadecimal if it is not an address."""
    try:
        return str(ipaddress.ip_address(packed))
    except ValueError:
        return packed.hex()
