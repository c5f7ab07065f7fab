"""Thirty pods at once, three VLANs each: failoverd-cni beside the vlan plugin in Go, and beside `ip -batch`.

    failoverd-cni        three plugins of a list, one call each, as the vlan plugin needs them
    failoverd-cni vlans  one plugin with three VLANs, one call
    vlan                 Debian's containernetworking-plugins; its VLANs are made on the host and moved
    ip -batch            one ip for each pod, in it: what no plugin can be faster than

All give static addresses. Each round has new pods; all pods are begun at once, and the calls of a pod come one after
the other. Wall time is from the first begin to the last end, CPU time user and system of all processes: medians over
the rounds. It needs root and a kernel with VLANs, and has network and mount namespaces of its own. The interpreter is
the system's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
STANDARD = Path("/usr/lib/cni")
INSIDE = "--inside"
START = f"""import posix, sys
sys.path.append({str(ROOT / "cni")!r})
from failoverd_cni.main import main
posix._exit(main())"""
OURS = [PYTHON, "-IS", "-c", START]
VLANS = (3, 4, 5)
GOAL = 2.5
"""Times the vlan plugin's."""

Call = tuple[Sequence[str], Mapping[str, str], str]
"""Words, variables and stdin of a process."""


def static(pod: int, vid: int) -> dict[str, Any]:
    """An address from the standard IPAM plugin."""
    return {"type": "static", "addresses": [{"address": f"10.{vid}.{pod}.2/24"}]}


def listed(
    words: Sequence[str], pod: int, command: str, *plugins: Mapping[str, Any], ifname: str = "eth0"
) -> list[Call]:
    """The calls of a list for a pod; for DEL backwards."""
    variables = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": f"c{pod}",
        "CNI_NETNS": f"/run/netns/p{pod}",
        "CNI_PATH": str(STANDARD),
    }
    calls: list[Call] = []
    for number, plugin in enumerate(plugins):
        keys = {"cniVersion": "1.0.0", "name": "bench", **plugin}
        calls.append((words, variables | {"CNI_IFNAME": ifname.format(number)}, json.dumps(keys)))
    return calls if command == "ADD" else calls[::-1]


def ours(pod: int, command: str) -> list[Call]:
    """Three plugins."""
    plugins = [{"linkInContainer": True, "vlanId": vid, "ipam": static(pod, vid)} for vid in VLANS]
    return listed(OURS, pod, command, *plugins)


def ours_at_once(pod: int, command: str) -> list[Call]:
    """One plugin."""
    vlans = [{"vlanId": vid, "ipam": static(pod, vid)} for vid in VLANS]
    return listed(OURS, pod, command, {"linkInContainer": True, "vlans": vlans})


def theirs(pod: int, command: str) -> list[Call]:
    """The vlan plugin, whose VLANs have ids of their own, as they stand on one device."""
    first = 100 + len(VLANS) * pod
    plugins = [
        {"type": "vlan", "master": "up0", "vlanId": first + number, "ipam": static(pod, vid)}
        for number, vid in enumerate(VLANS)
    ]
    return listed([str(STANDARD / "vlan")], pod, command, *plugins, ifname="v{}")


def batch(pod: int, command: str) -> list[Call]:
    """No plugin."""
    lines = []
    for vid in VLANS:
        add = [
            f"link add link eth0 name eth0.{vid} type vlan id {vid}",
            f"address add 10.{vid}.{pod}.2/24 dev eth0.{vid}",
            f"link set eth0.{vid} up",
        ]
        lines += add if command == "ADD" else [f"link delete eth0.{vid}"]
    return [(["ip", "-n", f"p{pod}", "-batch", "-"], dict(os.environ), "\n".join(lines) + "\n")]


def contenders() -> Mapping[str, Callable[[int, str], list[Call]]]:
    """Those that this machine has."""
    found = {"failoverd-cni": ours, "failoverd-cni vlans": ours_at_once, "ip -batch": batch}
    return found | ({"vlan": theirs} if (STANDARD / "vlan").exists() else {})


