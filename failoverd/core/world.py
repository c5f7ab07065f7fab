"""Taking in what happened to devices: the picture of the machine, and the signals that follow from a change in it.

A signal is made here and nowhere else, from what the kernel said, so that it can never state a mere wish.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.core.choice import rejudge
from failoverd.core.state import PairState, State
from failoverd.core.strays import moved, set_up_or_down, suspect
from failoverd.core.wishes import note_name
from failoverd.core.words import devices
from failoverd.model.actions import Action, Announce, AskLetGo, AskUdev, Emit
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Pair
from failoverd.model.requests import Rename
from failoverd.model.signals import FailedOver, LinkRenamed
from failoverd.policy.holding import BRIDGE, bridge_of, stacked_on
from failoverd.policy.naming import our_mac

UNPLUGGED = "it was unplugged"
UNANNOUNCED = frozenset({BRIDGE, "macvtap"})
"""Kinds of devices above a bond whose addresses it does not announce."""
LETTING_GO = 5
"""Times `udev_wait` for which who managed a NIC is waited for before it is a slave. The VF carries meanwhile."""
REASON_WAIT = 0.1
"""Seconds a failover signal waits for its reason: a VF that is unplugged is first closed, then unlinked, then gone."""


def see(state: State, link: Link, now: float) -> list[Action]:
    """A device is new or has changed."""
    old = state.links.get(link.ifindex)
    state.links[link.ifindex] = link
    actions: list[Action] = []
    if old is None:
        actions += _new(state, link, now)
    elif old.name != link.name:
        note_name(state, link, now)
        actions += _renamed(state, old, link)
        actions += _have_it_let_go(state, link, now)
    if old is not None and old.up != link.up:
        set_up_or_down(state, link, now)
    if old is not None and old.master != link.master:
        actions += moved(state, link, now)
    _watch_carrier(state, link.ifindex, link.up and link.carrier, now)
    if old is None or _identity(old) != _identity(link):
        rejudge(state)
    return actions


def gone(state: State, ifindex: int, now: float) -> list[Action]:
    """A device is no more. If it comes back it has another ifindex, and what was refused for this one is void."""
    for pair in state.pairs.values():
        for request in [request for request in pair.refusals if ifindex in devices(request)]:
            del pair.refusals[request]
    link = state.links.pop(ifindex, None)
    state.ready.discard(ifindex)
    state.asked.pop(ifindex, None)
    state.held_on.pop(ifindex, None)
    state.udev_names.pop(ifindex, None)
    state.newcomers.discard(ifindex)
    if link is None:
        return []
    _watch_carrier(state, ifindex, False, now)
    actions: list[Action] = []
    for pair in state.pairs.values():
        pair.tried = {request for request in pair.tried if ifindex not in devices(request)}
        pair.named.discard(ifindex)
        pair.slaves.discard(ifindex)
        pair.taken.pop(ifindex, None)
        if pair.leaving is not None and pair.leaving.old_ifindex == ifindex:
            actions += settle_signal(pair, UNPLUGGED)
        if (found := state.judgements.pairs.get(pair.mac)) is not None and found.vf == ifindex:
            pair.former = link
    rejudge(state)
    return actions


def sync(state: State, links: tuple[Link, ...], now: float) -> list[Action]:
    """A whole dump. What is in it is as it says, what is not in it is gone; events before it may have been lost."""
    actions: list[Action] = []
    for ifindex in set(state.links) - {link.ifindex for link in links}:
        actions += gone(state, ifindex, now)
    # Masters first: what is a slave of ours already need not be waited for.
    for link in sorted(links, key=lambda link: not link.kind):
        actions += see(state, link, now)
    state.synced = True
    rejudge(state)
    suspect(state)
    for pair in state.pairs.values():
        pair.unsure, pair.doubtful = False, ()
    return actions


def noticed(state: State, pair: PairState, now: float) -> list[Action]:
    """Whether another slave carries than before, and what has to be said of it."""
    found = state.judgements.pairs.get(pair.mac, Pair(pair.mac))
    master = state.link(found.master)
    was, pair.active = pair.active, state.active(found) if master is not None else None
    if master is None or was is None or pair.active is None or was == pair.active:
        return []
    because, pair.because = pair.because, ""
    lost_at = pair.lost_at
    pair.lost_at = None if pair.active else now if lost_at is None else lost_at
    if not pair.joined:
        # A start found the traffic led nowhere. That is nobody's failover, and the way is new all the same.
        return _announce(state, pair, master) if pair.datapath.in_place else []
    actions = settle_signal(pair, "")
    pair.failovers += 1
    old = state.link(was)
    reason = because or (_what_is_wrong_with(old) if was else "no slave could carry before")
    if old is None and pair.former is not None and pair.former.ifindex == was:
        old, reason = pair.former, UNPLUGGED
    pair.leaving = FailedOver(
        master.name,
        old.name if old else "",
        state.name(pair.active),
        reason,
        now,
        pair.mac,
        was,
        pair.active,
        now - lost_at if lost_at is not None else 0.0,
        role_of(found, pair.active),
    )
    may_be_leaving = was in state.links and not state.links[was].up
    actions += _announce(state, pair, master)
    return actions if may_be_leaving else actions + settle_signal(pair, reason)


def role_of(found: Pair, ifindex: int) -> str:
    """What a slave is in its pair: "primary" or "standby", "" for no slave of it."""
    return {found.vf: "primary", found.nic: "standby"}.get(ifindex, "") if ifindex else ""


def settle_signal(pair: PairState, reason: str) -> list[Action]:
    """The reason of a failover is known, or will not become known any more: send the signal."""
    signal = pair.leaving
    if signal is None:
        return []
    pair.leaving = None
    final = replace(signal, reason=reason or signal.reason)
    pair.last = final
    return [Emit(final)]


def overdue(state: State, now: float) -> list[Action]:
    """Signals that have waited for their reason long enough."""
    actions: list[Action] = []
    for pair in state.pairs.values():
        if pair.leaving is not None and now >= pair.leaving.at + REASON_WAIT:
            actions += settle_signal(pair, "")
    return actions


def _watch_carrier(state: State, ifindex: int, carries: bool, now: float) -> None:
    """Remember since when the slave that is active for the kernel cannot carry: from then on it is silent."""
    for pair in state.pairs.values():
        if pair.active == ifindex:
            pair.lost_at = None if carries else now if pair.lost_at is None else pair.lost_at


def _new(state: State, link: Link, now: float) -> list[Action]:
    if link.kind or not link.perm_mac:
        return []
    if link.master and our_mac(state.links.get(link.master, link)):
        state.ready.add(link.ifindex)
        return []
    state.asked[link.ifindex] = now
    if state.synced:
        state.newcomers.add(link.ifindex)
    return [AskUdev(link.ifindex, link.name)]


def _have_it_let_go(state: State, link: Link, now: float) -> list[Action]:
    """The paravirtual NIC has given its name to the master. Whoever managed it by that name is waited for."""
    change = Rename(link.ifindex, link.name)
    for pair in state.pairs.values():
        is_handover = pair.journal is not None and pair.journal.toward is Goal.JOINED
        if is_handover and change in (*pair.sent, *pair.doubtful) and not link.kind:
            state.held_on[link.ifindex] = now + LETTING_GO * state.config.join.udev_wait
            return [AskLetGo(link.ifindex)]
    return []


def _identity(link: Link) -> tuple[object, ...]:
    """What pairing looks at; a change of anything else cannot change a verdict."""
    return (
        link.name,
        link.mac,
        link.perm_mac,
        link.master,
        link.link,
        link.kind,
        link.bus,
        link.driver,
        link.altnames,
        link.standby_feature,
    )


def _renamed(state: State, old: Link, new: Link) -> list[Action]:
    for pair in state.judgements.pairs.values():
        role = "master" if new.ifindex == pair.master else role_of(pair, new.ifindex)
        if role and pair.master:
            master = new.name if role == "master" else state.name(pair.master)
            return [Emit(LinkRenamed(new.ifindex, old.name, new.name, old.up, master, role, pair.mac))]
    return []


def _announce(state: State, pair: PairState, master: Link) -> list[Action]:
    """The neighbours learn the way by a frame that takes it; whatever stands on the master goes the same way.

    A bond announces itself, its VLANs and macvlans, and no farther (net/bridge/br.c hands on NETDEV_RESEND_IGMP alone;
    a macvtap has no address here), so with one of those on it everything is announced."""
    times = state.config.announce.times
    is_leaving = pair.drain is not None or any(order.down for order in pair.renames)
    if is_leaving:
        # The VF goes down next: that the way is known by then is not left to a bond's next tick.
        times = max(times, 1)
    devices = [master, *(state.links[ifindex] for ifindex in stacked_on(master, state.links))]
    if pair.datapath.announces and not is_leaving and not any(link.kind in UNANNOUNCED for link in devices):
        return []
    if not times:
        return []
    pair.announcing += 1
    ports = tuple((link.ifindex, bridge) for link in devices if (bridge := bridge_of(link, state.links)))
    return [Announce(pair.mac, tuple((link.ifindex, link.mac) for link in devices), times, ports)]


def _what_is_wrong_with(link: Link | None) -> str:
    if link is None:
        return UNPLUGGED
    if not link.up:
        return "it is down"
    if not link.carrier:
        return "it has no carrier"
    return "the kernel chose another slave"
