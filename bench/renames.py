"""Are names steady? Two measurements, each in real guests.

`renames`: both slaves of a pair are renamed in turn under traffic, by failoverd's orders, and where the kernel renames
what is up, half of them by somebody else. Counted: signals that are not exactly the renames made, in their order;
probes lost each way; and the longest silence beside the noise, which is that of as many renames of a device nobody
uses, in as much time, right afterwards.
On 6.1 a VF that carries is renamed while the standby does, so its time holds two switches and a hold-down; 6.12 renames
it as it runs.

`races`: on 6.1 the VF is plugged in again and again while a process brings every new device up the moment it appears,
so that udev's rename of it fails, until that has been so often enough. Counted: whether the name in the end is the one
in udev's database.

The exit code is 1 where a rename or a signal was wrong, a name is not udev's, or, on 6.12, a probe was lost.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import trio

from failoverd_lab import guestnames, guestprobe, install, judge
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import ADDRESS, LAST, PEER, PEER_MAC
from failoverd_lab.nics import GuestNic
from failoverd_lab.peer import Peer
from failoverd_lab.story import DIRECTIONS
from failoverd_lab.switch import Switch, open_switch
from failoverd_lab.traffic import diary
from failoverd_lab.world import Probe

MAC = "52:54:00:fa:11:01"
STANDBY, VF = GuestNic("pv", "virtio", MAC, 1), GuestNic("vf", "vf", MAC, 2)
SCRIPT, OUTPUT = "/run/guestnames.py", "/run/guestnames.out"
SUITES = {"bookworm": "6.1", "trixie": "6.12"}
LONGEST = 1200.0
"""Seconds that all renames may take."""
MOST = 2
"""Races at most, for each that the opener is to win."""

Say = Callable[[str], None]


@dataclass
class Traffic:
    """What the probes did; filled in when it has ended. `begun` and the marks are of the host's clock."""

    begun: float
    peer: Peer
    probes: Sequence[Probe] = ()


@asynccontextmanager
async def pair(suite: str, say: Say) -> AsyncIterator[tuple[Guest, Switch]]:
    """A guest whose pair is joined, the VF carrying."""
    disk = await image(suite, progress=say)
    async with open_switch() as switch, open_guest(disk, switch, nics=(STANDBY, VF), progress=say) as guest:
        name = (await guest.netdevs("pv"))[0]
        await shell(guest, f'ip link set "$1" up; ip address add {ADDRESS}/24 dev "$1"', name)
        await install.install(guest, {})
        await install.start(guest)
        await guest.put(SCRIPT, Path(guestnames.__file__).read_bytes())
        await accelerated(guest)
        yield guest, switch


async def shell(guest: Guest, script: str, *words: str, timeout: float = 60) -> str:
    done = await guest.run(["sh", "-ec", script, "bench", *words], timeout=timeout)
    return done.check().stdout.decode()


async def accelerated(guest: Guest) -> Mapping[str, Any]:
    """The master, once its VF carries."""
    with trio.fail_after(60):
        while True:
            masters = (await install.ask(guest, "status") or {"masters": []})["masters"]
            if masters and masters[0]["state"] == "accelerated":
                return dict(masters[0])
            await trio.sleep(0.3)


@asynccontextmanager
async def traffic(guest: Guest, switch: Switch, rate: int) -> AsyncIterator[Traffic]:
    """Probes each way. Those of the guest run ahead of all else in it, or they wait for its CPU, and that passes for
    silence."""
    peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
    await guest.put("/run/guestprobe.py", Path(guestprobe.__file__).read_bytes())
    ahead = [f"--property=CPUScheduling{key}" for key in ("Policy=fifo", "Priority=1")]
    service = ["systemd-run", "--quiet", "--unit=probes", *ahead, "python3", "/run/guestprobe.py"]
    (await guest.run([*service, PEER[0], str(rate), "/run/probes.json"])).check()
    await peer.resolve(ADDRESS)
    with trio.fail_after(30):
        while not peer.diary.heard:
            await trio.sleep(0.01)
    found = Traffic(time.monotonic(), peer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.send_probes, ADDRESS, rate)
        await trio.sleep(LAST)
        yield found
        nursery.cancel_scope.cancel()
    await trio.sleep(LAST)
    await shell(guest, "systemctl stop probes.service")
    peer.close()
    found.probes = judge.probes(peer.diary, diary(json.loads(await shell(guest, "cat /run/probes.json"))), found.begun)


async def told(guest: Guest) -> list[tuple[int, str, str]]:
    """The renames failoverd has signalled."""
    lines = map(json.loads, (await shell(guest, "cat /var/lib/failoverd/history")).splitlines())
    return [(line["ifindex"], line["from"], line["to"]) for line in lines if line["event"] == "renamed"]


