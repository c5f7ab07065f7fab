"""Measure a fleet on one etcd of this machine: watchers with leases, what they cost at rest, how long a change takes to
one of them, how long until a pair of links is ready on a whole machine beside them, and how all of them come back when
etcd is started anew.

    unshare --net --mount .venv/bin/python bench/fleet.py [--nodes 1000] [--links 50] [--suite bookworm]

The nodes are failoverd-etcd's own connection, watch and picture, without the daemon; so many in a process that two
cores can carry them. Each keeps a lease alive as a node that tells its status does. The machine has all of failoverd
(fleetmachine.py). Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.queues
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleetmachine import NAME, RED, Machine, machine

from failoverd.config.links.fleet import ends_of
from failoverd.config.spec import Etcd as Config
from failoverd.config.spec import EtcdAllow
from failoverd_etcd.client import Etcd, LostError, Secrets
from failoverd_etcd.declared import Values
from failoverd_etcd.follow import Follower
from failoverd_etcd.history import History
from failoverd_etcd.keys import Keys
from failoverd_etcd.messages import Messages as M  # noqa: N817
from failoverd_etcd.picture import Picture
from failoverd_etcd.publish import KEEP, TTL, keep_alive
from failoverd_lab.host import cache_dir

ENDPOINT = "http://127.0.0.1:2379"
CONFIG = Config(enabled=True, endpoints=(ENDPOINT,))
WORKERS = 4
TICK = os.sysconf("SC_CLK_TCK")
Told = tuple[str, float, Any]


def link(number: int) -> bytes:
    """A declaration of the usual size."""
    there = {"namespace": {"name": f"pod{number}"}, "device": "eth1", "addresses": [f"10.1.{number}.2/30"]}
    body = {"kind": "veth", "device": f"v{number}", "addresses": [f"10.1.{number}.1/30"], "peer": there, "mtu": 1450}
    return json.dumps(body).encode()


class Node:
    """One machine of the fleet. `tell` takes what happens, with its time."""

    def __init__(self, name: str, tell: Any) -> None:
        self.keys, self._tell = Keys(CONFIG.prefix, name), tell
        self._picture = Picture(History(), Values(lambda name, raw: ends_of(name, raw, "", EtcdAllow())))
        self._follower = Follower(CONFIG, self.keys, self._picture, self._changed)
        self._revision = 0

    async def run(self) -> None:
        """Follow, and keep a lease alive, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follower.run())
            group.create_task(self._lease())

    async def _changed(self) -> None:
        newest = max((version.modified for version in self._picture.history.keys.values()), default=0)
        if newest > self._revision:
            self._tell(("seen", time.time(), (self.keys.node, newest)))
            self._revision = newest

    async def _lease(self) -> None:
        while True:
            etcd = await self._follower.connected()
            self._tell(("connected", time.time(), self.keys.node))
            try:
                granted = await etcd.call("Lease/LeaseGrant", M.LeaseGrantRequest(TTL=TTL), M.LeaseGrantResponse)
                status = M.PutRequest(
                    key=f"{self.keys.status}node".encode(), value=b'{"daemon":"running"}', lease=granted.ID
                )
                await etcd.txn([], [M.RequestOp(request_put=status)])
                while self._follower.connection is etcd:
                    await asyncio.sleep(KEEP)
                    await keep_alive(etcd, granted.ID)
            except LostError:
                await asyncio.sleep(1)


def worker(names: list[str], out: multiprocessing.queues.Queue[Told]) -> None:
    """Be these nodes."""

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(Node(name, out.put).run())

    asyncio.run(run())


