"""What does one event cost in the pure step, on machines of different sizes?

An unrelated NIC's change, a virtual link that comes and goes, and the carrier of a pair's VF, each on a machine with 10
links and one pair, with 5,000 links, and with 256 pairs. Promised: at most 1.3 times the smallest machine's time. The
test of the same (tests/core/test_core_bystanders.py) counts calls, which do not depend on what else is running.

    python bench/step.py [--runs 200]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from failoverd.core.step import step
from failoverd.model.events import Event, LinkSeen
from failoverd_lab.crowd import Machine, carrier, machine, unrelated, virtual

SIZES = {"10 links, 1 pair": (10, 1), "5,000 links": (5000, 1), "256 pairs": (768, 256)}
EVENTS: dict[str, Callable[[Machine], list[Event]]] = {
    "unrelated NIC": unrelated,
    "virtual link": virtual,
    "VF's carrier": carrier,
}
MOST = 1.3


def microseconds(one: Machine, make: Callable[[Machine], list[Event]], runs: int) -> float:
    """The median of so many runs; what happened is undone between them."""
    events = make(one)
    links = {event.link.ifindex: event.link for event in events if isinstance(event, LinkSeen)}
    before = {ifindex: one.state.links[ifindex] for ifindex in links if ifindex in one.state.links}
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        for event in events:
            step(one.state, event, one.now)
        taken.append(time.perf_counter() - begun)
        for link in before.values():
            one.tell(LinkSeen(replace(link)))
    return statistics.median(taken) * 1e6


def main() -> int:
    """Measure, tell, and judge by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="of each event on each machine (200)")
    options = parser.parse_args()
    gc.disable()
    print(f"{'microseconds':16}" + "".join(f"{size:>20}" for size in SIZES))
    worst = 0.0
    for what, make in EVENTS.items():
        row = [microseconds(machine(*size), make, options.runs) for size in SIZES.values()]
        worst = max(worst, *(value / row[0] for value in row))
        print(f"{what:16}" + "".join(f"{value:13.1f} ({value / row[0]:.2f})" for value in row))
    print(f"\nthe dearest is {worst:.2f} times as dear as on the smallest machine; promised {MOST}")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
