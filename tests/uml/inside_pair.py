"""The failover pair itself in a pod: the plugin, the daemon and its moves, on a kernel that has bonds."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "cni"))

from attachedpods import Host, NamedPod, host, ip, joined
from privatenet import private_net

from failoverd_cni.control import RefusedCallError, ask

ADDRESS, GATEWAY = "10.3.0.9/24", "10.3.0.1"
OF_POD = {"ips": [{"address": "10.3.0.77/24", "gateway": GATEWAY}], "routes": [{"dst": "10.77.0.0/16"}]}


@contextmanager
def paired(where: Path) -> Iterator[Host]:
    """A host with a pair that has addresses and a route."""
    with joined(where, is_bonded=True) as there:
        ip("address", "add", ADDRESS, "dev", "ens3")
        ip("address", "add", "fd00:3::9/64", "dev", "ens3", "nodad")
        ip("route", "add", "10.9.0.0/16", "via", GATEWAY, "dev", "ens3")
        yield there


def shape() -> dict[str, Any]:
    """Names, addresses and routes of the host's devices, without the kernel's own."""
    links = {
        row["ifname"]: (
            row.get("master", ""),
            "UP" in row["flags"],
            row["address"],
            sorted(f"{one['local']}/{one['prefixlen']}" for one in row["addr_info"] if one["scope"] == "global"),
        )
        for row in json.loads(ip("-j", "address"))
        if row and not row["ifname"].startswith("wire")
    }
    routes = [row for row in json.loads(ip("-j", "route")) if row["dev"] == "ens3"]
    return links | {"routes": sorted(row["dst"] for row in routes)}


def is_home(there: Host, before: dict[str, Any]) -> None:
    """Wait until the pair is at home as it was."""
    there.until(lambda: there.is_joined() and shape() == before, "at home as before")
    there.until(lambda: there.links() == {}, "forgotten")
    left = [path for folder in ("attachments", "cni", "away") for path in (there.where / "run" / folder).glob("*")]
    assert left == []


def carrier(pod: NamedPod) -> str:
    """The NIC that carries in the pod."""
    (row,) = pod.ip("-d", "link", "show", "net1")
    return str(row["linkinfo"]["info_data"].get("active_slave", ""))


@private_net
def test_from_add_to_del_with_the_addresses_of_the_host(tmp_path: Path) -> None:
    with paired(tmp_path) as there:
        before, pod = shape(), there.pod("web")
        keys = there.netconf(attach="pair", ipam=None, failover="auto")
        result = pod.add(keys)
        assert [(row["name"], row["sandbox"], row["mtu"]) for row in result["interfaces"]] == [
            ("net1", "/run/netns/web", 1500)
        ]
        assert result["ips"] == [
            {"address": ADDRESS, "interface": 0},
            {"address": "fd00:3::9/64", "interface": 0},
        ]
        assert pod.devices() == {"lo", "net1", "ens3nsby", "ens4"}
        assert pod.addresses("net1") == [ADDRESS, "fd00:3::9/64"]
        there.until(lambda: pod.reaches(GATEWAY), "reached from the pod")
        assert "ens3" not in shape()
        [row] = there.links().values()
        assert (row["kind"], row["state"], row["owner"], row["device"]) == ("pair", "ready", "default/web", "net1")
        assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
        # Another pod, and any other link.
        db = there.pod("db")
        for other in (keys, there.netconf(), there.netconf(attach="vlan", vlanId=7)):
            status, answer = db.run("ADD", other)
            assert (status, answer["code"], "in the pod default/web (net)" in answer["msg"]) == (1, 11, True), answer
        for call in (["release", "ens3"], ["move", "ens3", "db"], ["move", "ens3"]):
            with pytest.raises(RefusedCallError, match=r"default/web \(net\)"):
                ask(there.control, *call)
        for _ in range(3):
            assert pod.run("DEL", keys) == (0, {})
            assert pod.devices() == {"lo"}
        is_home(there, before)


@private_net
def test_with_addresses_of_its_own(tmp_path: Path) -> None:
    """The host's addresses are not in the pod, and the pod's are not at home."""
    with paired(tmp_path) as there:
        before, pod = shape(), there.pod("web")
        there.ipam.answer({"ADD": OF_POD})
        keys = there.netconf(attach="pair", name="tenant")
        result = pod.add(keys)
        assert [row["address"] for row in result["ips"]] == ["10.3.0.77/24"]
        assert pod.addresses("net1") == ["10.3.0.77/24"]
        routes = {row["dst"] for row in pod.ip("route")} | {row["dst"] for row in pod.ip("-6", "route")}
        assert {"10.77.0.0/16", "10.3.0.0/24"} == routes - {"fe80::/64"}
        there.until(lambda: pod.reaches(GATEWAY), "reached from the pod")
        assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
        pod.inside("ip", "address", "add", "10.55.0.1/24", "dev", "net1")
        # A VLAN of the pod's on it goes with it.
        pod.inside("ip", "link", "add", "link", "net1", "name", "net1.3", "type", "vlan", "id", "3")
        assert pod.run("DEL", keys) == (0, {})
        assert pod.devices() == {"lo"}
        is_home(there, before)
        assert [call[0] for call in there.ipam.told()] == ["ADD", "CHECK", "DEL"]


@private_net
def test_what_fails_brings_it_home(tmp_path: Path) -> None:
    with paired(tmp_path) as there:
        before, pod = shape(), there.pod("web")
        there.ipam.answer({"ADD": {"code": 77, "msg": "none left"}})
        status, answer = pod.run("ADD", there.netconf(attach="pair"))
        assert (status, answer["code"]) == (1, 77)
        is_home(there, before)
        # A name that is taken there.
        pod.inside("ip", "link", "add", "ens4", "type", "dummy")
        status, answer = pod.run("ADD", there.netconf(attach="pair", ipam=None))
        assert (status, answer["code"]) == (1, 999)
        assert "the name ens4 is taken there by a dummy" in answer["msg"]
        is_home(there, before)
        # Links of other pods.
        db = there.pod("db")
        there.ipam.answer({"ADD": OF_POD})
        db.add(there.netconf())
        status, answer = pod.run("ADD", there.netconf(attach="pair", ipam=None))
        assert (status, answer["code"], "default/db (net)" in answer["msg"]) == (1, 11, True), answer
        assert db.run("DEL", there.netconf()) == (0, {})
        is_home(there, before)


def end(there: Host, pod: NamedPod, index: int) -> None:
    """End a pod without a DEL. Veths end with it; hardware comes home under the names that it has."""
    ip("netns", "delete", pod.name)
    there.plug_one(index, "ens3nsby", "virtio", "virtio0")
    there.plug_one(index + 1, "ens4", "pci", "0000:02:00.0")


@private_net
def test_the_pods_end_brings_it_home(tmp_path: Path) -> None:
    with paired(tmp_path) as there:
        before, keys = shape(), there.netconf(attach="pair", ipam=None)
        for number, name in enumerate(("web", "db")):
            pod = there.pod(name)
            pod.add(keys)
            end(there, pod, 110 + 2 * number)
            is_home(there, before)
            assert pod.run("DEL", keys) == (0, {})


@private_net
def test_a_kill_between_add_and_del(tmp_path: Path) -> None:
    with paired(tmp_path) as there:
        before, keys, pod = shape(), there.netconf(attach="pair", ipam=None), there.pod("web")
        result = pod.add(keys)
        there.end(signal.SIGKILL)
        assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
        there.start()
        there.until(lambda: [row["state"] for row in there.links().values()] == ["ready"], "ready again")
        there.until(lambda: pod.reaches(GATEWAY), "reached from the pod")
        assert pod.run("DEL", keys) == (0, {})
        is_home(there, before)
        # Dead at the DEL.
        pod.add(keys)
        there.end(signal.SIGKILL)
        assert pod.run("STATUS", keys)[1]["code"] == 50
        for _ in range(2):
            assert pod.run("DEL", keys) == (0, {})
        assert len(list((tmp_path / "run" / "cni").iterdir())) == 1
        there.start()
        is_home(there, before)
        # Dead when the pod ends, without a DEL.
        pod.add(keys)
        there.end(signal.SIGKILL)
        end(there, pod, 110)
        there.start()
        is_home(there, before)


@private_net
def test_a_new_vf_follows(tmp_path: Path) -> None:
    with paired(tmp_path) as there:
        before, keys, pod = shape(), there.netconf(attach="pair", ipam=None), there.pod("web")
        pod.add(keys)
        assert carrier(pod) == "ens4"
        pod.inside("ip", "link", "delete", "ens4")
        there.until(lambda: carrier(pod) == "ens3nsby", "the standby carries")
        there.until(lambda: pod.reaches(GATEWAY), "by the standby")
        there.plug_one(102, "ens4", "pci", "0000:02:00.0")
        there.until(lambda: carrier(pod) == "ens4", "the new VF carries")
        there.until(lambda: pod.reaches(GATEWAY), "by the new VF")
        assert pod.run("DEL", keys) == (0, {})
        is_home(there, before)


@private_net
def test_a_kill_at_any_moment_of_an_add_or_a_del(tmp_path: Path) -> None:
    """Whatever was begun, after the restart and a DEL the pair is at home as it was."""
    with paired(tmp_path) as there:
        before, keys, pod = shape(), there.netconf(attach="pair", ipam=None), there.pod("web")
        for number in range(12):
            command = "ADD" if number % 2 == 0 else "DEL"
            if command == "DEL":
                status, answer = pod.run("ADD", keys)
                assert status == 0, f"{answer}\n{there.text()}"
            caller = threading.Thread(target=pod.run, args=(command, keys))
            caller.start()
            time.sleep(0.1 * (number // 2))
            there.end(signal.SIGKILL)
            caller.join()
            there.start()
            assert pod.run("DEL", keys) == (0, {})
            is_home(there, before)
            assert pod.devices() == {"lo"}, (command, number)


@private_net
def test_attachments_and_a_move_at_once_exclude_each_other(tmp_path: Path) -> None:
    with paired(tmp_path) as there:
        before, pair = shape(), there.netconf(attach="pair", ipam=None)
        link = there.netconf(ipam=None)
        codes = set()
        for number in range(6):
            web, db = there.pod(f"web{number}"), there.pod(f"db{number}")
            answers: dict[str, tuple[int, dict[str, Any]]] = {}

            def call(pod: NamedPod, keys: dict[str, Any], found: dict[str, Any] = answers) -> None:
                found[pod.name] = pod.run("ADD", keys)

            callers = [threading.Thread(target=call, args=words) for words in ((web, pair), (db, link))]
            for caller in callers[:: 1 if number % 2 else -1]:
                caller.start()
                time.sleep(0.05 * (number // 2))
            for caller in callers:
                caller.join()
            failed = [answer for status, answer in answers.values() if status]
            assert len(failed) == 1, answers
            codes.add(failed[0]["code"])
            for pod, keys in ((web, pair), (db, link)):
                assert pod.run("DEL", keys) == (0, {})
            is_home(there, before)
        assert codes <= {11, 999}, codes


@private_net
def test_without_a_pair(tmp_path: Path) -> None:
    with host(tmp_path, is_bonded=True) as there:
        there.start()
        pod = there.pod("web")
        status, answer = pod.run("ADD", there.netconf(attach="pair", ipam=None))
        assert (status, answer["code"]) == (1, 11)
        assert pod.run("DEL", there.netconf(attach="pair", ipam=None)) == (0, {})
