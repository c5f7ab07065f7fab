"""The times when each owner wants to be looked at again. Finding the next one costs the same for any number."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

from failoverd.model.owners import Owner

VOID = 64
"""Void entries allowed, on top of as many as there are owners, before they are swept out: an owner that changes its
mind at each event must not take memory for it.
"""


class Timetable:
    """One time for each owner (the engine's clock, seconds)."""

    def __init__(self) -> None:
        self._times: dict[Owner, float] = {}
        self._heap: list[tuple[float, int, Owner]] = []
        """All times that were set and have not come, with a number each, as owners have no order. Those that `_times`
        does not confirm are void.
        """
        self._numbers = count()

    def note(self, owner: Owner, at: float | None) -> None:
        """Look at this owner at this time and at no other; None for never."""
        if at is None:
            self._times.pop(owner, None)
        elif self._times.get(owner) != at:
            self._times[owner] = at
            heappush(self._heap, (at, next(self._numbers), owner))
        if len(self._heap) > 2 * len(self._times) + VOID:
            self._heap = [(moment, next(self._numbers), one) for one, moment in self._times.items()]
            heapify(self._heap)

    def next(self) -> float | None:
        """Return the earliest time of all."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> set[Owner]:
        """Return the owners whose time has come, and clear their times."""
        found: set[Owner] = set()
        while (at := self.next()) is not None and at <= now:
            owner = heappop(self._heap)[2]
            del self._times[owner]
            found.add(owner)
        return found
