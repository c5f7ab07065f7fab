"""Limit the orders under way, per client and in all.

An order may wait for the kernel, for seconds, and many of them must not pile up. So there is a bound for each client,
and one for all. Queries are answered one at a time (service.py) and need none.
"""

from __future__ import annotations

from collections import Counter

from failoverd.bus.dispatch import ERROR, Asked
from failoverd.bus.interfaces import BusError

CALLS = 16
"""Most orders under way at once."""
CALLS_OF_ONE = 8
"""The same for one client."""


class CallLimits:
    """Counts the orders under way. Every `begin` that does not raise is followed by one `end`."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """The number of orders under way."""
        return self._taken.total()

    def begin(self, asked: Asked) -> None:
        """Count an order. Raises BusError where the limit is reached."""
        for taken, most in ((self._taken[asked.sender], CALLS_OF_ONE), (self.count, CALLS)):
            if taken >= most:
                text = f"{asked.method.name} at {asked.path}: {most} calls are under way at once; try again"
                raise BusError(f"{ERROR}.LimitsExceeded", text)
        self._taken[asked.sender] += 1

    def end(self, asked: Asked) -> None:
        """The order is answered."""
        self._taken[asked.sender] -= 1
        self._taken += Counter()
