"""The requests that make clones of the items, and give them what the items have.

A clone is made under its lasting name: in another namespace that name is free, or the move is refused beforehand. It
gets its settings while it is down, and everything else before it has a slave: so it is whole when the first NIC comes.

A device that is made in the datagram is addressed by the ifindex that was asked for it. By name, the requests behind a
refused creation would hit another program's device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from zlib import crc32

from failoverd.kinds import Bond, Ipvlan, Vlan
from failoverd.kinds.base import NewDevice
from failoverd.model.links import Link
from failoverd.model.requests import (
    AddAltname,
    AddQdisc,
    CreateLink,
    Request,
    SetAllMulticast,
    SetMtu,
    SetPromiscuous,
    SetUp,
)
from failoverd.moves.items import Item, Record, Seen
from failoverd.plan import inet_sets, likeness, transfer
from failoverd.policy.naming import mark, new_mark

LOWEST, SPAN = 1 << 24, 1 << 30
"""Of the ifindexes that are asked for: far above those that the kernel gives out by itself."""
INHERITING = (Vlan, Ipvlan)
"""Kinds whose new devices have the MAC of their lower device."""


def creations(record: Record, there: Mapping[str, Link], taken: Iterable[int]) -> Iterator[Request]:
    """Yield the requests that make the items that are not there. `taken` are the ifindexes in use."""
    known, used = {name: link.ifindex for name, link in there.items()}, set(taken)
    macs = {item.name: item.mac for item in record.items}
    for item in record.items:
        if item.name in known:
            continue
        ifindex = known[item.name] = _ifindex(record.mac, item.name, used)
        used.add(ifindex)
        is_inherited = isinstance(item.info, INHERITING) and item.mac == macs.get(item.lower)
        new = NewDevice(
            item.name,
            mac="" if is_inherited else item.mac,
            mtu=item.mtu,
            ifindex=ifindex,
            lower=known.get(item.lower, 0),
        )
        yield CreateLink(new, item.info)
        if isinstance(item.info, Bond):
            # The mark that says that it has no configuration yet comes first, as in every join.
            yield AddAltname(ifindex, new_mark(record.mac))
            yield AddAltname(ifindex, mark(record.mac))


def _ifindex(mac: str, name: str, used: set[int]) -> int:
    attempts = (LOWEST + crc32(f"{mac} {name} {attempt}".encode()) % SPAN for attempt in range(len(used) + 1))
    return next(ifindex for ifindex in attempts if ifindex not in used)


def settings(record: Record, there: Mapping[str, Link], seen: Seen) -> list[Request]:
    """Return the requests for the settings that the clones lack. The sysctls among them are files, and a step of their
    own."""
    pairs = [(item, there[item.name]) for item in record.items if item.name in there]
    return [r for item, link in pairs for r in likeness.differing(item.inet, seen.inet_of(link), link.ifindex)]


def configuration(record: Record, there: Mapping[str, Link], seen: Seen) -> list[Request]:
    """Return the requests for everything else that the clones lack, in an order in which the kernel takes them: each
    device comes up behind the one that it stands on, with its link-local addresses; then the other addresses, and the
    routes, which need both."""
    first, second = list[Request](), list[Request]()
    for item in record.items:
        link = there[item.name]
        wanted, has = transfer.to_device(item.inet, link.ifindex), seen.inet_of(link)
        first += [SetMtu(link.ifindex, item.mtu)] if link.mtu != item.mtu else []
        first += [AddAltname(link.ifindex, name) for name in item.altnames if name not in link.altnames]
        if link.promiscuous != item.promiscuous:
            first.append(SetPromiscuous(link.ifindex, item.promiscuous))
        if link.all_multicast != item.all_multicast:
            first.append(SetAllMulticast(link.ifindex, item.all_multicast))
        if item.qdisc is not None and link.tc.root != item.qdisc.kind:
            first.append(AddQdisc(link.ifindex, item.qdisc))
        first += transfer.add_links_local(wanted, has)
        first += [SetUp(link.ifindex, up=True)] if item.up and not link.up else []
        second += transfer.add_others(wanted, has, item.up)
    return [*first, *second]


def renewed(item: Item, link: Link, seen: Seen) -> Item:
    """Return the item with what its device has got since it was described."""
    given = inet_sets.given(seen.inet_of(link))
    is_known = inet_sets.is_in(given, item.inet)
    return item if is_known else replace(item, inet=inet_sets.union(item.inet, given))


def late(record: Record, seen: Seen) -> list[Request]:
    """Return the requests for settings that the kernel has taken away when the devices came up."""
    there = seen.found(record)
    pairs = [(item, there[item.name]) for item in record.items if item.name in there]
    return [r for item, link in pairs for r in likeness.forgotten(item.inet, seen.inet_of(link), link.ifindex)]
