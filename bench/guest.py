"""How long is traffic silent? failoverd, the kernel's net_failover, and a bare bond with a udev script, side by side.

failoverd three times: with its bond, with traffic control, and where it has adopted net_failover and closes its hole.
Each gets the same guest, the same NICs and the same events, several rounds of them, one after the other in one run:

    VF carrier lost, carrier back, VF unplugged, VF replugged, live migration (with the VF's unplug and replug)

The carrier is lost and comes back several times in a round: how long a bare bond needs depends on how far its next
miimon tick is, and a few samples of that would be luck. Nothing else happens in the guest meanwhile: nobody polls it,
and the host waits. What is measured is the longest silence and the probes lost, in each direction, between an event and
the next. A row's noise is the longest silence of a window of the same length in which nothing happened: the lab cannot
tell a shorter outage from none.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio

from failoverd_lab import guestprobe, install, judge
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import ADDRESS, PEER, PEER_MAC
from failoverd_lab.machine import accelerator
from failoverd_lab.nics import GuestNic
from failoverd_lab.peer import Peer
from failoverd_lab.story import DIRECTIONS
from failoverd_lab.switch import open_switch
from failoverd_lab.traffic import diary
from failoverd_lab.world import Probe

MAC = "52:54:00:fa:11:01"
CIDR = f"{ADDRESS}/24"
WINDOW = 5.0
"""Seconds that belong to each event: a hot-plug takes up to three without KVM."""

LINK_WINDOW = 3.0
"""Seconds that belong to a loss of the carrier, and to its return, which has a hold-down of one second."""
LOSSES = 4
"""How often a round loses the carrier."""

UNDAMPED: Mapping[str, Any] = {"damping": {"enabled": False}}
"""What is measured again and again would be taken for flaps."""

COLUMNS = ("idle", "carrier lost", "carrier back", "unplugged", "replugged", "migration")

BOND = f"""
cat >/usr/local/sbin/bond-vf <<'END'
#!/bin/sh
ip link set "$1" down
ip link set "$1" master bond0
ip link set bond0 type bond primary "$1"
END
chmod +x /usr/local/sbin/bond-vf
echo 'ACTION=="add", SUBSYSTEM=="net", DRIVERS=="vmxnet3", RUN+="/usr/local/sbin/bond-vf $name"' \\
    >/etc/udev/rules.d/99-bond.rules
udevadm control --reload
ip link add bond0 address {MAC} type bond mode active-backup miimon 100 fail_over_mac active
ip link set "$1" down
ip link set "$1" master bond0
ip link set bond0 up
ip address add {CIDR} dev bond0
udevadm trigger --action=add "/sys/class/net/$2"
udevadm settle
"""


@dataclass(frozen=True)
class Setup:
    """One of those that are compared."""

    name: str
    prepare: Callable[[Guest], Awaitable[None]]
    kernel_failover: bool = False

    def nics(self) -> tuple[GuestNic, GuestNic]:
        """The paravirtual NIC and the VF."""
        pairs = ("vf", "pv") if self.kernel_failover else ("", "")
        return GuestNic("pv", "virtio", MAC, 1, pairs[0]), GuestNic("vf", "vf", MAC, 2, pairs[1])


@dataclass
class Cell:
    """What one event did, over all rounds: silences in seconds and lost probes, one of each every time."""

    silence: dict[str, list[float]] = field(default_factory=lambda: {way: [] for way in DIRECTIONS})
    lost: dict[str, list[int]] = field(default_factory=lambda: {way: [] for way in DIRECTIONS})


async def run_failoverd(guest: Guest, **config: Mapping[str, Any]) -> None:
    # The kernel's own master has the shortest name of those on the paravirtual NIC; without it there is only one.
    name = min(await guest.netdevs("pv"), key=len)
    await shell(guest, f'ip link set "$1" up; ip address add {CIDR} dev "$1"', name)
    await install.install(guest, {**UNDAMPED, **config})
    await install.start(guest)
    with trio.fail_after(120):
        while (await install.ask(guest, "status") or {"masters": []})["masters"][0]["state"] != "accelerated":
            await trio.sleep(1)


async def run_net_failover(guest: Guest) -> None:
    names = await guest.netdevs("pv")
    master = min(names, key=len)
    await shell(guest, f'ip link set "$1" up; ip address add {CIDR} dev "$1"', master)


async def run_bond(guest: Guest) -> None:
    pv, vf = (await guest.netdevs("pv"))[0], (await guest.netdevs("vf"))[0]
    await shell(guest, BOND, pv, vf)


SETUPS = (
    Setup("failoverd", run_failoverd),
    Setup("failoverd, tc", partial(run_failoverd, master={"datapath": "tc"})),
    Setup(
        "failoverd, net_failover adopted",
        partial(run_failoverd, kernel_failover={"close_hole": True}),
        kernel_failover=True,
    ),
    Setup("net_failover", run_net_failover, kernel_failover=True),
    Setup("bond + udev script", run_bond),
)


async def shell(guest: Guest, script: str, *words: str) -> None:
    (await guest.run(["sh", "-ec", script, "bench", *words], timeout=120)).check()


async def measure(setup: Setup, rounds: int, rate: int, say: Callable[[str], None]) -> dict[str, Cell]:
    """One setup, each round in a guest of its own: QEMU's failover takes no second VF after a migration."""
    cells = {column: Cell() for column in COLUMNS}
    for number in range(rounds):
        say(f"{setup.name}: round {number + 1} of {rounds}")
        await measure_round(setup, rate, say, cells)
    return cells


