"""The heart: one event in, what has to be done out. No socket, no clock, no trio; `now` is whatever the shell says.

    event -> take it into the state -> for every pair: switch if need be, then the planner's next step -> actions

Everything hangs on the state being what the kernel last said and on the planner starting from that each time. So it
does not matter whether an event was lost, came late or twice, or whether this is the first step after a restart.
"""

from __future__ import annotations

import errno

from failoverd.core.advance import advance
from failoverd.core.choice import rejudge
from failoverd.core.marks import with_marks
from failoverd.core.orders import due, end_drain, hear, renamed, take_order, wakes
from failoverd.core.state import NO_BONDING, PairState, Refusal, State
from failoverd.core.strays import given, wakes_to_undo
from failoverd.core.switch import watch
from failoverd.core.words import devices, refusal_text
from failoverd.core.world import REASON_WAIT, gone, noticed, overdue, see, sync
from failoverd.model.actions import Action, Remember, Say, WakeAt
from failoverd.model.events import (
    AboutPair,
    AddressSeen,
    AdoptAsked,
    Announced,
    Answered,
    Ending,
    Event,
    InetSeen,
    LetGo,
    LinkGone,
    LinkSeen,
    NotSaved,
    ReleaseAsked,
    Synced,
    TimePassed,
    UdevDone,
)
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddRedirect,
    AddRoute,
    CreateBond,
    DeleteLink,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    DropRoute,
    HearAll,
    Request,
    SetActive,
    SetMaster,
)

SOON = 1.0
"""Seconds until a small thing that was refused is tried again, doubled each time: what it waits for may come soon. Big
are the making, the joining and the removing of devices: those disturb others, and have the configured waits."""

BOOTING = 300.0
"""Seconds since the machine's boot (the engine's clock) in which nobody has configured a NIC but its initramfs."""

HARMLESS: dict[type[Request], tuple[int, ...]] = {
    AddAddress: (errno.EEXIST,),
    AddRoute: (errno.EEXIST,),
    AddAltname: (errno.EEXIST,),
    AddClsact: (errno.EEXIST,),
    AddRedirect: (errno.EEXIST, errno.ENOSPC),
    DropRedirect: (errno.ENOENT, errno.EINVAL),
    DropClsact: (errno.ENOENT, errno.EINVAL),
    DropAddress: (errno.EADDRNOTAVAIL,),
    DropRoute: (errno.ESRCH,),
    DropAltname: (errno.ENOENT,),
}
"""Refusals that mostly say: it is so already. They are not worth a line in the log."""

WATCHED = AddAddress | AddRoute | DropAddress | DropRoute | AddAltname | DropAltname
"""Where a batch is nothing but these, it puts right what is not as it was left. Then they count as tried also where the
kernel did them: another program may undo them, again and again."""


def step(state: State, event: Event, now: float) -> list[Action]:
    """Take in one event at the moment `now` (seconds of any steady clock) and say what follows from it."""
    actions = _take_in(state, event, now)
    if not state.synced:
        return actions
    for pair in list(state.pairs.values()):
        actions += [*noticed(state, pair, now), *due(state, pair, now), *hear(state, pair, now)]
    actions += overdue(state, now)
    times = [signal.at + REASON_WAIT for pair in state.pairs.values() if (signal := pair.leaving)]
    for pair in list(state.pairs.values()):
        done, wake = advance(state, pair, now)
        actions += with_marks(state, pair, done)
        peeks, again = watch(state, pair, now)
        actions += peeks
        times += [*wakes(pair), *wakes_to_undo(pair, now), *(at for at in (wake, again) if at is not None)]
        pair.inet = {}
    if times:
        actions.append(WakeAt(min(times)))
    return actions


def _take_in(state: State, event: Event, now: float) -> list[Action]:
    match event:
        case LinkSeen(link):
            return see(state, link, now)
        case LinkGone(ifindex):
            return gone(state, ifindex, now)
        case AddressSeen(ifindex):
            given(state, ifindex, now)
        case Synced(links):
            return sync(state, links, now)
        case UdevDone(ifindex, name):
            state.asked.pop(ifindex, None)
            if ifindex in state.links:
                state.ready.add(ifindex)
                state.udev_names |= {ifindex: name} if name and _has_lost_its_name(state, ifindex, now) else {}
        case LetGo(ifindex):
            state.held_on |= {ifindex: now} if ifindex in state.held_on else {}
        case Ending():
            # Nobody would make a slave of them later.
            state.ending, state.held_on = True, dict.fromkeys(state.held_on, now)
        case TimePassed():
            pass
        case _:
            return _for_pair(state, state.pairs.setdefault(event.mac, PairState(event.mac)), event, now)
    return []


