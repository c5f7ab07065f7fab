"""Measure everything that this machine can, and write bench/results.json and its picture, bench/results.svg.

The rows and their goals are in frame/goals.py. Each command is a process of its own, one after the other. A row that
was not measured is absent from results.json, and is named at the end with what would measure it; nothing is estimated.
With words, only the commands with one of them are run (start, interfaces, reaction...), and the other rows are kept.

    python bench/all.py [WORD ...] [--runs N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from frame import results, turns
from frame.goals import GOALS
from frame.picture import svg
from frame.row import Row, from_json
from raw.build import CANNOT

ROOT = Path(__file__).resolve().parents[1]
PICTURE = results.PLACE.with_suffix(".svg")


def commands(words: Sequence[str]) -> list[str]:
    """Return the commands that measure rows on this machine, each once; with words, those that contain one of them."""
    every = dict.fromkeys(goal.command for goal in GOALS if not goal.needs_guest)
    return [command for command in every if not words or any(word in command for word in words)]


def run(command: str, more: Sequence[str]) -> tuple[list[Row], str]:
    """Run one command. Return its rows, and a sentence about what went wrong, if anything."""
    with tempfile.TemporaryDirectory(prefix="failoverd-bench-") as folder:
        rows = Path(folder, "rows")
        program, *arguments = command.split()[1:]
        full = [sys.executable, program, *arguments, *more, f"--rows={rows}"]
        code = subprocess.run(full, cwd=ROOT, check=False).returncode
        found = [from_json(entry) for entry in json.loads(rows.read_text(encoding="utf-8"))] if rows.exists() else []
    if code == CANNOT:
        return found, f"{command}: cannot be measured here; see above"
    return found, f"{command}: failed with exit status {code}" if code else ""


def main() -> int:
    """Measure and write. The exit status is 1 where a benchmark failed; a missed goal is no failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only commands that contain one of these")
    parser.add_argument("--runs", type=int, help="alternating runs of each (as each has it)")
    options = parser.parse_args()
    if options.runs is not None and options.runs < turns.LEAST:
        parser.error(f"--runs {options.runs} is too few for results.json; {turns.LEAST} is the least")
    chosen = commands(options.words)
    if not chosen:
        parser.error(f"no command contains {' or '.join(options.words)}; there are: {', '.join(commands(()))}")
    rows = results.read() if options.words else []
    more = [f"--runs={options.runs}"] if options.runs else []
    troubles = []
    for command in chosen:
        print(f"\n== {command}", flush=True)
        begun = time.monotonic()
        found, trouble = run(command, more)
        print(f"({time.monotonic() - begun:.0f} s)", flush=True)
        rows = results.merged(rows, found, GOALS)
        troubles += [trouble] if trouble else []
    results.write(rows)
    if rows:
        PICTURE.write_text(svg(rows), encoding="utf-8")
        print(f"\n{results.table(rows)}\n")
    for words in [*troubles, *results.absent(rows, GOALS)]:
        print(words)
    print(f"{sum(row.met for row in rows)} of {len(rows)} goals met, {len(GOALS) - len(rows)} rows not measured")
    return int(any("failed" in trouble for trouble in troubles))


if __name__ == "__main__":
    sys.exit(main())
