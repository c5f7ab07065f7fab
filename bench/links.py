"""What do links cost that can be in no pair, on a machine that has many?

In a network namespace of its own with so many links, failoverd is started, and another process makes pairs of veths
back to back. Told are the daemon's CPU time for each link, what its memory has grown by, and whether the kernel's queue
overflowed. Promised: 0.25 ms a link, 4 MB, and no overrun.

    python bench/links.py [--links 3500] [--pairs 1000] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROMISED_CPU, PROMISED_GROWTH = 0.25e-3, 4.0
"""Seconds a link; MB."""
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0
"""Seconds in which the daemon is to have started, and later to have worked off what it was told."""
IP = shutil.which("ip") or "/usr/sbin/ip"
UNSHARE = shutil.which("unshare") or "/usr/bin/unshare"


def make_veths(prefix: str, pairs: int) -> None:
    """By one process, as fast as it can."""
    lines = "".join(f"link add {prefix}{n}a type veth peer name {prefix}{n}b\n" for n in range(pairs))
    subprocess.run([IP, "-batch", "-"], input=lines, text=True, check=True)


def cpu(pid: int) -> float:
    """Seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid: int) -> float:
    """MB of memory it has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def until_idle(pid: int) -> None:
    """Wait until it uses no CPU for half a second, but for its own ticks."""
    end, before = time.monotonic() + PATIENCE, -1.0
    while time.monotonic() < end and cpu(pid) - before > 0.02:
        before = cpu(pid)
        time.sleep(0.5)


def measure(links: int, pairs: int) -> dict[str, float]:
    """Run it, in this process's network namespace."""
    make_veths("old", links // 2)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        run = {"RUNTIME_DIRECTORY": f"{where}/run", "STATE_DIRECTORY": f"{where}/state"}
        run |= {"FAILOVERD_CONTROL": f"{where}/run/control", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where}/bus"}
        with (where / "log").open("w") as log:
            daemon = subprocess.Popen([sys.executable, "-m", "failoverd"], env=os.environ | run, stdout=log, stderr=log)
        try:
            end = time.monotonic() + PATIENCE
            while not Path(run["FAILOVERD_CONTROL"]).exists() and time.monotonic() < end:
                time.sleep(0.1)
            until_idle(daemon.pid)
            before, had = cpu(daemon.pid), resident(daemon.pid)
            begun = time.monotonic()
            make_veths("new", pairs)
            made = time.monotonic() - begun
            until_idle(daemon.pid)
            used, has = cpu(daemon.pid) - before, resident(daemon.pid)
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)
        overruns = (where / "log").read_text().count("overflowed")
    return {
        "links_before": links,
        "links_made": 2 * pairs,
        "seconds_making": made,
        "cpu_seconds_per_link": used / (2 * pairs),
        "growth_megabytes": has - had,
        "overruns": overruns,
    }


def main() -> int:
    """Measure, tell, and judge by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", type=int, default=3500, help="links there are before (3500)")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs of veths that are made (1000)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        command = [UNSHARE, "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        return subprocess.run([*command, sys.executable, *sys.argv, "--inside"], check=False).returncode
    told = measure(options.links, options.pairs)
    if options.json:
        print(json.dumps(told))
    else:
        for key, value in told.items():
            print(f"{key:22} {value:.6g}")
    kept = told["cpu_seconds_per_link"] <= PROMISED_CPU and told["growth_megabytes"] <= PROMISED_GROWTH
    return 0 if kept and not told["overruns"] else 1


if __name__ == "__main__":
    sys.exit(main())
