"""Declared links by the real daemon in numbers: how soon, how often, what is left, what a stranger makes it do."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemonprocess import Daemon
from doorkeeper import doorkeeper, open_files, own_run
from privatenet import container, private_net
from test_daemon_links_process import HOST, POD, Datagrams, Machine, ip, is_gone, is_made, until
from test_daemon_links_told import told

SOON = 1.0
"""Seconds within which everything is done whose cause has just come."""
TICKS = os.sysconf("SC_CLK_TCK")
OTHER = """
[link.{name}]
kind = "dummy"
namespace = {{ path = "{path}" }}
"""
ECHO = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("192.0.2.2", 7))
print("ready", flush=True)
data, sender = sock.recvfrom(9)
sock.sendto(data, sender)
"""
FLAP = """
import socket, struct, sys, time
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
sock.bind((0, 0))
index = socket.if_nametoindex("eth1")
def set_mtu(mtu):
    body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + struct.pack("=HHI", 8, 4, mtu)
    sock.send(struct.pack("=IHHII", 16 + len(body), 19, 1, 1, 0) + body)
end, changes = time.monotonic() + float(sys.argv[1]), 0
while time.monotonic() < end:
    set_mtu(1300 + changes % 2)
    changes += 1
print(changes, time.process_time(), flush=True)
"""


@contextmanager
def stage(where: Path) -> Iterator[tuple[Machine, int]]:
    """A machine and its doorkeeper's pid."""
    own_run()
    door = where / "run-netns" / "socket"
    door.parent.mkdir()
    with doorkeeper(door) as process:
        yield Machine(where), process.pid


def within(condition: Callable[[], bool], daemon: Daemon, seconds: float = SOON) -> None:
    took = until(condition, daemon)
    assert took <= seconds, f"{took:.2f} s: {daemon.text()}"


def states(where: Path) -> dict[str, str]:
    """Each end's state, with its reason."""
    document = told(where)
    assert isinstance(document, dict)
    return {row["name"]: f"{row['state']} {row['reason']}".strip() for row in document["links"]}


def cpu(*pids: int) -> float:
    """Seconds of CPU that processes have had."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS


def resident(pid: int) -> float:
    """MiB of memory."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def nsids() -> int:
    """How many namespaces have a number here, and so are alive."""
    return len(ip("netns", "list-id").splitlines())


@private_net
def test_a_second_after_the_start_both_ends_are_there_and_carry_both_ways(tmp_path: Path) -> None:
    with stage(tmp_path) as (there, _):
        ip("netns", "add", "red")
        there.declare("10-host", HOST)
        there.declare("20-pod", POD)
        with there.daemon() as daemon:
            within(is_made, daemon)
            until(lambda: states(tmp_path) == {"web-host": "ready", "web-ct": "ready"}, daemon)
            command = ("ip", "netns", "exec", "red", sys.executable, "-c", ECHO)
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
                assert echo.stdout is not None
                assert echo.stdout.readline() == "ready\n"
                ask = "import socket; s = socket.socket(2, 2); s.settimeout(5); s.sendto(b'x', ('192.0.2.2', 7)); "
                subprocess.run((sys.executable, "-c", ask + "assert s.recv(9) == b'x'"), check=True)
            macs = [json.loads(ip(*where, "-j", "link", "show", name))[0]["address"] for where, name in ENDS]
            ip("link", "delete", "web0")
            within(is_made, daemon)
            assert macs == [json.loads(ip(*where, "-j", "link", "show", name))[0]["address"] for where, name in ENDS]


ENDS = (((), "web0"), (("-n", "red"), "eth1"))


@private_net
def test_half_a_pair_waits_over_a_restart_and_each_half_is_followed_within_a_second(tmp_path: Path) -> None:
    with stage(tmp_path) as (there, _):
        ip("netns", "add", "red")
        there.declare("10-host", HOST)
        with there.daemon() as daemon:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert is_gone()
                time.sleep(0.05)
            assert states(tmp_path) == {"web-host": "pending no-peer"}
            assert daemon.end() == 0
        with there.daemon() as daemon:
            until(lambda: states(tmp_path) == {"web-host": "pending no-peer"}, daemon)
            changes: list[tuple[Callable[[], object], Callable[[], bool]]] = [
                (lambda: there.declare("20-pod", POD), is_made),
                (lambda: there.withdraw("10-host"), is_gone),
                (lambda: there.declare("10-host", HOST), is_made),
            ]
            for change, outcome in changes:
                change()
                daemon.process.send_signal(signal.SIGHUP)
                within(outcome, daemon)


@private_net
def test_a_namespace_comes_and_goes_fifty_times_and_nothing_is_left(tmp_path: Path) -> None:
    dice = random.Random(50)
    with stage(tmp_path) as (there, door):
        there.declare("10-host", HOST)
        there.declare("20-pod", POD)
        with there.daemon() as daemon:
            held: list[tuple[int, int, float, float]] = []
            for number in range(54):
                ip("netns", "add", "red")
                time.sleep(dice.uniform(0, 0.2))
                within(is_made, daemon)
                ip("netns", "delete", "red")
                time.sleep(dice.uniform(0, 0.2))
                within(lambda: "web0" not in ip("link"), daemon)
                # The first rounds load what is loaded once.
                if number in {3, 53}:
                    held.append(_held(daemon.process.pid, door))
            (files, threads, *memory), (files_then, threads_then, *memory_then) = held
            assert files_then <= files
            assert threads_then <= threads
            assert all(then - before < 2 for before, then in zip(memory, memory_then, strict=True)), held
            # A socket that is open in a namespace keeps it alive, and its number with it. The own one has one, too.
            until(lambda: nsids() == 1, daemon)
            assert states(tmp_path) == dict.fromkeys(("web-host", "web-ct"), "pending namespace-absent")


