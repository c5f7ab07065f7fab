"""How long does failoverd take from its start to READY, beside what its event loop alone takes to be imported?

    failoverd's start, in namespaces of this kernel, with a pair of veths that it has joined before
    python3 -c 'import trio'

By turns, each in a process of its own, with bytecode, as packages have it. The row is of the time that passed; told
beside is the CPU's time, which depends less on what else the machine does.

    python bench/start.py [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from resource import RUSAGE_CHILDREN, getrusage
from signal import SIGTERM

import trio
from frame import command, turns
from frame.cpu import cpu_of
from frame.goals import BY_NAME
from frame.row import Bench

from failoverd_lab import namespaces
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
CONFIG = {"master": {"datapath": "tc"}}
WARM = 2
"""Starts that are not counted: they write the bytecode, and join the pair."""


async def import_trio() -> tuple[float, float]:
    """The other one: what passed, and the CPU's time."""
    before, begun = getrusage(RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "import trio"], check=True)
    wall, after = time.monotonic() - begun, getrusage(RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def start(stage: Stage) -> tuple[float, float]:
    """Start failoverd, and end it."""
    begun = time.monotonic()
    await stage.daemon.start()
    wall = time.monotonic() - begun
    cpu = cpu_of(stage.daemon.pid)
    await trio.sleep(0.3)
    await stage.daemon.end(SIGTERM)
    return wall, cpu


async def measure(runs: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds that passed and the seconds of CPU, of both sides, by turns."""
    async with open_stage(NICS, CONFIG) as stage:
        for nic in ("pv", "vf"):
            await stage.plug(nic)
        await stage.configure("pv")
        return await turns.alternate({"failoverd": partial(start, stage), "trio": import_trio}, runs, WARM)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(parser, 15)
    options = parser.parse_args()
    bench = Bench()
    with tempfile.TemporaryDirectory(prefix="failoverd-bench-") as directory:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = directory
        namespaces.enter()
        found = trio.run(measure, options.runs)
    walls, cpus = ({side: [run[which] * 1e3 for run in taken] for side, taken in found.items()} for which in (0, 1))
    mine, other = (turns.median(taken) for taken in cpus.values())
    print(f"CPU time: failoverd {mine:.0f} ms, import trio {other:.0f} ms: {mine / other:.2f} times")
    command.tell([bench.row(BY_NAME["cold start"], "ms", walls["failoverd"], walls["trio"])], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
