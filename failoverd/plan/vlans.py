"""VLANs on the device whose configuration moves go along: each is made anew on the other device, and takes over.

A VLAN's lower device cannot be changed (net/8021q/vlan_netlink.c, vlan_changelink). One that stayed on a slave would
also keep its frames: the kernel hands a tagged frame to the VLAN of the device it came in by before the bond sees it,
and drops it where that VLAN is down (net/core/dev.c, __netif_receive_skb_core; net/8021q/vlan_core.c, vlan_do_receive).

So the other VLAN is made, under a passing name, before anything moves, and while the device that it stands on is down
or not in use. It gets the settings of the old one. In the datagram of the move the two exchange their names, the new
one comes up with its device and gets addresses, routes and neighbours, and the old one is deleted at the end: to delete
a device takes the kernel milliseconds, in which the new one carries already.

No two VLANs on a device have the same protocol and number. So a plan that remembers nothing knows the old one and the
new one by their lower devices, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from failoverd.dataclass import dataclass
from failoverd.kinds import NewDevice, Vlan
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Journal, StackedVlan
from failoverd.model.requests import (
    AddAltname,
    CreateLink,
    DeleteLink,
    DropAltname,
    Rename,
    Request,
    SetAttribute,
    SetMtu,
    SetUp,
)
from failoverd.plan import inet_sets, likeness, transfer
from failoverd.plan.situation import Situation
from failoverd.policy.naming import own_altnames, passing_vlan
from failoverd.policy.stacking import vlans_on


@dataclass(frozen=True, slots=True)
class Exchange:
    """The requests of one datagram: while both devices are down, after the new one came up, and at the end."""

    names: tuple[Request, ...] = ()
    configuration: tuple[Request, ...] = ()
    end: tuple[Request, ...] = ()


def on(s: Situation, lower: Link | None) -> list[Link]:
    """Return the VLANs on this device that go along."""
    return vlans_on(lower, s.links) if lower is not None else []


def involved(s: Situation, journal: Journal | None, *lowers: Link | None) -> list[Link]:
    """Return the VLANs on these devices that go along, or that are in the journal."""
    there = [vlan for lower in lowers for vlan in on(s, lower)]
    wanted = journal.vlans if journal is not None else ()
    there += [found for lower in lowers for vlan in wanted if (found := find(s, lower, vlan)) and found not in there]
    return there


def find(s: Situation, lower: Link | None, vlan: StackedVlan) -> Link | None:
    """Return the VLAN on this device that is this one."""
    uppers = LinkTable.of(s.links).uppers(lower.ifindex) if lower is not None else ()
    return next((x for x in uppers if isinstance(x.info, Vlan) and (x.info.protocol, x.info.id) == vlan.key), None)


def unmovable_reason(s: Situation, vlans: Iterable[Link]) -> str:
    """Return why one of these VLANs cannot go along, by its configuration, or ""."""
    for vlan in vlans:
        seen = s.seen(vlan)
        if reason := inet_sets.unmovable_reason(seen):
            return f"{vlan.name}: {reason}; take that route away or write it without the object"
        if reason := likeness.unlike_bond_reason(seen, vlan.name):
            return reason
    return ""


def described(s: Situation, lower: Link, before: Iterable[StackedVlan] = ()) -> tuple[StackedVlan, ...]:
    """Describe the VLANs on this device as they are, added to what a journal has of them already.

    One with its passing name was made for this move, or has given its own name away: the journal knows better.
    """
    known = {vlan.key: vlan for vlan in before}
    for link in on(s, lower):
        assert isinstance(link.info, Vlan)
        seen, old = s.seen(link), known.get((link.info.protocol, link.info.id))
        is_passing = link.name == passing_vlan(lower.ifindex, link.info)
        if old is not None:
            new = replace(old, inet=inet_sets.union(old.inet, inet_sets.own(seen)))
            known[old.key] = new if is_passing else _renewed(new, link, s)
        else:
            vlan = StackedVlan(link.name, link.info, link.up, link.mtu, own_altnames(link), seen)
            known[vlan.key] = vlan
    return tuple(known.values())


def _renewed(vlan: StackedVlan, link: Link, s: Situation) -> StackedVlan:
    """It is still the one that the machine deals with: it may have been renamed, and has the settings that count."""
    inet = inet_sets.renewed(vlan.inet, s.seen(link))
    return replace(vlan, name=link.name, altnames=own_altnames(link) or vlan.altnames, inet=inet)


def is_known(old: Iterable[StackedVlan], new: Iterable[StackedVlan]) -> bool:
    """Whether a journal with the old ones need not be written again for the new ones."""
    before = {vlan.key: vlan for vlan in old}
    return all(
        vlan.key in before
        and inet_sets.is_in(vlan.inet, before[vlan.key].inet)
        and replace(vlan, inet=before[vlan.key].inet) == before[vlan.key]
        and dict(vlan.inet.settings) == dict(before[vlan.key].inet.settings)
        for vlan in new
    )


def create(s: Situation, lower: Link, vlans: Iterable[StackedVlan]) -> list[Request]:
    """Make those that are missing on this device, under passing names."""
    missing = [vlan for vlan in vlans if find(s, lower, vlan) is None]
    return [CreateLink(_new(lower, vlan), vlan.info) for vlan in missing]


def _new(lower: Link, vlan: StackedVlan) -> NewDevice:
    """It takes its device's MAC, as the old one did. No VLAN can have more MTU than its device has at the moment."""
    return NewDevice(passing_vlan(lower.ifindex, vlan.info), mtu=min(vlan.mtu, lower.mtu), lower=lower.ifindex)


