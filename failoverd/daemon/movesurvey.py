"""What a move would do, device by device, before it is begun: both namespaces as they are, and what is to stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from failoverd.core.call_answers import CallError
from failoverd.daemon.moving import GoneError, Ground
from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.places import HERE, Absent, Place
from failoverd.moves.items import Record, Seen, Toward, described, nics_of, standing
from failoverd.moves.rules import Table, asked_tables, copied
from failoverd.moves.survey import Row, refusal, survey

Document = dict[str, Any]
Hanging = Callable[[int], Awaitable[str]]
"""Describes what hangs on a device and no device here shows, "" for nothing."""


class WholeGround(Ground, Protocol):
    """Both namespaces, also as a survey has to know them."""

    async def look_at_tables(self, place: Place, seen: Seen, tables: Iterable[Table]) -> Seen:
        """Return what was seen together with who has routes in the tables that rules lead to. Raises GoneError."""


@dataclass(frozen=True, slots=True)
class Way:
    """A move that is asked for."""

    mac: str
    ref: NamespaceRef
    """The namespace that is not failoverd's."""
    place: Place | Absent
    """What that leads to."""
    is_homeward: bool
    device: str = ""
    """What the master is called there, "" for as it is."""
    owner: str = ""
    """The attachment that wants it so, "" for none."""


async def surveyed(
    way: Way, ground: WholeGround, known: Record | None, hanging: Hanging
) -> tuple[tuple[Row, ...], Record]:
    """Return what a move would do, and its journal. `known` is the journal of a pair that is elsewhere. Raises
    CallError."""
    mac, place = way.mac, way.place
    try:
        here = await ground.look(HERE)
        there = await ground.look(place) if isinstance(place, Place) else Seen(LinkTable(), {})
        tables = asked_tables(here, there)
        here = await ground.look_at_tables(HERE, here, tables)
        if isinstance(place, Place):
            there = await ground.look_at_tables(place, there, tables)
    except GoneError as error:
        raise CallError(str(error)) from error
    origin, target = (there, here) if way.is_homeward else (here, there)
    master = origin.master(mac)
    if master is None:
        raise CallError(f"the master of {mac} is not there", "NotJoined")
    things = {} if way.is_homeward else {master.ifindex: await hanging(master.ifindex)}
    device = way.device
    home, rules = (known.home, known.rules) if known is not None else ((), ())
    if known is None and not device:
        # A pod has rules of its own.
        rules = copied(standing(master, origin.links), origin, target)
    if way.is_homeward and home and known is not None and known.master.name != home[0].name:
        device = home[0].name
    if device and device != master.name:
        home = home or described(origin, master)
        origin, master = _under(origin, master.ifindex, device)
    rows = survey(mac, origin, target, things, is_homeward=way.is_homeward)
    if refusal(rows):
        return rows, Record(mac, way.ref, Toward.AWAY, (), ())
    toward = Toward.HOME if way.is_homeward else Toward.AWAY
    items, nics = described(origin, master), nics_of(origin, mac, master)
    return rows, Record(mac, way.ref, toward, items, nics, home, rules=rules)


def _under(seen: Seen, ifindex: int, name: str) -> tuple[Seen, Link]:
    """Return a namespace as if this device of it had another name, and the device."""
    link = seen.links[ifindex]
    renamed = replace(link, name=name, altnames=link.altnames - {name})
    return replace(seen, links=LinkTable({**seen.links, ifindex: renamed}.values())), renamed


def shown(row: Row) -> Document:
    """Return a device of a survey as clients see it."""
    return {
        "device": row.device,
        "kind": row.kind,
        "how": row.how or "refused",
        "why": row.why,
        "takes": list(row.takes),
        "leaves": list(row.leaves),
    }
