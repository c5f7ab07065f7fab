"""Read what the tap (tap.c) has noted."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

COUNTER = struct.Struct("=Q")
RECORD = struct.Struct("=QIHHiI")
ROOM = 1 << 20
"""Records that fit."""


@dataclass(frozen=True, slots=True)
class Noted:
    """One netlink message that a process sent or received; `at` in seconds of time.monotonic."""

    at: float
    pid: int
    is_received: bool
    type: int
    ifindex: int
    flags: int


class Tap:
    """The file that tapped processes write to, and the environment that taps them."""

    def __init__(self, library: Path, folder: Path) -> None:
        path = folder / "tap"
        with path.open("wb") as file:
            file.truncate(COUNTER.size + ROOM * RECORD.size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": os.fspath(library), "FAILOVERD_TAP": os.fspath(path)}

    def clear(self) -> None:
        """Forget all that was noted."""
        self._map[: COUNTER.size] = COUNTER.pack(0)

    def used(self) -> int:
        """Return how many messages were noted since `clear`."""
        return int(COUNTER.unpack_from(self._map)[0])

    def noted(self, first: int = 0) -> Iterator[Noted]:
        """Yield what was noted since `clear` from this record on, in the order of the records. Raises ValueError where
        some did not fit."""
        used = self.used()
        if used > ROOM:
            raise ValueError(f"{used} messages, and the tap has room for {ROOM}; measure fewer events")
        raw = self._map[COUNTER.size + first * RECORD.size : COUNTER.size + used * RECORD.size]
        for at, pid, is_received, kind, ifindex, flags in RECORD.iter_unpack(raw):
            yield Noted(at / 1e9, pid, bool(is_received), kind, ifindex, flags)
