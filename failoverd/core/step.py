"""The heart of the engine: one event in, actions out. No socket, no clock, no trio; the caller supplies `now`.

    event -> take it into the state -> the pairs it concerns, and those whose time has come (core/timetable.py)
          -> for each: switch if need be, then the planner's next step -> actions, last of them WakeAt

A change of a device that concerns no pair looks at none, so an event costs the same however many devices and pairs
there are. It all relies on the state being the kernel's last report, and on the planner starting from that each time.
So it does not matter whether an event was lost, came late or twice, or whether this is the first step after a restart.
"""

from __future__ import annotations

from failoverd.core import conditions, configurers, crowding, health, paths
from failoverd.core.adopt import adopt, release
from failoverd.core.advance import advance
from failoverd.core.answered import answered
from failoverd.core.boot_names import BOOTING
from failoverd.core.failovers import next_signal, noticed, overdue
from failoverd.core.inputs import Configured, Input, NamesConfigured, Recalled, take
from failoverd.core.matching import drop_if_over
from failoverd.core.orders import due, hear, take_order, wakes_of_orders
from failoverd.core.slave_guard import given, wakes_to_undo
from failoverd.core.state import PairState, State
from failoverd.core.switch import watch
from failoverd.core.udev_marks import next_try, not_marked, with_marks
from failoverd.core.world import gone, see, sync
from failoverd.model.actions import Action, WakeAt
from failoverd.model.events import (
    AboutPair,
    AddressSeen,
    AdoptAsked,
    Announced,
    Answered,
    ConfigurerSeen,
    Ending,
    Event,
    InetSeen,
    LetGo,
    LinkGone,
    LinkSeen,
    ModeSeen,
    NotMarked,
    NotSaved,
    PathsSeen,
    ReleaseAsked,
    Synced,
    TimePassed,
    UdevDone,
)


def step(state: State, event: Event | Input, now: float) -> list[Action]:
    """Take in one event at the moment `now` (seconds of any steady clock) and return the actions that follow."""
    actions = _take_in(state, event, now)
    if not state.synced:
        return actions
    macs = state.concerned | state.times.take(now)
    pairs = [state.pairs[mac] for mac in sorted(macs) if mac in state.pairs]
    for pair in pairs:
        actions += [*noticed(state, pair, now), *due(state, pair, now), *hear(state, pair, now)]
    for pair in pairs:
        actions += overdue(pair, now)
    state.concerned = set()
    for pair in pairs:
        actions += _look_at(state, pair, now)
    for mac in state.concerned - macs:
        # Changes to one pair may concern others, too.
        state.times.note(mac, now)
    state.concerned = set()
    at = state.times.next()
    return [*actions, WakeAt(at)] if at is not None else actions


def _look_at(state: State, pair: PairState, now: float) -> list[Action]:
    """Take one pair further, and note when it wants to be looked at again."""
    signal = next_signal(pair)
    aside = [*conditions.judge(state, pair, now), *health.count(state, pair, now)]
    paths.forget(state, pair)
    done, wake = advance(state, pair, now)
    actions = with_marks(state, pair, done, now)
    peeks, again = watch(state, pair, now)
    wakes = (
        signal,
        wake,
        next_try(pair, now),
        again,
        health.reuse_at(state, pair),
        conditions.wake_at(state, pair, now),
    )
    times = [*wakes_of_orders(pair), *wakes_to_undo(pair, now)]
    times += [at for at in wakes if at is not None]
    pair.move.seen({})
    pair.obstacles.seen({})
    state.times.note(pair.mac, min(times, default=None))
    drop_if_over(state, pair.mac)
    return [*actions, *peeks, *aside, *paths.probe(state, pair), *conditions.ask(state, pair)]


def _take_in(state: State, event: Event | Input, now: float) -> list[Action]:
    match event:
        case LinkSeen(link):
            return see(state, link, now)
        case LinkGone(ifindex):
            return gone(state, ifindex, now)
        case AddressSeen(ifindex):
            given(state, ifindex, now)
        case Synced(links):
            return sync(state, links, now)
        case UdevDone() | LetGo() | ConfigurerSeen():
            state.concerned |= state.about.get(event.ifindex, set()) | _macs_at(state, event.ifindex)
            return _told(state, event, now)
        case Ending():
            # failoverd would not be there to enslave them later.
            state.ending, state.held_on = True, dict.fromkeys(state.held_on, now)
            state.concerned |= state.pairs.keys()
        case Configured() | NamesConfigured() | Recalled():
            take(state, event)
        case TimePassed():
            pass
        case _:
            mac = _mac(event)
            state.concerned.add(mac)
            return _for_pair(state, state.pairs.setdefault(mac, PairState(mac)), event, now)
    return []


def _mac(event: Answered | InetSeen | AboutPair) -> str:
    """Return the MAC of the pair that the event is about."""
    match event:
        case Answered(ticket):
            return ticket.owner.mac
        case InetSeen(owner):
            return owner.mac
        case _:
            return event.mac


def _macs_at(state: State, ifindex: int) -> set[str]:
    link = state.link(ifindex)
    return {link.perm_mac} if link is not None else set()


def _told(state: State, event: UdevDone | LetGo | ConfigurerSeen, now: float) -> list[Action]:
    """Take in an answer about a device: from udev, or about its network manager or its configuration."""
    match event:
        case UdevDone(ifindex, name, is_plain):
            state.asked.pop(ifindex, None)
            if ifindex in state.links:
                state.ready.add(ifindex)
                state.plain |= {ifindex: name} if is_plain else {}
                state.udev_names |= {ifindex: name} if name and _has_lost_its_name(state, ifindex, now) else {}
        case LetGo(ifindex):
            state.held_on |= {ifindex: now} if ifindex in state.held_on else {}
        case _:
            return configurers.seen(state, event)
    return []


def _has_lost_its_name(state: State, ifindex: int, now: float) -> bool:
    """Whether udev's record of a name that the device does not have means that its rename was refused.

    It may also mean that a rule says `NAME=` with the kernel's own name: udev records its choice all the same. A rename
    is refused only where the device is up. For a paravirtual NIC that was there long before failoverd, that proves
    nothing, as it is in use; and the machine's network is configured by its name.
    """
    link = state.links[ifindex]
    return link.up and (ifindex in state.newcomers or link.bus == "pci" or now < BOOTING)


def _done(pair: PairState, event: Announced | ModeSeen) -> None:
    """Take in the end of a job in the background."""
    if isinstance(event, Announced):
        pair.heard.announced(event.done)
    else:
        conditions.seen(pair, event)


def _for_pair(state: State, pair: PairState, event: Answered | InetSeen | AboutPair, now: float) -> list[Action]:
    match event:
        case Answered():
            return answered(state, pair, event, now)
        case InetSeen(_, inet, hanging):
            crowding.seen(pair, hanging, now)
            if not crowding.was_a_check(pair, inet):
                pair.work.looking = False
                pair.move.seen(inet)
                pair.obstacles.seen(hanging)
            return []
        case NotMarked(_, why):
            return not_marked(state, pair, why, now)
        case NotSaved():
            pair.move.not_saved()
            pair.work.unsent(now + state.config.join.retry)
            return []
        case ReleaseAsked():
            return release(state, pair)
        case AdoptAsked():
            return adopt(state, pair)
        case PathsSeen():
            return paths.seen(state, pair, event)
        case Announced() | ModeSeen():
            _done(pair, event)
            return []
        case _:
            return take_order(state, pair, event)
