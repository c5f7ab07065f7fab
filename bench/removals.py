"""Is a failover slower while declared links are deleted? On this kernel, in a namespace, with veths and datapath "tc".

The host cuts a VF's link while failoverd deletes 200 declared pairs of veths, and when it does nothing else, by turns
(pairsite.py). The row is what the outage is longer by, as a part of 5 ms.

    python bench/removals.py [--pairs 200] [--runs 7]
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from signal import SIGHUP
from typing import Any

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row
from netns import CONFIG
from pairsite import BUSY, QUIET, SETTLE, Site, measure
from raw.build import CANNOT

from failoverd_lab import namespaces
from failoverd_lab.netnsstage import Stage
from failoverd_lab.world import CannotTell

PAIRS = 200
MOST = 0.005
"""Seconds."""
BEGUN = 16
"""Devices that are gone when the link is cut: the deletion is under way."""


def declared(pairs: int) -> dict[str, Any]:
    """Return the configuration with so many pairs, both ends of each here."""
    ends = {f"a{n}": {"kind": "veth", "peer": {"device": f"b{n}"}} for n in range(pairs)}
    return CONFIG | ({"link": ends} if ends else {})


class Removals(Site):
    """Links come, and are going when the VF's link is cut."""

    def __init__(self, pairs: int, stage: Stage) -> None:
        super().__init__(stage)
        self._pairs, self._bare = pairs, 0

    def _declare(self, pairs: int) -> None:
        self.stage.daemon.configure(declared(pairs))
        self.stage.daemon.send(SIGHUP)

    async def begin(self) -> None:
        self._bare = self.devices()
        self._declare(self._pairs)
        await self.until_devices(self._bare + 2 * self._pairs, 1 << 20)
        await trio.sleep(2 * SETTLE)
        self._declare(0)
        await self.until_devices(0, self._bare + 2 * self._pairs - BEGUN)
        if self.devices() == self._bare:
            raise RuntimeError("all pairs were gone before the link was cut; give --pairs more")

    async def end(self) -> None:
        await self.until_devices(self._bare, self._bare)


def row(bench: Bench, found: dict[str, list[float]]) -> Row:
    """Return the row, in milliseconds."""
    longer = [max(busy - quiet, 0.0) for busy, quiet in zip(found[BUSY], found[QUIET], strict=True)]
    goal = BY_NAME["declared pairs, removal"]
    sides = {"outage, 200 pairs being deleted": turns.median(found[BUSY]) * 1e3}
    sides |= {"outage": turns.median(found[QUIET]) * 1e3, goal.against: MOST * 1e3}
    return bench.of_ratios(goal, "ms", [one / MOST for one in longer], sides)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of veths that are deleted (200)")
    command.add_options(parser)
    options = parser.parse_args()
    try:
        namespaces.enter()
        made = row(Bench(), trio.run(measure, partial(Removals, options.pairs), options.runs))
    except CannotTell as error:
        print(f"bench/removals.py: {error}", file=sys.stderr)
        return CANNOT
    command.tell([made], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
