"""What does failoverd cost while nothing happens? In a namespace of this kernel.

    memory    the resident memory (RSS) of the base service on a machine with 10 and with 5,000 links, at rest after its
              start, as a part of 32 MB; a new daemon in each run
    idle      CPU time and wake-ups with a joined pair of veths (datapath "tc") and no event: a run has --seconds, and
              the row has its CPU time as for 10 minutes, as a part of 0.05 s

Wake-ups are told beside: the kernel counts a task's voluntary context switches. With "bond" there are to be none but
the watchdog's, which only a kernel with bonding can show.

    python bench/rest.py [memory] [idle] [--runs 7] [--seconds 10]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from signal import SIGTERM

import trio
from frame import command, turns
from frame.cpu import cpu_of
from frame.goals import BY_NAME
from frame.row import Bench, Row
from interfaces import PATIENCE, UNSHARE, make_links, resident, running
from raw.build import CANNOT

from failoverd_lab import namespaces
from failoverd_lab.netnsstage import open_stage
from failoverd_lab.story import Nic
from failoverd_lab.world import CannotTell

LINKS = (10, 5000)
MOST_MEMORY, MOST_CPU = 32.0, 0.05
"""MB; seconds in 10 minutes."""
TEN_MINUTES = 600.0
MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
STARTED = 5.0
"""Seconds after READY in which a daemon loads and tidies what it needs no sooner. With tc it never is without CPU: it
polls the carrier of the VF."""
REST = 1.0
"""Seconds within which a daemon has had no CPU when it counts as at rest."""


def wakeups(pid: int) -> int:
    """Return how often threads of a process have waited for something."""
    lines = [
        line for thread in Path(f"/proc/{pid}/task").iterdir() for line in (thread / "status").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def settle(pid: int) -> None:
    """Wait until a process has had next to no CPU for REST."""
    before, end = -1.0, time.monotonic() + PATIENCE
    while cpu_of(pid) - before > 0.005 and time.monotonic() < end:
        before = cpu_of(pid)
        time.sleep(REST)


def memory(links: int, options: argparse.Namespace) -> None:
    """Measure the daemon's memory in this process's namespace, and tell its row."""
    bench = Bench()
    make_links(links)
    taken = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            run = {"RUNTIME_DIRECTORY": f"{where}/run", "STATE_DIRECTORY": f"{where}/state"}
            run |= {"FAILOVERD_CONTROL": f"{where}/run/control", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where}/bus"}
            with running([sys.executable, "-m", "failoverd"], os.environ | run, where / "log") as daemon:
                end = time.monotonic() + PATIENCE
                while not (where / "run" / "control").exists() and time.monotonic() < end:
                    time.sleep(0.1)
                settle(daemon.pid)
                taken.append(resident(daemon.pid))
    goal = BY_NAME[f"memory, {links:,} links"]
    sides = {"failoverd": turns.median(taken), goal.against: MOST_MEMORY}
    command.tell([bench.of_ratios(goal, "MB", [one / MOST_MEMORY for one in taken], sides)], options)


async def idle(runs: int, seconds: float) -> tuple[list[float], list[float]]:
    """Return the CPU time of each run in seconds, and its wake-ups a minute."""
    used, woken = [], []
    async with open_stage(NICS, {"master": {"datapath": "tc"}}) as stage:
        for nic in NICS:
            await stage.plug(nic.id)
        await stage.configure("pv")
        await stage.daemon.start()
        pid = stage.daemon.pid
        await trio.sleep(STARTED)
        for _ in range(runs):
            cpu, times, begun = cpu_of(pid), wakeups(pid), time.monotonic()
            await trio.sleep(seconds)
            length = time.monotonic() - begun
            used.append((cpu_of(pid) - cpu) / length * TEN_MINUTES)
            woken.append((wakeups(pid) - times) / length * 60)
        await stage.daemon.end(SIGTERM)
    return used, woken


def idle_row(options: argparse.Namespace) -> Row:
    """Measure, and return the row."""
    bench = Bench()
    namespaces.enter()
    used, woken = trio.run(idle, options.runs, options.seconds)
    print(f"idle, {options.runs} runs of {options.seconds:g} s: {turns.median(woken):.1f} wake-ups a minute")
    goal = BY_NAME["idle, CPU"]
    sides = {"failoverd": turns.median(used), goal.against: MOST_CPU}
    return bench.of_ratios(goal, "s", [one / MOST_CPU for one in used], sides)


def main() -> int:
    """Measure, each number of links in a namespace of its own, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="memory|idle", help="what is measured (both)")
    parser.add_argument("--seconds", type=float, default=10, help="how long a run without events is (10)")
    parser.add_argument("--links", type=int, nargs="+", default=LINKS, help="how many (10 5000)")
    command.add_options(parser)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if wrong := set(options.parts) - {"memory", "idle"}:
        parser.error(f"there is no {', '.join(sorted(wrong))}; there are memory and idle")
    if options.inside:
        memory(options.links[0], options)
        return 0
    parts = options.parts or ["memory", "idle"]
    unshare = [UNSHARE, "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    for links in options.links if "memory" in parts else ():
        more = ["memory", f"--links={links}", f"--runs={options.runs}", "--inside"]
        more += [f"--rows={options.rows}"] if options.rows else []
        code = subprocess.run([*unshare, sys.executable, sys.argv[0], *more], check=False).returncode
        if code:
            return code
    if "idle" not in parts:
        return 0
    try:
        command.tell([idle_row(options)], options)
    except CannotTell as error:
        print(f"bench/rest.py: {error}", file=sys.stderr)
        return CANNOT
    return 0


if __name__ == "__main__":
    sys.exit(main())
