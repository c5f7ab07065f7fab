"""What does the inventory do under load? Each part in a network namespace of its own.

churn   40 devices come, are renamed and go as fast as `ip -batch` can, while every question is asked without pause:
        how many answers, and what was wrong with them (one that stayed is missing, one is there twice, malformed)
routes  a routing daemon's routes come and go: the daemon's CPU time and memory, when nobody asks and when a client
        asks once a second
waits   how long another task of the daemon's loop waits while four clients ask for all documents of many links
        without pause: CPU time of the thread between two turns of the task, and the same without clients

python bench/inventoryload.py [churn|routes|waits ...] [--seconds 60] [--routes 100000] [--links 5000]
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import trio
from interfaces import IP, PATIENCE, UNSHARE, make_links, resident

from failoverd.daemon import control
from failoverd.daemon.inventory import Inventory
from failoverd.daemon.picture import open_picture
from failoverd.netlink.transport import KernelSocket

PARTS = ("churn", "routes", "waits")
QUESTIONS = (("interfaces", "table"), ("interfaces", "json"), ("every-interface-xml",))
CLIENTS = 4
STEP, BINS = 10e-6, 20_000
"""Of a wait, in seconds, and how many of them."""
GOAL = 0.005
"""Seconds that no wait is to exceed."""
TICK = 1 / os.sysconf("SC_CLK_TCK")
DEVICES = 20
"""Pairs of devices that come and go."""
STAYS = "link add stays0 type veth peer name stays1\nlink add stays2 type bridge\nlink set stays0 up\n"


@contextmanager
def daemon() -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """A daemon that is ready; its control socket and its log."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        run = {"RUNTIME_DIRECTORY": f"{where}/run", "STATE_DIRECTORY": f"{where}/state"}
        run |= {"FAILOVERD_CONTROL": f"{where}/run/control", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where}/bus"}
        with (where / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "failoverd"], env=os.environ | run, stdout=log, stderr=log
            )
        try:
            path, end = where / "run" / "control", time.monotonic() + PATIENCE
            while not path.exists() or "ok" not in ask(path, "explain"):
                if time.monotonic() > end or process.poll() is not None:
                    raise SystemExit((where / "log").read_text())
                time.sleep(0.1)
            yield process, path, where / "log"
        finally:
            process.terminate()
            process.wait(PATIENCE)


def ask(path: Path, call: str, *arguments: str) -> dict[str, Any]:
    """What the daemon answers."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        sock.sendall(json.dumps({"call": call, "arguments": arguments}).encode() + b"\n")
        found: dict[str, Any] = json.loads(b"".join(iter(lambda: sock.recv(1 << 16), b"")))
    return found


def changes(turns: Iterator[int]) -> Iterator[str]:
    """The lines of the batch, without end."""
    for turn in turns:
        for number in range(DEVICES):
            yield f"link add c{number} type veth peer name d{turn % 1000}x{number}"
            yield f"link set c{number} up"
            yield f"link set c{number} name r{turn % 1000}x{number}"
            yield f"link set r{turn % 1000}x{number} master stays2"
            yield f"addr add 10.{turn % 256}.{number}.1/24 dev d{turn % 1000}x{number}"
        for number in range(DEVICES):
            yield f"link del r{turn % 1000}x{number}"


def churn(seconds: float) -> None:
    """See the module."""
    subprocess.run([IP, "-batch", "-"], input=STAYS, text=True, check=True)
    found: Counter[str] = Counter()
    longest = 0.0
    with daemon() as (_process, path, log):
        ask(path, "interfaces", "table")
        with subprocess.Popen([IP, "-batch", "-"], stdin=subprocess.PIPE, text=True) as batch:
            assert batch.stdin is not None
            end = time.monotonic() + seconds

            def write() -> None:
                for line in changes(count()):
                    if time.monotonic() > end and line.startswith("link add"):
                        break
                    found["changes"] += 1
                    print(line, file=batch.stdin)

            writer = threading.Thread(target=write)
            writer.start()
            while time.monotonic() < end:
                for call, *arguments in QUESTIONS:
                    began = time.monotonic()
                    document = ask(path, call, *arguments)["ok"]
                    longest = max(longest, time.monotonic() - began)
                    found["answers"] += 1
                    found["not sure"] += not document["sure"]
                    names = list(names_in(document, found))
                    found["lacking one that stayed"] += not {"lo", "stays0", "stays1", "stays2"} <= set(names)
                    found["with one twice"] += len(set(names)) != len(names)
            writer.join()
            batch.stdin.close()
            batch.wait(PATIENCE)
        found["failed changes"] = batch.returncode
        found["warnings in the log"] = log.read_text().count("WARNING")
    print(f"churn, {seconds:g} s: longest answer {longest * 1e3:.0f} ms; " + told(found))


def names_in(document: dict[str, Any], found: Counter[str]) -> Iterator[str]:
    """The interfaces' names in an answer to any of the questions."""
    for row in document.get("interfaces", []):
        yield row[0] if isinstance(row, list) else row["name"]
    for text in document.get("documents", []):
        try:
            yield ElementTree.fromstring(text).get("name", "")  # noqa: S314 - the daemon's own
        except ElementTree.ParseError:
            found["malformed"] += 1