class Server:
    """The etcd."""

    def __init__(self, suite: str, where: Path) -> None:
        self._suite, self._where = suite, where
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        binary, peer = cache_dir() / "etcd" / self._suite / "etcd", "http://127.0.0.1:2380"
        command = [str(binary), "--data-dir", str(self._where / "data"), "--listen-client-urls", ENDPOINT]
        command += ["--advertise-client-urls", ENDPOINT, "--listen-peer-urls", peer]
        command += [
            "--initial-advertise-peer-urls",
            peer,
            "--initial-cluster",
            f"default={peer}",
            "--log-level",
            "error",
        ]
        with (self._where / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> float:
        """MB resident."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def traffic() -> int:
    """Bytes over the loopback so far, each counted once."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if "lo:" in line)
    return int(line.split(":")[1].split()[0])


class Fleet:
    """All nodes, and what they tell."""

    def __init__(self, nodes: int) -> None:
        self.names = [f"n{number:04}" for number in range(nodes)]
        context = multiprocessing.get_context("spawn")
        self._out: multiprocessing.queues.Queue[Told] = context.Queue()
        self._workers = [
            context.Process(target=worker, args=(self.names[at::WORKERS], self._out), daemon=True)
            for at in range(WORKERS)
        ]

    def start(self) -> None:
        """Start the processes."""
        for process in self._workers:
            process.start()

    def end(self) -> None:
        """End them."""
        for process in self._workers:
            process.kill()
            process.join()

    def cpu(self) -> float:
        """Seconds of CPU of all of them."""
        total = 0.0
        for process in self._workers:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / TICK
        return total

    def until(self, kind: str, number: int, within: float) -> list[float]:
        """Wait until so many nodes have told this, each counted once; the times."""
        found: dict[str, float] = {}
        end = time.time() + within
        while len(found) < number:
            what, at, about = self._out.get(timeout=max(0.1, end - time.time()))
            if what == kind:
                found.setdefault(about if kind == "connected" else about[0], at)
        return sorted(found.values())

    def seen(self, node: str, revision: int) -> float:
        """Wait until a node has seen a revision; the time."""
        while True:
            what, at, about = self._out.get(timeout=10)
            if what == "seen" and about[0] == node and about[1] >= revision:
                return at


async def fill(names: list[str], links: int) -> None:
    """Declare the links of all nodes."""
    async with Etcd(ENDPOINT, CONFIG, Secrets.of(CONFIG)) as etcd:
        for name in names:
            keys = Keys(CONFIG.prefix, name)
            puts = [M.PutRequest(key=keys.link(f"l{number}").encode(), value=link(number)) for number in range(links)]
            await etcd.txn([], [M.RequestOp(request_put=put) for put in puts])


def latencies(fleet: Fleet, times: int) -> list[float]:
    """Put a link of one node, again and again; the seconds until that node has taken it."""

    async def run() -> list[float]:
        found = []
        async with Etcd(ENDPOINT, CONFIG, Secrets.of(CONFIG)) as etcd:
            for number in range(times):
                name = fleet.names[number * 7919 % len(fleet.names)]
                begun = time.time()
                put = M.PutRequest(key=Keys(CONFIG.prefix, name).link("l0").encode(), value=link(number % 200))
                answer = await etcd.txn([], [M.RequestOp(request_put=put)])
                found.append(await asyncio.to_thread(fleet.seen, name, answer.header.revision) - begun)
                await asyncio.sleep(0.05)
        return found

    return asyncio.run(run())


def pair(number: int) -> dict[str, Any]:
    """Two links that are the ends of a veth, by their names."""
    near, far = f"near{number}", f"far{number}"
    return {
        near: {"kind": "veth", "peer": far, "device": f"n{number}", "addresses": [f"10.2.{number}.1/30"]},
        far: {
            "kind": "veth",
            "peer": near,
            "namespace": {"name": RED},
            "device": f"f{number}",
            "addresses": [f"10.2.{number}.2/30"],
        },
    }


async def put_pair(etcd: Etcd, number: int) -> float:
    """Declare a pair for the machine; when that was begun."""
    keys, begun = Keys(CONFIG.prefix, NAME), time.time()
    puts = [
        M.PutRequest(key=keys.link(name).encode(), value=json.dumps(body).encode())
        for name, body in pair(number).items()
    ]
    await etcd.txn([], [M.RequestOp(request_put=put) for put in puts])
    return begun


def until_ready(there: Machine, numbers: range) -> list[float]:
    """Declare one pair after the other for the machine; the seconds from each put until both ends were ready."""

    async def run() -> list[float]:
        found = []
        async with Etcd(ENDPOINT, CONFIG, Secrets.of(CONFIG)) as etcd:
            for number in numbers:
                begun = await put_pair(etcd, number)
                found.append(await asyncio.to_thread(there.ready, *pair(number)) - begun)
        return found

    return asyncio.run(run())


def spread(found: Sequence[float]) -> dict[str, float]:
    """The median, and what one of a hundred exceeds, in ms."""
    ordered = sorted(seconds * 1000 for seconds in found)
    return {"median": round(statistics.median(ordered), 1), "p99": round(ordered[len(ordered) * 99 // 100 - 1], 1)}


def led() -> float:
    """Wait until etcd says that it has a leader; the time."""

    async def run() -> float:
        while True:
            try:
                async with Etcd(ENDPOINT, CONFIG, Secrets.of(CONFIG)) as etcd:
                    if (await etcd.call("Maintenance/Status", M.StatusRequest(), M.StatusResponse)).leader:
                        return time.time()
            except LostError:
                await asyncio.sleep(0.1)

    return asyncio.run(run())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--links", type=int, default=50, help="of each node (50, at most 300)")
    parser.add_argument("--rest", type=float, default=60.0)
    parser.add_argument("--suite", default="bookworm")
    wanted = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for words in (
        ("mount", "--make-rprivate", "/"),
        ("mount", "-t", "tmpfs", "none", "/run"),
        ("mount", "--make-shared", "/run"),
        ("ip", "link", "set", "lo", "up"),
    ):
        subprocess.run(words, check=True)
    result: dict[str, Any] = {"nodes": wanted.nodes, "links": wanted.links, "suite": wanted.suite}
    with tempfile.TemporaryDirectory() as where:
        server, fleet = Server(wanted.suite, Path(where)), Fleet(wanted.nodes)
        try:
            time.sleep(2)
            asyncio.run(fill(fleet.names, wanted.links))
            measure(server, fleet, wanted, result)
        finally:
            fleet.end()
            server.stop()
    print(json.dumps(result, indent=1))


def measure(server: Server, fleet: Fleet, wanted: argparse.Namespace, result: dict[str, Any]) -> None:
    """Fill in the result."""
    rest, links = wanted.rest, wanted.links
    number, bytes_before = len(fleet.names), traffic()
    begun = time.time()
    fleet.start()
    result["all_connected_after_s"] = round(fleet.until("connected", number, 120)[-1] - begun, 1)
    result["bytes_of_a_first_read"] = (traffic() - bytes_before) // number
    time.sleep(10)
    cpu, ours, sent, at = server.cpu(), fleet.cpu(), traffic(), time.time()
    time.sleep(rest)
    took = time.time() - at
    result["at_rest"] = {
        "etcd_cpu_percent": round((server.cpu() - cpu) / took * 100, 1),
        "a_node_cpu_ms_a_minute": round((fleet.cpu() - ours) / took * 60_000 / number, 2),
        "a_node_bytes_a_second": round((traffic() - sent) / took / number),
        "etcd_memory_mb": round(server.memory()),
    }
    result["put_until_a_node_has_it_ms"] = spread(latencies(fleet, 100))
    with tempfile.TemporaryDirectory() as home, machine(Path(home) / NAME, ENDPOINT) as there:
        until_ready(there, range(links // 2))
        result["put_until_ready_on_the_machine_ms"] = spread(until_ready(there, range(links // 2, links // 2 + 100)))
        restart(server, fleet, there, result)


def restart(server: Server, fleet: Fleet, there: Machine, result: dict[str, Any]) -> None:
    """Kill etcd, start it anew, and see how all come back."""
    number = len(fleet.names)
    server.stop()
    time.sleep(5)
    begun, used = time.time(), fleet.cpu()
    server.start()
    leads = led()
    result["etcd_has_a_leader_after_s"] = round(leads - begun, 1)

    async def put() -> float:
        async with Etcd(ENDPOINT, CONFIG, Secrets.of(CONFIG)) as etcd:
            return await put_pair(etcd, 250)

    put_at = asyncio.run(put())
    result["a_change_then_is_ready_on_the_machine_after_s"] = round(there.ready(*pair(250)) - put_at, 1)
    back = [at - begun for at in fleet.until("connected", number, 120)]
    result["etcd_started_anew"] = {
        "cpu_of_the_nodes_meanwhile_s": round(fleet.cpu() - used, 1),
        "cpu_of_etcd_meanwhile_s": round(server.cpu(), 1),
        "first_back_s": round(back[0], 1),
        "last_back_s": round(back[-1], 1),
        "back_in_each_half_second": dict(
            sorted(Counter(f"{int(at * 2) / 2:.1f}" for at in back).items(), key=lambda one: float(one[0]))
        ),
    }


if __name__ == "__main__":
    main()
