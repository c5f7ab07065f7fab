"""The probes that peer and guest send each other, and each side's record of them.

Both sides send at a fixed rate by absolute deadlines: a late probe does not delay the next ones, and the record has the
time at which a probe was really sent. A probe that never arrives is lost; none is sent twice or answered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PORT = 7009
"""The UDP port of both sides."""

PROBE = struct.Struct("!4sQ")
"""A probe's payload: the magic word and its number. guestprobe.py, which imports nothing of the lab, has the same."""

MAGIC = b"fovr"


@dataclass(slots=True)
class Diary:
    """One side's record. Times are in seconds of that side's own monotonic clock, numbers are the probes'.

    `sent` has the side's own probes, `heard` those of the other side: each number with its time.
    """

    sent: list[tuple[int, float]] = field(default_factory=list)
    heard: list[tuple[int, float]] = field(default_factory=list)


def probe(number: int) -> bytes:
    """Return the payload of a probe."""
    return PROBE.pack(MAGIC, number)


def number_of(payload: bytes) -> int | None:
    """Return the number of a probe, None for any other payload."""
    if len(payload) != PROBE.size or not payload.startswith(MAGIC):
        return None
    number: int = PROBE.unpack(payload)[1]
    return number


def diary(document: Mapping[str, Any]) -> Diary:
    """Return the record that guestprobe.py has written."""
    return Diary(*([(int(n), float(at)) for n, at in document[key]] for key in ("sent", "heard")))
