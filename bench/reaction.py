"""How soon does failoverd ask the kernel for something, beside a C loop that does the same, and beside a script?

    join      NEWLINK of a VF that was plugged in -> the first change that is asked for
    switch    NEWLINK of the VF without a carrier -> the request that switches

On this kernel, in a namespace of its own for each of the three (raw/site.py), by turns: failoverd with datapath "tc";
raw/loop.c, on raw netlink structs; and raw/script.sh with ip(8) and tc(8), run by the same loop, which leaves out all
of udevd but the fork, so that the real one would be later. All three are tapped by one library (raw/tap.c): a message
counts as received when the call that brings it returns, as sent when the call that sends it begins, on one clock. The
way from the kernel to the process, a task's wake-up, is the same for all and in none of the numbers.

Questions that failoverd asks before its first change (what addresses has the VF?) are within its time.

    python bench/reaction.py [join] [switch] [--runs 7] [--events 20]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row
from raw.build import CANNOT, HERE, CannotMeasureError, build
from raw.site import Site, until
from raw.tap import Noted, Tap

from failoverd.model.requests import SetUp
from failoverd.netlink.links import IFF_LOWER_UP, RTM_NEWLINK
from failoverd.netlink.requests import RTM_NEWLINKPROP, RTM_SETLINK
from failoverd.netlink.tc import RTM_DELTFILTER, RTM_NEWQDISC, RTM_NEWTFILTER
from failoverd_lab import namespaces, rtnl
from failoverd_lab.world import CannotTell

MAC = "52:54:00:fa:11:01"
CHANGES = frozenset({RTM_NEWLINK, RTM_SETLINK, RTM_NEWLINKPROP, RTM_NEWQDISC, RTM_NEWTFILTER, RTM_DELTFILTER})
SIDES = ("failoverd", "loop", "script")
FEWER = 5
"""Of the slow script there are so many times fewer events; only its median is told."""


def reaction(
    noted: Iterable[Noted], is_event: Callable[[Noted], bool], is_request: Callable[[Noted], bool]
) -> float | None:
    """Return the seconds from the first such message received to the first such request after it."""
    begun = None
    for one in noted:
        if begun is None and one.is_received and is_event(one):
            begun = one.at
        elif begun is not None and not one.is_received and is_request(one):
            return one.at - begun
    return None


class Contender:
    """One of the three, with its site."""

    def __init__(self, site: Site, nic: int, events: int) -> None:
        self.site = site
        self.nic = nic
        self.events = events
        self.vf = 0

    async def joins(self) -> list[float]:
        """Plug VFs in and out; the seconds that each join took to begin."""
        taken = []
        for _ in range(self.events):
            taken.append(await self._plug())
            await self._unplug()
        return taken

    async def switches(self) -> list[float]:
        """Cut and mend one VF; the seconds that each way to the standby took."""
        await self._plug()
        taken = []
        for _ in range(self.events):
            taken.append(await self._carrier(False, RTM_DELTFILTER))
            await self._carrier(True, RTM_NEWTFILTER)
        await self._unplug()
        return taken

    async def _plug(self) -> float:
        """Return when the VF is joined and carries."""
        self.site.tap.clear()
        self.vf = await self.site.plug("pci", MAC, "ens4", "0000:02:00.0")
        carries = partial(reaction, is_event=self._is_vf, is_request=self._is_switch(RTM_NEWTFILTER))
        await until(self.site.tap, carries, "the join")
        begun = reaction(self.site.tap.noted(), self._is_vf, lambda one: one.type in CHANGES)
        assert begun is not None
        return begun

    async def _unplug(self) -> None:
        self.site.tap.clear()
        await self.site.unplug(self.vf)
        carries_no_more = partial(reaction, is_event=self._is_vf, is_request=self._is_switch(RTM_DELTFILTER))
        await until(self.site.tap, carries_no_more, "the switch to the standby")

    async def _carrier(self, up: bool, request: int) -> float:
        self.site.tap.clear()
        await self.site.set_link(self.vf, up)

        def is_event(one: Noted) -> bool:
            return self._is_vf(one) and bool(one.flags & IFF_LOWER_UP) is up

        return await until(
            self.site.tap, partial(reaction, is_event=is_event, is_request=self._is_switch(request)), "the switch"
        )

    def _is_vf(self, one: Noted) -> bool:
        return one.type == RTM_NEWLINK and one.ifindex == self.vf

    def _is_switch(self, kind: int) -> Callable[[Noted], bool]:
        return lambda one: one.type == kind and one.ifindex == self.nic


async def measure(folder: Path, what: str, runs: int, events: int) -> dict[str, list[list[float]]]:
    """Return the seconds of each event of each run, by side."""
    tap_library, loop = build(folder)
    tap = Tap(tap_library, folder)
    async with AsyncExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for number, side in enumerate(SIDES):
            place = folder / f"guest-{side}"
            place.mkdir()
            site = Site(tap, place, 1000 * (number + 1))
            stack.callback(site.close)
            nic = await site.plug("virtio", MAC, "ens3", "virtio1")
            for ifindex in (1, nic):
                await site.guest.ask(SetUp(ifindex, True))
            await site.guest.ask(rtnl.add_address(nic, "192.0.2.2/24"))
            if side == "failoverd":
                await stack.enter_async_context(site.failoverd())
            else:
                script = [str(HERE / "script.sh")] if side == "script" else []
                stack.enter_context(site.program(str(loop), MAC, str(nic), *script))
            contenders[side] = Contender(site, nic, events if side != "script" else max(events // FEWER, 1))
        ways = {"join": Contender.joins, "switch": Contender.switches}
        return await turns.alternate({side: partial(ways[what], one) for side, one in contenders.items()}, runs)


def rows(bench: Bench, what: str, found: dict[str, list[list[float]]]) -> list[Row]:
    """Return the rows of what was measured, in microseconds."""

    def part(side: str, percent: float) -> list[float]:
        return [turns.percentile(run, percent) * 1e6 for run in found[side]]

    made = [
        bench.row(BY_NAME[f"{what}, p{percent}"], "us", part("failoverd", percent), part("loop", percent))
        for percent in (50, 99)
    ]
    script = BY_NAME[f"script's {what}"]
    ours, theirs = part("failoverd", 50), part("script", 50)
    sides = {"failoverd": turns.median(ours), script.against: turns.median(theirs)}
    return [*made, bench.of_ratios(script, "us", turns.ratios(theirs, ours), sides)]


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="join|switch", help="what is measured (both)")
    parser.add_argument("--events", type=int, default=20, help="events of each in a run, of joins a half (20)")
    command.add_options(parser)
    options = parser.parse_args()
    if wrong := set(options.what) - {"join", "switch"}:
        parser.error(f"there is no {', '.join(sorted(wrong))}; there are join and switch")
    made: list[Row] = []
    try:
        namespaces.enter()
        for what in options.what or ("join", "switch"):
            bench = Bench()
            with tempfile.TemporaryDirectory(prefix="failoverd-bench-") as directory:
                events = options.events // 2 if what == "join" else options.events
                made += rows(bench, what, trio.run(measure, Path(directory), what, options.runs, events))
    except (CannotMeasureError, CannotTell) as error:
        print(f"bench/reaction.py: {error}", file=sys.stderr)
        return CANNOT
    command.tell(made, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
