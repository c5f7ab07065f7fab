"""The daemon's clock: plain CLOCK_MONOTONIC, where trio's own clock has an arbitrary origin.

So a time means the same to the next failoverd, to D-Bus clients and to readers of the status document.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import trio

STARTED = 22 - 3
"""The index of starttime in /proc/PID/stat, counted from behind the process name (proc_pid_stat(5))."""


class MonotonicClock(trio.abc.Clock):
    """Seconds of CLOCK_MONOTONIC, as `time.monotonic` gives them."""

    def start_clock(self) -> None:
        """Do nothing: the clock runs already."""

    def current_time(self) -> float:
        """Return the present time."""
        return time.monotonic()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return the seconds from now until `deadline`."""
        return deadline - time.monotonic()


def process_age(stat: Path = Path("/proc/self/stat")) -> float:
    """Return the seconds since this process was started; 0 if /proc does not show it."""
    try:
        started = int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[STARTED])
    except (OSError, ValueError, IndexError):
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))
