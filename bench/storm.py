"""How long is traffic silent when the VF's carrier goes while somebody makes 300 veth pairs?

    quiet   the carrier is cut, and mended
    busy    the same, in the middle of 300 pairs that are made one after the other, each end brought up

Both under a bond and under traffic control, in one guest each, several times by turns. What is promised: a busy
machine's silence is at most three times the quiet one, or 150 ms, whichever is more. With --here it is measured in
namespaces of this kernel, where no udev looks at the links.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import trio
from guest import MAC, UNDAMPED, run_failoverd, shell

from failoverd_lab import guestprobe, judge, namespaces
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import ADDRESS, PEER, PEER_MAC
from failoverd_lab.netnsstage import open_stage
from failoverd_lab.nics import GuestNic
from failoverd_lab.peer import Peer
from failoverd_lab.story import DIRECTIONS, Nic
from failoverd_lab.switch import open_switch
from failoverd_lab.traffic import diary
from failoverd_lab.world import Probe

PAIRS, GROUP = 300, 77
INTO = 1.0
"""Seconds after the storm has begun at which the carrier is cut."""
SETTLE = 4.0
"""Seconds that belong to a cut, and as many to the mending. A storm has passed by the second of them."""
TIMES, FLOOR = 3.0, 0.150
PATIENCE = 400.0
"""Seconds that an emulated guest may take for what udev makes of a storm."""
NSENTER = shutil.which("nsenter") or "/usr/bin/nsenter"
DATAPATHS = ("bond", "tc")
NICS = (GuestNic("pv", "virtio", MAC, 1, ""), GuestNic("vf", "vf", MAC, 2, ""))
IDLE, QUIET, BUSY = "idle", "quiet", "busy"

AHEAD = [f"--property=CPUScheduling{key}" for key in ("Policy=fifo", "Priority=1")]
PROBES = ["systemd-run", "--quiet", "--unit=probes", *AHEAD, "python3", "/run/guestprobe.py"]
"""Ahead of all else in the guest, or they wait for its CPU, and that passes for silence."""

STORM = f"""
for i in $(seq {PAIRS}); do
    echo "link add storm${{i}}a group {GROUP} type veth peer name storm${{i}}b"
    echo "link set storm${{i}}a up"
    echo "link set storm${{i}}b up"
done | ip -batch -
ip link delete group {GROUP}
"""

Window = tuple[str, float, float]
Cut = Callable[[bool], Awaitable[None]]
Begin = Callable[[], Awaitable[Callable[[], Awaitable[None]]]]
"""Begins a storm, and gives what waits for its end."""


async def rounds(
    times: int, cut: Cut, storms: Mapping[str, Begin], begun: float, say: Callable[[str], None]
) -> list[Window]:
    """Idle, quiet and each storm by turns; the windows in which the carrier was lost."""
    windows: list[Window] = []
    for number in range(times):
        for what in (IDLE, QUIET, *storms):
            say(f"round {number + 1} of {times}: {what}")
            ended = await storms[what]() if what in storms else None
            await trio.sleep(INTO)
            start = time.monotonic() - begun
            if what != IDLE:
                await cut(False)
            await trio.sleep(SETTLE)
            windows.append((what, start, time.monotonic() - begun))
            if ended is not None:
                await ended()
            if what != IDLE:
                await cut(True)
                await trio.sleep(SETTLE)
    return windows


def silences(windows: Sequence[Window], probes: Sequence[Probe]) -> dict[str, list[float]]:
    """The longest silence of each window, either way, in seconds, by what was measured."""
    found: dict[str, list[float]] = {}
    for what, start, end in windows:
        longest = max(judge.silence(probes, way, start, end).length for way in DIRECTIONS)
        found.setdefault(what, []).append(longest)
    return found


class Storms:
    """What a guest is busy with: pairs of veths are made in it. `cut` loses the VF's link, and mends it."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    async def prepare(self) -> None:
        """Done before the traffic."""
        await self.guest.put("/run/storm.sh", STORM.encode())

    def storms(self) -> Mapping[str, Begin]:
        """What it is busy with, by its name."""
        return {BUSY: lambda: guest_storm(self.guest)}

    async def cut(self, up: bool) -> None:
        """Take the VF's path away, or give it back."""
        await self.guest.set_link("vf", up=up)


