"""The daemon's clock: CLOCK_MONOTONIC as it is, where trio's own begins anywhere.

So a moment means the same to the next failoverd, to D-Bus clients and to who reads the status document.
"""

from __future__ import annotations

import time

import trio


class MonotonicClock(trio.abc.Clock):
    """Seconds of CLOCK_MONOTONIC, as `time.monotonic` gives them."""

    def start_clock(self) -> None:
        """It runs already."""

    def current_time(self) -> float:
        """Now."""
        return time.monotonic()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Seconds from now until then."""
        return deadline - time.monotonic()
