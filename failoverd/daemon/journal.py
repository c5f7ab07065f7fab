"""The journal of a move as a file: JSON, with the kernel's bytes as hex.

failoverd writes it for failoverd alone, but an administrator who finds one after a crash must be able to read it, and a
newer failoverd must be able to read an older one's.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from failoverd.kinds import Vlan
from failoverd.model.inet import Address, Attr, Hop, Label, Neighbour, Route
from failoverd.model.pairs import Goal, Inet, Journal, StackedVlan
from failoverd.model.settings import ATTRIBUTES, SYSCTLS
from failoverd.netlink.inet import write_address, write_route
from failoverd.netlink.links import raw_name
from failoverd.netlink.neighbours import write_label, write_neighbour
from failoverd.netlink.settings import write_setting

FORMAT = 1
NAME, ALTNAME = 16, 128
"""Bytes of a device's name and of an alternative name, each with its NUL (linux/if.h)."""

UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error)
"""The exceptions that reading JSON which is not a journal can raise."""


class JournalError(Exception):
    """The file is not a journal that this version can read."""


def dumps(journal: Journal) -> str:
    """Return the text of a journal file."""
    document = {
        "format": FORMAT,
        "mac": journal.mac,
        "toward": journal.toward.value,
        "name": journal.name,
        "up": journal.up,
        "mtu": journal.mtu,
        "altnames": list(journal.altnames),
        "cut": journal.cut,
        "nic": journal.nic,
        "inet": inet_out(journal.inet),
        "extra": inet_out(journal.extra),
        "vlans": [_vlan_out(vlan) for vlan in journal.vlans],
    }
    return json.dumps(document, indent=1) + "\n"


