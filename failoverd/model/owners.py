"""Owners of requests to the kernel, and the concern that a request is part of."""

from __future__ import annotations

from enum import Enum

from failoverd.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class PairOf:
    """The pair of a permanent MAC."""

    mac: str

    def __str__(self) -> str:
        return self.mac


Owner = PairOf


class Part(Enum):
    """The concern of a pair that a batch of requests belongs to."""

    MOVE = "move"
    """Joining, mending and releasing."""
    CARRY = "carry"
    """Which slave carries. The one part that does not wait for the others."""
    HEAR = "hear"
    """Whether the bond hears both slaves."""
    NAMES = "names"
    GUARD = "guard"
    """Undoing what other programs do to slaves."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The sender of a batch. It goes out with the requests and comes back with the answers."""

    owner: Owner
    part: Part
    number: int = 0
    """The number among its owner's tickets, which is unique."""
