"""Timers on a foreign clock: they are kept here, and run when the clock's owner says so."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class Timer:
    """One timer; cancelled or run, it is `done`."""

    when: float
    run: Callable[[], None]
    done: bool = False

    def cancel(self) -> None:
        """Never run it."""
        self.done = True


class Timers:
    """A queue of timers. `earlier` is called when a new one comes before all others, so that a sleeper can wake."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self.earlier: Callable[[], None] = lambda: None

    def at(self, when: float, run: Callable[[], None]) -> Timer:
        """Call a function at a time (seconds of the clock)."""
        before = self.due()
        timer = Timer(when, run)
        heapq.heappush(self._queue, (when, next(self._count), timer))
        if before is None or when < before:
            self.earlier()
        return timer

    def due(self) -> float | None:
        """Return when the next timer is due, None for never."""
        while self._queue and self._queue[0][2].done:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def pop(self, now: float) -> Timer | None:
        """Remove and return the next timer that is due."""
        due = self.due()
        if due is None or due > now:
            return None
        timer = heapq.heappop(self._queue)[2]
        timer.done = True
        return timer
