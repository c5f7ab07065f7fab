"""How late is a switch when much happens at once? On this kernel, in a namespace, with veths and datapath "tc".

    storm     the host cuts a VF's link among 5,000 changes of a container's veth, beside the same on the quiet machine:
              from the moment a listener in C or failoverd hears of it to the moment failoverd asks for the switch
    pairs     256 VFs lose their links at once: from the first loss received to the last switch asked for, less what
              one VF's loss takes, as a part of 256 times 40 us

failoverd is tapped (raw/tap.c), and so is the listener (raw/loop.c, with a MAC that no link has), which only reads. So
what the kernel itself takes to cut a link while the changes hold its lock (RTNL) is not in the first; that it tells of
256 losses one after the other is in the second. There the carriers of VFs are polled once a second, the least that
[tc] carrier_poll allows: polls are for each pair, and 50 a second of each VF are more than a core can do for 256. To
join the pairs takes a minute and more before anything is measured.

    python bench/crowded.py [storm] [pairs] [--runs 7]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row
from raw.build import CANNOT, CannotMeasureError, build
from raw.site import CONFIG, PATIENCE, WIRES, Site
from raw.tap import Noted, Tap

from failoverd.model.requests import SetUp
from failoverd.netlink.frames import build as build_message
from failoverd.netlink.links import IFF_LOWER_UP, IFF_UP, INFO, RTM_NEWLINK
from failoverd.netlink.requests import RTM_SETLINK
from failoverd.netlink.tc import RTM_DELTFILTER, RTM_NEWTFILTER
from failoverd_lab import namespaces, rtnl
from failoverd_lab.world import CannotTell

CHANGES = 5000
INTO = 500
"""Messages that were received when the VF is cut."""
PAIRS, EACH = 256, 40e-6
"""Pairs that lose their VFs at once; seconds each may take."""
SELDOM = {**CONFIG, "tc": {"carrier_poll": 1.0}}
JOINED_WITHIN = 600.0
SETTLE = 0.3
"""Seconds after a switch that belong to it: announcements, looks at the carrier."""


class Pairs:
    """A site with so many joined pairs, whose failoverd is tapped."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.vfs: dict[int, int] = {}
        """The VF of each paravirtual NIC, by ifindex."""

    async def plug(self, number: int) -> None:
        """Plug in the two NICs of a further pair; the VF last."""
        mac = f"52:54:00:fa:{number >> 8:02x}:{number & 255:02x}"
        nic = await self.site.plug("virtio", mac, f"pv{number}", f"virtio{number}")
        await self.site.guest.ask(SetUp(nic, True))
        self.vfs[nic] = await self.site.plug("pci", mac, f"vf{number}", f"0000:{number:02x}:00.0")

    async def requested(self, kind: int, nics: Iterable[int], patience: float = PATIENCE) -> list[Noted]:
        """Wait until a request of this kind was sent for each of these NICs; return what was noted so far."""
        waited, seen = set(nics), 0
        with trio.move_on_after(patience):
            while waited:
                await trio.sleep(0.002)
                news = list(self.site.tap.noted(seen))
                seen += len(news)
                waited -= {one.ifindex for one in news if not one.is_received and one.type == kind}
            return list(self.site.tap.noted())
        raise RuntimeError(f"{len(waited)} of the pairs have not switched within {patience:g} s")

    async def set_links(self, nics: Iterable[int], up: bool) -> float:
        """Cut the cables of these pairs' VFs in one datagram, or mend them; return when it began."""
        flags = IFF_UP if up else 0
        wires = [INFO.pack(0, 0, self.vfs[nic] + WIRES, flags, IFF_UP) for nic in nics]
        begun = time.monotonic()
        await self.site.host.send(b"".join(build_message(RTM_SETLINK, 0, 0, wire) for wire in wires))
        return begun

    async def mend(self, nics: Iterable[int]) -> None:
        """Have the VFs carry again."""
        await trio.sleep(SETTLE)
        self.site.tap.clear()
        nics = list(nics)
        await self.set_links(nics, True)
        await self.requested(RTM_NEWTFILTER, nics)
        await trio.sleep(SETTLE)
        self.site.tap.clear()