def told(found: Counter[str]) -> str:
    """The numbers in words."""
    wanted = ("answers", "changes", "not sure", "lacking one that stayed", "with one twice", "malformed")
    return ", ".join(f"{found[what]} {what}" for what in (*wanted, "failed changes", "warnings in the log"))


def routes(number: int) -> None:
    """See the module."""
    lines = "link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\naddr add 192.168.0.2/16 dev v0\n"
    lines += "route add default via 192.168.0.1\n"
    subprocess.run([IP, "-batch", "-"], input=lines, text=True, check=True)
    prefixes = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32" for n in range(number)]
    hop = "via 192.168.0.1 proto bird"
    for is_asked in (False, True):
        with daemon() as (process, path, log):
            for _ in range(10 if is_asked else 0):
                ask(path, "interfaces", "json")
            settle(process.pid)
            before, spent, began = resident(process.pid), cpu(process.pid), time.monotonic()
            stop = threading.Event()
            asker = threading.Thread(target=asking, args=(path, stop))
            if is_asked:
                asker.start()
            for verb in ("add", "del"):
                batch = "".join(f"route {verb} {prefix} {hop}\n" for prefix in prefixes)
                subprocess.run([IP, "-batch", "-"], input=batch, text=True, check=True)
            took, spent = time.monotonic() - began, cpu(process.pid) - spent
            stop.set()
            if is_asked:
                asker.join()
            after = resident(process.pid)
            how = "asked once a second" if is_asked else "nobody asks"
            print(
                f"routes, {number} come and go in {took:.1f} s, {how}: "
                f"{spent * 1e3:.0f} ms of CPU (to {TICK * 1e3:.0f}), {spent / took * 100:.2f} % of a core; "
                f"RSS {before:.1f} MB before, {after:.1f} MB after; "
                f"{log.read_text().count('overrun')} overruns in the log"
            )


def asking(path: Path, stop: threading.Event) -> None:
    """Ask once a second."""
    while not stop.wait(1.0):
        gateway = {row["name"]: row["gateway4"] for row in ask(path, "interfaces", "json")["ok"]["interfaces"]}
        assert gateway["v0"] == "192.168.0.1"


def settle(pid: int) -> None:
    """Wait until the daemon has loaded what it loads after READY: until it has had next to no CPU for 3 s."""
    spent = -math.inf
    while cpu(pid) - spent > 2 * TICK:
        spent = cpu(pid)
        time.sleep(3)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has had, to the TICK."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


