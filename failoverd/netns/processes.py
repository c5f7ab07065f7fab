"""Processes that references are bound to: a pid alone is given to another process sooner or later."""

from __future__ import annotations

import os
import select
from pathlib import Path

from failoverd.model.places import Absent

PROC = Path("/proc")
AFTER_NAME = 19
"""The start time is the 22nd field of /proc/PID/stat, the 20th behind the name, which may have blanks and brackets."""


class AbsentError(Exception):
    """A reference leads to no namespace at present."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.absent = Absent(reason, detail)


class Process:
    """A running process, by a pidfd, which keeps nothing of it alive. `close` closes that."""

    def __init__(self, pid: int, started: int = 0) -> None:
        """Find it, the one that was started then, 0 for any. Raises AbsentError."""
        self.pid = pid
        try:
            self.pidfd = os.pidfd_open(pid)
        except (OSError, OverflowError) as error:
            # OverflowError: no pid is that large.
            raise AbsentError("process-gone", f"there is no process {pid}") from error
        try:
            self.started = start_time((PROC / str(pid) / "stat").read_bytes())
            is_alive = not self.has_ended()
        except (OSError, ValueError, LookupError):
            is_alive = False
        if not is_alive:
            self.close()
            raise AbsentError("process-gone", f"process {pid} has ended")
        if started not in (0, self.started):
            self.close()
            raise AbsentError("pid-reused", f"process {pid} has ended, and another one has its pid; declare it anew")

    def has_ended(self) -> bool:
        """Return whether it has; its pid may be another one's by now."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the pidfd."""
        os.close(self.pidfd)


def start_time(stat: bytes) -> int:
    """Return the start time from /proc/PID/stat, in ticks since the boot. Raises ValueError, LookupError."""
    return int(stat[stat.rindex(b")") + 1 :].split()[AFTER_NAME])