def _has_lost_its_name(state: State, ifindex: int, now: float) -> bool:
    """Whether udev's record of a name that the device has not got means that its rename was refused.

    It may also mean that a rule says `NAME=` with the kernel's own name: udev records what it would have chosen all the
    same. A rename is refused only where the device is up. Of a paravirtual NIC that was there long before us that says
    nothing, as it is in use; and its name is what the machine's network is configured by.
    """
    link = state.links[ifindex]
    return link.up and (ifindex in state.newcomers or link.bus == "pci" or now < BOOTING)


def _for_pair(state: State, pair: PairState, event: AboutPair, now: float) -> list[Action]:
    match event:
        case Answered():
            return _answered(state, pair, event, now)
        case InetSeen(_, inet):
            pair.looking, pair.inet = False, inet
            return []
        case NotSaved():
            pair.journal, pair.sent, pair.looking = pair.journal_before, (), False
            pair.pause_until = now + state.config.join.retry
            return []
        case ReleaseAsked():
            pair.held = True
            state.remembered.discard(pair.mac)
            rejudge(state)
            return [Remember(pair.mac, "released"), *end_drain(pair, "the pair is released")]
        case Announced(_, done):
            pair.announcing -= 1
            pair.unheard = not done
            return []
        case AdoptAsked():
            pair.held, pair.undo_until, pair.undo_reason = False, None, ""
            pair.refusals.clear()
            state.remembered.add(pair.mac)
            rejudge(state)
            return [Remember(pair.mac, "joined")]
        case _:
            return take_order(state, pair, event)


def _answered(state: State, pair: PairState, event: Answered, now: float) -> list[Action]:
    if event.requests == pair.sent:
        pair.sent = ()
    if event.requests == pair.switching:
        pair.switching = ()
    is_rename = bool(pair.renaming) and event.requests == pair.renaming
    actions = renamed(state, pair, event, now) if is_rename else []
    if event.answers is None:
        pair.because, pair.unsure, pair.hearing = "", True, None
        pair.doubtful += event.requests
        pair.tried -= {*event.requests}
        return [Say("warning", f"{pair.mac}: the kernel's answers were lost; looking at all devices again")]
    if is_rename:
        return actions
    is_repair = pair.journal is not None and all(isinstance(request, WATCHED) for request in event.requests)
    is_repair = is_repair or event.requests == pair.undoing
    for request, (number, text) in zip(event.requests, event.answers, strict=True):
        if number and isinstance(request, SetActive | AddRedirect | DropRedirect):
            # Also where its device is gone: or the next one would never be switched to for the same reason.
            pair.because = ""
        if number and isinstance(request, HearAll):
            pair.hearing = None
        if not number and not is_repair:
            pair.refusals.pop(request, None)
        elif not number or not _is_void(state, request, number):
            actions += _refused(state, pair, request, number, text, now)
    return actions


def _is_void(state: State, request: Request, number: int) -> bool:
    """Whether a request was refused because its device is gone, or has the name it was to have."""
    if isinstance(request, AddAltname) and number == errno.EEXIST:
        link = state.link(request.ifindex)
        return link is not None and request.name in (link.name, *link.altnames)
    return number == errno.ENODEV and not devices(request) <= state.links.keys()


def _refused(state: State, pair: PairState, request: Request, number: int, text: str, now: float) -> list[Action]:
    if number == errno.EOPNOTSUPP and isinstance(request, CreateBond):
        state.no_bond = NO_BONDING
        rejudge(state)
        if pair.datapath.in_place:
            return [Say("info", f"{pair.mac}: {state.no_bond}; joining by {pair.datapath.name}")]
    return _in_vain(state, pair, request, number, text, now)


def _in_vain(state: State, pair: PairState, request: Request, number: int, text: str, now: float) -> list[Action]:
    """Count a try. The planner only asks for what it sees missing, so a request that comes again was tried in vain."""
    config = state.config.join
    times = pair.refusals[request].times + 1 if request in pair.refusals else 1
    longer = 2.0 ** min(times - 1, 32)
    is_big = isinstance(request, CreateBond | DeleteLink | SetMaster)
    wait = min(config.retry * longer, config.retry_max) if is_big else min(SOON * longer, config.retry)
    words = refusal_text(request, number, text, state.name)
    pair.refusals[request] = Refusal(times, words, now + wait if number or pair.journal is None else now)
    if not number or number in HARMLESS.get(type(request), ()):
        return []
    return [Say("warning", f"{words}; trying again in {wait:g} s")]
