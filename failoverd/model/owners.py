"""Owners of requests to the kernel, of waits and of times, and the concern that a request is part of.

The engine, `step`, the timetable and Work take any owner. A kind of owner is a frozen dataclass derived from Owner. The
functions for its owners are in a module of its own, which has a row in core/owners.py.
"""

from __future__ import annotations

from enum import Enum

from failoverd.dataclass import dataclass


class Owner:
    """Something that requests, waits and times belong to. It is compared and hashed by its fields; str() names it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PairOf(Owner):
    """The pair of a permanent MAC."""

    mac: str

    def __str__(self) -> str:
        return self.mac


class OfPair:
    """An event or an action about the pair of `mac`."""

    __slots__ = ()
    mac: str

    @property
    def owner(self) -> Owner:
        """The owner that it is about."""
        return PairOf(self.mac)


class Part(Enum):
    """The concern of an owner that a batch of requests belongs to."""

    MOVE = "move"
    """Joining, mending and releasing a pair. Its like for other owners."""
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
