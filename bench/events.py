"""What do random real events cost the traffic? In a guest with the Debian package, under probes each way.

One event after the other, drawn from a seed: the VF is unplugged and plugged in, its cable cut and mended, slaves are
renamed; the daemon gets kill -9; the bus, udevd or failoverd are restarted; NetworkManager is told to take a slave for
its own; a container runtime's work is done, 100 pairs of veths with one end in a namespace. `nothing` is an event as
well: its silence is the lab's noise. After each the probes go on for REST seconds, and until the pair is whole again;
then the invariants (failoverd_lab/invariants.py) have to hold of what iproute2 and the switch say of the machine.

Told for each kind: how often, the median, the 95th percentile and the longest of the silences (milliseconds, the longer
one of both ways), and the probes lost. `*` marks what takes the path away by itself. The exit code is 1 where any other
event was silent for longer than LIMIT and than all of the noise, where the pair did not come back, where an invariant
did not hold, or where the memory of the daemon at the end is more than GROWTH above that at the beginning.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from renames import STANDBY, VF, Say, Traffic, shell, traffic

from failoverd_lab import install, judge
from failoverd_lab.guest import Guest, open_guest
from failoverd_lab.guestview import COMMANDS, machine_of
from failoverd_lab.image import image
from failoverd_lab.invariants import ALWAYS, SETTLED, SOON, broken
from failoverd_lab.lan import ADDRESS
from failoverd_lab.story import DIRECTIONS
from failoverd_lab.switch import Switch, open_switch

LIMIT = 0.150
"""Seconds."""
GROWTH = 0.05
REST = 2.0
PATIENCE = 90.0
"""Seconds in which a pair is whole again."""
BATCH = 40
"""Events for one run of the probes, which keep their record in the guest's memory."""
RATE = 200
SUITE = "trixie"
INVARIANTS = (*ALWAYS, *SOON, *SETTLED)
BUSES = {"pv": "virtio", "vf": "pci"}
OFF = ("NetworkManager.service", "NetworkManager-wait-online.service")
NOBODYS = "[keyfile]\nunmanaged-devices=*\n"
"""NetworkManager leaves alone what it is not told to take."""
CONFIG = "[dbus]\nenabled = true\n[damping]\nenabled = false\n"
"""A VF that goes this often would be left to the standby."""
INSTALL = """
cd /run
DEBIAN_FRONTEND=noninteractive apt-get -q -y install ./failoverd.deb
systemctl unmask NetworkManager
systemctl start NetworkManager
nmcli connection add con-name grab type ethernet ifname none ipv4.method manual ipv4.addresses 10.111.9.9/24 \
    ipv6.method disabled connection.autoconnect no
"""
GRAB = """
nmcli connection modify grab connection.interface-name "$1"
nmcli device set "$1" managed yes
nmcli --wait 10 connection up grab || true
nmcli device set "$1" managed no
"""
VETHS = """
ip netns add box
for i in $(seq 100); do
    echo "link add box${i}a type veth peer name box${i}b netns box"
    echo "link set box${i}a up"
done | ip -batch -
ip netns delete box
for i in $(seq 100); do echo "link delete box${i}a"; done | ip -force -batch - 2>/dev/null || true
"""
RSS = "awk '/^VmRSS:/ { print $2 }' /proc/$(systemctl show --value --property=MainPID failoverd)/status"


@dataclass
class Kind:
    """What became of one kind of event."""

    takes_path: bool = False
    silences: list[float] = field(default_factory=list)
    lost: int = 0


