"""How soon is a change in the inventory's answers? Measured in a network namespace, with the real daemon.

a change        the MTU or an address of a device is changed; the next answers are asked for without pause
no event        an IPv4 gateway goes in a way of which the kernel tells nothing: its device goes down, the device's last
                address is deleted, its nexthop object is deleted
back            the device is up again: the kernel has not given the route back, and no answer may show it

Times run from the end of the change, as `ip` reports it, to the first answer that shows it. Promised: 50 ms for a
change, 0.5 s for a gateway without an event.

python bench/freshness.py [--rounds 100] [--links 300]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from interfaces import IP, PATIENCE, UNSHARE, make_links
from inventoryload import ask, daemon

CHANGE, GATEWAY = 0.050, 0.5
"""Seconds that are promised."""
STAYS = 0.7
"""Seconds for which a route that is gone must stay away."""
START = """link add v0 type veth peer name v1
link set v0 up
link set v1 up
"""
VIA = "gateway='10.9.0.2'"
ROUTE = "default via 10.9.0.2 dev v0"
GOING = {
    "its device goes down": ("addr add 10.9.0.1/24 dev v0\nroute add " + ROUTE, "link set v0 down"),
    "the last address is deleted": ("addr add 10.9.0.1/24 dev v0\nroute add " + ROUTE, "addr del 10.9.0.1/24 dev v0"),
    "its nexthop is deleted": (
        "addr add 10.9.0.1/24 dev v0\nnexthop add id 7 via 10.9.0.2 dev v0\nroute add default nhid 7",
        "nexthop del id 7",
    ),
}


def ip(lines: str) -> None:
    """Make these changes; the first that the kernel refuses ends the run."""
    subprocess.run([IP, "-batch", "-"], input=lines + "\n", text=True, check=True)


def until(path: Path, is_so: Callable[[str], bool]) -> float:
    """Ask for the document of v0 until it is so. Returns the seconds that took."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        asked = ask(path, "interface-xml", "v0")["ok"]
        if is_so(str(asked)):
            return time.monotonic() - began
    raise SystemExit(f"not so after {PATIENCE} s: {asked}")


def shows(what: str, text: str) -> bool:
    return what in text


def lacks(what: str, text: str) -> bool:
    return what not in text


def told(name: str, found: list[float], promised: float) -> str:
    """A line: median and longest, and whether that is what was promised."""
    found.sort()
    verdict = "held" if found[-1] <= promised else "NOT HELD"
    middle, longest = found[len(found) // 2] * 1e3, found[-1] * 1e3
    return f"{name:<40} {len(found):>6} {middle:>11.1f} {longest:>12.1f} {promised * 1e3:>13.0f}  {verdict}"


def measure(rounds: int, links: int) -> None:
    """See the module."""
    make_links(links)
    ip(START)
    found: dict[str, list[float]] = {"the MTU": [], "an address": [], **{name: [] for name in GOING}}
    with daemon() as (_process, path, _log):
        ask(path, "interface-xml", "v0")
        for number in range(rounds):
            mtu, address = 1300 + number % 200, f"10.8.{number % 250}.1"
            ip(f"link set v0 mtu {mtu}")
            found["the MTU"].append(until(path, partial(shows, f"mtu size='{mtu}'")))
            ip(f"addr add {address}/24 dev v0")
            found["an address"].append(until(path, partial(shows, address)))
            ip(f"addr del {address}/24 dev v0")
        for _ in range(max(1, rounds // 10)):
            for name, (there, gone) in GOING.items():
                ip(there)
                until(path, partial(shows, VIA))
                ip(gone)
                found[name].append(until(path, partial(lacks, VIA)))
                ip("link set v0 up")
                end = time.monotonic() + STAYS
                while time.monotonic() < end:
                    assert lacks(VIA, str(ask(path, "interface-xml", "v0"))), f"{name}: it came back"
                ip("addr flush dev v0")
    head = ("changed, or how the gateway went", "times", "median, ms", "longest, ms", "promised, ms")
    print("{:<40} {:>6} {:>11} {:>12} {:>13}".format(*head))
    for name, times in found.items():
        print(told(name, times, GATEWAY if name in GOING else CHANGE))


def main() -> int:
    """Measure in a namespace of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="how often each change is made (100)")
    parser.add_argument("--links", type=int, default=300, help="how many other links there are (300)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options.rounds, options.links)
        return 0
    command = [UNSHARE, "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    command += [sys.executable, *sys.argv, "--inside"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
