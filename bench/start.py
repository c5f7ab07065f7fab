"""How long does failoverd take from its start to READY, beside what its event loop alone takes to be imported?

    failoverd's start, in namespaces of this kernel, with a pair of veths that it has joined before
    python3 -c 'import trio'

By turns, each in a process of its own, with bytecode, as packages have it. Told is the median of each and their ratio:
of the time that passed, and of the CPU's time, which depends less on what else the machine does.

    python bench/start.py [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from signal import SIGTERM

import trio

from failoverd_lab import namespaces
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
CONFIG = {"master": {"datapath": "tc"}}
WARM = 2
"""Starts that are not counted: they write the bytecode, and join the pair."""


@dataclass
class Times:
    """Seconds of each run."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        self.wall.append(wall)
        self.cpu.append(cpu)


def import_trio() -> tuple[float, float]:
    """The other one: what passed, and the CPU's time."""
    before, begun = getrusage(RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "import trio"], check=True)
    wall, after = time.monotonic() - begun, getrusage(RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_of(pid: int) -> float:
    """The CPU time of all threads of a process so far, by the scheduler's count (nanoseconds in /proc)."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


async def start(stage: Stage) -> tuple[float, float]:
    """Start failoverd, and end it."""
    begun = time.monotonic()
    await stage.daemon.start()
    wall = time.monotonic() - begun
    cpu = cpu_of(stage.daemon.pid)
    await trio.sleep(0.3)
    await stage.daemon.end(SIGTERM)
    return wall, cpu


async def measure(runs: int) -> tuple[Times, Times]:
    """Both, by turns."""
    ours, theirs = Times(), Times()
    async with open_stage(NICS, CONFIG) as stage:
        for nic in ("pv", "vf"):
            await stage.plug(nic)
        await stage.configure("pv")
        for number in range(WARM + runs):
            one, other = import_trio(), await start(stage)
            if number >= WARM:
                theirs.add(*one)
                ours.add(*other)
    return ours, theirs


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="how often each is started (default: 15)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="failoverd-bench-") as directory:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = directory
        namespaces.enter()
        ours, theirs = trio.run(measure, options.runs)
    for what in ("wall", "cpu"):
        mine, other = (statistics.median(getattr(times, what)) for times in (ours, theirs))
        least, base = (min(getattr(times, what)) for times in (ours, theirs))
        print(
            f"{what}: failoverd {mine * 1000:.0f} ms, import trio {other * 1000:.0f} ms: {mine / other:.2f} times; "
            f"the fastest of each {least * 1000:.0f} and {base * 1000:.0f} ms: {least / base:.2f} times"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
