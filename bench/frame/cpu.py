"""The CPU time of another process."""

from __future__ import annotations

import time


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that all threads of this process have had, also those that have ended, by the
    scheduler's count.

    The clock's number is the kernel's, as clock_getcpuclockid(3) makes it (include/linux/posix-timers_types.h:
    CPUCLOCK_SCHED of a process). Raises OSError where there is no such process.
    """
    return time.clock_gettime((~pid << 3) | 2)
