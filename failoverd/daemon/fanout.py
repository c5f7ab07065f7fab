"""Distribute signals and states to the receivers: the journal, the history, the hooks, the metrics.

    engine: on_signal, on_step --> a queue, a mark --> this task --> every receiver, one after the other

The engine only appends to a queue and sets a mark; another task does the rest when the engine has nothing to do. A
receiver is a small object whose methods return at once: it writes a file or a datagram and never blocks. A receiver's
failure is logged, once a minute at most, and does not stop the others. The queue is bounded: what does not fit is
dropped and counted, as memory must not grow because a disk is slow.

A receiver gets a signal before the state that resulted from it. When no more steps come it gets the state once again,
so it may skip some of many states and still has the last one.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from failoverd.core.document import Document
from failoverd.core.state import State
from failoverd.core.status import hardware
from failoverd.model.signals import FailedOver, LinkEvent, Moment, Signal

log = logging.getLogger("failoverd")

PAUSE = 0.1
"""Seconds from a step to its distribution: a burst of steps is one distribution."""
SETTLED = 1.5
"""Seconds without a step after which the state is distributed once again."""
WAITING = 1000
"""Other signals for which there is room beyond that, however many links there are."""
LINKS = 3000
"""Signals that may wait in front of one about a declared link: more than a thousand pairs have ends."""
QUIET = 60.0
"""Seconds for which a receiver's next failure is not logged."""


def moment_of(signal: Signal) -> Moment:
    """Return the moment of a signal that was emitted just now."""
    ago = trio.current_time() - signal.at if isinstance(signal, FailedOver) else 0.0
    return Moment(time.time() - ago, time.monotonic() - ago)


class Receiver(Protocol):
    """Passes signals and states on. Both methods return at once, and raise OSError if they cannot pass it on."""

    def signalled(self, signal: Signal, moment: Moment, /) -> None:
        """The kernel confirmed this at that moment."""

    def stepped(self, document: Document, /) -> None:
        """The status document is this now, without the NICs that are on no bus.

        Called when it may have changed, and once at the start.
        """


class Fanout:
    """The queue and the receivers; see the module. Give `signalled` and `stepped` to the engine's Ports, and run `run`
    beside it.

    `lost` counts the signals that reached no receiver.
    """

    def __init__(self, receivers: Sequence[Receiver]) -> None:
        self.lost = 0
        self._lost_before = 0
        self._receivers = receivers
        self._signals: deque[tuple[Signal, Moment]] = deque()
        self._state: State | None = None
        self._last: State | None = None
        self._woken = trio.Event()
        self._quiet_until: dict[int, float] = {}

    def signalled(self, signal: Signal) -> None:
        """The engine has emitted a signal."""
        if len(self._signals) >= (LINKS if isinstance(signal, LinkEvent) else LINKS + WAITING):
            self.lost += 1
            return
        self._signals.append((signal, moment_of(signal)))
        if isinstance(signal, LinkEvent):
            # The engine's steps have no part in it, and receivers show the links, too, when they are given a state.
            self._state = self._last
        self._woken.set()

    def stepped(self, state: State) -> None:
        """The engine has made a step."""
        self._state = self._last = state
        self._woken.set()

    def touched(self) -> None:
        """Something else that receivers show with a state has changed."""
        self._state = self._last
        self._woken.set()

    async def run(self) -> None:
        """Distribute until cancelled."""
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
        """Distribute what is queued now, with a turn for the engine after each item."""
        while self._signals:
            signal, moment = self._signals.popleft()
            for receiver in self._receivers:
                self._try(receiver, partial(receiver.signalled, signal, moment))
            await trio.lowlevel.checkpoint()
        if lost := self.lost - self._lost_before:
            log.warning("%d signals were dropped, for they came faster than they could be told", lost)
            self._lost_before = self.lost
        if self._state is not None:
            document, self._state = hardware(self._state), None
            for receiver in self._receivers:
                self._try(receiver, partial(receiver.stepped, document))
                await trio.lowlevel.checkpoint()

    def _try(self, receiver: Receiver, tell: Callable[[], None]) -> None:
        """Call one receiver. An exception here must end neither the failing over nor the distribution to the others."""
        try:
            tell()
        except Exception as error:
            now = time.monotonic()
            if now < self._quiet_until.get(id(receiver), 0.0):
                return
            self._quiet_until[id(receiver)] = now + QUIET
            if isinstance(error, OSError):
                log.warning("%s; traffic has no part in it", error)
            else:
                log.exception("%s failed; please report this. Traffic has no part in it", type(receiver).__name__)
