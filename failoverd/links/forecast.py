"""What the links engine would ask for, foretold: its own step decides, and a world that only foretells answers.

As with the pairs' --dry-run, nothing is sent. Every round of the engine is played until it comes to rest, so what has
to wait for something that is made first is foretold, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from failoverd.dataclass import dataclass
from failoverd.links.events import (
    LinksAction,
    LinksEvent,
    Look,
    Made,
    Make,
    MayGo,
    Pictured,
    Resolved,
    Tell,
    Wanted,
    Watch,
)
from failoverd.links.findings import Answers, Batch, carried_out
from failoverd.links.picture import Interest, Picture
from failoverd.links.state import LinksState
from failoverd.links.step import step
from failoverd.model.declared import OWN, Declared, NamespaceRef
from failoverd.model.linkstatus import LinkStatus
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import Request
from failoverd.model.signals import LinkGoing


class World(Protocol):
    """The namespaces, as they were found and then as they would be."""

    def place(self, ref: NamespaceRef) -> Place | Absent:
        """Return where a reference leads."""

    def look(self, place: Place, interest: Interest) -> Picture | None:
        """Return what a look at a namespace would show; None where it cannot be looked at."""

    def make(self, batch: Batch, before: Callable[[Request], int]) -> Answers:
        """Return the kernel's answers to a batch. `before` is called ahead of each request, and returns 0."""

    def name(self, place: Place, ifindex: int) -> str:
        """Return what a device is called."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What would be sent in one datagram."""

    name: str
    """The end that it is for."""

    place: Place
    """Where it would be sent."""

    requests: tuple[str, ...]
    """The requests in plain words."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would be asked, in this order, and how far each end would be then."""

    asked: Sequence[Asked]
    statuses: Mapping[str, LinkStatus]


def foretell(
    state: LinksState,
    declared: Declared,
    world: World,
    is_complete: bool = True,
    released: frozenset[str] = frozenset(),
) -> Forecast:
    """Return what the engine would do with these declarations in place of those in `state`, which is used up.

    `is_complete` says whether all of their sources have spoken, `released` are the ends that the administrator has
    taken out of failoverd's care.
    """
    # The daemon's engine knows by now where the references of before lead.
    for end in state.declared.values():
        state.places[end.namespace] = HERE if end.namespace == OWN else world.place(end.namespace)
    around = _Surroundings(world, frozenset(state.places))
    events: deque[LinksEvent] = deque([Wanted(declared, is_complete)])
    while events and not around.goes_round:
        actions = step(state, events.popleft(), 0.0, 0.0)
        # A changed declaration ends a release; here, what was declared before is not known in full.
        state.released |= released & declared.keys()
        for action in actions:
            events += around.take(action)
    return Forecast(around.asked, dict(state.statuses))


class _Surroundings:
    """What the engine finds around it: its events follow from its actions. It notes what is asked."""

    def __init__(self, world: World, known: frozenset[NamespaceRef]) -> None:
        self.asked: list[Asked] = []
        self.goes_round = False
        """Whether the same was asked again. What the kernel really makes of it is not foretold then."""
        self._world = world
        self._leads = known
        """References of which the engine knows where they lead."""
        self._known: set[tuple[str, Place, tuple[Request, ...]]] = set()

    def take(self, action: LinksAction) -> Iterator[LinksEvent]:
        """Yield what comes of an action."""
        match action:
            case Watch(refs):
                yield from (Resolved(ref, self._world.place(ref)) for ref in sorted(refs - self._leads, key=str))
            case Look(at):
                yield Pictured({place: self._world.look(place, interest) for place, interest in at.items()})
            case Make(batches):
                fresh = {(batch.name, batch.place, batch.requests) for batch in batches} - self._known
                self.goes_round = not fresh
                self._known |= fresh
                yield Made(tuple(carried_out(batches, lambda some: [self._made(batch) for batch in some])))
            case Tell(LinkGoing() as going):
                yield MayGo(going.name)
            case _:
                pass

    def _made(self, batch: Batch) -> Answers:
        words: list[str] = []

        def before(request: Request) -> int:
            words.append(request.describe(lambda ifindex: self._world.name(batch.place, ifindex)))
            return 0

        answers = self._world.make(batch, before)
        if words and not self.goes_round:
            self.asked.append(Asked(batch.name, batch.place, tuple(words)))
        return answers
