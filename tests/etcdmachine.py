"""A machine whose links a real etcd declares: failoverd-etcd, the real daemon, the real doorkeeper, this kernel."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemonprocess import Daemon, places
from doorkeeper import doorkeeper, own_run

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
        for directory in ("state-etcd", "run-etcd"):
            (where / directory).mkdir()
        self.daemon: Daemon
        self.service: subprocess.Popen[bytes]
        self._daemons: list[Daemon] = []

    def configure(self, endpoints: list[str], more: str = "") -> None:
        text = f'[dbus]\nenabled = false\n[etcd]\nenabled = true\nendpoints = {json.dumps(endpoints)}\nnode = "h1"\n'
        self.config.write_text(text + more)

    def start_daemon(self) -> None:
        """Start failoverd."""
        self.daemon = Daemon(self.where, "--config", str(self.config), into=())
        self._daemons.append(self.daemon)
        self.daemon.hears("READY=1")

    def end(self) -> None:
        """End all that was started."""
        self.service.kill()
        self.service.wait()
        for daemon in self._daemons:
            daemon.__exit__(None, None, None)

    def failoverctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run failoverctl."""
        command = [str(Path(sys.executable).with_name("failoverctl")), *words]
        return subprocess.run(command, env=os.environ | self.environment(), capture_output=True, text=True)

    def run_etcd(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of failoverd-etcd."""
        command = [sys.executable, "-m", "failoverd_etcd", *words]
        return subprocess.run(command, env=os.environ | self.environment(), capture_output=True, text=True)

    def environment(self) -> dict[str, str]:
        """The directories of all of them."""
        own = {"FAILOVERD_ETCD_CONTROL": str(self.where / "run-etcd" / "control")}
        return {**places(self.where), **own, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def until_quiet(self, seconds: float) -> None:
        """Wait until failoverd-etcd has said nothing for so long."""
        said, since = self.said(), time.monotonic()
        while time.monotonic() < since + seconds:
            time.sleep(0.1)
            if self.said() != said:
                said, since = self.said(), time.monotonic()

    def connected(self) -> None:
        """Wait until failoverd-etcd is connected."""
        self.until(lambda: "connected" in self.said())

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
        done = self.failoverctl("links", "--json")
        return {row["name"]: row for row in json.loads(done.stdout or "{}").get("links", [])}

    def contact(self) -> dict[str, Any]:
        """What the daemon says of the connection to etcd."""
        done = self.failoverctl("links", "--json")
        return dict(json.loads(done.stdout or "{}").get("etcd", {}))

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
    door = where / "run-netns" / "socket"
    door.parent.mkdir(parents=True)
    ip("netns", "add", "red")
    with doorkeeper(door):
        there = Machine(where, endpoints, more)
        try:
            there.start_daemon()
            there.start_service()
            yield there
        finally:
            there.end()


def is_carried() -> bool:
    """Whether the other end answers an echo request (ICMP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(1)
        try:
            raw.sendto(b"\x08\0\xf7\xff\0\0\0\0", ("192.0.2.2", 0))
            while (answer := raw.recvfrom(256)) and answer[0][20] != 0:
                pass
        except OSError:
            return False
        return bool(answer[1][0] == "192.0.2.2")


def is_made() -> bool:
    return "192.0.2.1/24" in ip("addr", "show", "a0", "up") and "192.0.2.2/24" in ip(
        "-n", "red", "addr", "show", "b0", "up"
    )


def is_gone() -> bool:
    return "a0" not in ip("link") and "b0" not in ip("-n", "red", "link")
