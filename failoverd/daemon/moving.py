"""One move, from its journal to its end: look at both namespaces, ask the plan, do the next step, look again.

It is resumed after a restart where it was, as the plan remembers nothing. What is refused turns a move back, once.
After that it is tried again, later and later, until one of the two places can be had.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import trio

from failoverd.dataclass import dataclass
from failoverd.model.links import Link
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import Request, SetSysctl
from failoverd.moves.items import Record, Seen, Toward
from failoverd.moves.plan import next_step
from failoverd.moves.steps import Do, Next, Over, Tried, Turn, Wait, Write

log = logging.getLogger("failoverd")

Answers = Sequence[tuple[int, str]]
"""For each request the errno (0: done) and the kernel's text."""

UNKNOWN = frozenset({"door-closed", "runtime-unreachable"})
"""Reasons that say nothing of a namespace itself, only that it could not be asked for."""
SPENT = frozenset({"process-gone", "pid-reused"})
"""Reasons that say that a reference will never lead to a namespace again."""
OFTEN = 3
"""How often the same requests are sent, before what they ask for is taken not to last."""
PATIENCE = 5.0
"""Seconds for what the plan goes on without."""
FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0
"""Seconds until the next try after the way back was refused, too; doubled each time."""
STEPS = 1000
"""More steps than any move takes."""


class GoneError(Exception):
    """A namespace is gone, or cannot be reached."""


class Lives(Protocol):
    """What says who carries in the other namespace, once all is there."""

    async def look(self, mac: str, master: Link, seen: Seen) -> tuple[int, tuple[Request, ...], float]:
        """Return the slave that is to be made active, 0 for none; what the bond is to be asked for before; and when to
        look again (trio's clock)."""


