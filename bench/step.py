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
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row

from failoverd.config.spec import Damping
from failoverd.core.step import step
from failoverd.kinds import Bond
from failoverd.model.actions import Action, Send
from failoverd.model.events import Answered, Event, LinkSeen, TimePassed
from failoverd.model.requests import SetActive
from failoverd_lab.crowd import Machine, carrier, machine, unrelated, virtual

LINKS, PAIRS = (10, 100, 1000, 5000), (1, 8, 64, 256)
SIZES = {"links": [(links, 1) for links in LINKS], "pairs": [(3 * pairs + 10, pairs) for pairs in PAIRS]}
"""What grows, and the machines: (links, pairs)."""
LATER = 2.0
"""Seconds after which a VF has been steady for long enough to carry."""
EVENTS: dict[str, Callable[[Machine], list[Event]]] = {
    "unrelated NIC": unrelated,
    "virtual link": virtual,
    "VF's carrier": carrier,
}


def microseconds(one: Machine, make: Callable[[Machine], list[Event]], times: int) -> float:
    """Return the median of so many events of a kind, in CPU time.

    What happened is undone between them: the kernel does what was asked, and the devices are as before.
    """
    events = make(one)
    links = {event.link.ifindex: event.link for event in events if isinstance(event, LinkSeen)}
    before = [one.state.links[ifindex] for ifindex in links if ifindex in one.state.links]
    taken = []
    for _ in range(times):
        begun = time.thread_time_ns()
        actions = [action for event in events for action in step(one.state, event, one.now)]
        taken.append(time.thread_time_ns() - begun)
        obey(one, actions)
        for link in before:
            obey(one, step(one.state, LinkSeen(replace(link)), one.now))
        if any(isinstance(action, Send) for action in actions):
            one.now += LATER
            obey(one, step(one.state, TimePassed(), one.now))
    return turns.median(taken) / 1e3


def obey(one: Machine, actions: Iterable[Action]) -> None:
    """Have the kernel switch as it is asked: it tells of the master's change, and then answers."""
    todo = deque(actions)
    while todo:
        match todo.popleft():
            case Send(ticket, requests):
                for request in requests:
                    if isinstance(request, SetActive):
                        master = one.state.links[request.ifindex]
                        assert isinstance(master.info, Bond)
                        told = replace(master, info=replace(master.info, active=request.slave))
                        todo.extend(step(one.state, LinkSeen(told), one.now))
                answers = ((0, ""),) * len(requests)
                todo.extend(step(one.state, Answered(ticket, requests, answers), one.now))


async def measure(sizes: Sequence[tuple[int, int]], runs: int, times: int) -> dict[str, list[list[float]]]:
    """Return, by kind of event, the microseconds on each machine, run by run."""
    machines = [machine(*size) for size in sizes]
    for each in machines:
        # The same VF is cut again and again, and is not to be taken for one that flaps.
        each.state.config = replace(each.state.config, damping=Damping(enabled=False))

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
