"""How long does failoverctl take, beside what else an administrator types? Ratios of one run, on this machine.

    failoverctl status | list | show, and status --json    against a daemon with a pair of veths, in namespaces
    python3 -c pass                                        what no Python program can be faster than
    ip -j link, and nmcli device                           where there is one, with a NetworkManager that answers

Each round runs every command once, so that whatever else the machine does falls on all of them; a command's time is
the median from fork to exit. failoverctl is started by the system's Python, twice over: by the script as the package
has it (pip takes the -I off), and by the one that pip and Debian's tools generate for an entry point, which imports
`re` for a suffix that only Windows has. The row needs nmcli with a NetworkManager that answers; without, there is none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench
from raw.build import CANNOT

from failoverd_lab import namespaces, netnsdaemon
from failoverd_lab.netnsstage import open_stage
from failoverd_lab.story import Nic

ROOT = Path(__file__).parents[1]
MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
PATIENCE = 20.0

SHIPPED = (ROOT / "bin" / "failoverctl").read_text()
FROM_HERE = f"import sys\nsys.path.append({str(ROOT)!r})\n"
GENERATED = """\
import re
from failoverd.cli.ctl import main
if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw|\\.exe)?$", "", sys.argv[0])
    sys.exit(main())
"""

Environment = Mapping[str, str]


def commands(directory: Path) -> dict[str, list[str]]:
    """What is compared, by what it is called in the table."""
    scripts = {"failoverctl": SHIPPED, "generated": f"#!{PYTHON} -I\nimport sys\n{GENERATED}"}
    for name, text in scripts.items():
        (directory / name).write_text(text.replace("import sys\n", FROM_HERE))
        (directory / name).chmod(0o755)
    ctl, generated = str(directory / "failoverctl"), str(directory / "generated")
    found = {
        "python3 -c pass": [PYTHON, "-I", "-c", "pass"],
        "failoverctl status": [ctl, "status"],
        "failoverctl list": [ctl, "list"],
        "failoverctl show ens3": [ctl, "show", "ens3"],
        "failoverctl status --json": [ctl, "status", "--json"],
        "failoverctl status, by a generated script": [generated, "status"],
    }
    if shutil.which("ip"):
        found["ip -j link"] = ["ip", "-j", "link"]
    if shutil.which("nmcli") and run(["nmcli", "device"], os.environ) is not None:
        found["nmcli device"] = ["nmcli", "device"]
    return found


def run(command: Sequence[str], environment: Environment) -> float | None:
    """Seconds from fork to exit; None where it does not end well."""
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start if done.returncode == 0 else None


async def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each command, round by round."""
    async with open_stage(NICS, {"master": {"datapath": "tc"}}) as stage:
        for nic in NICS:
            await stage.plug(nic.id)
        await stage.configure("pv")
        await stage.daemon.start()
        with tempfile.TemporaryDirectory() as directory:
            control = netnsdaemon.paths(stage.daemon.directory).control
            environment = os.environ | {"FAILOVERD_CONTROL": str(control)}
            compared = commands(Path(directory))
            with trio.fail_after(PATIENCE):
                while run(compared["failoverctl status"], environment) is None:
                    await trio.sleep(0.05)

            async def once(name: str) -> float:
                took = run(compared[name], environment)
                if took is None:
                    raise SystemExit(f"{name} failed")
                return took

            return await turns.alternate({name: partial(once, name) for name in compared}, rounds)


def table(times: Mapping[str, Sequence[float]]) -> str:
    """Markdown: milliseconds, and ratios to an empty Python and to nmcli."""
    bases = [name for name in ("python3 -c pass", "nmcli device") if name in times]
    medians = {name: statistics.median(row) for name, row in times.items()}
    lines = [
        "| " + " | ".join(["command", "median, ms", "least, ms", *(f"/ {base}" for base in bases)]) + " |",
        "|---" * (3 + len(bases)) + "|",
    ]
    for name, row in times.items():
        ratios = [f"{medians[name] / medians[base]:.2f}" for base in bases]
        lines.append("| " + " | ".join([name, f"{medians[name] * 1e3:.1f}", f"{min(row) * 1e3:.1f}", *ratios]) + " |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_options(parser, 100)
    options = parser.parse_args()
    if options.rows and not shutil.which("nmcli"):
        print(
            "bench/ctl.py: there is no nmcli, which failoverctl is measured beside; apt install network-manager",
            file=sys.stderr,
        )
        return CANNOT
    bench = Bench()
    namespaces.enter()
    times = trio.run(measure, options.runs)
    print(f"{table(times)}\n\n{options.runs} rounds, {PYTHON}\n")
    nmcli = times.get("nmcli device")
    if nmcli is None:
        print("bench/ctl.py: no nmcli, or no NetworkManager that answers it: no row", file=sys.stderr)
        return CANNOT
    ours, theirs = ([took * 1e3 for took in taken] for taken in (times["failoverctl status"], nmcli))
    command.tell([bench.row(BY_NAME["status"], "ms", ours, theirs)], options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
