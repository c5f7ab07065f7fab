"""VLANs chained in a pod, with the standard plugins beside: on a kernel that has VLANs."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "cni"))

from doorkeeper import own_run
from privatenet import private_net
from standin import RealPod, real_pod

from failoverd_lab.dhcp import Dhcp
from failoverd_lab.frames import Station, mac

STANDARD = "/usr/lib/cni"
PATIENCE = 20.0
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=10)
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(error)
"""
FIRST = {"address": "192.168.1.10/24", "gateway": "192.168.1.1"}
Plugins = Sequence[Mapping[str, Any]]

pytestmark = pytest.mark.skipif(not shutil.which("host-local", path=STANDARD), reason="no containernetworking-plugins")


def ip(*words: str) -> None:
    """It must succeed."""
    subprocess.run(("ip", *words), check=True)


def reaches(pod: RealPod, address: str) -> bool:
    """Whether a datagram comes back from there."""
    return pod.inside(sys.executable, "-c", CONNECT, address).strip() == "refused"


def call(pod: RealPod, command: str, keys: dict[str, Any], ifname: str) -> dict[str, Any]:
    """Run a plugin of a list, as libcni does. It must succeed."""
    if keys["type"] == "failoverd-cni":
        status, answer = pod.run(command, keys, CNI_IFNAME=ifname)
        assert status == 0, answer
        return answer
    done = subprocess.run(
        [f"{STANDARD}/{keys['type']}"],
        input=json.dumps(keys),
        env=os.environ | pod.variables | {"CNI_COMMAND": command, "CNI_IFNAME": ifname},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout)) if done.stdout.strip() else {}


def add(pod: RealPod, plugins: Plugins, ifname: str = "net1", version: str = "1.0.0") -> dict[str, Any]:
    """The result of a whole list."""
    result: dict[str, Any] = {}
    for plugin in plugins:
        keys = {"cniVersion": version, "name": "trunk", **plugin} | ({"prevResult": result} if result else {})
        result = call(pod, "ADD", keys, ifname)
    return result


def delete(
    pod: RealPod, plugins: Plugins, result: Mapping[str, Any], ifname: str = "net1", version: str = "1.0.0"
) -> None:
    """DEL of a whole list, the last plugin first."""
    for plugin in reversed(plugins):
        keys = {"cniVersion": version, "name": "trunk", **plugin, "prevResult": result}
        call(pod, "DEL", keys, ifname)