async def in_a_guest(
    datapath: str, times: int, rate: int, say: Callable[[str], None], kind: Callable[[Guest], Storms] = Storms
) -> dict[str, list[float]]:
    """One guest with one pair, joined by this datapath."""
    found = await image(progress=say)
    async with open_switch() as switch, open_guest(found, switch, nics=NICS, progress=say) as guest:
        await run_failoverd(guest, master={"datapath": datapath})
        work = kind(guest)
        await work.prepare()
        peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
        await guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
        (await guest.run([*PROBES, PEER[0], str(rate), "/run/probes.json"])).check()
        await peer.resolve(ADDRESS)
        begun = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_probes, ADDRESS, rate)
            await trio.sleep(SETTLE)
            windows = await rounds(times, work.cut, work.storms(), begun, say)
            nursery.cancel_scope.cancel()
        (await guest.run(["systemctl", "stop", "probes.service"])).check()
        document = json.loads((await guest.run(["cat", "/run/probes.json"])).check().stdout)
    return silences(windows, judge.probes(peer.diary, diary(document), begun))


async def guest_storm(guest: Guest) -> Callable[[], Awaitable[None]]:
    """Begin a storm in the guest; nobody polls it meanwhile."""
    await shell(guest, "systemd-run --quiet --unit=storm sh -e /run/storm.sh")

    async def ended() -> None:
        # What is left of the storm, udev's queue above all, would take minutes here, and belongs to no window.
        end = f"systemctl stop storm; ip link delete group {GROUP}; systemctl restart systemd-udevd; udevadm settle"
        (await guest.run(["sh", "-c", end], timeout=PATIENCE)).check()

    return ended


async def on_this_kernel(datapath: str, times: int, rate: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """The same in namespaces, with veths for NICs."""
    nics = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
    async with (
        open_stage(nics, {"master": {"datapath": datapath}, **UNDAMPED}) as stage,
        trio.open_nursery() as nursery,
    ):
        for nic in ("pv", "vf"):
            await stage.plug(nic)
        await stage.configure("pv")
        await stage.daemon.start()
        await stage.start_traffic(rate, nursery)
        await trio.sleep(SETTLE)
        begun = time.monotonic()
        storms = {BUSY: lambda: storm_here(stage.daemon.pid)}
        windows = await rounds(times, lambda up: stage.set_link("vf", up), storms, begun, say)
        guest = await stage.stop_traffic()
        probes = judge.probes(stage.peer.diary, guest, begun, one_clock=True)
        nursery.cancel_scope.cancel()
    return silences(windows, probes)


async def storm_here(daemon: int) -> Callable[[], Awaitable[None]]:
    """Begin a storm in the namespace of the daemon with this pid."""
    process = subprocess.Popen([NSENTER, f"--net=/proc/{daemon}/ns/net", "sh", "-ec", STORM])

    async def ended() -> None:
        await trio.to_thread.run_sync(process.wait)

    return ended


def table(results: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Markdown, milliseconds: the median, and the worst in brackets."""
    names = list(dict.fromkeys(name for row in results.values() for name in row))
    lines = [f"| longest silence, ms | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for datapath, row in results.items():
        cells = [f"{statistics.median(row[what]) * 1000:.0f} ({max(row[what]) * 1000:.0f})" for what in names]
        lines.append(f"| {datapath} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(results: Mapping[str, Mapping[str, Sequence[float]]]) -> Iterator[str]:
    """What was promised, and whether it held in this run."""
    for datapath, row in results.items():
        busy, bound = max(row["busy"]), max(TIMES * statistics.median(row["quiet"]), FLOOR)
        word = "held" if busy <= bound else "NOT HELD"
        yield f"{datapath}: {busy * 1000:.0f} ms at worst on a busy machine, promised {bound * 1000:.0f}: {word}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is done (default: 5)")
    parser.add_argument("--rate", type=int, default=200, help="probes a second each way (default: 200)")
    parser.add_argument("--only", choices=DATAPATHS, help="only this datapath")
    parser.add_argument("--here", action="store_true", help="on this kernel, in namespaces, and not in guests")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    # A collection looks at every probe so far, and would be taken for silence. There are no cycles to speak of.
    gc.disable()
    if options.here:
        namespaces.enter()
    measure = on_this_kernel if options.here else in_a_guest
    chosen = [options.only] if options.only else DATAPATHS
    results = {one: trio.run(measure, one, options.rounds, options.rate, say) for one in chosen}
    print(table(results))
    print(f"\n{options.rounds} rounds, {options.rate} probes a second each way, {PAIRS} pairs of veths")
    print("\n".join(verdicts(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
