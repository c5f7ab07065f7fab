"""What do 1,000 declared pairs of veths in 100 network namespaces cost, beside `ip -batch` making the same?

    make      from the reload that declares them until every end is ready: the time, and the CPU time of failoverd and
              failoverd-netns together; beside one `ip -batch` for the near ends and one in each namespace for the far
              ones, with the same names, marks and addresses
    resync    `failoverctl links resync` where nothing has changed: the CPU time of both, as a part of 0.5 s

Each run has network and mount namespaces of its own. The kernel's work is in the numbers of both sides.

    python bench/declared.py [--pairs 1000] [--namespaces 100] [--runs 7]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
from frame import command, turns
from frame.goals import BY_NAME
from frame.row import Bench, Row

IP = shutil.which("ip") or "/usr/sbin/ip"
MOUNT = shutil.which("mount") or "/usr/bin/mount"
UNSHARE = shutil.which("unshare") or "/usr/bin/unshare"
MOST_RESYNC = 0.5
"""Seconds of CPU time."""
IN_A_FILE = 250
PATIENCE = 60.0
REST = 0.5
"""Seconds within which a process has had no CPU when it counts as at rest."""
DOOR = """
import os, sys
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.dup2(int(sys.argv[1]), 3)
from failoverd.cli.netns import main
sys.exit(main(["--runtimes", ""]))
"""
DECLARED = """
[link.web{n}]
kind = "veth"
device = "web{n}"
addresses = ["{near}/31"]
peer = {{ namespace = {{ name = "bench{space}" }}, device = "eth{n}", addresses = ["{far}/31"] }}
"""


def addresses(number: int) -> tuple[str, str]:
    """Return the near and the far address of a pair."""
    low = 2 * number
    return tuple(f"10.{last >> 16 & 255}.{last >> 8 & 255}.{last & 255}" for last in (low, low + 1))  # type: ignore[return-value]


def batches(pairs: int, spaces: int) -> Iterator[tuple[str, str]]:
    """Yield namespaces and what `ip -batch` is told in each: "" is the near one."""
    near: list[str] = []
    far: dict[str, list[str]] = {}
    for n in range(pairs):
        here, there = addresses(n)
        space = f"bench{n % spaces}"
        mac = f"{n >> 8:02x}:{n & 255:02x}"
        peer = f"peer name eth{n} index {2000000 + n} address 02:00:00:01:{mac} netns {space}"
        near += [
            f"link add web{n} index {1000000 + n} address 02:00:00:00:{mac} type veth {peer}",
            f"link property add dev web{n} altname failoverd-link-0badcafe-web{n}",
            f"addr add {here}/31 dev web{n}",
            f"link set web{n} up",
        ]
        far.setdefault(space, []).extend(
            [
                f"link property add dev eth{n} altname failoverd-link-0badcafe-web{n}.peer",
                f"addr add {there}/31 dev eth{n}",
                f"link set eth{n} up",
            ]
        )
    yield "", "\n".join(near)
    for space, lines in far.items():
        yield space, "\n".join(lines)


def with_ip(pairs: int, spaces: int) -> dict[str, float]:
    """Make the pairs by `ip -batch`; return the seconds, and the seconds of CPU."""
    told = list(batches(pairs, spaces))
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for space, text in told:
        inside = ["-n", space] if space else []
        subprocess.run([IP, *inside, "-batch", "-"], input=text, text=True, check=True)
    took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": took, "cpu": used}


def declarations(pairs: int, spaces: int) -> Iterator[str]:
    """Yield the texts of the drop-ins. A file of the configuration has 64 KiB at most."""
    for start in range(0, pairs, IN_A_FILE):
        some = range(start, min(start + IN_A_FILE, pairs))
        yield "".join(DECLARED.format(n=n, near=addresses(n)[0], far=addresses(n)[1], space=n % spaces) for n in some)


def cpu_of(*pids: int) -> float:
    """Return the seconds of CPU that all threads of processes have had, those that have ended included."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def settle(*pids: int) -> None:
    """Wait until these processes have had no CPU for REST."""
    before, end = -1.0, time.monotonic() + PATIENCE
    while cpu_of(*pids) > before and time.monotonic() < end:
        before = cpu_of(*pids)
        time.sleep(REST)


def until_ready(ask: Callable[[], list[dict[str, Any]]], ends: int, *pids: int) -> float:
    """Wait until so many ends are ready, and return since when (seconds since the epoch). Raises RuntimeError."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        settle(*pids)
        rows = ask()
        if [row["state"] for row in rows] == ["ready"] * ends:
            return float(max(row["since"] for row in rows))
    raise RuntimeError(f"not {ends} ends are ready within {PATIENCE:g} s: {rows}")


@contextmanager
def doorkeeper(door: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run failoverd-netns as systemd starts it."""
    door.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(door))
        listener.listen(64)
        words = [sys.executable, "-c", DOOR, str(listener.fileno())]
        with subprocess.Popen(words, pass_fds=[listener.fileno()]) as process:
            try:
                yield process
            finally:
                process.kill()


