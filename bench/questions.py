"""Is a failover slower while clients ask for all interfaces? On this kernel, in a namespace, with datapath "tc".

The host cuts a VF's link while four clients ask for the documents of 5,000 links without pause, and when none asks, by
turns (pairsite.py). The row is what the outage is longer by, as a part of the spread of those without clients.

    python bench/questions.py [--links 5000] [--runs 7]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench
from netns import inside
from pairsite import BUSY, QUIET, Site, measure
from raw.build import CANNOT

from failoverd_lab import namespaces, netnsdaemon
from failoverd_lab.netnsstage import Stage
from failoverd_lab.world import CannotTell

LINKS, CLIENTS = 5000, 4
UNDER_WAY = 1.0
"""Seconds for which they have asked when the link is cut."""
NICE = shutil.which("nice") or "/usr/bin/nice"
LOAD = Path(__file__).parent / "inventoryload.py"


class Questions(Site):
    """Many links stand there; clients ask for them when the VF's link is cut."""

    def __init__(self, links: int, stage: Stage) -> None:
        super().__init__(stage)
        self._links = links
        self._clients: list[subprocess.Popen[bytes]] = []

    async def prepare(self) -> None:
        bare = self.devices()
        make = f'for i in $(seq {self._links // 2}); do echo "link add m${{i}}a type veth peer name m${{i}}b"; done'
        await trio.to_thread.run_sync(inside(self.stage, f"({make}) | ip -batch -").wait)
        await self.until_devices(bare + self._links // 2 * 2, 1 << 20)
        await self.stage.daemon.ask("status")

    async def begin(self) -> None:
        words = [sys.executable, str(LOAD), "--client", str(netnsdaemon.paths(self.stage.daemon.directory).control)]
        usual = [NICE, f"--adjustment={-os.nice(0)}"]
        self._clients = [subprocess.Popen([*usual, *words]) for _ in range(CLIENTS)]
        await trio.sleep(UNDER_WAY)

    async def end(self) -> None:
        for client in self._clients:
            if client.poll() is not None:
                raise RuntimeError(f"a client ended by itself: {client.returncode}")
            client.terminate()
            await trio.to_thread.run_sync(client.wait)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, default=LINKS, help="how many links they ask for (5000)")
    command.add_options(parser)
    options = parser.parse_args()
    try:
        namespaces.enter()
        found = trio.run(measure, partial(Questions, options.links), options.runs)
    except CannotTell as error:
        print(f"bench/questions.py: {error}", file=sys.stderr)
        return CANNOT
    busy, quiet = ([one * 1e3 for one in found[side]] for side in (BUSY, QUIET))
    usual, spread = turns.median(quiet), max(quiet) - min(quiet)
    goal = BY_NAME["questions"]
    sides = {"outage, 4 clients": turns.median(busy), "outage": usual, goal.against: spread}
    ratios = [max(one - usual, 0.0) / spread for one in busy]
    command.tell([Bench().of_ratios(goal, "ms", ratios, sides)], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
