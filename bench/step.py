"""What does one event cost in the pure step, on machines of different sizes?

An unrelated NIC's change, a virtual link that comes and goes, and the carrier of a pair's VF, each on machines of 10 to
5,000 links with one pair, and on machines of 1 to 256 pairs: CPU time of this thread, on simulated machines. A run has
every event on every machine, by turns; a row tells the dearest event on the dearest machine, as a multiple of the
smallest machine's time. The test of the same (tests/core/test_core_bystanders.py) counts calls, which do not depend on
what else is running.

    python bench/step.py [--runs 7] [--events 100]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row

from failoverd.core.step import step
from failoverd.model.events import Event, LinkSeen
from failoverd_lab.crowd import Machine, carrier, machine, unrelated, virtual

LINKS, PAIRS = (10, 100, 1000, 5000), (1, 8, 64, 256)
SIZES = {"links": [(links, 1) for links in LINKS], "pairs": [(3 * pairs + 10, pairs) for pairs in PAIRS]}
"""What grows, and the machines: (links, pairs)."""
EVENTS: dict[str, Callable[[Machine], list[Event]]] = {
    "unrelated NIC": unrelated,
    "virtual link": virtual,
    "VF's carrier": carrier,
}


def microseconds(one: Machine, make: Callable[[Machine], list[Event]], times: int) -> float:
    """Return the median of so many events of a kind; what happened is undone between them."""
    events = make(one)
    links = {event.link.ifindex: event.link for event in events if isinstance(event, LinkSeen)}
    before = {ifindex: one.state.links[ifindex] for ifindex in links if ifindex in one.state.links}
    taken = []
    for _ in range(times):
        begun = time.thread_time_ns()
        for event in events:
            step(one.state, event, one.now)
        taken.append(time.thread_time_ns() - begun)
        for link in before.values():
            one.tell(LinkSeen(replace(link)))
    return turns.median(taken) / 1e3


async def measure(sizes: Sequence[tuple[int, int]], runs: int, times: int) -> dict[str, list[list[float]]]:
    """Return, by kind of event, the microseconds on each machine, run by run."""
    machines = [machine(*size) for size in sizes]

    async def one(make: Callable[[Machine], list[Event]]) -> list[float]:
        return [microseconds(each, make, times) for each in machines]

    return await turns.alternate({name: partial(one, make) for name, make in EVENTS.items()}, runs)


def row(bench: Bench, what: str, sizes: Sequence[int], found: dict[str, list[list[float]]]) -> Row:
    """Return the row of what grows: the dearest event on the dearest machine."""
    ratios = {
        (name, at): [run[at] / run[0] for run in taken] for name, taken in found.items() for at in range(1, len(sizes))
    }
    name, at = max(ratios, key=lambda key: turns.median(ratios[key]))
    size, least = sizes[at], sizes[0]
    medians = [turns.median([run[index] for run in found[name]]) for index in (at, 0)]
    sides = dict(zip((f"{name}, {size:,} {what}", f"{least} {what}"), medians, strict=True))
    return bench.of_ratios(BY_NAME[f"event, by {what}"], "us", ratios[name, at], sides)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100, help="of each kind, on each machine, in a run (100)")
    command.add_options(parser)
    options = parser.parse_args()
    gc.disable()
    made = []
    for what, machines in SIZES.items():
        sizes = [size[what == "pairs"] for size in machines]
        bench = Bench()
        found = trio.run(measure, machines, options.runs, options.events)
        print(f"{'microseconds':16}" + "".join(f"{size:>12,} {what}" for size in sizes))
        for name, taken in found.items():
            medians = [turns.median(column) for column in zip(*taken, strict=True)]
            print(f"{name:16}" + "".join(f"{value:18.1f}" for value in medians))
        made.append(row(bench, what, sizes, found))
    command.tell(made, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
