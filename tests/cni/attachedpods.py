"""A host for pods on a failover master: the real daemon and doorkeeper, and veths that stand for a VF and its
paravirtual NIC, joined by traffic control. In namespaces of the test's own; this kernel has macvlan and no VLANs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from doorkeeper import doorkeeper, own_run
from standin import FakeIpam, RealPod, netconf

from failoverd_cni.control import ask
from failoverd_lab.hardware import DRIVERS, Hardware, Shelf

MAC = "52:54:00:fa:11:01"
PATIENCE = 20.0
PLAIN = ("-m", "failoverd_lab.netnsdaemon")
BONDED = (str(Path(__file__).with_name("bondeddaemon.py")),)
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=0.5)
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(error)
"""


def ip(*words: str) -> str:
    """What `ip` prints; it must succeed."""
    return subprocess.run(("ip", *words), check=True, capture_output=True, text=True).stdout


class NamedPod(RealPod):
    """A pod whose namespace is bound to a name, as runtimes have it."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(0, path)
        self.name = name
        ip("netns", "add", name)
        self.variables |= {
            "CNI_NETNS": f"/run/netns/{name}",
            "CNI_CONTAINERID": f"{name}-0123456789abcdef",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}",
        }

    def inside(self, *command: str) -> str:
        words = ["ip", "netns", "exec", self.name, *command]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    def reaches(self, address: str) -> bool:
        """Whether something answers there."""
        return self.inside(sys.executable, "-c", CONNECT, address).strip() == "refused"


class Host:
    """See the module. With `is_bonded` the pair is joined by a bond, where the kernel has that, and can move."""

    def __init__(self, where: Path, *, is_bonded: bool = False) -> None:
        self.where = where
        self.is_bonded = is_bonded
        self.control = str(where / "run" / "control")
        self.ipam = FakeIpam(_made(where / "ipam"))
        self._daemon: subprocess.Popen[bytes] | None = None
        (where / "failoverd.toml").write_text(f'[master]\ndatapath = "{"bond" if is_bonded else "tc"}"\n')

    def plug(self) -> None:
        """Plug in both NICs of a pair, on one switch, which is the gateway as well."""
        # With a MAC of its own: it would take that of a port, which goes with the VF.
        ip("link", "add", "switch", "address", "02:00:00:00:03:01", "type", "bridge", "forward_delay", "0")
        ip("address", "add", "10.3.0.1/24", "dev", "switch")
        ip("link", "set", "switch", "up")
        self.plug_one(100, "ens3", "virtio", "virtio0")
        self.plug_one(101, "ens4", "pci", "0000:02:00.0")
        ip("link", "set", "ens3", "up")

    def plug_one(self, index: int, name: str, bus: str, parent: str) -> None:
        """Plug in a NIC."""
        wire = index + 100
        Shelf(self.where / "hardware").put(
            wire if self.is_bonded else index, Hardware(bus, DRIVERS[bus], parent, MAC, 9000)
        )
        words = ["link", "add", name, "index", str(index), "address", MAC, "type", "veth"]
        ip(*words, "peer", "name", f"wire{index}", "index", str(wire))
        ip("link", "set", f"wire{index}", "master", "switch", "up")

    def start(self) -> None:
        """Start the daemon, and wait until it is ready."""
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (self.where / "notify").unlink(missing_ok=True)
        heard.bind(str(self.where / "notify"))
        heard.settimeout(PATIENCE)
        with (self.where / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, *(BONDED if self.is_bonded else PLAIN), str(self.where)],
                env=os.environ | {"NOTIFY_SOCKET": str(self.where / "notify")},
                stdout=log,
                stderr=log,
            )
        with heard:
            deadline = time.monotonic() + 2 * PATIENCE
            said = b""
            with suppress(TimeoutError):
                while b"READY=1" not in said and time.monotonic() < deadline:
                    said = heard.recv(4096)
            assert b"READY=1" in said, f"not ready, but {said!r}:\n{self.text()}"

    def end(self, number: signal.Signals) -> None:
        """End the daemon."""
        if self._daemon is not None:
            self._daemon.send_signal(number)
            self._daemon.wait(PATIENCE)
        self._daemon = None

    def text(self) -> str:
        """What the daemon has logged."""
        return (self.where / "log").read_text()

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.links()}\n{self.text()}"
            time.sleep(0.02)

    def carries(self) -> str:
        """The NIC that carries the traffic."""
        return str(ask(self.control, "status")["masters"][0]["active"])

    def is_joined(self) -> bool:
        """Whether the pair is joined and on its VF."""
        return [row["state"] for row in ask(self.control, "status")["masters"]] == ["accelerated"]

    def links(self) -> dict[str, dict[str, Any]]:
        """What the daemon says of the links, by their names."""
        return {row["name"]: row for row in ask(self.control, "links")["links"]}

    def pod(self, name: str) -> NamedPod:
        """A new pod."""
        return NamedPod(name, f"/nonexistent:{self.where / 'ipam'}")

    def netconf(self, **keys: Any) -> dict[str, Any]:
        """A configuration: a macvlan on the pair, with the addresses of `fake`; None takes a key out."""
        usual = {"linkInContainer": None, "vlanId": None, "failover": "ens3", "attach": "macvlan"}
        return netconf(**(usual | {"control": self.control} | keys))


@contextmanager
def host(where: Path, *, is_bonded: bool = False) -> Iterator[Host]:
    """A host without NICs and daemon. For a test with a network namespace of its own."""
    own_run()
    door = where / "run-netns" / "socket"
    door.parent.mkdir()
    with doorkeeper(door):
        there = Host(where, is_bonded=is_bonded)
        try:
            yield there
        finally:
            there.end(signal.SIGKILL)


@contextmanager
def joined(where: Path, *, is_bonded: bool = False) -> Iterator[Host]:
    """A host with a joined pair."""
    with host(where, is_bonded=is_bonded) as there:
        there.plug()
        there.start()
        there.until(there.is_joined, "joined")
        yield there


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