class Histogram:
    """How often each length of a wait was seen, to STEP. A list of millions would itself make the loop wait, as it
    grows."""

    def __init__(self) -> None:
        self.counts = [0] * BINS
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count a wait."""
        self.counts[min(int(seconds / STEP), BINS - 1)] += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, part: float) -> float:
        """The length that so many per cent do not exceed, in seconds."""
        so_far = list(accumulate(self.counts))
        return (bisect_left(so_far, so_far[-1] * part / 100) + 1) * STEP

    def above(self, seconds: float) -> int:
        """How many were longer."""
        return sum(self.counts[int(seconds / STEP) :])


def waits(links: int, seconds: float) -> None:
    """See the module."""
    make_links(links)
    for clients in (0, CLIENTS):
        with tempfile.TemporaryDirectory() as folder:
            answers, turns, walls = trio.run(waits_of, Path(folder) / "control", clients, seconds)
        for what, row in (("CPU", turns), ("wall clock", walls)):
            said = ", ".join(f"{part:g} % {row.percentile(part) * 1e3:.2f}" for part in (50, 99, 99.9))
            print(
                f"waits, {links} links, {clients} clients, {answers} answers in {seconds:g} s, {what}: "
                f"{sum(row.counts)} turns; ms: {said}, longest {row.longest * 1e3:.2f}; "
                f"{row.above(GOAL)} above {GOAL * 1e3:g}"
            )


async def no_call(call: str, *arguments: str) -> dict[str, Any]:
    """There is no engine here. Raises AssertionError."""
    raise AssertionError((call, arguments))


async def waits_of(path: Path, clients: int, seconds: float) -> tuple[int, Histogram, Histogram]:
    """The answers given, and the CPU and the wall time between two turns of another task."""
    inventory = Inventory(partial(open_picture, partial(KernelSocket.open, strict=True)), dict)
    answers = 0
    turns, walls = Histogram(), Histogram()

    async def asked(question: str, arguments: Any) -> list[bytes]:
        nonlocal answers
        answers += 1
        return await inventory.ask(question, arguments)

    async def wait() -> None:
        before, wall = time.thread_time(), time.perf_counter()
        while True:
            await trio.lowlevel.checkpoint()
            now, later = time.thread_time(), time.perf_counter()
            turns.add(now - before)
            walls.add(later - wall)
            before, wall = now, later

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inventory.run)
        nursery.start_soon(control.serve, control.listen(path), no_call, asked)
        await inventory.ask("every-interface-xml", ())
        gc.collect()
        gc.freeze()  # as the daemon does when it is ready
        command = [sys.executable, __file__, "--client", str(path)]
        processes = [await trio.lowlevel.open_process(command) for _ in range(clients)]
        while answers < 4 * clients:
            await trio.sleep(0.1)
        answers = 0
        nursery.start_soon(wait)
        await trio.sleep(seconds)
        for process in processes:
            process.terminate()
            await process.wait()
        nursery.cancel_scope.cancel()
    return answers, turns, walls


def client(path: Path) -> None:
    """Ask for all documents without pause, until killed."""
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b'{"call": "every-interface-xml", "arguments": []}\n')
            while sock.recv(1 << 20):
                pass


def main() -> int:
    """Measure the parts, each in a namespace of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (all of them)")
    parser.add_argument("--seconds", type=float, default=60, help="how long devices come and go, and clients ask (60)")
    parser.add_argument("--routes", type=int, default=100_000, help="how many routes (100000)")
    parser.add_argument("--links", type=int, default=5000, help="how many links the clients ask for (5000)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        client(options.client)
    run: dict[str, Callable[[], None]] = {
        "churn": partial(churn, options.seconds),
        "routes": partial(routes, options.routes),
        "waits": partial(waits, options.links, options.seconds),
    }
    if wrong := set(options.parts) - run.keys():
        parser.error(f"there is no part {', '.join(wrong)}; there are {', '.join(run)}")
    if options.inside:
        run[options.parts[0]]()
        return 0
    command = [UNSHARE, "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    numbers = [f"--{name}={getattr(options, name)}" for name in ("seconds", "routes", "links")]
    for part in options.parts or PARTS:
        code = subprocess.run(
            [*command, sys.executable, sys.argv[0], part, *numbers, "--inside"], check=False
        ).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
