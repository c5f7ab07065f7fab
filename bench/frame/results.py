"""Write and read bench/results.json, and tell its rows as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from frame.row import Goal, Row, from_json, to_json

PLACE = Path(__file__).resolve().parents[1] / "results.json"


def read(path: Path = PLACE) -> list[Row]:
    """Return the rows of a file; none where there is no file. Raises ValueError naming the row and what is wrong."""
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, list):
        raise ValueError(f"{path}: a list of rows is expected; delete it, and run make bench")
    try:
        rows = [from_json(entry) for entry in found]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: {error}; delete it, and run make bench") from error
    if len({row.name for row in rows}) != len(rows):
        raise ValueError(f"{path}: a row is there twice; delete it, and run make bench")
    return rows


def merged(old: Iterable[Row], new: Iterable[Row], goals: Sequence[Goal]) -> list[Row]:
    """Return all rows in the order of the goals, the new ones in place of old ones of the same name.

    Old rows that no goal names any more are left out.
    """
    rows = {row.name: row for row in (*old, *new)}
    return [rows[goal.name] for goal in goals if goal.name in rows]


def write(rows: Iterable[Row], path: Path = PLACE) -> None:
    """Write the rows."""
    text = json.dumps([to_json(row) for row in rows], indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def absent(rows: Iterable[Row], goals: Sequence[Goal]) -> list[str]:
    """Return a sentence for each goal that no row answers."""
    known = {row.name for row in rows}
    return [f"{goal.name}: not measured; {goal.command}" for goal in goals if goal.name not in known]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| row | ratio | spread | goal | met | medians | runs |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        sides = ", ".join(f"{side} {value:g}" for side, value in row.median.items())
        cells = [row.name, f"{row.ratio:.4g}", f"{row.spread[0]:.3g} to {row.spread[1]:.3g}"]
        cells += [f"{row.sense} {row.goal:g}", "yes" if row.met else "MISSED", f"{sides} {row.unit}", str(row.runs)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
