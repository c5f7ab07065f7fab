"""The rows of results.json as a picture: each row's ratio beside its goal, on one axis.

A ratio is drawn as its part of the goal (for "at least", the goal's part of the ratio), so that everything left of the
line is met. The axis is logarithmic, as some rows are a hundred times better than their goal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from failoverd.drawing.picture import BELOW, LANE, TOP, Picture, text
from frame.row import Row

LEFT, PITCH = 170.0, 32.0
TICKS = (0.01, 0.1, 0.5, 1, 2, 10, 100)


def part_of_goal(ratio: float, row: Row) -> float:
    """Return how far a ratio of this row is from its goal: 1 meets it exactly, less is better."""
    return ratio / row.goal if row.sense == "at most" else row.goal / ratio


def svg(rows: Sequence[Row]) -> str:
    """Return the picture as an SVG document. Raises ValueError where there are no rows."""
    if not rows:
        raise ValueError("no rows to draw; run make bench")
    parts = [part_of_goal(ratio, row) for row in rows for ratio in (*row.spread, row.ratio) if ratio > 0]
    start, end = math.log10(min(*parts, 0.5)) - 0.1, math.log10(max(*parts, 2)) + 0.1
    drawn = Picture(start, end, LEFT)
    bottom = TOP + len(rows) * PITCH
    marks = [(math.log10(tick), "goal" if tick == 1 else f"{tick:g}") for tick in TICKS]
    lines = list(drawn.axis([mark for mark in marks if start <= mark[0] <= end], TOP, bottom))
    lines.append(f'<path class="mark" d="M{drawn.x(0):.1f} {TOP:.1f}V{bottom:.1f}"/>')
    for number, row in enumerate(rows):
        lines += _lane(drawn, row, TOP + number * PITCH, start)
    lines += drawn.legend(
        [
            ("box", "vf", "goal met"),
            ("hatched", "other", "goal missed"),
            ("bracket", "quiet", "least and greatest run"),
        ],
        bottom,
    )
    met = sum(row.met for row in rows)
    summary = f"{met} of {len(rows)} goals met; ratio as part of its goal, logarithmic; left of the line is better"
    about = f"{summary}. " + "; ".join(_words(row) for row in rows)
    return drawn.document("failoverd's benchmarks", summary, about, bottom + BELOW, lines)


def _lane(drawn: Picture, row: Row, y: float, start: float) -> Iterator[str]:
    """Draw one row: a bar up to its ratio, a bracket for the spread."""
    yield text(LEFT - 12, y + LANE / 2 + 4, row.name, "end")
    at = _log(part_of_goal(row.ratio, row), start)
    words = f"{row.ratio:.3g}, {row.sense} {row.goal:g}"
    yield from drawn.bar(start, at, y, "vf" if row.met else "other", _words(row), not row.met, ())
    low, high = sorted(_log(part_of_goal(ratio, row), start) for ratio in row.spread)
    yield f'<path class="quiet" d="M{drawn.x(low):.1f} {y + LANE - 2:.1f}v4H{drawn.x(high):.1f}v-4"/>'
    yield text(LEFT + 6, y + LANE / 2 + 4, words, "halo")


def _log(part: float, start: float) -> float:
    return math.log10(part) if part > 0 else start


def _words(row: Row) -> str:
    spread = f"{row.spread[0]:.3g} to {row.spread[1]:.3g} in {row.runs} runs"
    return f"{row.name}: {row.ratio:.3g} of {row.against} ({spread}), goal {row.sense} {row.goal:g}"
