"""The rate limiter of failoverd, for log lines that may come at any rate.

Other programs can cause them at will (a client of the bus), or the machine does (no descriptors, no memory, a full
disk), with one line for each attempt. A log that grows without bound is a fault of its own.
"""

from __future__ import annotations

import logging
import time

log = logging.getLogger("failoverd")

BURST = 5
"""Most lines of a kind in one PERIOD."""
PERIOD = 60.0
"""Seconds."""
KINDS = 1000
"""Kinds counted at a time. Beyond that, all further kinds of a PERIOD count as one: a kind may have a device's name in
it, and names can be made up without end."""
OTHERS = object()


class _Kind:
    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.said = 0


class RateLimit:
    """Limits the lines of each kind in a period; the first line of the next period comes with the number of those left
    out."""

    def __init__(self) -> None:
        self._kinds: dict[object, _Kind] = {}
        self._full_until = 0.0

    def left_out(self, kind: object, burst: int = BURST) -> int | None:
        """Count a line. Returns None where it has to be left out, else how many of its kind were left out before it."""
        now = time.monotonic()
        if kind not in self._kinds and not self._has_room(now):
            kind = OTHERS
        found = self._kinds.get(kind)
        left_out = 0
        if found is None or now >= found.begin + PERIOD:
            left_out = max(found.said - burst, 0) if found else 0
            found = self._kinds[kind] = _Kind(now)
        found.said += 1
        return left_out if found.said <= burst else None

    def warn(self, text: str, *values: object) -> None:
        """Log a warning, unless the limit is reached. All warnings of one RateLimit are of one kind."""
        left_out = self.left_out("")
        if left_out:
            log.warning("%d more lines of this kind were left out", left_out)
        if left_out is not None:
            log.warning(text, *values)

    def _has_room(self, now: float) -> bool:
        """Return whether one more kind can be counted. Kinds whose period is over are dropped first."""
        if len(self._kinds) >= KINDS and now >= self._full_until:
            self._kinds = {kind: one for kind, one in self._kinds.items() if now < one.begin + PERIOD}
            self._full_until = min((one.begin for one in self._kinds.values()), default=now) + PERIOD
        return len(self._kinds) < KINDS
