"""Is a failover slower while declared links are deleted? On this kernel, in a namespace, with veths and datapath "tc".

The host cuts a VF's link while failoverd deletes 200 declared pairs of veths, and when it does nothing else, by turns.
The row is what the silence is longer by (the longer of both directions, with 1,000 probes a second), as a part of 5 ms.

    python bench/removals.py [--pairs 200] [--runs 7]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from bisect import bisect_left
from functools import partial
from pathlib import Path
from signal import SIGHUP
from typing import Any

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row
from netns import CONFIG, MAC, UNDER_WAY, until
from raw.build import CANNOT

from failoverd.model.requests import SetUp
from failoverd_lab import judge, namespaces
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import DIRECTIONS, Nic
from failoverd_lab.world import CannotTell

PAIRS = 200
MOST = 0.005
"""Seconds."""
BEGUN = 16
"""Devices that are gone when the link is cut: the deletion is under way."""
RATE, SETTLE, PATIENCE = 1000, 0.5, 60.0
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))


def declared(pairs: int) -> dict[str, Any]:
    """Return the configuration with so many pairs, both ends of each here."""
    ends = {f"a{n}": {"kind": "veth", "peer": {"device": f"b{n}"}} for n in range(pairs)}
    return CONFIG | ({"link": ends} if ends else {})


class Site:
    """A stage with a joined pair that carries traffic, and links that come and go."""

    def __init__(self, stage: Stage, pairs: int) -> None:
        self._stage, self._pairs = stage, pairs
        self.begun = time.monotonic()
        self.windows: list[tuple[float, float]] = []

    def devices(self) -> int:
        """Return how many devices there are."""
        return len(Path(f"/proc/{self._stage.daemon.pid}/net/dev").read_text().splitlines()) - 2

    async def declare(self, pairs: int) -> None:
        """Declare so many pairs."""
        self._stage.daemon.configure(declared(pairs))
        self._stage.daemon.send(SIGHUP)

    async def until_devices(self, least: int, most: int) -> None:
        """Wait until there are so many."""
        with trio.fail_after(PATIENCE):
            while not least <= self.devices() <= most:
                await trio.sleep(0.001)

    async def cut(self, is_busy: bool) -> float:
        """Cut the VF's link, and mend it when traffic is on the standby. Returns the number of its window."""
        bare = self.devices()
        if is_busy:
            await self.declare(self._pairs)
            await self.until_devices(bare + 2 * self._pairs, 1 << 20)
            await trio.sleep(2 * SETTLE)
            await self.declare(0)
            await self.until_devices(0, bare + 2 * self._pairs - BEGUN)
        start = time.monotonic() - self.begun
        await self._stage.set_link("vf", False)
        left = self.devices() - bare
        await until(self._stage, "on-standby")
        self.windows.append((start, time.monotonic() - self.begun + SETTLE))
        if is_busy and not left:
            raise RuntimeError("all pairs were gone when the link was cut; give --pairs more")
        await self.until_devices(bare, bare)
        await trio.sleep(SETTLE)
        await self._stage.set_link("vf", True)
        await until(self._stage, "accelerated")
        await trio.sleep(SETTLE)
        return len(self.windows) - 1


async def measure(pairs: int, runs: int) -> dict[str, list[float]]:
    """Return the silences in seconds, run by run."""
    async with open_stage(NICS, CONFIG) as stage, trio.open_nursery() as nursery:
        for nic in NICS:
            await stage.plug(nic.id)
        await stage.configure("pv")
        await stage.guest.ask(SetUp(stage.ifindexes["vf"], True))
        await stage.daemon.start()
        await stage.start_traffic(RATE, nursery)
        await until(stage, "accelerated")
        site = Site(stage, pairs)
        found = await turns.alternate({"busy": partial(site.cut, True), "quiet": partial(site.cut, False)}, runs)
        guest = await stage.stop_traffic()
        probes = sorted(judge.probes(stage.peer.diary, guest, site.begun, one_clock=True), key=lambda probe: probe.sent)
        nursery.cancel_scope.cancel()
    moments = [probe.sent for probe in probes]

    def silence(window: tuple[float, float]) -> float:
        near = probes[bisect_left(moments, window[0] - UNDER_WAY) : bisect_left(moments, window[1])]
        return max(judge.silence(near, way, *window).length for way in DIRECTIONS)

    return {side: [silence(site.windows[int(number)]) for number in numbers] for side, numbers in found.items()}


def row(bench: Bench, found: dict[str, list[float]]) -> Row:
    """Return the row, in milliseconds."""
    longer = [max(busy - quiet, 0.0) for busy, quiet in zip(found["busy"], found["quiet"], strict=True)]
    goal = BY_NAME["declared pairs, removal"]
    sides = {"silence, 200 pairs being deleted": turns.median(found["busy"]) * 1e3}
    sides |= {"silence": turns.median(found["quiet"]) * 1e3, goal.against: MOST * 1e3}
    return bench.of_ratios(goal, "ms", [one / MOST for one in longer], sides)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of veths that are deleted (200)")
    command.add_options(parser)
    options = parser.parse_args()
    # A collection looks at every probe so far, and would be taken for silence.
    gc.disable()
    try:
        namespaces.enter()
        bench = Bench()
        made = row(bench, trio.run(measure, options.pairs, options.runs))
    except CannotTell as error:
        print(f"bench/removals.py: {error}", file=sys.stderr)
        return CANNOT
    command.tell([made], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
