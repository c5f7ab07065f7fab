"""The CNI plugin as a runtime starts it, beside the executables of Debian's containernetworking-plugins."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from privatenet import private_net
from standin import RealPod, netconf, real_pod, standing_in

from failoverd_cni import main

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "cni" / "bin" / "failoverd-cni"
STANDARD = Path("/usr/lib/cni")
SLOW = {"os", "re", "json", "socket", "subprocess", "ctypes", "typing", "dataclasses", "functools", "enum", "site"}
CALL = """
import sys
sys.path.append({root!r})
from failoverd_cni.main import main
status = main()
sys.stderr.write("imported " + " ".join(sys.modules) + "\\n")
sys.exit(status)
"""
needs_plugins = pytest.mark.skipif(
    not shutil.which("host-local", path=str(STANDARD)), reason="no /usr/lib/cni/host-local"
)


def start(text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the plugin as a program of its own, by the interpreter of the tests, and have it tell what it imported."""
    command = [sys.executable, "-IS", "-c", CALL.format(root=str(ROOT / "cni"))]
    return subprocess.run(command, input=text, env=variables, capture_output=True, text=True, check=False)


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The modules that a run has imported."""
    [line] = [line for line in done.stderr.splitlines() if line.startswith("imported ")]
    return set(line.split()[1:])


def test_what_is_shipped_starts_as_fast_as_can_be() -> None:
    first, *rest = PROGRAM.read_text().splitlines()
    assert first == "#!/usr/bin/python3 -IS"
    assert [line for line in rest if line.startswith(("import", "from"))] == [
        "import posix",
        "import sys",
        "from failoverd_cni.main import main",
    ]


def test_version_and_an_error_import_nothing_slow() -> None:
    done = start("", CNI_COMMAND="VERSION")
    assert (done.returncode, json.loads(done.stdout)["cniVersion"]) == (0, "1.1.0")
    assert imported(done) & SLOW == set()
    assert not {name for name in imported(done) if name.startswith("failoverd_cni.")} & {"failoverd_cni.pod"}
    done = start(json.dumps(netconf()), CNI_COMMAND="ADD")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 4)
    assert imported(done) & SLOW == set()


def test_more_than_anybody_configures() -> None:
    done = start(" " * (main.LONGEST + 1), CNI_COMMAND="VERSION")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 6)
    command = [sys.executable, "-IS", "-c", CALL.format(root=str(ROOT / "cni"))]
    bytes_ = subprocess.run(command, input=b"\xff", env={"CNI_COMMAND": "VERSION"}, capture_output=True, check=False)
    assert (bytes_.returncode, json.loads(bytes_.stdout)["code"]) == (1, 6)


@pytest.mark.usefixtures("namespaces_are_to_be_had")
@private_net
def test_an_add_imports_nothing_slow(tmp_path: Path) -> None:
    """On a kernel with VLANs and on one without; CPython before 3.12 has no setns, and then `_ctypes` has."""
    with real_pod(tmp_path / "ipam") as (pod, ipam):
        pod.inside("ip", "link", "add", "net1.3", "type", "bridge")
        done = start(json.dumps(netconf()), CNI_COMMAND="ADD", **pod.variables)
        assert (done.returncode, json.loads(done.stdout)["code"]) == (1, 999), done.stderr
        assert imported(done) & SLOW == set()
        done = start(json.dumps(netconf()), CNI_COMMAND="DEL", **pod.variables)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert imported(done) & SLOW == set()
        assert [row[0] for row in ipam.told()] == ["DEL"]
        assert "net1.3 is not VLAN 3 of net1, and is left alone" in done.stderr


SUBNET = {"type": "host-local", "ranges": [[{"subnet": "10.7.0.0/29"}]]}


@needs_plugins
@pytest.mark.usefixtures("namespaces_are_to_be_had")
@private_net
def test_host_local_with_one_range_for_two_vlans(tmp_path: Path) -> None:
    """Each VLAN is an owner of its own, and what one gives back is not the other's."""
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, _):
        keys = reserving(tmp_path, vlanId=None, vlans=[{"vlanId": 3}, {"vlanId": 4}])
        result = pod.add(keys)
        assert [(row["address"], row["interface"]) for row in result["ips"]] == [("10.7.0.2/29", 0), ("10.7.0.2/29", 1)]
        assert reserved(tmp_path) == {"net.3/10.7.0.2": "c1 net1.3", "net.4/10.7.0.2": "c1 net1.4"}
        assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
        assert pod.run("DEL", reserving(tmp_path, vlanId=4)) == (0, {})
        assert reserved(tmp_path) == {"net.3/10.7.0.2": "c1 net1.3"}
        status, answer = pod.run("CHECK", keys | {"prevResult": result})
        assert (status, answer["code"]) == (1, 101)
        for _ in range(3):
            assert pod.run("DEL", keys, CNI_NETNS="") == (0, {})
        assert reserved(tmp_path) == {}


