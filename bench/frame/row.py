"""One row of bench/results.json: a ratio, its goal, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from frame import machine as here
from frame import turns

Sense = Literal["at most", "at least"]
SENSES: tuple[Sense, ...] = ("at most", "at least")


@dataclass(frozen=True)
class Row:
    """What a benchmark found; the fields are the keys in results.json."""

    name: str
    """Which row of the table it is, as in `goals.GOALS`."""
    ratio: float
    """The median of the ratios of all runs."""
    goal: float
    """What the ratio is to be, by `sense`."""
    sense: Sense
    met: bool
    """Whether the goal is met in this run."""
    command: str
    """What measures it again, from the top of the tree."""
    what: str
    """What was measured, and where."""
    against: str
    """What it was measured beside, or the bound it is divided by."""
    unit: str
    """Of the medians."""
    median: dict[str, float]
    """The median of each side over all runs."""
    spread: tuple[float, float]
    """The least and the greatest ratio of a single run."""
    runs: int
    """Runs by turns, warm-up not counted."""
    load: tuple[float, float]
    """Load average of the last minute before and after."""
    quiet: bool
    """Whether the machine had nothing else to do when it began; ratios of a busy machine are less sure."""
    machine: str = field(default_factory=here.machine)
    versions: dict[str, str] = field(default_factory=here.versions)
    date: str = field(default_factory=here.today)


@dataclass(frozen=True)
class Goal:
    """A row that is wanted: its goal, what it means, and what measures it."""

    name: str
    goal: float
    sense: Sense
    what: str
    against: str
    command: str
    needs_guest: bool = False


class Bench:
    """A benchmark that has begun, for the load average at both its ends."""

    def __init__(self) -> None:
        self._load = here.load()

    def row(self, goal: Goal, unit: str, ours: list[float], theirs: list[float], against: str = "") -> Row:
        """Return the row of two sides' runs. `against` tells more than the goal's own words where it is given.

        Raises ValueError where the sides have different numbers of runs, or none.
        """
        found = turns.ratios(ours, theirs)
        medians = {"failoverd": turns.median(ours), against or goal.against: turns.median(theirs)}
        return self.of_ratios(goal, unit, found, medians, against)

    def of_ratios(
        self, goal: Goal, unit: str, found: list[float], medians: Mapping[str, float], against: str = ""
    ) -> Row:
        """Return the row of the ratios of all runs."""
        ratio = _short(turns.median(found))
        return Row(
            goal.name,
            ratio,
            goal.goal,
            goal.sense,
            is_met(ratio, goal),
            goal.command,
            goal.what,
            against or goal.against,
            unit,
            {side: _short(value) for side, value in medians.items()},
            (_short(min(found)), _short(max(found))),
            len(found),
            (round(self._load, 2), round(here.load(), 2)),
            here.is_quiet(self._load),
        )


def is_met(ratio: float, goal: Goal) -> bool:
    """Whether a ratio meets the goal."""
    return ratio <= goal.goal if goal.sense == "at most" else ratio >= goal.goal


def to_json(row: Row) -> dict[str, Any]:
    """Return the row as results.json has it."""
    return asdict(row)


def from_json(found: Mapping[str, Any]) -> Row:
    """Return the row of an entry of results.json. Raises ValueError naming what is wrong with it."""
    names = {one.name for one in fields(Row)}
    if wrong := names ^ found.keys():
        raise ValueError(f"row {found.get('name', '?')}: lacks or has too much: {', '.join(sorted(wrong))}")
    row = Row(**{**found, "spread": tuple(found["spread"]), "load": tuple(found["load"])})
    if row.sense not in SENSES:
        raise ValueError(f"row {row.name}: sense is {row.sense!r}, and may be {' or '.join(SENSES)}")
    held = row.ratio <= row.goal if row.sense == "at most" else row.ratio >= row.goal
    if held != row.met:
        raise ValueError(f"row {row.name}: met is {row.met}, and {row.ratio} is not {row.sense} {row.goal}")
    if row.runs < turns.LEAST:
        raise ValueError(f"row {row.name}: {row.runs} runs, and a row that counts has {turns.LEAST} or more")
    if not row.spread[0] <= row.ratio <= row.spread[1]:
        raise ValueError(f"row {row.name}: its ratio {row.ratio} is outside of its spread {row.spread}")
    return row


def _short(value: float) -> float:
    """Four digits that count: more of them is noise."""
    return float(f"{value:.4g}")
