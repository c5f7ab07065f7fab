"""Declared links from a real etcd, by failoverd-etcd, the real daemon, the real doorkeeper and this kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemonprocess import Daemon, places
from doorkeeper import doorkeeper, own_run
from etcdserver import SUITES, etcd
from privatenet import private_net

PATIENCE = 20.0
A: dict[str, Any] = {"kind": "veth", "peer": "b", "device": "a0", "addresses": ["192.0.2.1/24"]}
B: dict[str, Any] = {
    "kind": "veth",
    "peer": "a",
    "device": "b0",
    "namespace": {"name": "red"},
    "addresses": ["192.0.2.2/24"],
}


def ip(*words: str) -> str:
    return subprocess.run(("ip", *words), check=False, capture_output=True, text=True).stdout


class Machine:
    """A configuration, a daemon, a doorkeeper and failoverd-etcd, as the node h1."""

    def __init__(self, where: Path, endpoints: list[str], more: str = "") -> None:
        self.where = where
        self.drop_ins = where / "failoverd.toml.d"
        self.drop_ins.mkdir(parents=True)
        self.config = where / "failoverd.toml"
        self.configure(endpoints, more)
        (where / "state-etcd").mkdir()
        self.daemon: Daemon
        self.service: subprocess.Popen[bytes]

    def configure(self, endpoints: list[str], more: str = "") -> None:
        text = f'[dbus]\nenabled = false\n[etcd]\nenabled = true\nendpoints = {json.dumps(endpoints)}\nnode = "h1"\n'
        self.config.write_text(text + more)

    def start_service(self) -> None:
        """Start failoverd-etcd."""
        with (self.where / "log-etcd").open("ab") as log:
            self.service = subprocess.Popen(
                [sys.executable, "-m", "failoverd_etcd", "--config", str(self.config)],
                env=os.environ
                | places(self.where)
                | {
                    "STATE_DIRECTORY": str(self.where / "state-etcd"),
                    "RUNTIME_DIRECTORY": str(self.where / "run-etcd"),
                },
                stdout=log,
                stderr=log,
            )

    def said(self) -> str:
        """What failoverd-etcd has logged."""
        return (self.where / "log-etcd").read_text()

    def links(self) -> dict[str, dict[str, Any]]:
        """What the daemon says of each link."""
        command = [str(Path(sys.executable).with_name("failoverctl")), "links", "--json"]
        done = subprocess.run(command, env=os.environ | places(self.where), capture_output=True, text=True)
        return {row["name"]: row for row in json.loads(done.stdout or "{}").get("links", [])}

    def states(self) -> dict[str, str]:
        return {name: row["state"] for name, row in self.links().items()}

    def until(self, condition: Callable[[], bool], within: float = PATIENCE) -> float:
        """Wait until that holds; the seconds it took."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < within, (
                f"{self.links()}\n{self.said()}\n{self.daemon.text()}\n{ip('addr')}"
            )
            assert self.daemon.process.poll() is None, self.daemon.text()
            time.sleep(0.01)
        return time.monotonic() - start


@contextmanager
def machine(where: Path, endpoints: list[str], more: str = "") -> Iterator[Machine]:
    """A machine in the test's own network namespace, with a namespace red."""
    own_run()
    ip("link", "set", "lo", "up")
    door = where / "run-netns" / "socket"
    door.parent.mkdir(parents=True)
    ip("netns", "add", "red")
    with doorkeeper(door):
        there = Machine(where, endpoints, more)
        with Daemon(where, "--config", str(there.config), into=()) as daemon:
            there.daemon = daemon
            daemon.hears("READY=1")
            there.start_service()
            try:
                yield there
            finally:
                there.service.kill()
                there.service.wait()


def is_carried() -> bool:
    """Whether a datagram goes through the pair."""
    command = ("ping", "-c", "1", "-W", "1", "-q", "192.0.2.2")
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def is_made() -> bool:
    return "192.0.2.1/24" in ip("addr", "show", "a0", "up") and "192.0.2.2/24" in ip(
        "-n", "red", "addr", "show", "b0", "up"
    )


def is_gone() -> bool:
    return "a0" not in ip("link") and "b0" not in ip("-n", "red", "link")


@pytest.mark.parametrize("suite", SUITES)
@private_net
def test_both_ends_in_one_transaction(tmp_path: Path, suite: str) -> None:
    with machine(tmp_path / "m", ["http://127.0.0.1:2379"]) as there, etcd(tmp_path / "etcd", suite) as server:
        server.put("h1", a=A, b=B)
        print("made", there.until(is_made))
        there.until(lambda: there.states() == {"a": "ready", "b": "ready"})
        assert {row["made"] for row in there.links().values()} <= {0, 1}
        server.ctl("del", "--prefix", "/failoverd/v1/nodes/h1/")
        assert there.until(is_gone, 2) < 2
