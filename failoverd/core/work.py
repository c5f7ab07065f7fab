"""One owner's work with the kernel: the requests under way, the refusals, and when those may be tried again.

Every part of an owner sends through here, so that none has to know of the others: whether the owner is busy, whose
answer has come, and whether a request is blocked are asked of this one place. A batch goes out with a ticket (owner,
part, number), and its answers come back with it.

A refused request is tried again: after `[join] retry` where devices are made or joined, else after a second, and longer
each time, up to `retry_max` (a switch: up to `retry`). An address or a route that the kernel refuses HOPELESS times on
a master ends the join, which is undone. Configuration that no device takes after that is kept as lost
(plan/leftovers.py), and tried once an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Protocol

from failoverd.dataclass import dataclass
from failoverd.model.actions import Send
from failoverd.model.owners import Owner, Part, Ticket
from failoverd.model.requests import Request, Weight

HOPELESS = 3
"""Number of refusals of a request after which a move is finished without it."""

SOON = 1.0
"""Seconds until a small refused request is tried again, doubled each time: the obstacle may be gone soon."""

ASIDE = frozenset({Part.CARRY, Part.HEAR})
"""The parts that nothing else waits for."""


@dataclass(slots=True)
class Refusal:
    """A request that failed."""

    times: int
    """The number of failures."""
    text: str
    """The text of the last refusal."""
    until: float
    """When it may be tried again (the engine's clock, seconds)."""
    number: int = 0
    """The errno; 0 where it was carried out, and undone by another program."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that went to the kernel in one datagram, for one part of their owner."""

    part: Part
    requests: tuple[Request, ...]


@dataclass(slots=True)
class Work:
    """The requests and refusals of one owner. See the module."""

    owner: Owner
    batches: dict[int, Batch] = field(default_factory=dict)
    """The batches that are with the kernel, by the numbers of their tickets, the oldest first."""
    looking: bool = False
    """An IP configuration is being fetched."""
    unsure: bool = False
    """Answers were lost, and the devices have not been seen since."""
    doubtful: tuple[Request, ...] = ()
    """The requests whose answers were lost."""
    unanswered: int = 0
    """The number of times in a row that answers were lost."""
    pause_until: float = 0.0
    """Nothing is done before: the journal could not be written, or answers are lost again and again."""
    refusals: dict[Request, Refusal] = field(default_factory=dict)
    last: int = 0
    """The number of the last ticket."""

    @property
    def is_busy(self) -> bool:
        """Whether an answer has to come before anything but a switch of the active slave is asked for."""
        return self.looking or self.unsure or self.is_sent

    @property
    def is_sent(self) -> bool:
        """Whether requests are with the kernel that others wait for."""
        return any(batch.part not in ASIDE for batch in self.batches.values())

    def has(self, part: Part) -> bool:
        """Whether a batch of this part is with the kernel."""
        return any(batch.part is part for batch in self.batches.values())

    def newest(self, part: Part) -> tuple[Request, ...]:
        """Return the last requests of this part, if they are not answered yet."""
        found = [batch.requests for batch in self.batches.values() if batch.part is part]
        return found[-1] if found else ()

    def may_have_asked(self, request: Request) -> bool:
        """Whether the kernel may be carrying this out for failoverd now, or may have just done so."""
        mine = (request in batch.requests for batch in self.batches.values() if batch.part not in ASIDE)
        return any(mine) or request in self.doubtful

    def look(self) -> None:
        """An IP configuration is fetched from now on."""
        self.looking = True

    def looked(self) -> None:
        """It has come."""
        self.looking = False

    def send(self, part: Part, requests: Iterable[Request], why: str) -> Send:
        """Send a batch for one of the parts."""
        self.last += 1
        batch = self.batches[self.last] = Batch(part, tuple(requests))
        return Send(Ticket(self.owner, part, self.last), batch.requests, why)

    def answered(self, ticket: Ticket) -> None:
        """The answers to a batch have come, or are known to be lost."""
        self.batches.pop(ticket.number, None)

    def heard(self) -> None:
        """Answers have come: they are not lost again and again."""
        self.unanswered = 0

    def refuse(self, request: Request, refusal: Refusal) -> None:
        """Note that a request failed, or was undone."""
        self.refusals[request] = refusal

    def done(self, request: Request) -> None:
        """The kernel has carried it out: its refusals count no more."""
        self.refusals.pop(request, None)

    def unsent(self, until: float) -> None:
        """Cancel the requests and looks of this step: the journal before them could not be kept.

        Nothing is done before `until`.
        """
        self.pause_until = until
        self.batches = {number: batch for number, batch in self.batches.items() if batch.part in ASIDE}
        self.looking = False

    def lost(self, requests: tuple[Request, ...], now: float, longest: float) -> None:
        """The answers to these are lost.

        The first time may be chance. After that, they may be more than the buffer holds, so failoverd waits, for
        `longest` seconds at most.
        """
        self.unsure = True
        self.doubtful += requests
        self.unanswered += 1
        if self.unanswered > 1:
            self.pause_until = now + min(SOON * 2.0 ** min(self.unanswered - 2, 32), longest)

    def seen_anew(self) -> None:
        """The devices have been seen since answers were lost."""
        self.unsure, self.doubtful = False, ()

    def is_blocked(self, requests: Iterable[Request], now: float) -> bool:
        """Whether one of these was refused lately."""
        return any(now < self.refusals[request].until for request in requests if request in self.refusals)

    def blocked(self, now: float) -> Mapping[Request, str]:
        """Return all requests that were refused lately, with the kernel's words."""
        return {request: refusal.text for request, refusal in self.refusals.items() if now < refusal.until}

    def is_hopeless(self, request: Request) -> bool:
        """Whether it has failed so often that it is not tried any more."""
        return request in self.refusals and self.refusals[request].times >= HOPELESS

    def hopeless(self) -> Mapping[Request, str]:
        """Return all hopeless requests, with the kernel's words; without words where another program undid them each
        time.
        """
        vain = ((request, self.refusals[request]) for request in self.refusals if self.is_hopeless(request))
        return {request: refusal.text if refusal.number else "" for request, refusal in vain}

    def refusal_about(self, ifindex: int) -> list[str]:
        """Return the kernel's refusals about a device, in words."""
        return [refusal.text for request, refusal in self.refusals.items() if ifindex in request.devices]

    def next_retry(self, now: float) -> float | None:
        """Return when the next of them may be tried again."""
        return min((refusal.until for refusal in self.refusals.values() if refusal.until > now), default=None)

    def times(self, request: Request) -> int:
        """Return the number that the next failure of this request will have, from 1."""
        return self.refusals[request].times + 1 if request in self.refusals else 1

    def wait(self, request: Request, retry: float, retry_max: float) -> float:
        """Return the seconds until the next try after that failure: longer each time, by what it disturbs (Weight)."""
        longer = 2.0 ** min(self.times(request) - 1, 32)
        shortest = retry if request.weight is Weight.BIG else SOON
        return min(shortest * longer, retry if request.weight is Weight.SWITCH else retry_max)

    def keep(self, requests: Iterable[Request], until: float) -> None:
        """A move is over: forget all refusals but those of these requests, which may be tried again at `until`."""
        known = ((request, self.refusals[request]) for request in requests if request in self.refusals)
        self.refusals = {request: replace(refusal, until=until) for request, refusal in known}

    def forgive_the_done(self) -> None:
        """Forget requests that were carried out, and undone by another program."""
        self.refusals = {request: refusal for request, refusal in self.refusals.items() if refusal.number}

    def forget_refusals(self) -> None:
        """Forget all refusals, so that everything is tried anew."""
        self.refusals.clear()

    def forget(self, ifindex: int) -> None:
        """Forget the refusals about a device that is gone."""
        for request in [request for request in self.refusals if ifindex in request.devices]:
            del self.refusals[request]


class Owned(Protocol):
    """What is remembered of one owner."""

    work: Work

    @property
    def is_settled(self) -> bool:
        """Whether it has come as far as it can without a new event."""

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone. If it comes back it has another ifindex."""
