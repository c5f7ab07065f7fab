"""How long is traffic silent where traffic control joins the pair? Measured on this kernel, in namespaces, with veths.

    VF deleted | its carrier lost | its carrier lost 0.1 s after another link's carrier event | it is set down
    VF deleted while another process makes 2,000 pairs of veths
    each: the way out, and the way back to it
    the daemon killed with the VF carrying, the VF deleted, the daemon started again at once

The third is the hard one for the carrier: the kernel tells of carrier losses in batches, one a second for the whole
system (net/core/link_watch.c), and that other link's event has just used this second's.

Measured in each direction, from just before the event to the next one: the longest silence (between two arrivals), the
probes lost, and the longest outage, from the sending of the last probe that came through to that of the next one that
did. A storm that has the CPU lengthens every silence, also where nothing is lost; an outage is the event's own.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from signal import SIGKILL

import trio

from failoverd.model.requests import SetUp
from failoverd_lab import judge, namespaces, netnsdaemon
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import DIRECTIONS, Nic
from failoverd_lab.world import Probe

MAC, OTHER = "52:54:00:fa:11:01", "52:54:00:fa:11:99"
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC), Nic("other", "pci", OTHER))
CONFIG = {"master": {"datapath": "tc"}, "damping": {"enabled": False}}
"""What is measured again and again would be taken for flaps."""
SETTLE = 0.5
"""Seconds after an event that belong to it."""
UNDER_WAY = 1.0
"""Seconds a probe may be on its way: those sent as long before a window are looked at, too."""
BOUND = 0.030
PAIRS, INTO = 2000, 0.3
"""Of a storm; seconds into it at which the VF is deleted."""
NSENTER = shutil.which("nsenter") or "/usr/bin/nsenter"
GROUP = 77
STORM = f"""
for i in $(seq {PAIRS}); do
    echo "link add storm${{i}}a group {GROUP} type veth peer name storm${{i}}b"
done | ip -batch -
"""
CLEARED = f"ip link delete group {GROUP}"
PATIENCE = 20.0
MASTERS = 2048
"""Bytes of an answer that has one master."""

Act = Callable[[Stage], Awaitable[None]]


@dataclass
class Row:
    """One kind of event: a silence, an outage (seconds) and the lost probes of each run, of both directions."""

    silence: list[float] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    outage: list[float] = field(default_factory=list)

    def add(self, probes: Sequence[Probe], window: tuple[float, float]) -> None:
        self.silence.append(max(judge.silence(probes, way, *window).length for way in DIRECTIONS))
        self.lost.append(sum(judge.lost(probes, way, *window) for way in DIRECTIONS))
        self.outage.append(max(judge.outage(probes, way, *window) for way in DIRECTIONS))


async def delete(stage: Stage) -> None:
    await stage.unplug("vf")


async def preferred_traffic(stage: Stage, rate: float, nursery: trio.Nursery) -> None:
    """Start the traffic, and let what sends and hears its probes run ahead of all else, or else a storm that leaves it
    no CPU passes for silence. Where real-time scheduling is refused, it gets the daemon's own nice value. What is
    started after that gets neither."""
    policy, priority = os.SCHED_FIFO, os.sched_param(1)
    try:
        os.sched_setscheduler(0, policy, priority)
    except OSError:
        with suppress(OSError):
            os.nice(netnsdaemon.NICE)
        await stage.start_traffic(rate, nursery)
    else:
        await stage.start_traffic(rate, nursery)
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, priority)


def inside(stage: Stage, commands: str) -> subprocess.Popen[bytes]:
    """Begin these commands in the guest's namespace, at the ordinary nice value."""
    command = [NSENTER, f"--net=/proc/{stage.daemon.pid}/ns/net", "nice", f"--adjustment={-os.nice(0)}"]
    return subprocess.Popen([*command, "sh", "-ec", commands])


async def delete_in_a_storm(stage: Stage) -> None:
    """In the midst of links that are made one behind the other."""
    storm = inside(stage, STORM)
    await trio.sleep(INTO)
    await stage.unplug("vf")
    await trio.to_thread.run_sync(storm.wait)


async def storm_alone(stage: Stage) -> None:
    """The same with nothing deleted: what the measuring itself suffers."""
    await trio.to_thread.run_sync(inside(stage, STORM).wait)


async def clear(stage: Stage) -> None:
    """Delete the storm's links, all at once: one by one it would take half a minute. It belongs to no event."""
    await trio.to_thread.run_sync(inside(stage, CLEARED).wait)
    await trio.sleep(SETTLE)


async def replug(stage: Stage) -> None:
    await stage.plug("vf")


async def cut(stage: Stage) -> None:
    await stage.set_link("vf", False)


async def cut_after_another(stage: Stage) -> None:
    await stage.set_link("other", False)
    await trio.sleep(0.1)
    await stage.set_link("vf", False)


async def mend(stage: Stage) -> None:
    await stage.set_link("vf", True)
    await stage.set_link("other", True)


async def set_down(stage: Stage) -> None:
    await stage.guest.ask(SetUp(stage.ifindexes["vf"], up=False))


async def set_up(stage: Stage) -> None:
    await stage.guest.ask(SetUp(stage.ifindexes["vf"], up=True))


async def kill(stage: Stage) -> None:
    await stage.daemon.end(SIGKILL)
    await stage.unplug("vf")


QUIET = "VF deleted"
EVENTS: Mapping[str, tuple[Act, Act]] = {
    QUIET: (delete, replug),
    "carrier lost": (cut, mend),
    "carrier lost, another's 0.1 s before": (cut_after_another, mend),
    "set down": (set_down, set_up),
}
NOISE = "2,000 pairs of veths being made, nothing else"
STORMY = f"{QUIET}, 2,000 pairs of veths being made"
RESTART = "killed, VF deleted, started again"


