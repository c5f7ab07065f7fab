"""Taking in changes of devices: the picture of the machine, and the parts that are told of a change in it.

LinkRenamed is made here, from the kernel's messages.
"""

from __future__ import annotations

from failoverd.core.auto_naming import note_name
from failoverd.core.crowding import check_soon
from failoverd.core.datapath_choice import can_decide
from failoverd.core.failovers import role_of, vanished, watch_carrier
from failoverd.core.matching import is_judged_anew, rejudge
from failoverd.core.scope import concerned
from failoverd.core.slave_guard import moved, set_up_or_down, suspect
from failoverd.core.state import State
from failoverd.model.actions import Action, AskLetGo, AskUdev, Emit
from failoverd.model.links import Link
from failoverd.model.pairs import Goal
from failoverd.model.requests import Rename
from failoverd.model.signals import LinkRenamed
from failoverd.policy.naming import marked_mac

LETTING_GO = 5
"""Times `udev_wait` that the network manager of a NIC gets to release it before it is enslaved. The VF carries
meanwhile.
"""


def see(state: State, link: Link, now: float) -> list[Action]:
    """Take in a device that is new or has changed."""
    old = state.links.get(link.ifindex)
    before = concerned(state, old) if old is not None else set()
    state.links[link.ifindex] = link
    actions: list[Action] = []
    if link.perm_mac and old == link:
        check_soon(state, link.ifindex, now)
    if old is None and state.synced and not link.kind:
        state.arrivals.appeared(link.ifindex)
    if link.perm_mac and not state.arrivals.is_known(link.ifindex):
        actions += _identified(state, link, now)
    if old is not None and old.name != link.name:
        note_name(state, link, now)
        if not link.master and not _has_master(state, link):
            state.bonding.forget([link.ifindex])
        actions += _renamed(state, old, link)
        actions += _have_it_let_go(state, link, now)
    if old is not None and old.up != link.up:
        set_up_or_down(state, link, now)
    if old is not None and old.master != link.master:
        actions += moved(state, link, now)
    watch_carrier(state, link.ifindex, link.up and link.carrier, now)
    _concern(state, old, link)
    if old is None or is_judged_anew(old, link) or can_decide(state, old, link):
        rejudge(state, concerned(state, link) | before)
    return actions


def gone(state: State, ifindex: int, now: float) -> list[Action]:
    """Take in that a device is gone. If it comes back it has another ifindex, and refusals about this one are void."""
    about = state.pairs_about(ifindex)
    for owner in state.attention.about.get(ifindex, ()):
        if (one := state.owned_by(owner)) is not None:
            one.forget(ifindex)
    link = state.links.get(ifindex)
    macs = set() if link is None else concerned(state, link)
    if link is not None:
        del state.links[ifindex]
    state.arrivals.forget(ifindex)
    state.bonding.forget([ifindex])
    if link is None:
        return []
    check_soon(state, link.link, now)
    watch_carrier(state, ifindex, False, now)
    actions: list[Action] = []
    for _, pair in about:
        actions += vanished(state, pair, link)
    _concern(state, link, None)
    rejudge(state, macs)
    state.attention.forget(ifindex)
    return actions


def _concern(state: State, old: Link | None, new: Link | None) -> None:
    """Have the owners looked at that a change of this device may concern.

    Those are the pairs it is in or is stacked on, other owners that have to do with it, and all pairs if a name has
    become free that one of them wished for.
    """
    for link in (old, new):
        for ifindex in (link.ifindex, link.link, link.master) if link is not None else ():
            state.attention.concern_about(ifindex)
    freed = _names(old) - _names(new)
    if freed & state.links.wished:
        state.links.wished -= freed
        state.concern_all_pairs()


def _names(link: Link | None) -> frozenset[str]:
    return frozenset() if link is None else link.altnames | {link.name}


def sync(state: State, links: tuple[Link, ...], now: float) -> list[Action]:
    """Take in a whole dump: it is the truth, and a device not in it is gone. Events before it may have been lost."""
    actions: list[Action] = []
    for ifindex in set(state.links) - {link.ifindex for link in links}:
        actions += gone(state, ifindex, now)
    # Masters first, so that a NIC which is a slave of failoverd's master already does not wait for udev.
    for link in sorted(links, key=lambda link: not link.kind):
        actions += see(state, link, now)
    state.synced = True
    rejudge(state)
    state.concern_all_pairs()
    suspect(state)
    for one in state.owned():
        one.work.seen_anew()
    return actions


def _identified(state: State, link: Link, now: float) -> list[Action]:
    """A device has a permanent MAC for the first time: a new device, or one whose host has set the MAC late."""
    if link.kind:
        return []
    if link.master and marked_mac(state.links.get(link.master, link)):
        state.arrivals.finished(link.ifindex)
        return []
    state.arrivals.wait_for_udev(link.ifindex, now)
    return [AskUdev(link.ifindex, link.name)]


def _have_it_let_go(state: State, link: Link, now: float) -> list[Action]:
    """Wait for the network manager of a paravirtual NIC that has given its name to the master to release it."""
    change = Rename(link.ifindex, link.name)
    for _, pair in state.pairs_about(link.ifindex):
        is_handover = pair.move.journal is not None and pair.move.journal.toward is Goal.JOINED
        if is_handover and pair.work.may_have_asked(change) and not link.kind:
            state.arrivals.hold_on(link.ifindex, now + LETTING_GO * state.config.join.udev_wait)
            return [AskLetGo(link.ifindex)]
    return []


def _has_master(state: State, nic: Link) -> bool:
    """Whether the pair of this NIC has a master, so that a rename says nothing about the NIC's configuration."""
    pair = state.pair_with(nic.ifindex)
    return pair is not None and pair.nic == nic.ifindex and pair.master != 0


def _renamed(state: State, old: Link, new: Link) -> list[Action]:
    pair = state.pair_with(new.ifindex)
    if pair is None or not pair.master:
        return []
    role = "master" if new.ifindex == pair.master else role_of(pair, new.ifindex)
    master = new.name if role == "master" else state.name(pair.master)
    return [Emit(LinkRenamed(new.ifindex, old.name, new.name, old.up, master, role, pair.mac))]
