"""The command line of a benchmark that makes rows: alone it prints them, for `make bench` it writes them to a file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from frame import results, turns
from frame.row import Row, to_json


def add_options(parser: argparse.ArgumentParser, runs: int = turns.LEAST) -> None:
    """Add --runs and --rows."""
    parser.add_argument("--runs", type=int, default=runs, help=f"alternating runs ({runs})")
    parser.add_argument("--rows", type=Path, help="write the rows to this file, as JSON, for bench/all.py")


def tell(rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Print the rows, and add them to the file that --rows names. Rows of too few runs are printed and not written."""
    print(results.table(rows))
    if rows:
        load = f"load average {rows[0].load[0]:g} before, {rows[-1].load[1]:g} after"
        print(f"\n{rows[0].machine}; {load}{'' if all(row.quiet for row in rows) else ': the machine was not quiet'}")
        print(", ".join(f"{name} {version}" for name, version in rows[0].versions.items()))
    if options.rows is None:
        return
    if options.runs < turns.LEAST:
        print(f"{options.runs} runs are too few for results.json; give --runs {turns.LEAST}", file=sys.stderr)
        return
    before = json.loads(options.rows.read_text(encoding="utf-8")) if options.rows.exists() else []
    options.rows.write_text(json.dumps([*before, *(to_json(row) for row in rows)]), encoding="utf-8")
