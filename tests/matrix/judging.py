"""What has to hold at every stop of a walk: of the kernel, of the neighbour, and of what the network has seen.

A cell is judged by what is there after a change, and by what does not happen in the quiet behind it. The network's side
is the lab's own: its DHCP server knows who has asked, and its peer which probes came. That server is the judge: it sees
client identifiers and switch ports, not what a guest says of itself. It leases for 30 s, so that an address which
nobody renews is seen.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio
from debguest import DebGuest
from neighbourhood import Neighbour, datapath
from pairguest import ADDRESS

from failoverd_lab import guestprobe, judge
from failoverd_lab.dhcp import Dhcp
from failoverd_lab.host import open_nursery
from failoverd_lab.lan import LAST, PEER
from failoverd_lab.peer import Peer
from failoverd_lab.traffic import Diary, diary

RATE = 50
QUIET = 8.0
"""Seconds in which nothing may move once everything is as it should be."""
LEASE = 30
"""Seconds that an address is leased for; so it is renewed after half of that, or lost."""
PATIENCE = 90.0
TELL = """
failoverctl 2>&1 || true; failoverctl explain 2>&1 || true; systemctl status --no-pager -n 0 failoverd 2>&1 || true
journalctl --no-pager -o short-monotonic -u failoverd
"""
PROBES = "/run/probes.json"
SINCE = "/run/since"
SAID = """
since=$(cat /run/since 2>/dev/null || true)
journalctl --no-pager ${since:+--after-cursor="$since"} -o short-monotonic "$@" || true
"""
"""The journal is in memory, so behind a boot it begins with that."""
BAD = re.compile(r"fail|error|cannot|could not", re.IGNORECASE)


@dataclass
class Cell:
    """What was found at one stop. `problems` is empty where everything held."""

    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    silence: float = 0.0
    """The longest silence from the guest (seconds), from before the change until it was over."""

    def note(self, holds: bool, otherwise: str) -> None:
        """Something that has to hold, and what is wrong if it does not."""
        if not holds:
            self.problems.append(otherwise)


class Judge:
    """Looks at one guest with one neighbour, and changes nothing but for the probes it sends."""

    def __init__(self, pair: DebGuest, neighbour: Neighbour, suite: str, peer: Peer, dhcp: Dhcp) -> None:
        self.pair = pair
        self.neighbour = neighbour
        self.suite = suite
        self.peer = peer
        self.dhcp = dhcp

    async def begin(self) -> None:
        """What the journal says from here on belongs to this stop."""
        await self.pair.shell(f"journalctl --no-pager --show-cursor -n 0 | sed -n 's/^-- cursor: //p' >{SINCE}")

    async def configured(self, name: str) -> None:
        """Wait until the device of this name has what the network gives. Raises AssertionError."""
        found: dict[str, list[str]] = {}
        with trio.move_on_after(PATIENCE):
            while True:
                found = await self.addresses()
                mine = [ipaddress.ip_address(word.partition("/")[0]) for word in found.get(name, [])]
                versions = {one.version for one in mine if not one.is_link_local}
                if {4, 6} <= versions and not await self._is_tentative():
                    return
                await trio.sleep(0.5)
        raise AssertionError(f"{name} was not configured within {PATIENCE:g} s: {found}; {await self.said()}")

    async def addresses(self) -> dict[str, list[str]]:
        """The addresses of each device."""
        rows = json.loads(await self.pair.shell("ip -j address"))
        return {row["ifname"]: [f"{a['local']}/{a['prefixlen']}" for a in row["addr_info"]] for row in rows if row}

    async def _is_tentative(self) -> bool:
        return "tentative" in await self.pair.shell("ip -6 address")

    async def still(self) -> None:
        """Wait until two looks in a row show the same, so that what has begun is over before the quiet begins."""
        before = ""
        with trio.move_on_after(PATIENCE):
            while before != (now := await self._picture()):
                before = now
                await trio.sleep(1)

    async def said(self) -> str:
        """What the neighbour has written since the stop began."""
        return await self.pair.shell(SAID, *(f"--unit={unit}" for unit in self.neighbour.units))

    async def rest(self, cell: Cell) -> None:
        """Nobody does anything for a while, but for who renews the lease."""
        async with open_nursery() as nursery:
            nursery.start_soon(self._kept, cell)
            await self._quiet(cell)

    async def _quiet(self, cell: Cell) -> None:
        before = await self._picture()
        heard = len(self.peer.diary.heard)
        await trio.sleep(QUIET)
        after = await self._picture()
        changes = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
        cell.note(not changes, f"it does not rest: {changes}")
        came = len(self.peer.diary.heard) - heard
        cell.note(came >= RATE * QUIET * 0.9, f"{came} of {RATE * QUIET:g} probes came from the guest in the quiet")

    async def _kept(self, cell: Cell) -> None:
        """Somebody renews the lease, and its address is the master's for that much longer."""
        before = await self._life()
        with trio.move_on_after(LEASE):
            while (life := await self._life()) <= before:
                before = life
                await trio.sleep(2)
            return
        asked = [(round(time.monotonic() - one.at), one.port, one.kind) for one in self.dhcp.asked[-4:]]
        cell.note(False, f"nobody has renewed the lease, which has {before} s left; it was asked for {asked} s ago")

    async def _life(self) -> int:
        """Seconds for which the leased address is still there."""
        rows = json.loads(await self.pair.shell("ip -j -4 address"))
        found = [address for row in rows if row for address in row["addr_info"] if address["local"] == ADDRESS]
        return int(found[0]["valid_life_time"]) if found else 0

    async def _picture(self) -> str:
        """Everything that must not change by itself. Lifetimes do, and are left out; so do the helpers of a DHCP
        client, which it has for as long as it asks."""
        script = """
ip -o link | sed 's/ qdisc .*link/ link/'
ip -o address | sed 's/valid_lft.*//'
ip route; ip -6 route | sed 's/expires [0-9]*sec//'
ps -e -o pid,args | grep -E '[d]hclient|[d]hcpcd' | grep -vE -e '-script|run-hooks|: \\[' || true
"""
        return await self.pair.shell(script) + str((await self.pair.master())["failovers"])

    async def judge(self, column: str, cell: Cell) -> None:
        """What has to hold at the end of every stop."""
        found, document = await self.addresses(), await self.pair.master()
        master = str(document.get("name", "nobody"))
        others = {name: words for name, words in found.items() if name not in (master, "lo") and words}
        cell.note(not others, f"beside {master} there are addresses on {others}")
        slaves = [name for name in found if name not in (master, "lo")]
        nics = 1 if column == "unplug" else 2
        in_place = datapath(self.neighbour, self.suite, column) != "bond"
        cell.note(len(slaves) == nics - in_place, f"the devices are {list(found)}")
        held = await self.pair.shell(f"{self.neighbour.holds} || true", self.pair.name)
        grabbed = [line for line in held.splitlines() if set(re.split(r"[\s:=]+", line)) & set(slaves)]
        cell.note(not grabbed, f"{self.neighbour.name} has a slave: {grabbed}")
        cell.note(len(self.dhcp.leases) == 1, f"{len(self.dhcp.leases)} leases: {self.dhcp.leases}")
        cell.note(f"{ADDRESS}/24" in found.get(master, []), f"{master} has {found.get(master)}")
        said = await self.said()
        bad = [line for line in said.splitlines() if BAD.search(line)]
        bad = [line for line in bad if not any(re.search(known, line) for known in self.neighbour.quiet)]
        cell.note(not bad, f"{self.neighbour.name} complains: {bad}")
        own = (await self.pair.shell(SAID, "--unit=failoverd.service")).splitlines()
        undone = [line for line in own if "another program has" in line]
        cell.note(not undone, f"failoverd has undone what was done to a slave: {undone}")
        if cell.problems:
            cell.problems.append(f"it said: {said}")
            cell.problems.append((await self.pair.shell(TELL))[-8000:])

    @asynccontextmanager
    async def probed(self, cell: Cell) -> AsyncIterator[None]:
        """Traffic both ways; the longest silence of it."""
        self.peer.diary, self.peer.ports = Diary(), []
        await self.pair.guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
        words = (PEER[0], str(RATE), PROBES)
        await self.pair.shell(
            "systemctl stop probes 2>/dev/null || true; systemctl reset-failed probes 2>/dev/null || true; "
            'systemd-run --quiet --unit=probes --nice=-10 python3 /run/guestprobe.py "$@"',
            *words,
        )
        await self.peer.resolve(ADDRESS)
        with trio.move_on_after(30):
            while not self.peer.diary.heard:
                await trio.sleep(1 / RATE)
        begun = time.monotonic()
        async with open_nursery() as nursery:
            nursery.start_soon(self.peer.send_probes, ADDRESS, RATE)
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()
        ended = time.monotonic()
        await trio.sleep(LAST)
        await self.pair.shell("systemctl stop probes.service")
        guest = diary(json.loads(await self.pair.shell(f"cat {PROBES}")))
        found = judge.probes(self.peer.diary, guest, begun)
        cell.silence = judge.silence(found, "from-guest", 0, ended - begun).length
        lost = judge.lost(found, "to-guest", ended - begun - QUIET, ended - begun - 1)
        cell.note(lost == 0, f"{lost} probes to the guest were lost in the quiet")
