"""The times when each owner wants to be looked at again. Finding the next one costs the same for any number."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

VOID = 64
"""Void entries allowed, on top of as many as there are owners, before they are swept out: an owner that changes its
mind at each event must not take memory for it.
"""


class Timetable:
    """One time for each owner (the engine's clock, seconds)."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        """All times that were set and have not come. Those that `_times` does not confirm are void."""

    def note(self, owner: str, at: float | None) -> None:
        """Look at this owner at this time and at no other; None for never."""
        if at is None:
            self._times.pop(owner, None)
        elif self._times.get(owner) != at:
            self._times[owner] = at
            heappush(self._heap, (at, owner))
        if len(self._heap) > 2 * len(self._times) + VOID:
            self._heap = [(moment, one) for one, moment in self._times.items()]
            heapify(self._heap)

    def next(self) -> float | None:
        """Return the earliest time of all."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> set[str]:
        """Return the owners whose time has come, and clear their times."""
        found: set[str] = set()
        while (at := self.next()) is not None and at <= now:
            owner = heappop(self._heap)[1]
            del self._times[owner]
            found.add(owner)
        return found