@dataclass
class Run:
    """The guest, and what is plugged in."""

    guest: Guest
    switch: Switch
    dice: random.Random
    has_vf: bool = True
    has_link: bool = True
    numbers: int = 0
    broken: list[str] = field(default_factory=list)

    async def master(self) -> Mapping[str, Any]:
        """The master, {} while no daemon answers or it is not joined."""
        document = await install.ask(self.guest, "status")
        return document["masters"][0] if document and document["masters"] else {}

    async def whole(self) -> None:
        """Wait until the pair is as it should be with what is plugged in."""
        wanted = "accelerated" if self.has_vf and self.has_link else "on-standby"
        master: Mapping[str, Any] = {}
        with trio.move_on_after(PATIENCE):
            while True:
                master = await self.master()
                both = master.get("standby") and bool(master.get("primary")) == self.has_vf
                if master.get("state") == wanted and both:
                    return
                await trio.sleep(0.3)
        raise AssertionError(f"not {wanted} within {PATIENCE:g} s: {master}\n{await install.log(self.guest)}")

    async def judge(self, seen: Traffic, after: str) -> None:
        """Have the invariants judge the machine as it is."""
        links, addresses = [json.loads(await shell(self.guest, command)) for command in COMMANDS]
        came_by = BUSES.get(seen.peer.came_by(), "")
        machine = machine_of(links, addresses, STANDBY.mac, ADDRESS, came_by, [await self.master()])
        self.broken += [f"after {after}: {name}: {text}" for name, text in broken(INVARIANTS, machine)]

    async def unplug(self) -> None:
        await self.guest.unplug("vf")
        self.has_vf, self.has_link = False, True

    async def plug(self) -> None:
        await self.guest.plug(VF)
        self.has_vf = True

    async def cut(self) -> None:
        await self.guest.set_link("vf", up=False)
        self.has_link = False

    async def mend(self) -> None:
        await self.guest.set_link("vf", up=True)
        self.has_link = True

    async def rename(self) -> None:
        self.numbers += 1
        master = await self.master()
        role = "standby" if not self.has_vf or self.dice.random() < 0.5 else "primary"
        await shell(self.guest, 'failoverctl rename "$1" "$2"', master[role]["name"], f"x{self.numbers}")

    async def grab(self, role: str) -> None:
        await shell(self.guest, GRAB, (await self.master())[role]["name"])

    def possible(self) -> dict[str, tuple[Callable[[], Awaitable[object]], bool]]:
        """What may come next: how it is done, and whether it takes the path away by itself."""
        carries = self.has_vf and self.has_link
        found: dict[str, tuple[Callable[[], Awaitable[object]], bool]] = {
            "nothing": (trio.lowlevel.checkpoint, False),
            "rename": (self.rename, False),
            "kill -9": (lambda: install.kill(self.guest), False),
            "daemon restart": (lambda: shell(self.guest, "systemctl restart failoverd"), False),
            "bus restart": (lambda: shell(self.guest, "systemctl restart dbus"), False),
            "udevd restart": (lambda: shell(self.guest, "systemctl restart systemd-udevd"), False),
            "grab standby": (lambda: self.grab("standby"), not carries),
            "100 veths": (lambda: shell(self.guest, VETHS, timeout=300), False),
        }
        if carries:
            found |= {"unplug": (self.unplug, True), "carrier lost": (self.cut, True)}
            found |= {"grab VF": (lambda: self.grab("primary"), True)}
        elif self.has_vf:
            found |= {"carrier back": (self.mend, False), "unplug without link": (self.unplug, False)}
        else:
            found |= {"plug": (self.plug, False)}
        return found


def package() -> bytes:
    """The Debian package of this tree."""
    done = subprocess.run([Path(__file__).parents[1] / "tools" / "deb.sh"], capture_output=True, text=True, check=True)
    return Path(done.stdout.splitlines()[-1]).read_bytes()


