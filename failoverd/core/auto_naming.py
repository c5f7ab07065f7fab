"""Names that failoverd gives without an order, once a pair is joined and at rest: the configuration's, and udev's.

Each is a wish that takes the way of an administrator's order to rename (core/orders.py), behind the orders. A name that
the kernel has refused is not asked for again. A device that another program has named keeps that name until it is
plugged in anew. A name that is taken is not asked for at all; the wish waits until it is free.

These are the configuration's name for a VF, the standby's name after its master was renamed, the roles as alternative
names, and the name that udev wanted and could not give. Where udev's rename failed, its record has the name it wanted
(`ID_NET_NAME`) while the kernel still says that the name is its own (`name_assign_type` 1). Then the VF gets that name,
or, for the NIC, the master does.

A rename by another program is an event like others, and followed: the ifindex is the identity of a device, not its
name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING

from failoverd.core.orders import can_other
from failoverd.dataclass import dataclass
from failoverd.model.actions import Action
from failoverd.model.links import Link
from failoverd.model.orders import Renaming
from failoverd.model.owners import Part
from failoverd.model.pairs import Pair
from failoverd.model.requests import AddAltname, DropAltname, Rename, Request
from failoverd.policy import wanted
from failoverd.policy.naming import formers, was

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

QUIET = 0.5
"""Seconds without a rename by other programs before failoverd renames: a program that renames one device may rename
another.
"""


@dataclass(slots=True)
class Names:
    """The names of a pair's devices, and which program gave them."""

    tried: set[Request] = field(default_factory=set)
    """Requests about names that failoverd has made without an order. Each is made once."""
    named: set[int] = field(default_factory=set)
    """The devices that another program has renamed since udev finished with them."""
    quiet_at: float = 0.0
    """No such request is made before this time."""
    called: str = ""
    """The master's name when the pair last rested."""

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone."""
        self.tried = {request for request in self.tried if ifindex not in request.devices}
        self.named.discard(ifindex)

    def released(self) -> None:
        """The pair is taken apart: the next join starts without history."""
        self.tried.clear()
        self.named.clear()
        self.called = ""

    def rests_as(self, master: str) -> None:
        """The pair rests, with this name of the master."""
        self.called = master

    def unanswered(self, requests: Iterable[Request]) -> None:
        """Answers were lost: these requests may not have been carried out."""
        self.tried -= {*requests}


def note_name(state: State, link: Link, now: float) -> None:
    """Note a device's new name, and whether another program gave it. Until udev has finished, renames are expected."""
    state.arrivals.renamed(link.ifindex)
    found = state.pair_with(link.ifindex)
    if found is None:
        return
    pair, change = state.pairs[found.mac], Rename(link.ifindex, link.name)
    is_order = bool(pair.work.has(Part.NAMES) and pair.orders.renames and not pair.orders.renames[0].wish)
    if pair.work.may_have_asked(change) and not is_order:
        pair.names.tried.discard(change)
        return
    pair.names.quiet_at = now + QUIET
    if link.ifindex in state.arrivals.ready:
        pair.names.named.add(link.ifindex)


