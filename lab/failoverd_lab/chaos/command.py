"""`failoverd-lab chaos`: run many seeds, one of them, or find the shortest history that breaks the same invariant."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from failoverd_lab.chaos.draw import History, draw, loads
from failoverd_lab.chaos.links import run_links
from failoverd_lab.chaos.moves import run_moves
from failoverd_lab.chaos.run import Outcome, cores, run, run_all
from failoverd_lab.chaos.shrink import shrink
from failoverd_lab.commands import AS_EXPECTED, BAD_FILE, FAILED

RUNS, EVENTS = 1000, 50
SHOWN = 20
"""Broken histories that are listed by their seeds; all are counted."""
RunOne = Callable[[int, int, Callable[[str], None] | None], list[str]]
OTHERS: Mapping[str, RunOne] = {"links": run_links, "moves": run_moves}
PACE = 0.5
"""Seconds between two looks at the progress on a terminal."""


def chaos(arguments: Sequence[str], options: Mapping[str, Any]) -> int:
    """Run the command, and return its exit status."""
    events = options.get("--events", EVENTS)
    if not arguments:
        first = options.get("--first", 0)
        seeds = range(first, first + options.get("--runs", RUNS))
        return _many(seeds, events, options.get("--processes", cores()))
    what, *rest = arguments
    if what in OTHERS:
        return _others(OTHERS[what], rest, events, options)
    if what not in ("one", "shrink") or not rest:
        text = "chaos takes nothing, `one SEED`, `shrink SEED`, `links [SEED]` or `moves [SEED]`"
        print(f"failoverd-lab: {text}", file=sys.stderr)
        return BAD_FILE
    try:
        history = _history(rest[0], events)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"failoverd-lab: {rest[0]} is neither a seed nor a history: {error}", file=sys.stderr)
        return BAD_FILE
    return _one(history, "--verbose" in options) if what == "one" else _shrunk(history, options.get("--out"))


def _others(run_one: RunOne, rest: Sequence[str], events: int, options: Mapping[str, Any]) -> int:
    """Tell histories of declared links, or of moves, one after the other."""
    first = options.get("--first", 0)
    seeds = range(first, first + options.get("--runs", RUNS))
    if rest:
        if not rest[0].isdecimal():
            print(f"failoverd-lab: {rest[0]} is no seed", file=sys.stderr)
            return BAD_FILE
        seeds = range(int(rest[0]), int(rest[0]) + 1)
    began, broken = time.monotonic(), 0
    for seed in seeds:
        found = run_one(seed, events, print if "--verbose" in options else None)
        broken += bool(found)
        for text in found:
            print(f"seed {seed}: {text}", flush=True)
    print(f"{len(seeds)} histories of {events} events in {time.monotonic() - began:.0f} s; broken: {broken or 'none'}")
    return FAILED if broken else AS_EXPECTED


def _history(text: str, events: int) -> History:
    """Return the history of a seed, or from a file that `shrink` has written."""
    return draw(int(text), events) if text.isdecimal() else loads(Path(text).read_text(encoding="utf-8"))


def _many(seeds: range, events: int, processes: int) -> int:
    """Run many seeds. They are printed first, so that a run that is killed can be repeated."""
    if not seeds:
        print("failoverd-lab: chaos --runs takes a number of 1 or more", file=sys.stderr)
        return BAD_FILE
    print(f"seeds {seeds[0]} to {seeds[-1]}, {events} events each, {processes} at a time", flush=True)
    began = shown = time.monotonic()
    is_terminal = sys.stderr.isatty()
    done, broken, kinds = 0, 0, Counter[str]()
    steps = requests = 0
    hours = 0.0
    for outcome in run_all(seeds, events, processes):
        done += 1
        steps, requests, hours = steps + outcome.steps, requests + outcome.requests, hours + outcome.hours
        if outcome.failures:
            broken += 1
            kinds.update({failure.kind for failure in outcome.failures})
            if broken <= SHOWN:
                _tell(outcome)
        if is_terminal and time.monotonic() - shown > PACE:
            shown = time.monotonic()
            rate = done / (shown - began)
            print(f"\r{done} of {len(seeds)}, {rate:.1f}/s, {broken} broken ", end="", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    if is_terminal:
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    print(
        f"{done} histories of {events} events in {took:.0f} s: {done / took:.1f} histories and "
        f"{done * events / took:.0f} events a second; {hours:.0f} hours of the machines' time, "
        f"{steps} steps, {requests} requests"
    )
    what = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    print(f"broken: {broken} ({what})" if broken else "broken: none")
    return FAILED if broken else AS_EXPECTED


def _tell(outcome: Outcome) -> None:
    print(f"seed {outcome.seed}:")
    for failure in outcome.failures:
        print(f"  {failure.kind} at {failure.at:.3f} s: {failure.text}", flush=True)


def _one(history: History, verbose: bool) -> int:
    outcome = run(history, print if verbose else None)
    if outcome.failures:
        _tell(outcome)
    print(
        f"seed {outcome.seed}: {outcome.events} events, {outcome.steps} steps, {outcome.requests} requests, "
        f"{outcome.hours:.2f} hours in {outcome.seconds:.2f} s: {'broken' if outcome.failures else 'nothing broken'}"
    )
    return FAILED if outcome.failures else AS_EXPECTED


def _shrunk(history: History, path: Path | None) -> int:
    found = shrink(history)
    if found is None:
        print(f"seed {history.seed}: nothing is broken")
        return AS_EXPECTED
    kind, shortest = found
    if path is not None:
        path.write_text(shortest.dumps() + "\n", encoding="utf-8")
    print(f"{kind} after {len(shortest.events)} of {len(history.events)} events:")
    for event in shortest.events:
        print(f"  {event}")
    _tell(run(shortest))
    return FAILED
