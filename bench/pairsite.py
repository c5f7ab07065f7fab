"""A pair (tc, in a namespace of this kernel) whose VF loses its link: quietly, and beside other work, by turns.

What a turn gives is the outage (seconds): from the sending of the last probe that came through to that of the next one
that did, the longer of both directions, with 1,000 probes a second. What sends and hears the probes runs ahead of all
else, or else it waits for the CPU with the other work.
"""

from __future__ import annotations

import gc
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio
from frame import turns
from netns import CONFIG, MAC, UNDER_WAY, preferred_traffic, until

from failoverd.model.requests import SetUp
from failoverd_lab import judge
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import DIRECTIONS, Nic

RATE, SETTLE, PATIENCE = 1000, 0.5, 60.0
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
BUSY, QUIET = "busy", "quiet"


class Site:
    """A stage with a joined pair that carries traffic. Subclasses say what the other work is."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.begun = time.monotonic()
        self.windows: list[tuple[float, float]] = []

    def devices(self) -> int:
        """Return how many devices there are."""
        return len(Path(f"/proc/{self.stage.daemon.pid}/net/dev").read_text().splitlines()) - 2

    async def until_devices(self, least: int, most: int) -> None:
        """Wait until there are so many."""
        with trio.fail_after(PATIENCE):
            while not least <= self.devices() <= most:
                await trio.sleep(0.001)

    async def prepare(self) -> None:
        """Make what stands there all the time."""

    async def begin(self) -> None:
        """Begin the other work, and return in its midst."""

    async def end(self) -> None:
        """End it. Raises RuntimeError where it had ended by itself when the link was cut."""

    async def cut(self, is_busy: bool) -> float:
        """Cut the VF's link, and mend it when traffic is on the standby. Returns the number of its window."""
        if is_busy:
            await self.begin()
        start = time.monotonic() - self.begun
        await self.stage.set_link("vf", False)
        await until(self.stage, "on-standby")
        self.windows.append((start, time.monotonic() - self.begun + SETTLE))
        if is_busy:
            await self.end()
        await trio.sleep(SETTLE)
        await self.stage.set_link("vf", True)
        await until(self.stage, "accelerated")
        await trio.sleep(SETTLE)
        return len(self.windows) - 1


async def measure(kind: Callable[[Stage], Site], runs: int) -> dict[str, list[float]]:
    """Return the outages in seconds, run by run, of BUSY and QUIET."""
    # A collection looks at every probe so far, and would be taken for silence.
    gc.disable()
    async with open_stage(NICS, CONFIG) as stage, trio.open_nursery() as nursery:
        for nic in NICS:
            await stage.plug(nic.id)
        await stage.configure("pv")
        await stage.guest.ask(SetUp(stage.ifindexes["vf"], True))
        site = kind(stage)
        await stage.daemon.start()
        await site.prepare()
        await preferred_traffic(stage, RATE, nursery)
        await until(stage, "accelerated")
        site.begun = time.monotonic()
        found = await turns.alternate({BUSY: partial(site.cut, True), QUIET: partial(site.cut, False)}, runs)
        guest = await stage.stop_traffic()
        probes = sorted(judge.probes(stage.peer.diary, guest, site.begun, one_clock=True), key=lambda probe: probe.sent)
        nursery.cancel_scope.cancel()
    moments = [probe.sent for probe in probes]

    def outage(window: tuple[float, float]) -> float:
        near = probes[bisect_left(moments, window[0] - UNDER_WAY) : bisect_left(moments, window[1])]
        return max(judge.outage(near, way, *window) for way in DIRECTIONS)

    return {side: [outage(site.windows[int(number)]) for number in numbers] for side, numbers in found.items()}