def with_failoverd(pairs: int, spaces: int, where: Path) -> dict[str, float]:
    """Have failoverd make the pairs; return the seconds, and the seconds of CPU of it and of a resync."""
    config, drop_ins, log = where / "failoverd.toml", where / "failoverd.toml.d", where / "log"
    config.write_text("[dbus]\nenabled = false\n")
    drop_ins.mkdir()
    near, _ = addresses(pairs)
    # The link that is declared before has the engine loaded: loading it is a matter of once.
    first = DECLARED.format(n=pairs, near=near, far=addresses(pairs)[1], space=0)
    (drop_ins / "10-first.toml").write_text(first)
    run = {"RUNTIME_DIRECTORY": f"{where}/run", "STATE_DIRECTORY": f"{where}/state"}
    run |= {"FAILOVERD_CONTROL": f"{where}/run/control", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where}/bus"}
    with doorkeeper(where / "run-netns" / "socket") as door, log.open("w") as said:
        words = [sys.executable, "-m", "failoverd", "--config", str(config)]
        daemon = subprocess.Popen(words, env=os.environ | run, stdout=said, stderr=said)
        both = daemon.pid, door.pid
        failoverctl = str(Path(sys.executable).with_name("failoverctl"))

        def ask() -> list[dict[str, Any]]:
            words = [failoverctl, "links", "--json"]
            done = subprocess.run(words, env=os.environ | run, stdout=subprocess.PIPE, check=False)
            found: list[dict[str, Any]] = json.loads(done.stdout or b'{"links": []}')["links"]
            return found

        try:
            until_ready(ask, 2, *both)
            settle(*both)
            for number, text in enumerate(declarations(pairs, spaces)):
                (drop_ins / f"60-links-{number}.toml").write_text(text)
            before, begun = cpu_of(*both), time.time()
            daemon.send_signal(signal.SIGHUP)
            settle(*both)
            used = cpu_of(*both) - before
            took = until_ready(ask, 2 + 2 * pairs, *both) - begun
            settle(*both)
            before = cpu_of(*both)
            subprocess.run([failoverctl, "links", "resync"], env=os.environ | run, stdout=said, check=True)
            settle(*both)
            again = cpu_of(*both) - before
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)
    return {"seconds": took, "cpu": used, "resync": again}


def inside(options: argparse.Namespace) -> dict[str, float]:
    """Measure one side once, in namespaces of this process's own."""
    subprocess.run([MOUNT, "--make-rprivate", "/"], check=True)
    subprocess.run([MOUNT, "-t", "tmpfs", "none", "/run"], check=True)
    subprocess.run([MOUNT, "--make-shared", "/run"], check=True)
    subprocess.run([IP, "link", "set", "lo", "up"], check=True)
    for number in range(options.namespaces):
        subprocess.run([IP, "netns", "add", f"bench{number}"], check=True)
    try:
        if options.inside == "ip":
            return with_ip(options.pairs, options.namespaces)
        with tempfile.TemporaryDirectory(prefix="failoverd-bench-") as folder:
            return with_failoverd(options.pairs, options.namespaces, Path(folder))
    finally:
        for number in range(options.namespaces):
            subprocess.run([IP, "netns", "delete", f"bench{number}"], check=True)


def measured(side: str, options: argparse.Namespace) -> dict[str, float]:
    """Measure one side once."""
    words = [sys.executable, sys.argv[0], f"--pairs={options.pairs}", f"--namespaces={options.namespaces}"]
    mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    full = [UNSHARE, *mapped, "--net", "--mount", *words, f"--inside={side}"]
    found: dict[str, float] = json.loads(subprocess.run(full, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def rows(options: argparse.Namespace) -> list[Row]:
    """Measure both sides by turns, and return their rows."""
    bench = Bench()

    async def main() -> dict[str, list[dict[str, float]]]:
        async def of(side: str) -> dict[str, float]:
            return await trio.to_thread.run_sync(measured, side, options)

        return await turns.alternate({"ours": lambda: of("failoverd"), "ip": lambda: of("ip")}, options.runs, 0)

    found = trio.run(main)
    pairs = [(one["cpu"], other["cpu"]) for one, other in zip(found["ours"], found["ip"], strict=True)]
    times = [(one["seconds"], other["seconds"]) for one, other in zip(found["ours"], found["ip"], strict=True)]
    made = [
        bench.row(BY_NAME[name], "s", [one for one, _ in both], [other for _, other in both])
        for name, both in (("declared pairs, time", times), ("declared pairs, CPU", pairs))
    ]
    resyncs = [one["resync"] for one in found["ours"]]
    goal = BY_NAME["declared pairs, resync"]
    sides = {"failoverd": turns.median(resyncs), goal.against: MOST_RESYNC}
    return [*made, bench.of_ratios(goal, "s", [one / MOST_RESYNC for one in resyncs], sides)]


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="pairs of veths (1000)")
    parser.add_argument("--namespaces", type=int, default=100, help="network namespaces of their far ends (100)")
    command.add_options(parser)
    parser.add_argument("--inside", choices=("ip", "failoverd"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(inside(options)))
        return 0
    command.tell(rows(options), options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
