"""The heart of the links engine: one event in, actions out. No socket, no clock; the caller supplies `now`.

It goes round: what is doubtful is looked at, all is judged by what was seen, what differs is sent, and what was sent to
is looked at again. One look or one lot of requests is under way at a time; events meanwhile only note what is doubtful.
It knows the failover engine by the masters that this one has joined, and that one does not know it at all. A device is
ours by its mark (links/marks.py); nothing is deleted because something could not be asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from failoverd.links import outcome
from failoverd.links.events import (
    LinksAction,
    LinksEvent,
    Look,
    Made,
    Make,
    MastersSeen,
    MayGo,
    Pictured,
    PlaceChanged,
    ReleaseAsked,
    Resolved,
    ResyncAsked,
    WakeAt,
    Wanted,
    Watch,
)
from failoverd.links.findings import Batch, Finding, looking
from failoverd.links.judge import concerned, judge, removals
from failoverd.links.sight import Sight, interests
from failoverd.links.state import LinksState, Memory
from failoverd.links.status import going, leaving, tell
from failoverd.model.declared import OWN, Declared, DeviceRef, End, NamespaceRef
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import DropAltname

MOST, MOST_REMOVALS = 1000, 200
"""Batches that are sent in one go: events wait for them, and eight deletions take the kernel 16 ms."""

RESYNC = 600.0
"""Seconds, give or take a fifth, between two looks at everything, whatever was heard of it."""


def step(state: LinksState, event: LinksEvent, now: float, clock: float) -> list[LinksAction]:
    """Take in one event at the moment `now` (seconds of any steady clock) and return the actions that follow.

    `clock` is the time of day, in seconds since the epoch, for what people read.
    """
    actions = _take_in(state, event, now)
    state.dirty |= {place for place, refusal in state.blind.items() if refusal.until <= now}
    for place in state.pace.due(now):
        state.dirty |= {place} if place is not None else state.relevant()
    if state.has_spoken and now >= state.resync_at:
        state.resync_at = now + RESYNC * state.spread("resync", int(now))
        state.dirty |= state.relevant()
    if state.is_busy or not state.has_spoken:
        return actions
    if isinstance(event, PlaceChanged) and not state.doubtful():
        # It is looked at later.
        return [WakeAt(state.next_time(now))]
    # What has just been looked at is judged first, also where something has changed meanwhile: where something always
    # does, nothing would be done otherwise.
    if isinstance(event, Pictured) or not state.doubtful():
        actions += _plan(state, frozenset(event.pictures) if isinstance(event, Pictured) else frozenset(), now, clock)
    if not state.is_busy and (doubtful := state.doubtful()):
        state.dirty.clear()
        state.is_busy = True
        actions.append(Look(interests(state.sight(), doubtful)))
    return actions


def _take_in(state: LinksState, event: LinksEvent, now: float) -> list[LinksAction]:
    match event:
        case Wanted(declared, is_complete):
            state.is_complete, state.unjudged = is_complete, None
            return _declare(state, declared)
        case Resolved(ref, to):
            state.unjudged = None
            _resolve(state, ref, to)
        case MastersSeen(masters):
            state.unjudged = None
            state.dirty |= {HERE} if state.masters != masters else set()
            state.masters = masters
        case PlaceChanged(place):
            if state.pace.changed(place, now):
                state.dirty |= {place} if place is not None else state.relevant()
        case Pictured() | Made():
            return _answered(state, event, now)
        case ResyncAsked(name):
            state.unjudged = None
            outcome.forget(state, name)
            state.dirty |= state.relevant()
        case ReleaseAsked(name):
            state.unjudged = None
            _release(state, name)
        case MayGo(name):
            memory = state.memory(name)
            memory.going_until = now if memory.going_until is not None else None
        case _:
            pass
    return []


def _release(state: LinksState, name: str) -> None:
    """Release an end, and with it the other end of its pair: neither can be looked after alone."""
    end = state.declared.get(name)
    if end is not None:
        peer = state.declared.get(end.peer)
        state.released |= {name, peer.name} if peer is not None and peer.peer == name else {name}


def _resolve(state: LinksState, ref: NamespaceRef, to: Place | Absent) -> None:
    if ref not in state.watched:
        return
    state.places[ref] = to
    state.dirty |= {to} if isinstance(to, Place) else set()
    _forget_places(state)


def _forget_places(state: LinksState) -> None:
    """Forget what was seen of namespaces that no reference leads to any more."""
    relevant = state.relevant()
    state.pictures = {place: picture for place, picture in state.pictures.items() if place in relevant}
    state.blind = {place: refusal for place, refusal in state.blind.items() if place in relevant}
    state.pace.forget(relevant)


def _answered(state: LinksState, event: Pictured | Made, now: float) -> list[LinksAction]:
    """Take in what was under way."""
    state.is_busy = False
    if isinstance(event, Made):
        names = {batch.name for batch, _ in event.answers}
        state.unjudged = None if state.unjudged is None else state.unjudged | names
        return outcome.take(state, event.answers, now)
    for place, picture in event.pictures.items():
        if picture != state.pictures.get(place):
            state.changed.add(place)
        if picture is not None:
            state.pictures[place] = picture
            state.blind.pop(place, None)
        else:
            state.pictures.pop(place, None)
            state.blind[place] = state.refused(state.blind.get(place), str(place), 0, outcome.GONE, now)
    return []


def _declare(state: LinksState, declared: Declared) -> list[LinksAction]:
    """Take in what is declared now. What is remembered of an end goes with any change to it."""
    for name, end in state.declared.items():
        if declared.get(name) == end:
            continue
        memory = state.memories.pop(name, Memory())
        state.memories[name] = Memory(made=memory.made, repaired=memory.repaired, told=memory.told)
        state.released.discard(name)
        if name in state.statuses and state.statuses[name].ifindex:
            state.leaving[name] = end
    state.loosened = dict(_loosened(state, declared))
    state.leaving = {name: end for name, end in state.leaving.items() if not _is_wanted_there(declared, end)}
    state.declared, state.has_spoken = declared, True
    # An interest in other names needs another look.
    state.dirty |= state.relevant()
    return _watch(state)


def _loosened(state: LinksState, declared: Declared) -> Iterator[tuple[str, frozenset[DeviceRef]]]:
    """Yield the ports that were declared before and are not any more, of each bridge and VRF that still is."""
    for name, end in state.declared.items():
        before, now = {*end.ports, *state.loosened.get(name, ())}, declared.get(name)
        if now is not None and (ports := frozenset(before.difference(now.ports))):
            yield name, ports


def _still_loose(state: LinksState) -> None:
    """Forget the ports that have left their bridge or VRF: who puts one into it again does so on purpose."""
    sight = state.sight()
    for name, refs in list(state.loosened.items()):
        end = state.declared[name]
        place, device = sight.place_of(end), sight.device_of(end)
        if not isinstance(place, Place) or device is None:
            continue
        ports = {ref: sight.port(ref, place) for ref in refs}
        inside = frozenset(ref for ref, port in ports.items() if port and port.link.master == device.link.ifindex)
        if inside:
            state.loosened[name] = inside
        else:
            del state.loosened[name]


def _watch(state: LinksState) -> list[LinksAction]:
    """Have the references watched that there are now, if they are others than before."""
    ends = (*state.declared.values(), *state.leaving.values())
    refs = frozenset(end.namespace for end in ends) - {OWN}
    if refs == state.watched:
        return []
    state.watched = refs
    state.places = {ref: to for ref, to in state.places.items() if ref in refs or ref == OWN}
    _forget_places(state)
    return [Watch(refs)]


def _is_wanted_there(declared: Declared, end: End) -> bool:
    """Whether an end is declared in the same namespace as before."""
    wanted = declared.get(end.name)
    return wanted is not None and wanted.namespace == end.namespace


def _have_left(state: LinksState) -> list[LinksAction]:
    """Forget the ends that have left: no device there bears their mark, as far as can be seen."""
    state.leaving = {name: end for name, end in state.leaving.items() if not _has_left(state, end)}
    return _watch(state)


def _has_left(state: LinksState, end: End) -> bool:
    place = state.places.get(end.namespace)
    if isinstance(place, Absent):
        return True
    picture = state.pictures.get(place) if place is not None else None
    return picture is not None and picture.named(state.identity.mark(end.name)) is None


def _plan(state: LinksState, fresh: frozenset[Place], now: float, clock: float) -> list[LinksAction]:
    _still_loose(state)
    sight = state.sight()
    _judge(state, sight)
    news: dict[str, Finding] = {}
    batches: list[Batch] = []
    state.untold |= {name for name, memory in state.memories.items() if memory.going_until is not None}
    for name in [name for name in state.findings if name in state.untold]:
        finding = state.findings[name]
        if finding.doubt is not None and finding.doubt not in fresh:
            state.dirty.add(finding.doubt)
            news[name] = looking()
            continue
        news[name], mine = outcome.judged(state, name, finding, now)
        batches += mine
    state.untold = {name for name in news if state.findings[name].batches or state.findings[name].doubt is not None}
    actions, removed = _removals(state, sight, state.findings | news, now)
    for batch in _releases(sight):
        batches += outcome.judged(state, batch.name, Finding(LinkState.RELEASED, batches=(batch,)), now)[1]
    batches = removed[:MOST_REMOVALS] + batches[:MOST]
    bearers = _bearers(sight)
    actions += tell(state, news, now, clock) + leaving(state, bearers, clock) + _have_left(state)
    if batches:
        state.is_busy = True
        return [*actions, Make(tuple(batches))]
    return [*actions, WakeAt(state.next_time(now))]


def _judge(state: LinksState, sight: Sight) -> None:
    """Judge the ends anew that something has changed for."""
    attempts = {name: memory.making.times for name, memory in state.memories.items() if memory.making is not None}
    if state.unjudged is None:
        state.findings, state.concerned = judge(sight, attempts), concerned(sight)
        state.untold = set(state.findings)
    elif names := state.unjudged.union(*(state.concerned.get(place, ()) for place in state.changed)):
        found = judge(sight, attempts, names)
        state.findings |= found
        state.untold |= found.keys()
    state.unjudged, state.changed = set(), set()


def _removals(
    state: LinksState, sight: Sight, findings: Mapping[str, Finding], now: float
) -> tuple[list[LinksAction], list[Batch]]:
    """Return the removals whose time has come, and the announcements of those to come."""
    actions: list[LinksAction] = []
    due: list[Batch] = []
    found = list(removals(sight, findings))
    for batch in found:
        memory = state.memory(batch.name)
        if memory.going_until is None:
            told = going(state, batch.name)
            actions += told
            memory.going_until = now + state.going_wait if told else now
        if memory.going_until <= now:
            due += outcome.judged(state, batch.name, Finding(LinkState.REMOVING, batches=(batch,)), now)[1]
    names = {batch.name for batch in found}
    for name, memory in state.memories.items():
        memory.going_until = memory.going_until if name in names else None
    return actions, due


def _bearers(sight: Sight) -> set[str]:
    """Return the names for which a device bears the mark."""
    return {name for picture in sight.pictures.values() for name, _ in picture.marked(sight.identity)}


def _releases(sight: Sight) -> list[Batch]:
    """Return what takes the marks off the devices of released ends."""
    found = []
    for name in sorted(sight.released & sight.declared.keys()):
        end, mark = sight.declared[name], sight.identity.mark(name)
        place, device = sight.place_of(end), sight.device_of(end)
        if isinstance(place, Place) and device is not None and mark in device.link.altnames:
            found.append(Batch(place, name, (DropAltname(device.link.ifindex, mark),)))
    return found
