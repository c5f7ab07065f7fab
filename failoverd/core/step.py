"""The heart of the engine: one event in, actions out. No socket, no clock, no trio; the caller supplies `now`.

    event -> take it into the state -> the owners it concerns, and those whose time has come (core/timetable.py)
          -> for each kind of owner, its steps (core/owners.py), as core/pair.py for pairs -> actions, last WakeAt

A change of a device that concerns no owner looks at none, so an event costs the same however many devices and pairs
there are. It all relies on the state being the kernel's last report, and on the planner starting from that each time.
So it does not matter whether an event was lost, came late or twice, or whether this is the first step after a restart.
"""

from __future__ import annotations

from failoverd.core import configurers
from failoverd.core.boot_names import BOOTING
from failoverd.core.inputs import Configured, Input, NamesConfigured, Recalled, take
from failoverd.core.owners import STEPS, by_kind
from failoverd.core.slave_guard import given
from failoverd.core.state import State
from failoverd.core.world import gone, see, sync
from failoverd.model.actions import Action, WakeAt
from failoverd.model.events import (
    AddressSeen,
    ConfigurerSeen,
    Ending,
    Event,
    LetGo,
    LinkGone,
    LinkSeen,
    Synced,
    TimePassed,
    UdevDone,
)
from failoverd.model.owners import Owner, PairOf


def step(state: State, event: Event | Input, now: float) -> list[Action]:
    """Take in one event at the moment `now` (seconds of any steady clock) and return the actions that follow."""
    actions = _take_in(state, event, now)
    if not state.synced:
        return actions
    owners = state.attention.take() | state.times.take(now)
    for steps, mine in by_kind(owners):
        actions += steps.look_at(state, mine, now)
    for owner in state.attention.take() - owners:
        # Changes to one owner may concern others, too.
        state.times.note(owner, now)
    at = state.times.next()
    return [*actions, WakeAt(at)] if at is not None else actions


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
            state.attention.concern_about(event.ifindex)
            state.attention.concern(*_owners_at(state, event.ifindex))
            return _told(state, event, now)
        case Ending():
            # failoverd would not be there to enslave them later.
            state.ending = True
            state.arrivals.let_all_go(now)
            state.concern_all_pairs()
        case Configured() | NamesConfigured() | Recalled():
            take(state, event)
        case TimePassed():
            pass
        case _:
            owner = event.owner
            state.attention.concern(owner)
            return STEPS[type(owner)].take(state, owner, event, now)
    return []


def _owners_at(state: State, ifindex: int) -> set[Owner]:
    link = state.link(ifindex)
    return {PairOf(link.perm_mac)} if link is not None else set()


def _told(state: State, event: UdevDone | LetGo | ConfigurerSeen, now: float) -> list[Action]:
    """Take in an answer about a device: from udev, or about its network manager or its configuration."""
    match event:
        case UdevDone(ifindex, name, is_plain):
            state.arrivals.answered(ifindex)
            if ifindex in state.links:
                is_refused = bool(name) and _has_lost_its_name(state, ifindex, now)
                state.arrivals.finished(ifindex)
                state.arrivals.named(ifindex, name if is_plain else None, name if is_refused else None)
        case LetGo(ifindex):
            state.arrivals.let_go(ifindex, now)
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
    return link.up and (ifindex in state.arrivals.newcomers or link.bus == "pci" or now < BOOTING)
