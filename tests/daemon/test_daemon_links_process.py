"""Declared links by the real daemon, the real doorkeeper and this kernel, in namespaces of the test's own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemonprocess import Daemon
from doorkeeper import doorkeeper, own_run
from privatenet import private_net

HOST = """
[link.web-host]
kind = "veth"
peer = "web-ct"
device = "web0"
addresses = ["192.0.2.1/24"]
"""
POD = """
[link.web-ct]
kind = "veth"
peer = "web-host"
namespace = { name = "red" }
device = "eth1"
addresses = ["192.0.2.2/24"]
"""
PATIENCE = 20.0
RECEIVER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("192.0.2.2", 7))
print("ready", flush=True)
count = 0
while sock.recv(9) != b"end":
    count += 1
print(count, flush=True)
"""
SENDER = """
import signal, socket, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
count = 0
print("ready", flush=True)
while not ended:
    sock.sendto(b"datagram", ("192.0.2.2", 7))
    count += 1
    time.sleep(0.001)
sock.sendto(b"end", ("192.0.2.2", 7))
print(count)
"""


class Datagrams:
    """Up to a thousand datagrams a second over the pair, until `end`."""

    def __init__(self) -> None:
        command = ("ip", "netns", "exec", "red", sys.executable, "-c", RECEIVER)
        self._receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._receiver.stdout is not None
        assert self._receiver.stdout.readline() == "ready\n"
        self._sender = subprocess.Popen((sys.executable, "-c", SENDER), stdout=subprocess.PIPE, text=True)
        # It does not end by SIGTERM before it says so, but dies of it.
        assert self._sender.stdout is not None
        assert self._sender.stdout.readline() == "ready\n"

    def end(self) -> tuple[int, int]:
        """How many were sent, and how many came."""
        self._sender.terminate()
        sent = self._sender.communicate(timeout=PATIENCE)[0]
        return int(sent), int(self._receiver.communicate(timeout=PATIENCE)[0])


def ip(*words: str) -> str:
    return subprocess.run(("ip", *words), check=False, capture_output=True, text=True).stdout


def until(condition: Callable[[], bool], daemon: Daemon) -> float:
    """Wait until that holds; the seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < PATIENCE, daemon.text() + ip("addr")
        assert daemon.process.poll() is None, daemon.text()
        time.sleep(0.01)
    return time.monotonic() - start


def is_made() -> bool:
    """Whether both ends are up with their addresses, and reach each other."""
    return "192.0.2.1/24" in ip("addr", "show", "web0", "up") and "192.0.2.2/24" in ip(
        "-n", "red", "addr", "show", "eth1", "up"
    )


def is_gone() -> bool:
    return "web0" not in ip("link") and "eth1" not in ip("-n", "red", "link")


class Machine:
    """A configuration, a daemon and a doorkeeper."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.drop_ins = where / "failoverd.toml.d"
        self.drop_ins.mkdir(parents=True)
        self.config = where / "failoverd.toml"
        self.config.write_text("[dbus]\nenabled = false\n")

    def declare(self, name: str, text: str) -> None:
        (self.drop_ins / f"{name}.toml").write_text(text)

    def withdraw(self, name: str) -> None:
        (self.drop_ins / f"{name}.toml").unlink()

    @contextmanager
    def daemon(self) -> Iterator[Daemon]:
        with Daemon(self.where, "--config", str(self.config), into=()) as daemon:
            daemon.hears("READY=1")
            yield daemon


@contextmanager
def machine(where: Path) -> Iterator[Machine]:
    own_run()
    door = where / "run-netns" / "socket"
    door.parent.mkdir()
    with doorkeeper(door):
        yield Machine(where)


@private_net
def test_what_was_declared_before_a_stop_is_taken_away_after_it(tmp_path: Path) -> None:
    with machine(tmp_path) as there:
        ip("netns", "add", "red")
        there.declare("10-host", HOST)
        there.declare("20-pod", POD)
        with there.daemon() as daemon:
            until(is_made, daemon)
            assert daemon.end() == 0
        assert is_made()
        there.withdraw("10-host")
        there.withdraw("20-pod")
        with there.daemon() as daemon:
            until(is_gone, daemon)