def wish(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Return the next request that needs no order, if any. A rename is queued among the orders."""
    if pair.orders.renames or now < pair.names.quiet_at:
        return []
    if requests := [request for request in _altnames(state, pair, found) if request not in pair.names.tried]:
        return _ask(pair, requests, "tell the slaves' roles by alternative names")
    for link, name, own in _names(state, pair, found):
        change, mark = Rename(link.ifindex, name), AddAltname(link.ifindex, was(link.ifindex, own))
        if name == link.name or change in pair.names.tried or not _may(state, pair, found, link):
            continue
        if not state.renames_live and link.ifindex == found.master and link.up and _was_refused(pair, link, mark):
            pair.names.tried.add(change)
            continue
        if name == own or formers(link):
            pair.names.tried.add(change)
            pair.orders.add(Renaming(link.ifindex, name, math.inf, wish=True))
            return []
        if mark not in pair.names.tried:
            return _ask(pair, [mark], f"remember what {link.name} is called")
    return []


def _was_refused(pair: PairState, link: Link, mark: AddAltname) -> bool:
    """Whether an earlier run of the daemon has asked in vain for another name.

    It has left the mark with the name that the device still has. A kernel that cannot rename devices that are up
    refuses as long as this one is up; for a slave there is another way.
    """
    return mark.name in link.altnames and mark not in pair.names.tried


def name_deviations(state: State, pair: PairState, found: Pair, link: Link) -> list[str]:
    """Return why a device does not have its configured name, in words, for explain."""
    naming, master, links = state.config.naming, state.name(found.master), state.links
    if not pair.joined:
        whys = {name: wanted.name_conflict(name, links, link.ifindex) for name in formers(link)}
        return [f"it was {name}: {why or 'it gets that name back'}" for name, why in whys.items()]
    wishes = _usual(state, pair, found) if link.ifindex != found.vf else {}
    if link.ifindex == found.vf:
        wishes = {link.ifindex: wanted.policy_name(link, master, pair.mac, naming)}
    texts = []
    for ifindex, name in wishes.items():
        is_refused = Rename(ifindex, name) in pair.names.tried
        otherwise = "the kernel refuses it" if is_refused else "another program has named it"
        why = wanted.name_conflict(name, links, ifindex) or otherwise
        texts += [f"{state.name(ifindex)} is not called {name}: {why}"] if name != state.name(ifindex) else []
    return texts


def _usual(state: State, pair: PairState, found: Pair) -> dict[int, str]:
    """Return the configured names of the master and the standby, whatever their present names."""
    naming, nic = state.config.naming, pair.datapath.named_nic(state.link(found.nic))
    if nic is None:
        return {}
    wishes = {} if found.nic == found.master else {found.nic: state.name(found.master) + naming.standby_suffix}
    alone = wanted.nic_name(nic, found.master, pair.mac, naming, "", state.links)
    own = state.name(found.master) if naming.master == "{nic}" else wanted.master_name(alone, pair.mac, naming)
    return {found.master: own, **wishes}


def _names(state: State, pair: PairState, found: Pair) -> Iterator[tuple[Link, str, str]]:
    """Iterate over the devices, each with its wanted name and its own name."""
    naming, mac, links = state.config.naming, pair.mac, state.links
    master, nic, vf = links[found.master], pair.datapath.named_nic(links.get(found.nic)), links.get(found.vf)
    if nic is master:
        own = wanted.own_name(nic, state.arrivals.udev_names.get(nic.ifindex, ""), links)
        name = wanted.master_name(own, mac, naming)
        had = formers(nic)
        is_left = (had and nic.name not in had) or wanted.name_conflict(name, links, nic.ifindex)
        yield nic, own if is_left else name, own
    elif nic is not None:
        yield nic, (name := wanted.standby_wish(nic, master.name, mac, naming, links)), name
    if vf is not None:
        udev = state.arrivals.udev_names.get(vf.ifindex, "")
        own = wanted.own_name(vf, udev, links)
        yield vf, wanted.primary_name(vf, master.name, mac, naming, udev, links), own


def _may(state: State, pair: PairState, found: Pair, link: Link) -> bool:
    """Whether failoverd may rename this device without an order: not against another program, not if it could cut
    traffic off.
    """
    is_alone = link.ifindex != found.master and state.active(found) == link.ifindex
    return link.ifindex not in pair.names.named and (not is_alone or can_other(state, found, link.ifindex))


def _altnames(state: State, pair: PairState, found: Pair) -> Iterator[Request]:
    naming, master = state.config.naming, state.name(found.master)
    for ifindex, role in ((found.nic, "standby"), (found.vf, "primary")):
        link = state.link(ifindex)
        if link is None or ifindex == found.master:
            continue
        stale = wanted.stale_altnames(link, role, master, pair.mac, naming)
        yield from (DropAltname(ifindex, name) for name in sorted(pair.datapath.droppable(stale)))
        for name in sorted(wanted.wanted_altnames(link, role, master, pair.mac, naming) - link.altnames):
            if state.links.other(name) is None:
                yield AddAltname(ifindex, name)


def _ask(pair: PairState, requests: list[Request], why: str) -> list[Action]:
    """Send each request once. A name that is removed without an order may be added again later."""
    pair.names.tried.update(requests)
    for request in requests:
        assert isinstance(request, Rename | AddAltname | DropAltname)
        opposite = AddAltname if isinstance(request, DropAltname) else DropAltname
        pair.names.tried.discard(opposite(request.ifindex, request.name))
    return [pair.work.send(Part.NAMES, requests, why)]
