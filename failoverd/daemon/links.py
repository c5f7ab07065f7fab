"""The links engine: the loop around links/step.py, with its looks and requests in a thread of their own.

Deleting one veth pair blocks its sender for 16 ms. So nothing of this goes through the failover engine's socket or
task: a thread sends, by sockets that are opened in the namespaces concerned and closed again, and this task only hands
events to `step`. The failover engine knows nothing of it, and gives away only which masters are joined.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar

import trio

from failoverd.core.state import State
from failoverd.daemon.namespace_events import Ended, Event, NamespaceEvents, Overrun, Told
from failoverd.daemon.namespaces import Namespaces
from failoverd.daemon.open_namespace import NamespaceGoneError, OpenNamespace
from failoverd.daemon.ports import can_rename_live
from failoverd.kinds import Place
from failoverd.links.events import (
    LinksAction,
    LinksEvent,
    Log,
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
    Tell,
    TimePassed,
    WakeAt,
    Wanted,
    Watch,
)
from failoverd.links.findings import Answers, Batch, carried_out
from failoverd.links.marks import Identity
from failoverd.links.picture import Interest, Picture
from failoverd.links.sight import interests
from failoverd.links.state import LinksState
from failoverd.links.step import step
from failoverd.model.declared import Declared, NamespaceRef
from failoverd.model.links import Link
from failoverd.model.linkstatus import LinkStatus
from failoverd.model.places import Absent
from failoverd.model.signals import LinkGoing, Signal
from failoverd.netlink.concern import concerns
from failoverd.netlink.exchange import Exchange
from failoverd.netlink.fetch import InterruptedDumpError
from failoverd.netlink.frames import NetlinkError

log = logging.getLogger("failoverd")

FAILURES = (OSError, NamespaceGoneError, NetlinkError, InterruptedDumpError)
"""What may come of a request to a namespace that goes, or that others change all the time."""


class Doors(Protocol):
    """The way into namespaces (daemon/namespaces.py)."""

    async def run(self) -> None:
        """Follow the references until cancelled."""

    def changes(self) -> AsyncIterator[tuple[NamespaceRef, Place | Absent]]:
        """Yield where each reference leads, and each change."""

    def watch(self, refs: frozenset[NamespaceRef]) -> None:
        """Tell where these references lead, from now on; all of them, and each change."""

    def open(self, place: Place) -> OpenNamespace:
        """Open a namespace; blocks. Raises NamespaceGoneError, OSError."""


Concerned = Callable[[Place, bytes], bool]
"""Whether a datagram that the kernel has sent about a namespace has to do with declared links."""

Listen = Callable[[Callable[[Place | None], None], Concerned], Awaitable[None]]
"""Hands on the namespaces in which something has changed, until cancelled; None where anything may have."""


class Links:
    """See the module. `tell` takes signals; `has_hooks` says, in a thread, whether hooks want to know of a link that is
    going to be deleted, which waits for them then; `listen` hands on what the kernel tells, and `catch_up` what it has
    told up to now.
    """

    def __init__(
        self,
        state: LinksState,
        doors: Doors,
        tell: Callable[[Signal], None],
        has_hooks: Callable[[], bool],
        listen: Listen,
        catch_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._state, self._doors, self._tell, self._has_hooks, self._listen = state, doors, tell, has_hooks, listen
        self._catch_up = catch_up
        self._send, self._events = trio.open_memory_channel[LinksEvent](math.inf)
        self._noted: set[Place | None] = set()
        """The namespaces in which something has changed since they were last looked at."""
        self._interests: dict[Place, Interest] = {}
        self._known: dict[Place, dict[bytes, Link]] = {}
        self._masters: Mapping[str, int] = {}
        self._wake_at = math.inf
        self._one_thread = trio.CapacityLimiter(1)

    def declare(self, declared: Declared, retry_max: float, going_wait: float, is_complete: bool = True) -> None:
        """Take these declarations in place of the last ones, with the longest waits in seconds. `is_complete` says
        whether all of their sources have spoken."""
        self._state.retry_max, self._state.going_wait = retry_max, going_wait
        self._send.send_nowait(Wanted(declared, is_complete))

    def resolved(self, ref: NamespaceRef, to: Place | Absent) -> None:
        """Note where a reference leads now."""
        self._send.send_nowait(Resolved(ref, to))

    def changed(self, place: Place | None) -> None:
        """Note that something has changed in a namespace; None: anything may have."""
        if place not in self._noted:
            self._noted.add(place)
            self._send.send_nowait(PlaceChanged(place))

    def is_concerned(self, place: Place, datagram: bytes) -> bool:
        """Return whether a datagram about a namespace says something new of declared links."""
        if place in self._noted:
            return False
        picture, interest = self._state.pictures.get(place), self._interests.get(place)
        return picture is None or interest is None or concerns(datagram, interest, picture)

    def stepped(self, state: State) -> None:
        """Note the masters that are joined, after a step of the failover engine."""
        masters = joined_masters(state)
        if masters != self._masters:
            self._masters = masters
            self._send.send_nowait(MastersSeen(masters))

    def rows(self) -> Sequence[LinkStatus]:
        """Return the status of each end, in the order of their names."""
        return [status for _, status in sorted(self._state.statuses.items())]

    def resync(self, name: str = "") -> None:
        """Look at everything again, and try at once what waits."""
        self._send.send_nowait(ResyncAsked(name))

    def release(self, name: str) -> None:
        """Take an end out of failoverd's care. Raises KeyError for one that is not declared."""
        if name not in self._state.declared:
            raise KeyError(name)
        self._send.send_nowait(ReleaseAsked(name))

    async def statistics(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counters of the devices that are there, by the ends' names."""
        looks = interests(self._state.sight(), self._state.relevant())
        return await trio.to_thread.run_sync(self._count, looks, limiter=self._one_thread)

    def _count(self, looks: Mapping[Place, Interest]) -> dict[str, Mapping[str, int]]:
        counted: dict[str, Mapping[str, int]] = {}
        for place, interest in looks.items():
            try:
                with self._doors.open(place) as opened:
                    rows = Exchange(opened.socket).statistics(interest)
            except FAILURES as error:
                log.debug("links: %s cannot be looked at: %s", place, error)
                continue
            for link, counters in rows.values():
                if name := self._state.identity.marked(link.altnames):
                    counted[name] = counters
        return dict(sorted(counted.items()))

    async def run(self) -> None:
        """Follow the declarations until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._doors.run)
            nursery.start_soon(self._follow)
            nursery.start_soon(self._listen, self.changed, self.is_concerned)
            while True:
                event: LinksEvent = TimePassed()
                with trio.move_on_at(self._wake_at):
                    event = await self._events.receive()
                if isinstance(event, PlaceChanged):
                    if event.place not in self._noted:
                        # It was looked at meanwhile.
                        continue
                    self._noted.discard(None)
                self._wake_at = math.inf
                for action in step(self._state, event, trio.current_time(), time.time()):
                    self._do(nursery, action)

    async def _follow(self) -> None:
        """Hand on where the references lead."""
        async for ref, to in self._doors.changes():
            self.resolved(ref, to)

    def _do(self, nursery: trio.Nursery, action: LinksAction) -> None:
        match action:
            case Watch(refs):
                self._doors.watch(refs)
            case Look(at):
                relevant = self._state.relevant()
                self._interests = {place: one for place, one in self._interests.items() if place in relevant} | {**at}
                # The look shows what has happened up to now.
                self._catch_up()
                self._noted -= at.keys()
                nursery.start_soon(self._in_thread, self._look, action)
            case Make():
                nursery.start_soon(self._in_thread, self._make, action)
            case Tell(signal):
                self._tell(signal)
                if isinstance(signal, LinkGoing):
                    nursery.start_soon(self._may_go, signal.name)
            case Log(level, text):
                log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
            case WakeAt(at):
                self._wake_at = at

    async def _in_thread(self, work: Callable[[Any], LinksEvent], action: Look | Make) -> None:
        event = await trio.to_thread.run_sync(work, action, limiter=self._one_thread)
        self._send.send_nowait(event)

    async def _may_go(self, name: str) -> None:
        """Let a link go at once where no hook is to hear of it."""
        if not await trio.to_thread.run_sync(self._has_hooks):
            self._send.send_nowait(MayGo(name))

    def _look(self, action: Look) -> Pictured:
        """Look at the namespaces, in the thread."""
        pictures: dict[Place, Picture | None] = {}
        self._known = {place: known for place, known in self._known.items() if place in self._state.relevant()}
        for place, interest in action.at.items():
            try:
                with self._doors.open(place) as opened:
                    pictures[place] = Exchange(opened.socket, self._known.setdefault(place, {})).look(interest)
            except FAILURES as error:
                log.debug("links: %s cannot be looked at: %s", place, error)
                pictures[place] = None
        return Pictured(pictures)

    def _make(self, action: Make) -> Made:
        """Send the batches, in the thread: those of one namespace by one socket, and those that make something in
        another one together, so that each is opened once."""
        answers: list[tuple[Batch, Answers]] = []
        for place, mine in _grouped(action.batches, lambda batch: batch.place).items():
            try:
                with self._doors.open(place) as opened:
                    exchange = Exchange(opened.socket)
                    for target, batches in _grouped(mine, lambda batch: batch.also if batch.makes else None).items():
                        answers += self._sent(place, exchange, target, batches)
            except FAILURES as error:
                log.debug("links: %s cannot be reached: %s", place, error)
        sent = {id(batch) for batch, _ in answers}
        return Made((*answers, *((batch, None) for batch in action.batches if id(batch) not in sent)))

    def _sent(
        self, place: Place, exchange: Exchange, target: Place | None, batches: Sequence[Batch]
    ) -> list[tuple[Batch, Answers]]:
        """Send batches, with a file of the namespace in which they make something, which is open for as long. What
        follows them in there goes through a socket inside."""
        answers: list[tuple[Batch, Answers]] = []
        try:
            if target is None:
                answers += carried_out(batches, lambda some: exchange.make([one.requests for one in some], {}))
                return answers
            with self._doors.open(target) as opened:
                ways, files = {target: Exchange(opened.socket), place: exchange}, {target: opened.fd}

                def send(some: Sequence[Batch]) -> Sequence[Answers]:
                    # All of one kind are for one namespace: what makes something, and what follows it.
                    return ways[some[0].place].make([one.requests for one in some], files)

                answers += carried_out(batches, send)
        except FAILURES as error:
            log.debug("links: %s cannot be reached: %s", target, error)
        return answers


Key = TypeVar("Key")


def _grouped(batches: Iterable[Batch], key: Callable[[Batch], Key]) -> dict[Key, list[Batch]]:
    groups: dict[Key, list[Batch]] = {}
    for batch in batches:
        groups.setdefault(key(batch), []).append(batch)
    return groups


def joined_masters(state: State) -> Mapping[str, int]:
    """Return the masters of joined pairs: their ifindexes by name and by MAC."""
    masters: dict[str, int] = {}
    for mac, pair in state.pairs.items():
        master = state.link(state.judgements.pair(mac).master) if pair.joined else None
        if master is not None:
            masters |= {mac: master.ifindex, master.name: master.ifindex}
    return masters


def identity_of(runtime: Path, root: Path = Path("/")) -> Identity:
    """Return the identity of the failoverd with this runtime directory on this machine (machine-id(5))."""
    try:
        machine = (root / "etc/machine-id").read_bytes().strip()
    except OSError:
        machine = b""
    return Identity(blake2b(machine + os.fsencode(runtime), digest_size=4).hexdigest())


def open_links(runtime: Path, door: Path, hooks: Path, tell: Callable[[Signal], None]) -> Links:
    """Return the links engine of the failoverd with this runtime directory.

    `door` is the socket of failoverd-netns, `hooks` the directory of administrators' hooks.
    """
    state = LinksState(identity_of(runtime), renames_live=can_rename_live(os.uname().release))
    namespaces = Namespaces(door)
    ears = Ears(namespaces.place_of)
    return Links(state, namespaces, tell, partial(any_in, hooks), ears.listen, ears.catch_up)


def any_in(directory: Path) -> bool:
    """Return whether there is anything in a directory that runs."""
    try:
        return any(os.access(entry, os.X_OK) for entry in os.scandir(directory))
    except OSError:
        return False


class Ears:
    """What the kernel tells of failoverd's own namespace and of those that are referred to."""

    def __init__(self, place_of: Callable[[int], Place | None]) -> None:
        self._place_of = place_of
        self._heard: NamespaceEvents | None = None
        self._hand_on: tuple[Callable[[Place | None], None], Concerned] = (lambda _place: None, lambda *_: False)

    async def listen(self, changed: Callable[[Place | None], None], is_concerned: Concerned) -> None:
        """See Listen."""
        self._hand_on = changed, is_concerned
        with closing(NamespaceEvents(self._place_of)) as self._heard:
            async for event in self._heard.events():
                self._take(event)

    def catch_up(self) -> None:
        """Hand on what has happened and was not heard yet. Raises OSError."""
        for event in self._heard.pending() if self._heard is not None else ():
            self._take(event)

    def _take(self, event: Event) -> None:
        changed, is_concerned = self._hand_on
        match event:
            case Told(place, datagram):
                if is_concerned(place, datagram):
                    changed(place)
            case Ended(place):
                changed(place)
            case Overrun():
                changed(None)