async def until(stage: Stage, state: str) -> None:
    """Wait for the daemon's word for the master's state.

    Of 4,000 links, the answer takes 10 ms to read, in the process that sends and hears the probes; so only its
    beginning is looked at, which has the masters.
    """
    wanted = f'"state": "{state}"'.encode()
    with trio.fail_after(PATIENCE):
        while wanted not in (await stage.daemon.told("status") or b"")[:MASTERS]:
            await trio.sleep(0.02)


async def measure(
    runs: int, rate: int, storm_only: bool, say: Callable[[str], None]
) -> tuple[dict[str, Row], list[float]]:
    """Every event so many times, or those of the storm. Returns the rows, and what each restart took to READY
    (seconds)."""
    events = {QUIET: EVENTS[QUIET]} if storm_only else EVENTS
    windows: list[tuple[str, float, float]] = []
    restarts: list[float] = []
    async with open_stage(NICS, CONFIG) as stage, trio.open_nursery() as nursery:
        for nic in ("pv", "vf", "other"):
            await stage.plug(nic)
        await stage.configure("pv")
        await stage.guest.ask(SetUp(stage.ifindexes["other"], up=True))
        await stage.daemon.start()
        await (preferred_traffic if storm_only else Stage.start_traffic)(stage, rate, nursery)
        await until(stage, "accelerated")
        begun = time.monotonic()

        async def window(name: str, act: Act, state: str) -> None:
            start = time.monotonic() - begun
            await act(stage)
            await until(stage, state)
            await trio.sleep(SETTLE)
            windows.append((name, start, time.monotonic() - begun))

        async def idle(_stage: Stage) -> None:
            await trio.sleep(1.0)

        async def restart(_stage: Stage) -> None:
            await kill(stage)
            start = time.monotonic()
            await stage.daemon.start()
            restarts.append(time.monotonic() - start)

        for number in range(runs):
            say(f"run {number + 1} of {runs}")
            await window("idle", idle, "accelerated")
            await window(NOISE, storm_alone, "accelerated")
            await clear(stage)
            for name, (away, back) in events.items():
                await window(name, away, "on-standby")
                await window(f"{name}: back", back, "accelerated")
            await window(STORMY, delete_in_a_storm, "on-standby")
            await clear(stage)
            await window(f"{STORMY}: back", replug, "accelerated")
            if not storm_only:
                await window(RESTART, restart, "on-standby")
                await window(f"{RESTART}: back", replug, "accelerated")
        guest = await stage.stop_traffic()
        probes = judge.probes(stage.peer.diary, guest, begun, one_clock=True)
        nursery.cancel_scope.cancel()
    rows: dict[str, Row] = {}
    probes.sort(key=lambda probe: probe.sent)
    moments = [probe.sent for probe in probes]
    for name, start, end in windows:
        near = probes[bisect_left(moments, start - UNDER_WAY) : bisect_left(moments, end)]
        rows.setdefault(name, Row()).add(near, (start, end))
    return rows, restarts


def table(rows: Mapping[str, Row]) -> str:
    """Markdown, milliseconds."""
    names = (
        "event",
        "worst silence, ms",
        "median, ms",
        "worst outage, ms",
        "median, ms",
        "probes lost, worst",
        "in all",
    )
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for name, row in rows.items():
        cells = [f"{call(row.silence) * 1000:.0f}" for call in (max, statistics.median)]
        cells += [f"{call(row.outage) * 1000:.1f}" for call in (max, statistics.median)]
        cells += [str(max(row.lost)), str(sum(row.lost))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(rows: Mapping[str, Row], restarts: Sequence[float]) -> list[tuple[bool, str]]:
    """What was promised, and whether it held in this run."""
    found = []
    for name in [name for name in EVENTS if name in rows]:
        worst, lost = max(rows[name].silence), sum(rows[f"{name}: back"].lost)
        found.append((worst < BOUND, f"{name}: worst silence {worst * 1000:.0f} ms, promised under {BOUND * 1000:.0f}"))
        found.append((lost == 0, f"{name}: back: {lost} probes lost, promised none"))
    for what in ("silence", "outage"):
        quiet, busy = (statistics.median(getattr(rows[name], what)) for name in (QUIET, STORMY))
        words = f"{STORMY}: median {what} {busy * 1000:.1f} ms, beside {quiet * 1000:.1f} on a quiet machine"
        found.append((busy <= 2 * quiet, f"{words}, promised at most twice that"))
    if RESTART in rows:
        over = [silence - took for silence, took in zip(rows[RESTART].silence, restarts, strict=True)]
        words = f"{RESTART}: traffic was back {max(over) * 1000:.0f} ms after the restart's own time at the worst"
        found.append((max(over) <= 0.05, f"{words} (restart: {statistics.median(restarts):.2f} s), promised 50"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="how often each event is done (default: 20)")
    parser.add_argument("--rate", type=int, default=1000, help="probes a second each way (default: 1000)")
    parser.add_argument("--storm", action="store_true", help="only the deletion, quiet and in a storm")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    # A collection looks at every probe so far, and would be taken for silence. There are no cycles to speak of.
    gc.disable()
    namespaces.enter()
    rows, restarts = trio.run(measure, options.runs, options.rate, options.storm, say)
    print(table(rows))
    print(f"\n{options.runs} runs of each, {options.rate} probes a second each way")
    for held, words in verdicts(rows, restarts):
        print(f"{words}: {'held' if held else 'NOT HELD'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
