"""Drive the links engine against namespaces: what its task and its thread do, without either and without a clock.

The namespaces are this kernel's (RealNamespaces), or a small kernel's of the predictions (ToyNamespaces).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from failoverd.kinds import Place
from failoverd.links.events import (
    LinksAction,
    LinksEvent,
    Log,
    Look,
    Made,
    Make,
    MayGo,
    Pictured,
    PlaceChanged,
    Resolved,
    Tell,
    TimePassed,
    WakeAt,
    Wanted,
    Watch,
)
from failoverd.links.findings import Answers, Batch, carried_out
from failoverd.links.marks import Identity
from failoverd.links.picture import Interest, Picture
from failoverd.links.state import LinksState
from failoverd.links.step import step
from failoverd.model.declared import Declared, End, NamespaceRef
from failoverd.model.linkstatus import LinkStatus
from failoverd.model.places import HERE, Absent
from failoverd.model.requests import Request
from failoverd.model.signals import LinkGoing
from failoverd.netlink.exchange import Exchange
from failoverd.netlink.transport import NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, SOL_NETLINK
from failoverd.plan.predict.machine import Machine
from failoverd.plan.predict.places import Places
from failoverd_lab.namespaces import Namespace

IDENTITY = Identity("0badcafe")
ROUNDS = 200
"""More rounds than any story of a few links takes: an engine that goes on is one that never comes to rest."""


def named(name: str) -> NamespaceRef:
    return NamespaceRef("name", name)


def ends(*given: End) -> Declared:
    return {end.name: end for end in given}


class Namespaces(Protocol):
    """What there is beyond the engine."""

    def place(self, ref: NamespaceRef) -> Place | Absent: ...

    def look(self, place: Place, interest: Interest) -> Picture | None: ...

    def make(self, batch: Batch, refuse: Callable[[Request], int]) -> Answers: ...


class RealNamespaces:
    """Namespaces of this kernel. The thread is in the engine's own."""

    def __init__(self) -> None:
        self._there: dict[Place, Namespace] = {HERE: Namespace.here()}
        self._names: dict[str, Place] = {}
        self._numbers = 0

    def add(self, name: str) -> Namespace:
        self._numbers += 1
        place = Place(self._numbers)
        self._names[name], self._there[place] = place, Namespace.new()
        return self._there[place]

    def remove(self, name: str) -> None:
        """Let go of it. The kernel ends it some time after this returns."""
        self._there.pop(self._names.pop(name)).close()

    def place(self, ref: NamespaceRef) -> Place | Absent:
        return self._names.get(ref.value) or Absent("namespace-absent", f"there is no network namespace {ref.value}")

    def look(self, place: Place, interest: Interest) -> Picture | None:
        if place not in self._there:
            return None
        with self._open(place) as sock:
            return Exchange(sock).look(interest)

    def make(self, batch: Batch, refuse: Callable[[Request], int]) -> Answers:
        also = batch.also if batch.makes and batch.also is not None else batch.place
        if not {batch.place, also} <= self._there.keys():
            return None
        refused = [refuse(request) for request in batch.requests]
        with self._open(batch.place) as sock:
            todo = [request for request, number in zip(batch.requests, refused, strict=True) if not number]
            answers = iter(Exchange(sock).make([todo], {also: self._there[also].file})[0])
        return tuple((number, "") if number else next(answers) for number in refused)

    def ask(self, place: Place, lots: Sequence[Sequence[Request]]) -> Sequence[tuple[tuple[int, str], ...]]:
        """Send requests there; the answers to each lot."""
        with self._open(place) as sock:
            return Exchange(sock).make(lots, {})

    def counters(self, place: Place, name: str) -> Mapping[str, int]:
        """The counters of a device with this name."""
        with self._open(place) as sock:
            ((_, counters),) = Exchange(sock).statistics(Interest(IDENTITY.prefix, frozenset({name}))).values()
        return counters

    def close(self) -> None:
        for namespace in self._there.values():
            namespace.close()

    @contextmanager
    def _open(self, place: Place) -> Iterator[socket.socket]:
        with self._there[place].inside():
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        with sock:
            sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
            sock.settimeout(10)
            sock.bind((0, 0))
            yield sock