@asynccontextmanager
async def joined(folder: Path, pairs: int) -> AsyncIterator[Pairs]:
    """Return so many pairs whose VFs carry."""
    library, listener = build(folder)
    tap = Tap(library, folder)
    (folder / "guest").mkdir()
    site = Site(tap, folder / "guest", 1000, SELDOM if pairs > 1 else CONFIG)
    try:
        found = Pairs(site)
        async with site.failoverd():
            for number in range(pairs):
                await found.plug(number)
            await found.requested(RTM_NEWTFILTER, found.vfs, JOINED_WITHIN)
            await trio.sleep(1.0)
            with site.program(str(listener), "02:00:00:00:00:00", "1"):
                tap.clear()
                yield found
    finally:
        site.close()


def sent(noted: Iterable[Noted], after: float) -> list[Noted]:
    """Return the requests that switch to the standby."""
    return [one for one in noted if not one.is_received and one.type == RTM_DELTFILTER and one.at >= after]


def loss(noted: Iterable[Noted], vfs: Collection[int], after: float) -> float:
    """Return when the first of the two processes received the first message that one of these VFs has no carrier."""
    return min(
        one.at
        for one in noted
        if one.is_received and one.type == RTM_NEWLINK and one.ifindex in vfs and not one.flags & IFF_LOWER_UP
        if one.at >= after
    )


async def storm(folder: Path, runs: int) -> dict[str, list[float]]:
    """Return the seconds from the host's request to failoverd's, in a storm and without."""
    async with joined(folder, 1) as pairs:
        nics, site = list(pairs.vfs), pairs.site
        other = 99
        await site.host.ask(
            rtnl.veth(site.namespace.file, "other", "52:54:00:fa:99:99", other, "wire99", other + WIRES)
        )
        changes = rtnl.mtu_changes(other, [1400 + number % 100 for number in range(CHANGES)])

        async def cut(is_busy: bool) -> float:
            async with trio.open_nursery() as nursery:
                if is_busy:
                    nursery.start_soon(site.guest.send, changes)
                    while site.tap.used() < INTO:
                        await trio.sleep(0)
                begun = await pairs.set_links(nics, False)
                noted = await pairs.requested(RTM_DELTFILTER, nics)
            taken = sent(noted, begun)[0].at - loss(noted, pairs.vfs.values(), begun)
            await pairs.mend(nics)
            return taken

        return await turns.alternate({"busy": partial(cut, True), "quiet": partial(cut, False)}, runs)


async def together(folder: Path, runs: int, number: int = PAIRS) -> dict[str, list[float]]:
    """Return the seconds from the first loss received to the last switch asked for, of all pairs and of one."""
    async with joined(folder, number) as pairs:

        async def cut(some: int) -> float:
            nics = list(pairs.vfs)[:some]
            vfs = {pairs.vfs[nic] for nic in nics}
            begun = await pairs.set_links(nics, False)
            noted = await pairs.requested(RTM_DELTFILTER, nics)
            taken = sent(noted, begun)[-1].at - loss(noted, vfs, begun)
            await pairs.mend(nics)
            return taken

        return await turns.alternate({"all": partial(cut, number), "one": partial(cut, 1)}, runs)


def storm_row(bench: Bench, found: dict[str, list[float]]) -> Row:
    """Return the row, in milliseconds."""
    busy, quiet = ([taken * 1e3 for taken in found[side]] for side in ("busy", "quiet"))
    return bench.row(BY_NAME["storm"], "ms", busy, quiet)


def pairs_row(bench: Bench, found: dict[str, list[float]]) -> Row:
    """Return the row, in milliseconds."""
    later = [every - one for every, one in zip(found["all"], found["one"], strict=True)]
    goal = BY_NAME["256 pairs at once"]
    sides = {"failoverd": turns.median(later) * 1e3, goal.against: PAIRS * EACH * 1e3}
    sides["one pair"] = turns.median(found["one"]) * 1e3
    return bench.of_ratios(goal, "ms", [one / (PAIRS * EACH) for one in later], sides)


PARTS = {"storm": (storm, storm_row), "pairs": (together, pairs_row)}


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="storm|pairs", help="what is measured (both)")
    command.add_options(parser)
    options = parser.parse_args()
    if wrong := set(options.parts) - PARTS.keys():
        parser.error(f"there is no {', '.join(sorted(wrong))}; there are {' and '.join(PARTS)}")
    made: list[Row] = []
    try:
        namespaces.enter()
        for part in options.parts or PARTS:
            measure, row = PARTS[part]
            bench = Bench()
            with tempfile.TemporaryDirectory(prefix="failoverd-bench-") as directory:
                made.append(row(bench, trio.run(measure, Path(directory), options.runs)))
    except (CannotMeasureError, CannotTell) as error:
        print(f"bench/crowded.py: {error}", file=sys.stderr)
        return CANNOT
    command.tell(made, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