def unlike(s: Situation, lower: Link, vlans: Iterable[StackedVlan]) -> list[Request]:
    """Return the requests that give the VLANs on this device the settings of the old ones."""
    pairs = [(vlan, find(s, lower, vlan)) for vlan in vlans]
    differing = [likeness.differing(v.inet, s.seen(new), new.ifindex) for v, new in pairs if new is not None]
    return [request for requests in differing for request in requests]


def exchange(s: Situation, old: Link | None, new: Link, vlans: Iterable[StackedVlan]) -> Exchange:
    """The VLANs on the new device take over from those on the old one."""
    names, configuration, end = list[Request](), list[Request](), list[Request]()
    for vlan, before, after in _both(s, old, new, vlans):
        if before is not None:
            names += _give_away(before, vlan)
            end.append(DeleteLink(before.ifindex))
        names += _take_over(s, after, vlan)
        wanted, there = transfer.to_device(vlan.inet, after.ifindex), s.seen(after)
        names += transfer.add_links_local(wanted, there)
        configuration += [SetMtu(after.ifindex, vlan.mtu)] if after.mtu != vlan.mtu else []
        configuration += [SetUp(after.ifindex, vlan.up), *transfer.add_others(wanted, there, vlan.up)]
    return Exchange(tuple(names), tuple(configuration), tuple(end))


def _both(
    s: Situation, old: Link | None, new: Link, vlans: Iterable[StackedVlan]
) -> list[tuple[StackedVlan, Link | None, Link]]:
    """Return those that are on the new device, each with the one on the old device if that is still there."""
    return [(vlan, find(s, old, vlan), after) for vlan in vlans if (after := find(s, new, vlan)) is not None]


def _give_away(before: Link, vlan: StackedVlan) -> list[Request]:
    passing = passing_vlan(before.link, vlan.info)
    requests: list[Request] = [SetUp(before.ifindex, up=False)] if before.up else []
    requests += [DropAltname(before.ifindex, name) for name in vlan.altnames if name in before.altnames]
    return [*requests, Rename(before.ifindex, passing)] if before.name != passing else requests


def _take_over(s: Situation, after: Link, vlan: StackedVlan) -> list[Request]:
    rename, requests = Rename(after.ifindex, vlan.name), list[Request]()
    if after.name != vlan.name:
        # Kernels before 6.2 do not rename a device that is up. It goes down only for a rename that is tried now.
        is_tried = rename not in s.blocked and rename not in s.hopeless
        requests = [SetUp(after.ifindex, up=False), rename] if after.up and is_tried else [rename]
    return requests + [AddAltname(after.ifindex, name) for name in vlan.altnames if name not in after.altnames]


def rest(s: Situation, old: Link | None, new: Link, vlans: Iterable[StackedVlan]) -> list[Request]:
    """Return what is left to do when the move is over: the same again, where it is not so."""
    todo: list[Request] = create(s, new, vlans)
    for vlan, before, after in _both(s, old, new, vlans):
        todo += _give_away(before, vlan) if before is not None else []
        todo += _take_over(s, after, vlan)
        wanted, there = transfer.to_device(vlan.inet, after.ifindex), s.seen(after)
        todo += transfer.add_links_local(wanted, there)
        todo += [SetMtu(after.ifindex, vlan.mtu)] if after.mtu != vlan.mtu else []
        todo += [SetUp(after.ifindex, vlan.up)] if after.up != vlan.up else []
        todo += transfer.add_others(wanted, there, vlan.up)
        settings = likeness.differing(vlan.inet, there, after.ifindex)
        todo += [request for request in settings if isinstance(request, SetAttribute)]
        todo += [DeleteLink(before.ifindex)] if before is not None else []
    return todo
