"""The state of a move of the configuration to the master or back. core/advance.py carries the move out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.model.pairs import Goal, Inet, Journal


@dataclass(slots=True)
class Move:
    """The state of the move of a pair's IP configuration."""

    journal: Journal | None = None
    """The move that is under way, as last sent to disk."""
    lost: Inet = field(default_factory=Inet)
    """Configuration that an earlier move could not put in its place."""
    journal_before: Journal | None = None
    """The journal that holds if this one cannot be written."""
    lost_before: Inet = field(default_factory=Inet)
    """The value of `lost` that holds if the new one cannot be written."""
    inet: Mapping[int, Inet] = field(default_factory=dict)
    """The configuration that was just looked at, by ifindex. Valid only for the step that brings it."""
    undo_until: float | None = None
    """When the next join is tried, if the last one failed and is undone (the engine's clock, seconds)."""
    undo_reason: str = ""
    """Why the last join failed."""
    logged_reason: str = ""
    """The reason that was logged last: one that stays the same is logged once."""

    @property
    def under_way(self) -> Goal | None:
        """The goal of a move that has begun."""
        return self.journal.toward if self.journal is not None and self.journal.cut else None

    def seen(self, inet: Mapping[int, Inet]) -> None:
        """Take in the configuration that was just looked at."""
        self.inet = inet

    def not_saved(self) -> None:
        """Return to the former journal: the new one could not be written."""
        self.journal, self.lost = self.journal_before, self.lost_before

    def try_anew(self) -> None:
        """Allow another join: the obstacle is gone, or its time is over."""
        self.undo_until, self.undo_reason = None, ""