class Ground(Protocol):
    """Both namespaces, and the disk."""

    def where(self) -> Place | Absent:
        """Return what the reference of the move leads to now."""

    async def look(self, place: Place) -> Seen:
        """Look at a namespace. Raises GoneError."""

    async def send(self, place: Place, to: Place, requests: Sequence[Request]) -> Answers:
        """Send requests in one datagram. They may name the namespace `to`. Raises GoneError."""

    async def write(self, place: Place, requests: Sequence[SetSysctl], seen: Seen) -> Answers:
        """Write sysctls. Raises GoneError."""

    async def keep(self, record: Record | None) -> None:
        """Write the journal to disk before this returns; None: remove it. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Rested:
    """There is nothing to do until something changes. `record` is the journal, None where the pair is at home."""

    record: Record | None
    why: str = ""
    """What is waited for."""
    at: float = math.inf
    """When to go on in any case (trio's clock)."""


class Moving:
    """See the module."""

    def __init__(
        self,
        record: Record,
        ground: Ground,
        lives: Lives,
        parks: Callable[[], bool] = lambda: False,
    ) -> None:
        """`parks` says whether it waits, and does not come home, when its namespace ends."""
        self._parks = parks
        self._ground, self._lives = ground, lives
        self._look_at = math.inf
        self.gone_home = False
        """Whether the pair is at home again."""
        self.begin(record)

    def begin(self, record: Record) -> None:
        """Go on with this journal, which is on disk, in place of the last one."""
        self.record = record
        self.trouble = ""
        """Why the move was turned back, or why it does not go on."""
        self._turned = False
        self._wait = FIRST_WAIT
        self._optional_until = math.inf
        self._forget()

    async def note(self, record: Record) -> None:
        """Keep this journal, which differs in nothing that a step in hand depends on. Raises OSError."""
        await self._keep(record)

    async def go_on(self) -> Rested:
        """Go on as far as possible without waiting. Raises OSError where the journal cannot be written."""
        for _ in range(STEPS):
            if (rested := await self._step()) is not None:
                return rested
        return Rested(self.record, "the plan goes in circles; please report this with the log", self._later())

    async def _step(self) -> Rested | None:
        away = self._ground.where()
        try:
            here = await self._ground.look(HERE)
            there = await self._ground.look(away) if isinstance(away, Place) else None
        except GoneError as error:
            return Rested(self.record, str(error), self._later())
        is_there = there is not None and not (self.record.is_over and there.master(self.record.mac) is None)
        if self.record.toward is Toward.AWAY and not is_there:
            return await self._lost(here, away)
        if self.record.is_parked:
            log.info("%s: the network namespace %s is there again", self.record.mac, self.record.ref.value)
            await self._keep(replace(self.record, is_parked=False))
            self._forget()
            return None
        if isinstance(away, Absent) and away.reason in UNKNOWN:
            return Rested(self.record, away.detail, self._later())
        steady = frozenset[int]()
        if self.record.is_over and there is not None and isinstance(away, Place):
            steady, first = await self._chosen(there)
            if todo := tuple(request for request in first if request not in self._refused):
                step = Do(todo, "take in what comes to either slave, as long as it is drained", is_vital=False)
                return await self._send(step, there, away, HERE)
        tried = Tried(self._refused, trio.current_time() < self._optional_until, steady)
        if self.record.toward is Toward.AWAY and isinstance(away, Place) and there is not None:
            return await self._do(next_step(self.record, there, here, away, tried), there, away, HERE)
        return await self._do(next_step(self.record, here, there, HERE, tried), here, HERE, away)

    async def _chosen(self, there: Seen) -> tuple[frozenset[int], tuple[Request, ...]]:
        """Return the slave that is to carry there, if that is another one, and what is asked for before."""
        master = there.master(self.record.mac)
        if master is None:
            return frozenset(), ()
        slave, first, self._look_at = await self._lives.look(self.record.mac, master, there)
        return frozenset({slave} if slave else ()), first

    async def _lost(self, here: Seen, away: Place | Absent) -> Rested | None:
        """The namespace is gone, or what had moved there. The kernel brings the hardware home."""
        if isinstance(away, Absent) and away.reason in UNKNOWN:
            return Rested(self.record, away.detail, self._later())
        is_spent = isinstance(away, Absent) and away.reason in SPENT
        if self._parks() and not is_spent and here.master(self.record.mac) is None:
            return await self._park(away)
        if isinstance(away, Absent) and not here.nics(self.record.mac):
            return Rested(self.record, away.detail)
        record = self.record
        items = record.home if record.is_over or record.is_parked else record.items
        log.warning("%s: the network namespace %s is gone, and its NICs come home", record.mac, record.ref.value)
        await self._keep(replace(record, toward=Toward.HOME, items=items, is_over=False, is_parked=False))
        self._forget()
        return None

    async def _park(self, away: Place | Absent) -> Rested | None:
        """Wait for the namespace, with what was to stand there. There is no master meanwhile."""
        record = self.record
        if not record.is_parked:
            log.warning("%s: the network namespace %s is gone; it is waited for", record.mac, record.ref.value)
            await self._keep(replace(record, is_parked=True, is_over=False, home=record.home or record.items))
            self._forget()
            return None
        return Rested(record, away.detail if isinstance(away, Absent) else "")

    async def _do(self, step: Next, goal: Seen, to: Place, source: Place | Absent) -> Rested | None:
        match step:
            case Write(record):
                await self._keep(record)
            case Do():
                return await self._send(step, goal, to, source)
            case Turn(why):
                return await self._turn(why, source)
            case Wait(why, is_optional=True):
                self._optional_until = min(self._optional_until, trio.current_time() + PATIENCE)
                return Rested(self.record, why, self._optional_until)
            case Wait(why):
                return Rested(self.record, why)
            case Over():
                return await self._over()
        return None

    async def _send(self, step: Do, goal: Seen, to: Place, source: Place | Absent) -> Rested | None:
        self._sent[step.requests] = times = self._sent.get(step.requests, 0) + 1
        if times > OFTEN:
            return await self._failed(step, dict.fromkeys(step.requests, f"to {step.why} does not last"), source)
        log.info("%s: %s", self.record.mac, step.why)
        # A step in a place that is gone by now is not planned: there is nothing to be seen of it.
        place = to if step.at_goal or isinstance(source, Absent) else source
        files = [request for request in step.requests if isinstance(request, SetSysctl)]
        try:
            sent = self._ground.write(place, files, goal) if files else self._ground.send(place, to, step.requests)
            answers = zip(step.requests, await sent, strict=True)
        except GoneError as error:
            log.info("%s: %s", self.record.mac, error)
            return Rested(self.record, str(error), self._later())
        refused = {
            request: request.refused(number, text, str)
            for request, (number, text) in answers
            if number and number not in request.harmless
        }
        if refused:
            return await self._failed(step, refused, source)
        return await self._send(step.then, goal, to, source) if step.then is not None else None

    async def _failed(self, step: Do, refused: dict[Request, str], source: Place | Absent) -> Rested | None:
        if step.is_vital:
            return await self._turn(next(iter(refused.values())), source)
        for request, why in refused.items():
            log.error("%s: %s; the move goes on without", self.record.mac, why)
            self._refused[request] = why
        return None

    async def _turn(self, why: str, source: Place | Absent) -> Rested | None:
        """Turn back, once, unless there is nothing to turn back to."""
        self.trouble = why
        if self._turned or self.record.is_over or isinstance(source, Absent):
            log.error("%s: %s; tried again", self.record.mac, why)
            self._forget()
            return Rested(self.record, why, self._later())
        back = Toward.HOME if self.record.toward is Toward.AWAY else Toward.AWAY
        log.error("%s: the move is turned back: %s", self.record.mac, why)
        await self._keep(replace(self.record, toward=back))
        self._forget()
        self._turned = True
        return None

    async def _over(self) -> Rested:
        record = self.record
        if record.toward is Toward.HOME:
            await self._ground.keep(None)
            self.gone_home = True
            return Rested(None)
        if not record.is_over:
            home = record.home or record.items
            await self._keep(replace(record, is_over=True, home=home))
        self._forget()
        self._wait = FIRST_WAIT
        return Rested(self.record, at=self._look_at)

    async def _keep(self, record: Record) -> None:
        await self._ground.keep(record)
        self.record = record

    def _forget(self) -> None:
        self._sent: dict[tuple[Request, ...], int] = {}
        self._refused: dict[Request, str] = {}
        self._optional_until = math.inf

    def _later(self) -> float:
        wait, self._wait = self._wait, min(self._wait * 2, LONGEST_WAIT)
        return trio.current_time() + wait
