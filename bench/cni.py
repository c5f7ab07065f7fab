"""How long does failoverd-cni take, beside the plugins in Go that it stands beside? Ratios of one run, on this machine.

    failoverd-cni VERSION          a start, and nothing else
    failoverd-cni ADD, refused     all of a start, a look into the pod and a request that the kernel refuses
    python3 -c pass, -IS -c pass   what no Python program can be faster than
    vlan, host-local: VERSION      of Debian's containernetworking-plugins, where they are

Each round runs every command once, so that whatever else the machine does falls on all of them. Wall time is the least
and the median from fork to exit, CPU time the median of user and system. The interpreter is the system's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
STANDARD = Path("/usr/lib/cni")
START = f"""import posix, sys
sys.path.append({str(ROOT / "cni")!r})
from failoverd_cni.main import main
posix._exit(main())"""
KEYS = {"cniVersion": "1.0.0", "name": "net", "linkInContainer": True, "vlanId": 3, "ipam": {"type": "static"}}
POD = {"CNI_CONTAINERID": "c1", "CNI_IFNAME": "lo", "CNI_PATH": str(STANDARD)}


def commands(namespace: str) -> Mapping[str, tuple[list[str], str]]:
    """What is compared, by what it is called in the table: the words, and CNI_COMMAND."""
    plugin = [PYTHON, "-IS", "-c", START]
    found = {
        "python3 -c pass": ([PYTHON, "-c", "pass"], ""),
        "python3 -IS -c pass": ([PYTHON, "-IS", "-c", "pass"], ""),
        "failoverd-cni VERSION": (plugin, "VERSION"),
        "failoverd-cni ADD, refused": (plugin, f"ADD {namespace}"),
    }
    for name in ("vlan", "host-local"):
        if (STANDARD / name).exists():
            found[f"{name} VERSION"] = ([str(STANDARD / name)], "VERSION")
    return found


def once(words: list[str], command: str, stdin: IO[bytes]) -> tuple[float, float]:
    """Run it. Returns milliseconds of wall and of CPU time."""
    stdin.seek(0)
    name, _, namespace = command.partition(" ")
    variables = POD | {"CNI_COMMAND": name, "CNI_NETNS": namespace}
    begun = time.monotonic()
    process = subprocess.Popen(words, env=variables, stdin=stdin, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return 1000 * (time.monotonic() - begun), 1000 * (used.ru_utime + used.ru_stime)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    script = "import sys; print('in', flush=True); sys.stdin.read()"
    words = ["unshare", "-n", PYTHON, "-c", script]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder as pod, tempfile.TemporaryFile() as stdin:
        stdin.write(json.dumps(KEYS).encode())
        assert pod.stdout is not None
        pod.stdout.readline()
        known = commands(f"/proc/{pod.pid}/ns/net")
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in known}
        for _ in range(rounds):
            for name, command in known.items():
                taken[name].append(once(*command, stdin))
        pod.kill()
    print(f"{'':<28} {'least':>7} {'median':>7} {'CPU':>7}   ms, {rounds} rounds")
    for name, rows in taken.items():
        wall = [row[0] for row in rows]
        cpu = statistics.median(row[1] for row in rows)
        print(f"{name:<28} {min(wall):>7.1f} {statistics.median(wall):>7.1f} {cpu:>7.1f}")


if __name__ == "__main__":
    main()