class ToyNamespaces(Places):
    """Namespaces of a small kernel made of the predictions (plan/predict/): one machine each."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[NamespaceRef, Place] = {}
        self._epoch = 0
        self.add(HERE, Picture())

    @property
    def here(self) -> Machine:
        return self.machines[HERE]

    def appear(self, ref: NamespaceRef) -> Machine:
        self._epoch += 1
        place = self._names[ref] = Place(len(self.machines), self._epoch)
        return self.add(place, Picture())

    def remove(self, ref: NamespaceRef) -> None:
        self.end(self._names.pop(ref))

    def place(self, ref: NamespaceRef) -> Place | Absent:
        return self._names.get(ref) or Absent("namespace-absent", f"there is no network namespace {ref.value}")


@dataclass
class Driver:
    """The engine and its surroundings. `now` is the moment that the engine is told."""

    namespaces: Namespaces
    state: LinksState = field(default_factory=lambda: LinksState(IDENTITY, renames_live=True))
    now: float = 1000.0
    signals: list[str] = field(default_factory=list)
    """The signals so far: their kind, the end, and the reason."""
    sent: list[str] = field(default_factory=list)
    """The kinds of the requests so far."""
    lines: list[str] = field(default_factory=list)
    """What was logged."""
    watched: frozenset[NamespaceRef] = frozenset()
    wake_at: float | None = None
    holds_going: bool = False
    """Whether a hook takes its time when it hears that a link is going."""
    pause: float = 2.0
    """Seconds that pass before something is told to have changed: the engine looks at once only after a pause."""
    refuse: Callable[[Request], int] = lambda _request: 0
    """The errno with which a request is refused in place of being sent."""

    def declare(self, *given: End) -> None:
        self.tell(Wanted(ends(*given)))

    def tell(self, event: LinksEvent) -> None:
        """Hand over an event, and go on until nothing is under way."""
        if isinstance(event, PlaceChanged):
            self.now += self.pause
        waiting = [event]
        for _ in range(ROUNDS):
            if not waiting:
                return
            for action in step(self.state, waiting.pop(0), self.now, 0.0):
                waiting += self._done(action)
        message = f"the engine does not come to rest: {self.sent[-20:]}"
        raise AssertionError(message)

    def look_again(self) -> None:
        """Look at everything, as after an event from each, and with the references as they lead now."""
        for ref in self.watched:
            self.tell(Resolved(ref, self.namespaces.place(ref)))
        for place in sorted(self.state.relevant()):
            self.tell(PlaceChanged(place))

    def wait(self) -> None:
        """Let the time pass until the engine wants to be woken."""
        assert self.wake_at is not None
        self.now = max(self.now, self.wake_at)
        self.wake_at = None
        self.tell(TimePassed())

    def status(self, name: str) -> LinkStatus:
        return self.state.statuses[name]

    def states(self) -> Mapping[str, str]:
        """Each end's state, with its reason."""
        rows = sorted(self.state.statuses.items())
        return {name: " ".join(filter(None, (row.state.value, row.reason))) for name, row in rows}

    def _done(self, action: LinksAction) -> list[LinksEvent]:
        match action:
            case Watch(refs):
                self.watched = refs
                return [Resolved(ref, self.namespaces.place(ref)) for ref in sorted(refs, key=str)]
            case Look(at):
                return [Pictured({place: self.namespaces.look(place, interest) for place, interest in at.items()})]
            case Make(batches):
                answers = tuple(
                    carried_out(batches, lambda some: [self.namespaces.make(one, self.refuse) for one in some])
                )
                self.sent += [type(request).__name__ for batch, _ in answers for request in batch.requests]
                return [Made(answers)]
            case Tell(LinkGoing() as going):
                self._note(going)
                return [] if self.holds_going else [MayGo(going.name)]
            case Tell(signal):
                self._note(signal)
            case Log(_, text):
                self.lines.append(text)
            case WakeAt(at):
                self.wake_at = at
        return []

    def _note(self, signal: object) -> None:
        words = (type(signal).__name__, getattr(signal, "name", ""), getattr(signal, "reason", ""))
        self.signals.append(" ".join(filter(None, words)))
