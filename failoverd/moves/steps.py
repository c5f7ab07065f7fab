"""The steps of a move that its plan can name (moves/plan.py), and what the plan is told beside what is seen."""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.dataclass import dataclass
from failoverd.model.requests import Request
from failoverd.moves.items import Record


@dataclass(frozen=True, slots=True)
class Do:
    """Send these in one datagram, or, where they are sysctls, write the files; in the goal, or in the other place."""

    requests: tuple[Request, ...]
    why: str
    at_goal: bool = True
    is_vital: bool = True
    """Whether the move is turned back when one of them is refused. Otherwise it goes on without."""
    then: Do | None = None
    """What is sent right behind it, without another look, if nothing of it is refused."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write this journal first."""

    record: Record


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn back: it cannot be done. `why` is in words."""

    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a change."""

    why: str
    is_optional: bool = False
    """Whether the plan goes on without the change after a while."""


@dataclass(frozen=True, slots=True)
class Over:
    """All of it stands in the goal, and nothing in the other place."""


Next = Do | Write | Turn | Wait | Over


@dataclass(frozen=True, slots=True)
class Tried:
    """What the plan cannot see in the namespaces."""

    refused: Mapping[Request, str]
    """The kernel's words about requests that it has refused, or that did not last."""
    is_patient: bool = True
    """Whether to wait for what is optional."""
    steady: frozenset[int] = frozenset()
    """The slave that is to carry there instead of the active one, by ifindex; at most one (living.py)."""
