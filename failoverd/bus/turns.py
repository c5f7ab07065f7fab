"""How many calls are under way, and whose.

A call may wait for the kernel, for seconds. Many of them together must not keep others out: so there is a bound for
each client, and one for all that reads and one for all that changes something. The bus's policy lets only few people do
the latter, so nobody else can take their turns.
"""

from __future__ import annotations

from collections import Counter

from failoverd.bus.dispatch import ERROR, Asked
from failoverd.bus.faces import BusError

CALLS = 16
"""Calls that may be under way at once, of those that change something and of the others."""
CALLS_OF_ONE = 8
"""The same for one client."""


class Turns:
    """The calls under way. Every `begin` that does not raise has its `end`."""

    def __init__(self) -> None:
        self._taken: Counter[str | bool] = Counter()

    def begin(self, asked: Asked) -> None:
        """Take a turn. Raises BusError where there is none."""
        for key, most in ((asked.sender, CALLS_OF_ONE), (asked.method.changes, CALLS)):
            if self._taken[key] >= most:
                text = f"{asked.method.name} at {asked.path}: {most} calls are under way at once; try again"
                raise BusError(f"{ERROR}.LimitsExceeded", text)
        self._taken.update((asked.sender, asked.method.changes))

    def end(self, asked: Asked) -> None:
        """Give it back."""
        self._taken.subtract((asked.sender, asked.method.changes))
        self._taken += Counter()