async def batch(run: Run, count: int, kinds: dict[str, Kind], sizes: list[int], say: Say) -> None:
    """So many events under one run of the probes."""
    events: list[tuple[str, bool, float, float]] = []
    async with traffic(run.guest, run.switch, RATE) as seen:
        for _ in range(count):
            possible = run.possible()
            name = run.dice.choice(sorted(possible))
            do, takes_path = possible[name]
            begun = time.monotonic() - seen.begun
            await do()
            await trio.sleep(REST)
            await run.whole()
            await run.judge(seen, name)
            events.append((name, takes_path, begun, time.monotonic() - seen.begun))
            sizes.append(int(await shell(run.guest, RSS)))
    for name, takes_path, begun, ended in events:
        kind = kinds.setdefault(name + "*" * takes_path, Kind(takes_path))
        found = [judge.silence(seen.probes, way, begun, ended).length for way in DIRECTIONS]
        lost = sum(judge.lost(seen.probes, way, begun, ended) for way in DIRECTIONS)
        kind.silences.append(max(found))
        kind.lost += lost
        if max(found) > LIMIT:
            say(f"{name}: {max(found) * 1000:.0f} ms, {lost} lost")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so many of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def table(kinds: Mapping[str, Kind]) -> str:
    """A row for each kind of event, in milliseconds."""
    rows = [f"{'event':<22}{'times':>6}{'median':>8}{'95 %':>7}{'longest':>9}{'lost':>6}"]
    for name, kind in sorted(kinds.items(), key=lambda item: max(item[1].silences)):
        numbers = (statistics.median(kind.silences), percentile(kind.silences, 0.95), max(kind.silences))
        median, most, longest = (f"{1000 * number:.0f}" for number in numbers)
        rows.append(f"{name:<22}{len(kind.silences):>6}{median:>8}{most:>7}{longest:>9}{kind.lost:>6}")
    return "\n".join(rows)


async def measure(count: int, seed: int, say: Say) -> bool:
    """See the module. Whether all was right."""
    kinds: dict[str, Kind] = {}
    sizes: list[int] = []
    disk, deb = await image(SUITE, extra=("network-manager",), off=OFF, progress=say), package()
    async with open_switch() as switch, open_guest(disk, switch, nics=(STANDBY, VF), progress=say) as guest:
        name = (await guest.netdevs("pv"))[0]
        await shell(guest, f'ip link set "$1" up; ip address add {ADDRESS}/24 dev "$1"', name)
        await guest.put("/run/failoverd.deb", deb)
        await guest.put("/etc/NetworkManager/conf.d/lab.conf", NOBODYS.encode())
        await guest.put("/etc/failoverd/failoverd.toml", CONFIG.encode())
        await shell(guest, INSTALL, timeout=300)
        run = Run(guest, switch, random.Random(seed))  # noqa: S311  (a seed, no secret)
        await run.whole()
        while len(sizes) < count:
            await batch(run, min(BATCH, count - len(sizes)), kinds, sizes, say)
            say(f"{len(sizes)} events, the daemon has {sizes[-1]} kB")
    noise = max(kinds["nothing"].silences, default=0.0) if "nothing" in kinds else 0.0
    grown = sizes[-1] / sizes[0] - 1
    print(f"{count} events, seed {seed}; silences in milliseconds\n{table(kinds)}")
    print(f"memory of the daemon: {sizes[0]} kB after the first event, {sizes[-1]} kB after the last ({grown:+.1%})")
    bad = [name for name, kind in kinds.items() if not kind.takes_path and max(kind.silences) > max(LIMIT, noise)]
    print("\n".join(["invariants that did not hold:", *run.broken]) if run.broken else "every invariant held")
    print(f"silent for longer than {LIMIT * 1000:.0f} ms and than the noise: {', '.join(bad) or 'none'}", flush=True)
    return not bad and not run.broken and grown <= GROWTH


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=None, help="of which history (default: any, and told)")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", file=sys.stderr, flush=True)

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10000)
    say(f"seed {seed}")
    with suppress(OSError):  # not allowed: the switch, which is in this process, waits for the CPU with the guest
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    return 0 if trio.run(measure, options.events, seed, say) else 1


if __name__ == "__main__":
    sys.exit(main())
