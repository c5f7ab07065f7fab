"""Names that are to be given of our own accord, once a pair is joined and at rest: the configuration's, and udev's.

Each is a wish that goes the way of an administrator's order to rename (see core/orders.py), behind those. What the
kernel refuses is not asked for again; what somebody else has named is left as it is, until it is plugged in anew. A
name that is taken is not asked for at all, and comes when it is free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from failoverd.core.orders import can_other
from failoverd.core.state import PairState, State
from failoverd.model.actions import Action, Send
from failoverd.model.links import Link
from failoverd.model.orders import Renaming
from failoverd.model.pairs import Pair
from failoverd.model.requests import AddAltname, DropAltname, Rename, Request
from failoverd.policy import wanted
from failoverd.policy.naming import formers, was

QUIET = 0.5
"""Seconds without a rename by others before one of our own: who renames one device may be about to rename another."""


def note_name(state: State, link: Link, now: float) -> None:
    """A device has another name. Remember where it was somebody else's doing; udev is expected to, until it is done."""
    state.udev_names.pop(link.ifindex, None)
    for mac, found in state.judgements.pairs.items():
        if link.ifindex not in (found.vf, found.nic, found.master):
            continue
        pair, change = state.pairs[mac], Rename(link.ifindex, link.name)
        is_order = bool(pair.renaming and pair.renames and not pair.renames[0].wish)
        if change in (*pair.sent, *pair.doubtful) and not is_order:
            pair.tried.discard(change)
            continue
        pair.quiet_at = now + QUIET
        if link.ifindex in state.ready:
            pair.named.add(link.ifindex)


def wish(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """The next thing to ask of the kernel by itself, if any. A rename is put among the orders."""
    if pair.renames or now < pair.quiet_at:
        return []
    if requests := [request for request in _altnames(state, pair, found) if request not in pair.tried]:
        return _ask(pair, requests, "tell the slaves' roles by alternative names")
    for link, name, own in _names(state, pair, found):
        change, mark = Rename(link.ifindex, name), AddAltname(link.ifindex, was(link.ifindex, own))
        if name == link.name or change in pair.tried or not _may(state, pair, found, link):
            continue
        if name == own or formers(link):
            pair.tried.add(change)
            pair.renames.append(Renaming(link.ifindex, name, math.inf, wish=True))
            return []
        if mark not in pair.tried:
            return _ask(pair, [mark], f"remember what {link.name} is called")
    return []


def why_so_called(state: State, pair: PairState, found: Pair, link: Link) -> list[str]:
    """Why a device does not have the name the configuration gives it, in words, for explain."""
    naming, master, links = state.config.naming, state.name(found.master), state.links
    if not pair.joined:
        whys = {name: wanted.why_not(name, links, link.ifindex) for name in formers(link)}
        return [f"it was {name}: {why or 'it gets that name back'}" for name, why in whys.items()]
    wishes = _usual(state, pair, found) if link.ifindex != found.vf else {}
    if link.ifindex == found.vf:
        wishes = {link.ifindex: wanted.policy_name(link, master, pair.mac, naming)}
    texts = []
    for ifindex, name in wishes.items():
        otherwise = "the kernel refuses it" if Rename(ifindex, name) in pair.tried else "somebody has named it"
        why = wanted.why_not(name, links, ifindex) or otherwise
        texts += [f"{state.name(ifindex)} is not called {name}: {why}"] if name != state.name(ifindex) else []
    return texts


def _usual(state: State, pair: PairState, found: Pair) -> dict[int, str]:
    """What the configuration calls the master and the standby, whatever they are called."""
    naming, nic = state.config.naming, state.link(found.nic)
    if nic is None or pair.datapath.adopted:
        return {}
    wishes = {} if found.nic == found.master else {found.nic: state.name(found.master) + naming.standby_suffix}
    alone = wanted.nic_name(nic, found.master, pair.mac, naming, "", state.links)
    own = state.name(found.master) if naming.master == "{nic}" else wanted.master_name(alone, pair.mac, naming)
    return {found.master: own, **wishes}


def _names(state: State, pair: PairState, found: Pair) -> Iterator[tuple[Link, str, str]]:
    """Each device with the name it is to have, and the one it has by itself."""
    naming, mac, links = state.config.naming, pair.mac, state.links
    master, nic, vf = links[found.master], links.get(found.nic), links.get(found.vf)
    if nic is master and not pair.datapath.adopted:
        own = wanted.own_name(nic, state.udev_names.get(nic.ifindex, ""), links)
        name = wanted.master_name(own, mac, naming)
        had = formers(nic)
        is_left = (had and nic.name not in had) or wanted.why_not(name, links, nic.ifindex)
        yield nic, own if is_left else name, own
    elif nic is not None and not pair.datapath.adopted:
        yield nic, (name := wanted.standby_wish(nic, master.name, mac, naming, links)), name
    if vf is not None:
        udev = state.udev_names.get(vf.ifindex, "")
        own = wanted.own_name(vf, udev, links)
        yield vf, wanted.primary_name(vf, master.name, mac, naming, udev, links), own


def _may(state: State, pair: PairState, found: Pair, link: Link) -> bool:
    """Whether this device may be renamed by itself: not against somebody, and not where it could cut traffic off."""
    is_alone = link.ifindex != found.master and state.active(found) == link.ifindex
    return link.ifindex not in pair.named and (not is_alone or can_other(state, found, link.ifindex))


def _altnames(state: State, pair: PairState, found: Pair) -> Iterator[Request]:
    naming, master = state.config.naming, state.name(found.master)
    for ifindex, role in ((found.nic, "standby"), (found.vf, "primary")):
        link = state.link(ifindex)
        if link is None or ifindex == found.master:
            continue
        if not pair.datapath.adopted:
            # There the names are udev's.
            stale = wanted.stale_altnames(link, role, master, pair.mac, naming)
            yield from (DropAltname(ifindex, name) for name in sorted(stale))
        for name in sorted(wanted.wanted_altnames(link, role, master, pair.mac, naming) - link.altnames):
            if wanted.holder(name, state.links) is None:
                yield AddAltname(ifindex, name)


def _ask(pair: PairState, requests: list[Request], why: str) -> list[Action]:
    """Each is asked for once; what is taken away of our own accord may be added again later."""
    pair.tried.update(requests)
    for request in requests:
        opposite = AddAltname if isinstance(request, DropAltname) else DropAltname
        pair.tried.discard(opposite(request.ifindex, request.name))  # type: ignore[union-attr]
    pair.sent = pair.renaming = tuple(requests)
    return [Send(pair.mac, pair.sent, why)]