async def measure_round(setup: Setup, rate: int, say: Callable[[str], None], cells: dict[str, Cell]) -> None:
    nics = setup.nics()
    found = await image(progress=say)
    async with open_switch() as switch, open_guest(found, switch, nics=nics, progress=say) as guest:
        await setup.prepare(guest)
        peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
        await guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
        service = ["systemd-run", "--quiet", "--unit=probes", "--nice=-10", "python3", "/run/guestprobe.py"]
        (await guest.run([*service, PEER[0], str(rate), "/run/probes.json"])).check()
        await peer.resolve(ADDRESS)
        windows: list[tuple[str, float, float]] = []
        begun = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_probes, ADDRESS, rate)
            await trio.sleep(WINDOW)
            await one_round(guest, nics, setup, windows, begun)
            nursery.cancel_scope.cancel()
        (await guest.run(["systemctl", "stop", "probes.service"])).check()
        document = json.loads((await guest.run(["cat", "/run/probes.json"])).check().stdout)
    fill(cells, windows, judge.probes(peer.diary, diary(document), begun))


async def one_round(
    guest: Guest,
    nics: Sequence[GuestNic],
    setup: Setup,
    windows: list[tuple[str, float, float]],
    begun: float,
) -> None:
    """All events once; each has its window."""

    async def event(column: str, *steps: Callable[[], Awaitable[object]], window: float = WINDOW) -> None:
        start = time.monotonic() - begun
        for step in steps:
            await step()
            await trio.sleep(window)
        windows.append((column, start, time.monotonic() - begun))

    async def nothing() -> None:
        return None

    vf = nics[1]
    await event("idle", nothing)
    for _ in range(LOSSES):
        await event("carrier lost", lambda: guest.set_link("vf", up=False), window=LINK_WINDOW)
        await event("carrier back", lambda: guest.set_link("vf", up=True), window=LINK_WINDOW)
    await event("unplugged", lambda: guest.unplug("vf"))
    await event("replugged", lambda: guest.plug(vf))
    if setup.kernel_failover:
        await event("migration", guest.migrate)
    else:
        await event("migration", lambda: guest.unplug("vf"), guest.migrate, lambda: guest.plug(vf))


def fill(cells: dict[str, Cell], windows: Sequence[tuple[str, float, float]], probes: Sequence[Probe]) -> None:
    for column, start, end in windows:
        for way in DIRECTIONS:
            cells[column].silence[way].append(judge.silence(probes, way, start, end).length)
            cells[column].lost[way].append(judge.lost(probes, way, start, end))


def table(results: dict[str, dict[str, Cell]]) -> str:
    """Markdown: to the guest / from the guest; the median silence, the worst in brackets, and the lost probes."""
    lines = ["| longest silence, ms | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, cells in results.items():
        for way in DIRECTIONS:
            row = [text(cells[column], way) for column in COLUMNS]
            lines.append(f"| {name}, {way} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def text(cell: Cell, way: str) -> str:
    silences = [value * 1000 for value in cell.silence[way]]
    return f"{statistics.median(silences):.0f} ({max(silences):.0f}), {sum(cell.lost[way])} lost"


def verdicts(results: dict[str, dict[str, Cell]]) -> list[str]:
    """What was promised, and whether it held in this run."""
    noise = max(max(cells["idle"].silence[way]) for cells in results.values() for way in DIRECTIONS)
    lines = [f"noise of the lab (the longest silence of an idle window): {noise * 1000:.0f} ms"]
    mine, others = results["failoverd"], [results[name] for name in ("net_failover", "bond + udev script")]
    for column in COLUMNS[1:]:
        for way in DIRECTIONS:
            here = statistics.median(mine[column].silence[way])
            best = min(statistics.median(cells[column].silence[way]) for cells in others)
            word = "held" if here <= best + noise else "NOT HELD"
            lines.append(f"{column}, {way}: {here * 1000:.0f} ms, the better other {best * 1000:.0f} ms: {word}")
    bond = results["bond + udev script"]["carrier lost"].silence
    for way in DIRECTIONS:
        here, there = statistics.median(mine["carrier lost"].silence[way]), statistics.median(bond[way])
        word = "held" if here <= there / 3 else "NOT HELD"
        lines.append(f"carrier loss, {way}: {here / there:.2f} of the bare bond's time: {word}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each event is done (default: 5)")
    parser.add_argument("--rate", type=int, default=200, help="probes a second each way (default: 200)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every silence there, in seconds")
    parser.add_argument("--only", choices=[setup.name for setup in SETUPS], help="only this one, without a verdict")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    chosen = [setup for setup in SETUPS if options.only in (None, setup.name)]
    results: dict[str, dict[str, Cell]] = {}
    for setup in chosen:
        results[setup.name] = trio.run(measure, setup, options.rounds, options.rate, say)
        if options.json:
            documents = {name: {key: asdict(cell) for key, cell in cells.items()} for name, cells in results.items()}
            options.json.write_text(json.dumps(documents, indent=1))
    print(table(results))
    print(f"\n{options.rounds} rounds, {options.rate} probes a second each way, accelerator {accelerator()}")
    if options.only is None:
        print("\n".join(verdicts(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