def in_a_row(probes: Sequence[Probe], way: str) -> int:
    """The most probes one after the other that never arrived."""
    ordered = sorted((probe.sent, probe.arrived is None) for probe in probes if probe.direction == way)
    return max((len(list(run)) for is_lost, run in groupby(lost for _, lost in ordered) if is_lost), default=0)


async def rename(suite: str, count: int, rate: int, say: Say) -> bool:
    """See `renames` in the module. Whether all was right."""
    async with pair(suite, say) as (guest, switch):
        before = len(await told(guest))
        async with traffic(guest, switch, rate) as seen:
            busy = time.monotonic() - seen.begun
            script = 'systemd-run --quiet --unit=renames --wait python3 "$1" rename "$2" "$3"'
            await shell(guest, script, SCRIPT, str(count), OUTPUT, timeout=LONGEST)
            end = time.monotonic() - seen.begun
            say("renamed; now the noise")
            unit = 'systemd-run --quiet --unit=alike --wait python3 "$1" alike "$2" "$3"'
            await shell(guest, unit, SCRIPT, str(count), str(end - busy), timeout=LONGEST)
            quiet = time.monotonic() - seen.begun
        rows = json.loads(await shell(guest, f"cat {OUTPUT}"))
        signals = (await told(guest))[before:]
    made = [(row["ifindex"], row["old"], row["new"]) for row in rows]
    failed = [row for row in rows if row["refused"] or row["named"] != row["new"]]
    by_others = sum(row["how"] == "others" for row in rows)
    lines = [
        (
            f"{SUITES[suite]}: {len(rows)} renames of UP slaves in {end - busy:.0f} s, {by_others} by others, "
            f"{len(failed)} refused or wrong {failed[:3]}"
        ),
        f"  signalled: {len(signals)}, {'each once with its names' if signals == made else 'NOT as they were made'}",
    ]
    all_lost = 0
    for way in DIRECTIONS:
        noise = judge.silence(seen.probes, way, end, quiet).length * 1000
        silence = judge.silence(seen.probes, way, busy, end).length * 1000
        sent = sum(probe.direction == way and busy <= probe.sent <= end for probe in seen.probes)
        idle = judge.lost(seen.probes, way, end, quiet)
        lost = judge.lost(seen.probes, way, busy, end)
        all_lost += lost
        lines.append(
            f"  {way}: {lost} of {sent} probes lost ({idle} as noise), at most {in_a_row(seen.probes, way)} in a row, "
            f"longest silence {silence:.0f} ms, noise {noise:.0f} ms"
        )
    print("\n".join(lines), flush=True)
    return signals == made and not failed and (suite != "trixie" or not all_lost)


async def race(suite: str, count: int, say: Say) -> bool:
    """See `races` in the module. Whether all was right."""
    names: list[tuple[str, str]] = []
    first = 0
    async with pair(suite, say) as (guest, _):
        wanted = (await guest.netdevs("vf"))[0]
        unit = 'systemd-run --quiet --nice=-15 --unit=opener python3 "$1" open "$2"'
        await shell(guest, unit, SCRIPT, OUTPUT)
        while first < count and len(names) < MOST * count:
            await guest.unplug("vf")
            await guest.plug(VF)
            with trio.fail_after(60):
                while (await install.ask(guest, "status") or {})["masters"][0]["primary"] is None:
                    await trio.sleep(0.1)
            (name,) = await guest.netdevs("vf")
            script = 'sed -n s/^E:ID_NET_NAME=//p "/run/udev/data/n$(cat "/sys/class/net/$1/ifindex")"'
            names.append((name, (await shell(guest, script, name)).strip()))
            opened = [line.split() for line in (await shell(guest, f"cat {OUTPUT}")).splitlines()]
            first = sum(row[1] != wanted and row[2] == "opened" for row in opened)
            if len(names) % 10 == 0:
                say(f"{len(names)} races, the opener first in {first}")
        said = await shell(guest, "journalctl -u systemd-udevd -o cat | grep -c 'already up, cannot rename' || true")
    right = sum(name == udevs == wanted for name, udevs in names)
    print(
        f"{SUITES[suite]}: {len(names)} races, the opener first in {first}, udev's rename refused in {said.strip()}; "
        f"the final name is udev's ({wanted}) in {right}",
        flush=True,
    )
    return first == count and right == len(names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renames", type=int, default=500, help="how many, on each kernel (default: 500)")
    parser.add_argument("--races", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--rate", type=int, default=200, help="probes a second each way (default: 200)")
    parser.add_argument("--only", choices=[*SUITES, "races"], help="only the renames on this release, or the races")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    right = [trio.run(rename, s, options.renames, options.rate, say) for s in SUITES if options.only in (None, s)]
    if options.only in (None, "races"):
        right.append(trio.run(race, "bookworm", options.races, say))
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
