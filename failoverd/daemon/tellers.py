"""Telling others what happened and how things are: the journal, the history, the hooks, the metrics.

    engine: on_signal, on_step --> a queue, a mark --> this task --> every teller, one after the other

The engine only appends to a queue and sets a mark; the rest is done by another task when the engine has nothing to do.
A teller is a small object whose methods return at once: it writes a file or a datagram, and waits for nobody. What one
of them cannot do is logged, once a minute at most, and keeps nobody else from being told. The queue
has a bound: what does not fit is dropped and counted, for no memory may grow because a disk is slow.

A teller hears of a signal before it sees the state that came of it. When no more comes it is shown the state once
again, so that it may pass over some of many states and has the last one all the same.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from failoverd.core.state import State
from failoverd.core.status import Document, status
from failoverd.model.signals import FailedOver, Signal

log = logging.getLogger("failoverd")

PAUSE = 0.1
"""Seconds from a step to what is told of it: a burst of steps is told of once."""
SETTLED = 1.5
"""Seconds without a step after which the state is shown once again."""
WAITING = 1000
"""Signals that may wait to be told."""
QUIET = 60.0
"""Seconds for which a teller's next trouble is not logged."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When it happened, in seconds: `wall` since the epoch, `monotonic` by CLOCK_MONOTONIC."""

    wall: float
    monotonic: float


class Teller(Protocol):
    """Somebody who tells others. Both methods return at once, and raise OSError where they cannot tell."""

    def signalled(self, signal: Signal, moment: Moment, /) -> None:
        """The kernel confirmed this at that moment."""

    def stepped(self, document: Document, /) -> None:
        """The status document is this now; called when it may be another than before, also the first time."""


class Tellers:
    """See the module. Give `signalled` and `stepped` to the engine's Outside, and run `run` beside it.

    `lost` counts the signals nobody was told of.
    """

    def __init__(self, tellers: Sequence[Teller]) -> None:
        self.lost = 0
        self._lost_before = 0
        self._tellers = tellers
        self._signals: deque[tuple[Signal, Moment]] = deque()
        self._state: State | None = None
        self._last: State | None = None
        self._woken = trio.Event()
        self._quiet_until: dict[int, float] = {}

    def signalled(self, signal: Signal) -> None:
        """The engine has emitted a signal."""
        if len(self._signals) >= WAITING:
            self.lost += 1
            return
        ago = trio.current_time() - signal.at if isinstance(signal, FailedOver) else 0.0
        self._signals.append((signal, Moment(time.time() - ago, time.monotonic() - ago)))
        self._woken.set()

    def stepped(self, state: State) -> None:
        """The engine has made a step."""
        self._state = self._last = state
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        patience = math.inf
        while True:
            with trio.move_on_after(patience):
                await self._woken.wait()
            patience = SETTLED if self._woken.is_set() else math.inf
            if patience == SETTLED:
                await trio.sleep(PAUSE)
                self._woken = trio.Event()
            else:
                self._state = self._last
            await self.tell()

    async def tell(self) -> None:
        """Tell what there is to tell now, with a turn for the engine after each."""
        while self._signals:
            signal, moment = self._signals.popleft()
            for teller in self._tellers:
                self._try(teller, partial(teller.signalled, signal, moment))
            await trio.lowlevel.checkpoint()
        if lost := self.lost - self._lost_before:
            log.warning("%d signals were dropped, for they came faster than they could be told", lost)
            self._lost_before = self.lost
        if self._state is not None:
            document, self._state = status(self._state), None
            for teller in self._tellers:
                self._try(teller, partial(teller.stepped, document))
                await trio.lowlevel.checkpoint()

    def _try(self, teller: Teller, tell: Callable[[], None]) -> None:
        """What breaks here may not end the failing over, nor keep the others from being told."""
        try:
            tell()
        except Exception as error:
            now = time.monotonic()
            if now < self._quiet_until.get(id(teller), 0.0):
                return
            self._quiet_until[id(teller)] = now + QUIET
            if isinstance(error, OSError):
                log.warning("%s; traffic has no part in it", error)
            else:
                log.exception("%s failed; please report this. Traffic has no part in it", type(teller).__name__)
