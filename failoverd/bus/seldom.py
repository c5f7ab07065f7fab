"""Lines for the log that others can cause at will, and so must be rare."""

from __future__ import annotations

import logging
import time

log = logging.getLogger("failoverd")

BURST = 5
"""Lines that may be written in one PERIOD."""
PERIOD = 60.0
"""Seconds."""


class Seldom:
    """Warnings, so many in a period; how many were left out is told with the first of the next one."""

    def __init__(self) -> None:
        self._begin = -PERIOD
        self._said = 0

    def warn(self, text: str, *values: object) -> None:
        """Write this line, if there is room for it."""
        now = time.monotonic()
        if now >= self._begin + PERIOD:
            if self._said > BURST:
                log.warning("%d more lines of this kind were left out", self._said - BURST)
            self._begin, self._said = now, 0
        self._said += 1
        if self._said <= BURST:
            log.warning(text, *values)