def _held(daemon: int, door: int) -> tuple[int, int, float, float]:
    """The open files and threads of both, and the memory of each, once trio's idle threads have ended."""
    time.sleep(11)
    pids = (daemon, door)
    threads = sum(sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()) for pid in pids)
    return sum(len(open_files(pid)) for pid in pids), threads, resident(daemon), resident(door)


@private_net
def test_what_is_no_namespace_has_a_reason_and_fills_no_log(tmp_path: Path) -> None:
    with stage(tmp_path) as (there, _):
        file, fifo = tmp_path / "plain", tmp_path / "fifo"
        file.touch()
        os.mkfifo(fifo)
        for name, path in (("file", file), ("fifo", fifo), ("uts", Path("/proc/self/ns/uts"))):
            there.declare(name, OTHER.format(name=name, path=path))
        with there.daemon() as daemon:
            until(lambda: states(tmp_path).keys() == {"file", "fifo", "uts"}, daemon)
            until(lambda: all(one.startswith("pending namespace") for one in states(tmp_path).values()), daemon)
            lines = len(daemon.text().splitlines())
            time.sleep(5)
            assert len(daemon.text().splitlines()) - lines <= 1


@private_net
def test_a_thousand_datagrams_a_second_go_on_through_everything(tmp_path: Path) -> None:
    with stage(tmp_path) as (there, _):
        ip("netns", "add", "red")
        there.declare("10-host", HOST)
        there.declare("20-pod", POD)
        with there.daemon() as daemon:
            until(is_made, daemon)
            until(lambda: states(tmp_path) == {"web-host": "ready", "web-ct": "ready"}, daemon)
            commands = (("ip", "monitor", "link"), ("ip", "-n", "red", "monitor", "link"))
            monitors = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
            datagrams, begun = Datagrams(), time.monotonic()
            time.sleep(0.3)
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        with there.daemon() as daemon:
            until(lambda: states(tmp_path) == {"web-host": "ready", "web-ct": "ready"}, daemon)
            assert daemon.end() == 0
        with there.daemon() as daemon:
            daemon.process.send_signal(signal.SIGHUP)
            daemon.hears("RELOADING=1")
            daemon.hears("READY=1", 2)
            until(lambda: states(tmp_path) == {"web-host": "ready", "web-ct": "ready"}, daemon)
            time.sleep(0.5)
            sent, came = datagrams.end()
            rate = sent / (time.monotonic() - begun)
            assert sent == came
            assert rate > 500, f"{rate:.0f} a second: the machine is too slow for this"
            for monitor in monitors:
                monitor.terminate()
                told_of = monitor.communicate()[0]
                assert "web0" not in told_of
                assert "eth1" not in told_of


@private_net
def test_a_container_dies_as_fast_where_the_daemon_stands_still(tmp_path: Path) -> None:
    with stage(tmp_path) as (there, door):
        took = []
        for stopped in (False, True):
            with container() as pid:
                there.declare("10-host", HOST)
                there.declare("20-pod", POD.replace('{ name = "red" }', f"{{ pid = {pid} }}"))
                with there.daemon() as daemon:
                    until(lambda: "web0" in ip("link"), daemon)
                    until(lambda: set(states(tmp_path).values()) == {"ready"}, daemon)
                    for one in (daemon.process.pid, door) if stopped else ():
                        os.kill(one, signal.SIGSTOP)
                    os.kill(pid, signal.SIGKILL)
                    begun = time.monotonic()
                    while "web0" in ip("link"):
                        assert time.monotonic() - begun < 10
                        time.sleep(0.005)
                    took.append(time.monotonic() - begun)
                    for one in (daemon.process.pid, door) if stopped else ():
                        os.kill(one, signal.SIGCONT)
                    until(lambda: set(states(tmp_path).values()) == {"pending process-gone"}, daemon)
        assert took[1] <= took[0] + 0.5, took


@private_net
def test_a_container_that_changes_its_end_without_a_pause_burns_its_own_cpu(tmp_path: Path) -> None:
    seconds = 6.0
    with stage(tmp_path) as (there, door):
        ip("netns", "add", "red")
        there.declare("10-host", HOST)
        there.declare("20-pod", POD)
        with there.daemon() as daemon:
            until(lambda: states(tmp_path) == {"web-host": "ready", "web-ct": "ready"}, daemon)
            before = cpu(daemon.process.pid, door)
            command = ("ip", "netns", "exec", "red", sys.executable, "-c", FLAP, str(seconds))
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            changes, theirs = map(float, done.stdout.split())
            ours = cpu(daemon.process.pid, door) - before
            assert changes > 1000 * seconds
            assert ours < 0.6 * theirs, f"{ours:.2f} s for {changes:.0f} changes, which took {theirs:.2f} s"
            # And the others are looked after meanwhile, and it afterwards.
            until(lambda: states(tmp_path)["web-host"] == "ready", daemon)
