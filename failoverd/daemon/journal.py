"""The journal of a move as a file: JSON, with the kernel's bytes as hex.

Written by failoverd for failoverd alone, but an administrator who finds one after a crash must be able to read it, and
a newer failoverd the one of an older.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from failoverd.model.inet import Address, Attr, Hop, Route
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.netlink.inet import write_address, write_route
from failoverd.netlink.links import raw_name

FORMAT = 1


UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error)
"""What JSON that is not a journal can end in."""


class JournalError(Exception):
    """The file is not a journal this version can read."""


def dumps(journal: Journal) -> str:
    """The text of a journal file."""
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
        "inet": _inet_out(journal.inet),
        "extra": _inet_out(journal.extra),
    }
    return json.dumps(document, indent=1) + "\n"


def loads(text: str) -> Journal:
    """Read it back. Raises JournalError."""
    try:
        raw = json.loads(text)
        if raw["format"] != FORMAT:
            raise JournalError(f"its format is {raw['format']!r}, and this failoverd reads {FORMAT}")
        journal = Journal(
            mac=str(raw["mac"]),
            toward=Goal(raw["toward"]),
            name=str(raw["name"]),
            up=bool(raw["up"]),
            mtu=int(raw["mtu"]),
            altnames=tuple(str(name) for name in raw["altnames"]),
            cut=bool(raw["cut"]),
            nic=int(raw.get("nic", 0)),
            inet=_inet_in(raw["inet"]),
            extra=_inet_in(raw["extra"]),
        )
        _try(journal)
    except UNREADABLE as error:
        raise JournalError(f"it cannot be read: {error!r}") from error
    return journal


def _try(journal: Journal) -> None:
    """See that all of it can be given back, now and not in the middle of a move. Raises what UNREADABLE names."""
    for name in (journal.name, *journal.altnames):
        raw_name(name)
    struct.pack("=I", journal.mtu)
    for inet in (journal.inet, journal.extra):
        for address in inet.addresses:
            write_address(address)
        for route in inet.routes:
            write_route(route)


def _inet_out(inet: Inet) -> dict[str, Any]:
    return {
        "addresses": [_out(a, ("local", "attrs")) for a in inet.addresses],
        "routes": [_out(r, ("attrs", "hops")) for r in inet.routes],
    }


def _out(item: Address | Route | Hop, special: tuple[str, ...]) -> dict[str, Any]:
    document = {key: getattr(item, key) for key in item.__dataclass_fields__ if key not in special}
    document["attrs"] = [[kind, data.hex()] for kind, data in item.attrs]
    if isinstance(item, Address):
        document["local"] = item.local.hex()
    if isinstance(item, Route):
        document["hops"] = [_out(hop, ("attrs",)) for hop in item.hops]
    return document


def _inet_in(raw: dict[str, Any]) -> Inet:
    addresses = tuple(
        Address(**{**row, "local": bytes.fromhex(row["local"]), "attrs": _attrs_in(row["attrs"])})
        for row in raw["addresses"]
    )
    routes = tuple(
        Route(**{**row, "attrs": _attrs_in(row["attrs"]), "hops": tuple(_hop_in(hop) for hop in row["hops"])})
        for row in raw["routes"]
    )
    return Inet(addresses, routes)


def _hop_in(row: dict[str, Any]) -> Hop:
    return Hop(**{**row, "attrs": _attrs_in(row["attrs"])})


def _attrs_in(rows: list[Any]) -> tuple[Attr, ...]:
    return tuple((int(kind), bytes.fromhex(data)) for kind, data in rows)