def at_once(pods: int, calls: Callable[[int], list[Call]]) -> tuple[float, float]:
    """Run the calls of all pods. Returns milliseconds of wall and of CPU time. Raises RuntimeError."""
    failed = []

    def one(pod: int) -> None:
        for words, variables, stdin in calls(pod):
            done = subprocess.run(words, env=variables, input=stdin.encode(), capture_output=True, check=False)
            if done.returncode:
                failed.append(done.stdout.decode() + done.stderr.decode())

    threads = [threading.Thread(target=one, args=(pod,)) for pod in range(pods)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if failed:
        raise RuntimeError(failed[0])
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return 1000 * wall, 1000 * cpu


def ip(*words: str) -> None:
    """It must succeed."""
    command = ["ip", *words]
    subprocess.run(command, check=True)


def has_vlans() -> bool:
    """Make the device that the vlan plugin needs; whether the kernel makes a VLAN on it."""
    ip("link", "add", "up0", "type", "veth", "peer", "name", "down0")
    for name in ("up0", "down0"):
        ip("link", "set", name, "up")
    words = ["ip", "link", "add", "link", "up0", "name", "up0.7", "type", "vlan", "id", "7"]
    done = subprocess.run(words, stderr=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        ip("link", "delete", "up0.7")
    return done.returncode == 0


def make(pods: int) -> None:
    """New pods, each with an interface."""
    for pod in range(pods):
        ip("netns", "add", f"p{pod}")
        ip("link", "add", f"h{pod}", "type", "veth", "peer", "name", "eth0", "netns", f"p{pod}")
        ip("link", "set", f"h{pod}", "up")
        ip("-n", f"p{pod}", "link", "set", "eth0", "up")


def unmake(pods: int) -> None:
    """Remove them."""
    for pod in range(pods):
        ip("-n", f"p{pod}", "link", "delete", "eth0")
        ip("netns", "delete", f"p{pod}")


def measure(pods: int, rounds: int) -> dict[str, dict[str, float]]:
    """Medians, by contender and column."""
    known = contenders()
    taken: dict[str, dict[str, list[float]]] = {name: {} for name in known}
    for _ in range(rounds):
        for name, calls in known.items():
            make(pods)
            for command in ("ADD", "DEL"):

                def of(pod: int, calls: Callable[[int, str], list[Call]] = calls, command: str = command) -> list[Call]:
                    return calls(pod, command)

                wall, cpu = at_once(pods, of)
                taken[name].setdefault(f"{command} wall", []).append(wall)
                taken[name].setdefault(f"{command} CPU", []).append(cpu)
            unmake(pods)
    return {name: {key: statistics.median(rows) for key, rows in row.items()} for name, row in taken.items()}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the medians as JSON")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.inside:
        script = 'mount -t tmpfs none /run && exec "$@"'
        words = ["unshare", "-n", "-m", "sh", "-c", script, "sh", sys.executable, __file__, *sys.argv[1:], INSIDE]
        sys.exit(subprocess.run(words, check=False).returncode)
    if not has_vlans():
        print("this kernel has no VLANs: thirty pods at once are measured where it has (bench/cnipods.py)")
        return
    found = measure(wanted.pods, wanted.rounds)
    if wanted.json:
        print(json.dumps(found))
        return
    columns = list(found["ip -batch"])
    print(f"{'':<20}" + "".join(f"{column:>10}" for column in columns) + f"   ms, {wanted.rounds} rounds")
    for name, row in found.items():
        print(f"{name:<20}" + "".join(f"{row[column]:>10.0f}" for column in columns))
    beside = found.get("vlan", found["ip -batch"])
    for name in ("failoverd-cni", "failoverd-cni vlans"):
        ratios = "".join(f"{found[name][column] / beside[column]:>10.2f}" for column in columns)
        print(f"{name:<20}{ratios}   times {'vlan' if 'vlan' in found else 'ip -batch'}; the goal is {GOAL}")


if __name__ == "__main__":
    main()