def vlan(vid: int, *addresses: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """A plugin of the list, with static addresses."""
    ipam = {"ipam": {"type": "static", "addresses": addresses}} if addresses else {}
    return {"type": "failoverd-cni", "linkInContainer": True, "vlanId": vid, **ipam, **more}


@contextmanager
def wired(where: Path, *vids: int) -> Iterator[RealPod]:
    """A pod whose net1 leads to the host's host1, with a gateway on each VLAN there."""
    own_run()
    with real_pod(where / "ipam") as (pod, _):
        for vid in vids:
            ip("link", "add", "link", "host1", "name", f"host1.{vid}", "type", "vlan", "id", str(vid))
            ip("address", "add", f"192.168.{vid}.1/24", "dev", f"host1.{vid}")
            ip("address", "add", f"fd00:{vid}::1/64", "dev", f"host1.{vid}", "nodad")
            ip("link", "set", f"host1.{vid}", "up")
        yield pod


def tags(pod: RealPod) -> dict[str, tuple[str, int]]:
    """The VLANs in the pod: what each stands on, and its id."""
    rows = pod.ip("-d", "link", "show", "type", "vlan")
    return {row["ifname"]: (row["link"], row["linkinfo"]["info_data"]["id"]) for row in rows}


@private_net
def test_the_list_of_issue_989(tmp_path: Path) -> None:
    """Version 0.3.1, two VLANs, static addresses with gateways, behind another plugin of the list."""
    plugins = [
        {"type": "ptp", "ipam": {"type": "static", "addresses": [FIRST]}},
        vlan(3, {"address": "192.168.3.10/24", "gateway": "192.168.3.1"}),
        vlan(4, {"address": "192.168.4.10/24", "gateway": "192.168.4.1"}),
    ]
    with wired(tmp_path) as pod:
        result = add(pod, plugins, "eth0", "0.3.1")
        inside = [row["name"] for row in result["interfaces"] if row.get("sandbox")]
        assert inside == ["eth0", "eth0.3", "eth0.4"]
        named = [(result["interfaces"][row["interface"]]["name"], row["address"]) for row in result["ips"]]
        assert named == [
            ("eth0", "192.168.1.10/24"),
            ("eth0.3", "192.168.3.10/24"),
            ("eth0.4", "192.168.4.10/24"),
        ]
        assert [row["version"] for row in result["ips"]] == ["4"] * 3
        assert tags(pod) == {"eth0.3": ("eth0", 3), "eth0.4": ("eth0", 4)}
        outside = next(row["name"] for row in result["interfaces"] if not row.get("sandbox"))
        for vid in (3, 4):
            ip("link", "add", "link", outside, "name", f"out.{vid}", "type", "vlan", "id", str(vid))
            ip("address", "add", f"192.168.{vid}.1/24", "dev", f"out.{vid}")
            ip("link", "set", f"out.{vid}", "up")
            assert reaches(pod, f"192.168.{vid}.1")
        for _ in range(2):
            delete(pod, plugins, result, "eth0", "0.3.1")
            assert pod.devices() == {"lo", "net1"}


@private_net
def test_three_vlans_of_both_families_behind_a_macvlan(tmp_path: Path) -> None:
    vids = (3, 4, 5)
    plugins = [
        {"type": "macvlan", "master": "up0", "ipam": {"type": "static", "addresses": [{"address": "10.1.0.2/24"}]}},
        *(vlan(vid, {"address": f"192.168.{vid}.10/24"}, {"address": f"fd00:{vid}::10/64"}) for vid in vids),
    ]
    with wired(tmp_path) as pod:
        ip("link", "add", "up0", "type", "veth", "peer", "name", "host2")
        for name in ("up0", "host2"):
            ip("link", "set", name, "up")
        for vid in vids:
            ip("link", "add", "link", "host2", "name", f"host2.{vid}", "type", "vlan", "id", str(vid))
            ip("address", "add", f"192.168.{vid}.1/24", "dev", f"host2.{vid}")
            ip("address", "add", f"fd00:{vid}::1/64", "dev", f"host2.{vid}", "nodad")
            ip("link", "set", f"host2.{vid}", "up")
        result = add(pod, plugins, "eth0")
        assert tags(pod) == {f"eth0.{vid}": ("eth0", vid) for vid in vids}
        for vid in vids:
            assert pod.addresses(f"eth0.{vid}") == [f"192.168.{vid}.10/24", f"fd00:{vid}::10/64"]
            assert reaches(pod, f"192.168.{vid}.1")
            assert reaches(pod, f"fd00:{vid}::1")
        assert [row["interface"] for row in result["ips"]] == [0, 1, 1, 2, 2, 3, 3]
        delete(pod, plugins, result, "eth0")
        assert pod.devices() == {"lo", "net1"}


@private_net
def test_behind_host_device_and_twice_in_one_pod(tmp_path: Path) -> None:
    lists = {
        name: [{"type": "host-device", "device": f"hd{number}"}, vlan(3, {"address": f"192.168.3.1{number}/24"})]
        for number, name in enumerate(("eth0", "eth1"))
    }
    with wired(tmp_path) as pod:
        for number in range(2):
            ip("link", "add", f"hd{number}", "type", "veth", "peer", "name", f"far{number}")
            ip("link", "set", f"far{number}", "up")
        results = {name: add(pod, plugins, name) for name, plugins in lists.items()}
        assert tags(pod) == {"eth0.3": ("eth0", 3), "eth1.3": ("eth1", 3)}
        delete(pod, lists["eth0"], results["eth0"], "eth0")
        assert tags(pod) == {"eth1.3": ("eth1", 3)}
        delete(pod, lists["eth1"], results["eth1"], "eth1")
        assert pod.devices() == {"lo", "net1"}


@private_net
def test_host_local_on_one_range_for_two_vlans(tmp_path: Path) -> None:
    where = str(tmp_path / "reservations")
    ipam = {"type": "host-local", "dataDir": where, "ranges": [[{"subnet": "192.168.3.0/24"}]]}
    plugins = [vlan(3, ipam=ipam), vlan(4, ipam=ipam)]
    with wired(tmp_path, 3, 4) as pod:
        result = add(pod, plugins)
        assert [row["address"] for row in result["ips"]] == ["192.168.3.2/24"] * 2
        kept = sorted(path.parent.name for path in Path(where).rglob("192.*"))
        assert kept == ["trunk.3", "trunk.4"]
        delete(pod, plugins[1:], result)
        assert [path.parent.name for path in Path(where).rglob("192.*")] == ["trunk.3"]
        delete(pod, plugins, result)
        assert not list(Path(where).rglob("192.*"))


class Server(threading.Thread):
    """A DHCP server on a device, until its socket is closed."""

    def __init__(self, device: str, address: str, first: str) -> None:
        super().__init__(daemon=True)
        found = json.loads(subprocess.run(["ip", "-j", "link", "show", device], capture_output=True, check=True).stdout)
        station = Station(mac(found[0]["address"]), ipaddress.IPv4Address(address))
        self.dhcp = Dhcp(station, ipaddress.IPv4Address(first))
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.bind((device, 3))
        self._socket.settimeout(0.1)
        self._is_over = threading.Event()

    def run(self) -> None:
        with self._socket:
            while not self._is_over.is_set():
                try:
                    frame = self._socket.recv(2048)
                except TimeoutError:
                    continue
                for answer in self.dhcp.answer(frame, "", time.monotonic()):
                    self._socket.send(answer)

    def end(self) -> list[str]:
        """What clients have said, when what came before is read."""
        time.sleep(0.5)
        self._is_over.set()
        self.join()
        return [one.kind for one in self.dhcp.asked]


@private_net
def test_dhcp_on_two_vlans_at_once(tmp_path: Path) -> None:
    """Each lease on its own tag, and released before its device goes."""
    plugins = [{"type": "failoverd-cni", "linkInContainer": True, "vlans": [_leased(3), _leased(4)]}]
    with wired(tmp_path, 3, 4) as pod:
        servers = [Server(f"host1.{vid}", f"192.168.{vid}.1", f"192.168.{vid}.50") for vid in (3, 4)]
        for server in servers:
            server.start()
        Path("/run/cni").mkdir()
        daemon = subprocess.Popen([f"{STANDARD}/dhcp", "daemon"])
        try:
            deadline = time.monotonic() + PATIENCE
            while not Path("/run/cni/dhcp.sock").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            result = add(pod, plugins)
            addresses = {f"net1.{vid}": f"192.168.{vid}.50/24" for vid in (3, 4)}
            assert {name: pod.addresses(name) for name in addresses} == {n: [a] for n, a in addresses.items()}
            assert [row["address"] for row in result["ips"]] == list(addresses.values())
            for vid in (3, 4):
                assert reaches(pod, f"192.168.{vid}.1")
            delete(pod, plugins, result)
            for server in servers:
                kinds = server.end()
                assert (kinds[:2], kinds[-1]) == (["discover", "request"], "release"), kinds
            assert pod.devices() == {"lo", "net1"}
        finally:
            daemon.kill()
            daemon.wait()


def _leased(vid: int) -> dict[str, Any]:
    return {"vlanId": vid, "ipam": {"type": "dhcp"}}