@needs_plugins
@pytest.mark.usefixtures("namespaces_are_to_be_had")
@private_net
def test_a_range_that_is_used_up_gives_everything_back(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, _):
        small = {"type": "host-local", "ranges": [[{"subnet": "10.7.0.0/30"}]], "dataDir": str(tmp_path / "data")}
        keys = netconf(cniVersion="1.0.0", ipam=small)
        assert pod.run("ADD", keys, CNI_CONTAINERID="c0")[0] == 0
        other = [{"vlanId": 9, "ipam": small}, {"vlanId": 3, "ipam": small, "ifName": "other"}]
        status, answer = pod.run("ADD", without(keys, other))
        assert (status, "no IP addresses available" in answer["msg"]) == (1, True), answer
        assert answer["msg"].startswith("other: the IPAM plugin host-local, ADD: ")
        assert pod.devices() == {"lo", "net1", "net1.3"}
        assert reserved(tmp_path) == {"net.3/10.7.0.2": "c0 net1.3"}


@needs_plugins
@pytest.mark.usefixtures("namespaces_are_to_be_had")
@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_two_vlans_behind_what_ptp_made(version: str, tmp_path: Path) -> None:
    """The list of containernetworking/plugins issue 989: each plugin gets the result of the one before."""

    @private_net
    def test() -> None:
        with standing_in(), real_pod(tmp_path / "ipam") as (pod, _):
            pod.variables["CNI_IFNAME"] = "eth0"
            first = {
                "cniVersion": version,
                "name": "net",
                "type": "ptp",
                "ipam": static("192.168.1.10/24", "192.168.1.1"),
            }
            result = standard(pod, "ptp", "ADD", first)
            lists = []
            for vid in (3, 4):
                ipam = static(f"192.168.{vid}.10/24", f"192.168.{vid}.1")
                lists.append(netconf(cniVersion=version, vlanId=vid, ipam=ipam, prevResult=result))
                result = pod.add(lists[-1])
            names = [row["name"] for row in result["interfaces"]]
            assert names[1:] == ["eth0", "eth0.3", "eth0.4"]
            told = [(row["address"], row["gateway"], row["interface"]) for row in result["ips"]]
            assert told == [(f"192.168.{net}.10/24", f"192.168.{net}.1", at) for net, at in ((1, 1), (3, 2), (4, 3))]
            assert pod.addresses("eth0.4") == ["192.168.4.10/24"]
            for keys in reversed(lists):
                if version != "0.3.1":
                    assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
                assert pod.run("DEL", keys | {"prevResult": result}) == (0, {})
            assert pod.devices() == {"lo", "net1", "eth0"}

    test()


def static(address: str, gateway: str) -> dict[str, Any]:
    """The configuration of the static plugin."""
    return {"type": "static", "addresses": [{"address": address, "gateway": gateway}]}


def standard(pod: RealPod, plugin: str, command: str, keys: dict[str, Any]) -> dict[str, Any]:
    """What a standard plugin answers."""
    variables = pod.variables | {"CNI_COMMAND": command, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    words = [str(STANDARD / plugin)]
    done = subprocess.run(words, input=json.dumps(keys), env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def reserving(folder: Path, **keys: Any) -> dict[str, Any]:
    """A configuration with host-local, whose reservations are in a folder of the test's."""
    return netconf(cniVersion="1.0.0", ipam=SUBNET | {"dataDir": str(folder / "data")}, **keys)


def reserved(folder: Path) -> dict[str, str]:
    """The owners of host-local's reservations, by network and address."""
    files = [path for path in (folder / "data").rglob("10.*") if path.is_file()]
    return {f"{path.parent.name}/{path.name}": " ".join(path.read_text().split()) for path in files}


def without(keys: dict[str, Any], vlans: list[dict[str, Any]]) -> dict[str, Any]:
    """The configuration with a list of VLANs in place of its one."""
    return {key: value for key, value in keys.items() if key != "vlanId"} | {"vlans": vlans}
