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
from failoverd.kinds.bridge import BridgeRest
from failoverd.model.links import Link
from failoverd.model.requests import (
    AddAltname,
    AddQdisc,
    ChangeLink,
    CreateLink,
    DeleteLink,
    DeleteMarked,
    DropAltname,
    Request,
    SetAllMulticast,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
)
from failoverd.moves.items import Item, Record, Seen
from failoverd.plan import inet_sets, likeness, transfer
from failoverd.policy.naming import mark, new_mark, part_mark

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
        elif not item.lower:
            yield AddAltname(ifindex, part_mark(record.mac, item.name))
        if item.rest:
            yield ChangeLink(ifindex, BridgeRest(item.rest))
    for item in record.items:
        above = known.get(item.master, 0)
        if above and (item.name not in there or there[item.name].master != above):
            yield SetMaster(known[item.name], above)


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
        # A VLAN comes up with its lower device, whether it was to or not (vlan_device_event).
        first += [SetUp(link.ifindex, up=item.up)] if item.up != link.up else []
        second += transfer.add_others(wanted, has, item.up)
    return [*first, *second]


def renewed(item: Item, found: Mapping[str, Link], seen: Seen) -> Item:
    """Return the item with what its device has got since it was described, and with the item that it was put into. What
    it was in may have been deleted by the move itself. `found` are the devices of the items."""
    if (link := found.get(item.name)) is None:
        return item
    given = inet_sets.given(seen.inet_of(link))
    if not inet_sets.is_in(given, item.inet):
        item = replace(item, inet=inet_sets.union(item.inet, given))
    master = next((name for name, above in found.items() if above.ifindex == link.master), "")
    return replace(item, master=master) if master and item.master != master else item


def unmarked(record: Record, seen: Seen, master: Link) -> Iterator[Request]:
    """Yield the requests that take the marks of unfinished clones off."""
    marks = {link.ifindex: part_mark(record.mac, name) for name, link in seen.found(record).items()}
    marks[master.ifindex] = new_mark(record.mac)
    for ifindex, name in marks.items():
        if name in seen.links[ifindex].altnames:
            yield DropAltname(ifindex, name)


def deletion(record: Record, seen: Seen) -> list[Request]:
    """Return the request that deletes the next of the old devices, none where they are gone. What stands on one goes
    with it. What does not stand on the master is deleted by itself, one by one, and ahead of that by which it is known:
    what is refused may lead back."""
    there = seen.found(record)
    for item in reversed(record.items[1:]):
        if not item.lower and item.name in there:
            return [DeleteLink(there[item.name].ifindex)]
    # A clone may have only the first of its marks.
    names = [name for name in (mark(record.mac), new_mark(record.mac)) if seen.links.named(name)]
    return [DeleteMarked(name) for name in names[:1]]


def late(record: Record, seen: Seen) -> list[Request]:
    """Return the requests for settings that the kernel has taken away when the devices came up."""
    there = seen.found(record)
    pairs = [(item, there[item.name]) for item in record.items if item.name in there]
    return [r for item, link in pairs for r in likeness.forgotten(item.inet, seen.inet_of(link), link.ifindex)]