def loads(document: str) -> Journal:
    """Read a journal back. Raises JournalError."""
    try:
        raw = json.loads(document)
        if raw["format"] != FORMAT:
            raise JournalError(f"its format is {raw['format']!r}, and this failoverd reads {FORMAT}")
        journal = Journal(
            mac=text(raw["mac"]),
            toward=Goal(raw["toward"]),
            name=text(raw["name"]),
            up=flag(raw["up"]),
            mtu=whole(raw["mtu"], 0xFFFFFFFF),
            altnames=tuple(text(name) for name in rows(raw["altnames"])),
            cut=flag(raw["cut"]),
            nic=whole(raw.get("nic", 0), 0x7FFFFFFF),
            inet=inet_in(raw["inet"]),
            extra=inet_in(raw["extra"]),
            vlans=tuple(_vlan_in(row) for row in rows(raw.get("vlans", []))),
        )
        _try(journal)
    except UNREADABLE as error:
        raise JournalError(f"it cannot be read: {error!r}") from error
    return journal


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def whole(value: object, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        raise ValueError(f"{value!r} is no whole number from 0 to {highest}")
    return value


def rows(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def dumps_inet(inet: Inet) -> str:
    """Return the text of a file with the configuration that a move has left over."""
    return json.dumps({"format": FORMAT, "inet": inet_out(inet)}, indent=1) + "\n"


def loads_inet(document: str) -> Inet:
    """Read such a file back. Raises JournalError."""
    try:
        raw = json.loads(document)
        if raw["format"] != FORMAT:
            raise JournalError(f"its format is {raw['format']!r}, and this failoverd reads {FORMAT}")
        inet = inet_in(raw["inet"])
        try_inet(inet)
    except UNREADABLE as error:
        raise JournalError(f"it cannot be read: {error!r}") from error
    return inet


def _try(journal: Journal) -> None:
    """Check that all of it can be restored, now and not in the middle of a move. Raises what UNREADABLE names."""
    devices: tuple[Journal | StackedVlan, ...] = (journal, *journal.vlans)
    for device in devices:
        for name, longest in ((device.name, NAME), *((name, ALTNAME) for name in device.altnames)):
            if not 0 < len(raw_name(name)) - 1 < longest:
                raise ValueError(f"no device is called {name[:longest]!r}")
        try_inet(device.inet)
    try_inet(journal.extra)
    for vlan in journal.vlans:
        vlan.info.write()


def try_inet(inet: Inet) -> None:
    for address in inet.addresses:
        write_address(address)
    for route in inet.routes:
        write_route(route)
    for neighbour in inet.neighbours:
        write_neighbour(neighbour)
    for label in inet.labels:
        write_label(label)
    for name, value in inet.settings:
        if name in SYSCTLS:
            int(value)
        elif name in ATTRIBUTES:
            write_setting(name, value)
        else:
            raise ValueError(f"no setting is called {name!r}")


def inet_out(inet: Inet) -> dict[str, Any]:
    return {
        "addresses": [_out(a, ("local", "attrs")) for a in inet.addresses],
        "routes": [_out(r, ("attrs", "hops")) for r in inet.routes],
        "neighbours": [_out(n, ("attrs",)) for n in inet.neighbours],
        "labels": [{**_fields(label), "prefix": label.prefix.hex()} for label in inet.labels],
        "settings": dict(inet.settings),
    }


def _vlan_out(vlan: StackedVlan) -> dict[str, Any]:
    info = vlan.info
    return {
        "name": vlan.name,
        "id": info.id,
        "protocol": info.protocol,
        "flags": info.flags,
        "egress": info.egress.hex(),
        "ingress": info.ingress.hex(),
        "up": vlan.up,
        "mtu": vlan.mtu,
        "altnames": list(vlan.altnames),
        "inet": inet_out(vlan.inet),
    }


def _vlan_in(row: dict[str, Any]) -> StackedVlan:
    maps = bytes.fromhex(row["egress"]), bytes.fromhex(row["ingress"])
    info = Vlan(whole(row["id"], 0xFFFF), whole(row["protocol"], 0xFFFF), whole(row["flags"], 0xFFFFFFFF), *maps)
    altnames = tuple(text(name) for name in rows(row["altnames"]))
    up, mtu = flag(row["up"]), whole(row["mtu"], 0xFFFFFFFF)
    return StackedVlan(text(row["name"]), info, up, mtu, altnames, inet_in(row["inet"]))


def _fields(item: Address | Route | Hop | Neighbour | Label) -> dict[str, Any]:
    return {key: getattr(item, key) for key in item.__dataclass_fields__}


def _out(item: Address | Route | Hop | Neighbour, special: tuple[str, ...]) -> dict[str, Any]:
    document = {key: value for key, value in _fields(item).items() if key not in special}
    document["attrs"] = [[kind, data.hex()] for kind, data in item.attrs]
    if isinstance(item, Address):
        document["local"] = item.local.hex()
    if isinstance(item, Route):
        document["hops"] = [_out(hop, ("attrs",)) for hop in item.hops]
    return document


def inet_in(raw: dict[str, Any]) -> Inet:
    addresses = tuple(
        Address(**{**row, "local": bytes.fromhex(row["local"]), "attrs": _attrs_in(row["attrs"])})
        for row in raw["addresses"]
    )
    routes = tuple(
        Route(**{**row, "attrs": _attrs_in(row["attrs"]), "hops": tuple(_hop_in(hop) for hop in row["hops"])})
        for row in raw["routes"]
    )
    neighbours = (Neighbour(**{**row, "attrs": _attrs_in(row["attrs"])}) for row in raw.get("neighbours", ()))
    labels = (Label(**{**row, "prefix": bytes.fromhex(row["prefix"])}) for row in raw.get("labels", ()))
    settings = tuple((str(name), str(value)) for name, value in raw.get("settings", {}).items())
    return Inet(addresses, routes, tuple(neighbours), tuple(labels), settings)


def _hop_in(row: dict[str, Any]) -> Hop:
    return Hop(**{**row, "attrs": _attrs_in(row["attrs"])})


def _attrs_in(rows: list[Any]) -> tuple[Attr, ...]:
    return tuple((int(kind), bytes.fromhex(data)) for kind, data in rows)
