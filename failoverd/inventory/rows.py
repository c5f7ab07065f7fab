"""An interface as a row of the table and of the JSON document."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from failoverd.inventory.facts import OPERSTATES, DefaultRoute, IpAddress, VlanOptions
from failoverd.inventory.gateways import gateway, has_autoconf, has_dhcp
from failoverd.inventory.naming import xml_obstacle
from failoverd.inventory.stock import Entry, Stock
from failoverd.model.facts import Row, Table, Type

TYPES = ("bridge", "bond", "vlan")
"""Kinds that libvirt has a type for; all others are ethernet."""


class InterfaceOf(NamedTuple):
    """An interface, with the stock that has its facts."""

    stock: Stock
    entry: Entry
    routes: list[DefaultRoute]


def type_of(stock: Stock, entry: Entry) -> str:
    """Return libvirt's type. A VLAN needs the name of its lower interface, which may be in another network namespace or
    have a name that XML cannot have; then the VLAN is an ethernet."""
    seen = entry.seen
    if seen.kind == "vlan" and (not (lower := stock.name(seen.lower)) or xml_obstacle(lower)):
        return "ethernet"
    return seen.kind if seen.kind in TYPES else "ethernet"


def has_dhcp4(entry: Entry, routes: list[DefaultRoute]) -> bool:
    """Return whether there is evidence that a DHCP client configured its IPv4."""
    return entry.leased or has_dhcp(routes, 4)


def _addresses(of: InterfaceOf, family: int) -> list[dict[str, Any]]:
    return [_address(one) for one in of.entry.addresses if one.family == family]


def _address(one: IpAddress) -> dict[str, Any]:
    return {"address": one.text, "prefix": one.prefix}


def _vlan(of: InterfaceOf) -> int | None:
    options = of.entry.seen.options
    return options.id if isinstance(options, VlanOptions) else None


INTERFACE: Table[InterfaceOf] = Table(
    "Interface",
    "A network interface of any kind, in a pair or not.",
    (
        Row("name", Type.TEXT, "Its name.", lambda i: i.entry.seen.name),
        Row("ifindex", Type.NUMBER, "Its ifindex.", lambda i: i.entry.seen.ifindex),
        Row(
            "type",
            Type.TEXT,
            "What it is to libvirt.",
            lambda i: type_of(i.stock, i.entry),
            values=("ethernet", *TYPES),
        ),
        Row(
            "kind",
            Type.TEXT,
            "What it is to the kernel (veth, tun, macvlan, ...); null for hardware and lo.",
            lambda i: i.entry.seen.kind or None,
            optional=True,
        ),
        Row(
            "mac",
            Type.TEXT,
            "Its link-layer address, which of a tunnel or InfiniBand has another length than a MAC.",
            lambda i: i.entry.seen.mac or None,
            optional=True,
        ),
        Row(
            "permanent_mac",
            Type.TEXT,
            "The one its hardware came with.",
            lambda i: i.entry.seen.permanent_mac or None,
            optional=True,
        ),
        Row(
            "active",
            Type.FLAG,
            "Whether it is up and running; of a bridge whether it is up.",
            lambda i: i.entry.seen.is_active,
        ),
        Row("up", Type.FLAG, "Whether an administrator has set it up.", lambda i: i.entry.seen.up),
        Row("carrier", Type.FLAG, "Whether it has a carrier.", lambda i: i.entry.seen.carrier),
        Row(
            "state", Type.TEXT, "Its operational state (RFC 2863).", lambda i: i.entry.seen.operstate, values=OPERSTATES
        ),
        Row(
            "speed",
            Type.NUMBER,
            "How fast its link is, as far as it is up and its driver knows.",
            lambda i: i.entry.speed or None,
            unit="Mb/s",
            optional=True,
        ),
        Row("mtu", Type.NUMBER, "Its MTU.", lambda i: i.entry.seen.mtu, unit="bytes"),
        Row(
            "master",
            Type.TEXT,
            "The bridge, bond, team or VRF that it is a part of.",
            lambda i: i.stock.name(i.entry.seen.master) or None,
            optional=True,
        ),
        Row(
            "lower",
            Type.TEXT,
            "The interface it stands on; null where that is in another network namespace, too.",
            lambda i: i.stock.name(i.entry.seen.lower) or None,
            optional=True,
        ),
        Row("vlan", Type.NUMBER, "The id of a VLAN.", _vlan, optional=True),
        Row("altnames", Type.TEXTS, "Its alternative names.", lambda i: list(i.entry.seen.altnames)),
        Row("ipv4", Type.ADDRESSES, "Its own IPv4 addresses, in the kernel's order.", lambda i: _addresses(i, 4)),
        Row("ipv6", Type.ADDRESSES, "Its own IPv6 addresses, in the kernel's order.", lambda i: _addresses(i, 6)),
        Row(
            "gateway4",
            Type.TEXT,
            "The gateway of its IPv4 default route in table main with the lowest metric; may be an IPv6 address.",
            lambda i: gateway(i.routes, 4) or None,
            optional=True,
        ),
        Row(
            "gateway6",
            Type.TEXT,
            "The same of IPv6.",
            lambda i: gateway(i.routes, 6) or None,
            optional=True,
        ),
        Row(
            "dhcp4",
            Type.FLAG,
            "True where there is evidence that DHCP has configured its IPv4: a default route that says so, a lease of "
            "systemd-networkd, or a dhclient or udhcpc that runs for it. Without evidence it is null, and not false.",
            lambda i: has_dhcp4(i.entry, i.routes) or None,
            optional=True,
        ),
        Row(
            "dhcp6",
            Type.FLAG,
            "The same of IPv6, by its default route.",
            lambda i: has_dhcp(i.routes, 6) or None,
            optional=True,
        ),
        Row(
            "autoconf",
            Type.FLAG,
            "True where a router's advertisement has made one of its IPv6 addresses or its default route; else null.",
            lambda i: has_autoconf(i.entry.addresses, i.routes) or None,
            optional=True,
        ),
        Row(
            "pair",
            Type.TEXT,
            "The master of the joined pair that it belongs to.",
            lambda i: i.entry.role[0] or None,
            optional=True,
        ),
        Row(
            "role",
            Type.TEXT,
            "What it is in that pair.",
            lambda i: i.entry.role[1] or None,
            values=("master", "primary", "standby"),
            optional=True,
        ),
    ),
)
"""The keys of each interface in `failoverctl interfaces --json`."""


def line_of(entry: Entry) -> bytes:
    """Return its row in the table, as JSON: name, whether it is active, MAC."""
    if entry.line is None:
        seen = entry.seen
        entry.line = json.dumps([seen.name, seen.is_active, seen.mac]).encode()
    return entry.line


def listed(entry: Entry) -> bytes:
    """Return its row in the list, as JSON: that in the table, with the ifindex."""
    return b"%b, %d]" % (line_of(entry)[:-1], entry.seen.ifindex)


def row_of(stock: Stock, entry: Entry) -> bytes:
    """Return its row in the document, as JSON."""
    if entry.row is None:
        of = InterfaceOf(stock, entry, stock.routes_through(entry.seen.ifindex))
        entry.row = json.dumps(INTERFACE.of(of)).encode()
    return entry.row
