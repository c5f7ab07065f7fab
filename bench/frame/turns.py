"""Alternating runs, and the statistics of what they gave."""

from __future__ import annotations

import math
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

LEAST = 7
"""Runs of a benchmark whose row counts."""

T = TypeVar("T")


async def alternate(sides: Mapping[str, Callable[[], Awaitable[T]]], runs: int, warm: int = 1) -> dict[str, list[T]]:
    """Measure every side once in each run, by turns. Return what each side gave, run by run.

    The order is turned around from run to run, so that no side is always the one that runs on warm caches. The first
    `warm` runs are not counted.
    """
    found: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(warm + runs):
        names = list(sides) if number % 2 else list(sides)[::-1]
        for name in names:
            taken = await sides[name]()
            if number >= warm:
                found[name].append(taken)
    return found


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each run. Raises ValueError where the sides have different numbers of runs, or none."""
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"{len(ours)} runs of one side and {len(theirs)} of the other; measure both in every run")
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` per cent of the values do not exceed (nearest rank). Raises ValueError for none."""
    if not values:
        raise ValueError("no values; a percentile needs at least one")
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * part / 100), 1) - 1]


def median(values: Sequence[float]) -> float:
    """Return the median. Raises statistics.StatisticsError, a ValueError, for no values."""
    return statistics.median(values)
