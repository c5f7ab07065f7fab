"""Pods on a failover master, by the plugin, the real daemon and this kernel."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attachedpods import host, ip, joined
from privatenet import private_net

from failoverd_cni.control import RefusedCallError, ask

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")


@private_net
def test_a_macvlan_from_add_to_del(tmp_path: Path) -> None:
    with joined(tmp_path) as there:
        pod = there.pod("web")
        keys = there.netconf()
        result = pod.add(keys)
        [row] = result["interfaces"]
        assert (row["name"], row["sandbox"], row["mtu"]) == ("net1", "/run/netns/web", 1500)
        assert result["ips"][0]["interface"] == 0
        assert pod.addresses("net1") == ["10.3.0.2/24"]
        [shown] = pod.ip("-d", "link", "show", "net1")
        assert (shown["linkinfo"]["info_kind"], shown["address"]) == ("macvlan", row["mac"])
        [(name, link)] = there.links().items()
        assert (link["state"], link["owner"], link["network"]) == ("ready", "default/web", "net")
        assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
        with pytest.raises(RefusedCallError, match=r"pods are attached to ens4.*default/web \(net\); remove") as caught:
            ask(there.control, "release", "ens4")
        assert caught.value.kind == "InUse"
        for _ in range(3):
            assert pod.run("DEL", keys) == (0, {})
            assert pod.devices() == {"lo"}
        there.until(lambda: there.links() == {}, "gone")
        assert [call[0] for call in there.ipam.told()] == ["ADD", "CHECK", "DEL", "DEL", "DEL"]
        assert not list((tmp_path / "run" / "attachments").iterdir())
        assert name.startswith("cni-web-01234567-")
        ask(there.control, "release", "ens4")


@private_net
def test_a_kill_between_add_and_del_loses_nothing(tmp_path: Path) -> None:
    with joined(tmp_path) as there:
        pod, keys = there.pod("web"), there.netconf()
        result = pod.add(keys)
        [before] = pod.ip("link", "show", "net1")
        there.end(signal.SIGKILL)
        assert pod.run("CHECK", keys | {"prevResult": result}) == (0, {})
        there.start()
        there.until(lambda: [row["state"] for row in there.links().values()] == ["ready"], "ready")
        assert pod.ip("link", "show", "net1") == [before]
        assert pod.addresses("net1") == ["10.3.0.2/24"]
        pod.inside("ip", "link", "delete", "net1")
        there.until(lambda: "net1" in pod.devices(), "made anew")
        assert pod.run("DEL", keys) == (0, {})
        assert pod.devices() == {"lo"}
        there.until(lambda: there.links() == {}, "gone")


@private_net
def test_del_and_status_without_a_daemon(tmp_path: Path) -> None:
    with joined(tmp_path) as there:
        pod, keys = there.pod("web"), there.netconf()
        pod.add(keys)
        assert pod.run("STATUS", keys, CNI_NETNS="") == (0, {})
        there.end(signal.SIGKILL)
        status, answer = pod.run("STATUS", keys)
        assert (status, answer["code"]) == (1, 50)
        status, answer = pod.run("ADD", keys, CNI_IFNAME="net2")
        assert (status, answer["code"]) == (1, 50)
        assert "systemctl start failoverd" in answer["msg"]
        for _ in range(2):
            assert pod.run("DEL", keys) == (0, {})
            assert pod.devices() == {"lo"}
        assert len(list((tmp_path / "run" / "cni").iterdir())) == 1
        (tmp_path / "run" / "moves").mkdir(exist_ok=True)
        (tmp_path / "run" / "moves" / "x.json").write_text("{}")
        assert pod.run("STATUS", keys)[1]["code"] == 51
        (tmp_path / "run" / "moves" / "x.json").unlink()
        there.start()
        there.until(lambda: not list((tmp_path / "run" / "cni").iterdir()), "the note is obeyed")
        assert not list((tmp_path / "run" / "attachments").iterdir())
        there.until(lambda: there.links() == {}, "detached")
        ask(there.control, "release", "ens3")


@private_net
def test_a_pod_that_dies_leaves_nothing(tmp_path: Path) -> None:
    with joined(tmp_path) as there:
        pods = [there.pod(name) for name in ("web", "db")]
        for pod in pods:
            pod.add(there.netconf())
        assert sorted(row["owner"] for row in there.links().values()) == ["default/db", "default/web"]
        ip("netns", "delete", "web")
        there.until(lambda: [row["owner"] for row in there.links().values()] == ["default/db"], "only db is there")
        assert len(list((tmp_path / "run" / "attachments").iterdir())) == 1
        assert pods[0].run("DEL", there.netconf()) == (0, {})


@private_net
def test_gc_detaches_what_is_not_valid(tmp_path: Path) -> None:
    with joined(tmp_path) as there:
        pods = [there.pod(name) for name in ("web", "db")]
        for pod in pods:
            pod.add(there.netconf())
        other = there.pod("other")
        other.add(there.netconf(name="others"))
        valid = [{"containerID": pods[1].variables["CNI_CONTAINERID"], "ifname": "net1"}]
        assert pods[0].run("GC", there.netconf() | {"cni.dev/valid-attachments": valid}) == (0, {})
        there.until(lambda: "net1" not in pods[0].devices(), "web's is removed")
        there.until(lambda: len(there.links()) == 2, "db's and the other network's stay")
        assert sorted(row["owner"] for row in there.links().values()) == ["default/db", "default/other"]


@private_net
def test_no_pair_yet_and_ipam_that_fails(tmp_path: Path) -> None:
    with host(tmp_path) as there:
        there.start()
        pod = there.pod("web")
        status, answer = pod.run("ADD", there.netconf())
        assert (status, answer["code"]) == (1, 11)
        assert 'failover "ens3": failoverd has no such pair; there are: none' in answer["msg"]
        assert pod.run("STATUS", there.netconf())[1]["code"] == 50
        assert there.ipam.told() == []
        there.plug()
        there.until(there.is_joined, "joined")
        there.ipam.answer({"ADD": {"code": 77, "msg": "none left"}})
        status, answer = pod.run("ADD", there.netconf(failover="auto"))
        assert (status, answer["code"]) == (1, 77)
        assert pod.devices() == {"lo"}
        there.until(lambda: there.links() == {}, "taken back")
        assert [call[0] for call in there.ipam.told()] == ["ADD", "DEL"]
        status, answer = pod.run("ADD", there.netconf(attach="vlan", vlanId=7))
        assert (status, answer["code"]) == (1, 999), json.dumps(answer)
        assert "this kernel has no vlan" in answer["msg"]
        there.until(lambda: there.links() == {}, "taken back")


@private_net
def test_router_advertisements_are_not_heard_from_the_first_moment_on(tmp_path: Path) -> None:
    """The link is made down, and set up when it is said that it hears none. An MTU and a MAC of its own are kept."""
    with joined(tmp_path) as there:
        pod = there.pod("web")
        result = pod.add(there.netconf(acceptRa=False, mtu=1400, mac="02:00:5e:10:00:07", mode="private"))
        assert [(row["mac"], row["mtu"]) for row in result["interfaces"]] == [("02:00:5e:10:00:07", 1400)]
        [shown] = pod.ip("-d", "link", "show", "net1")
        assert "UP" in shown["flags"]
        assert shown["linkinfo"]["info_data"]["mode"] == "private"
        assert pod.inside("cat", "/proc/sys/net/ipv6/conf/net1/accept_ra") == "0\n"
        [row] = there.links().values()
        assert (row["state"], row["made"]) == ("ready", 1)


@private_net
def test_what_the_daemon_was_killed_over_is_deleted_by_the_plugin(tmp_path: Path) -> None:
    """The daemon has forgotten the link, and dies before it has deleted the device."""
    with joined(tmp_path) as there:
        pod, keys = there.pod("web"), there.netconf()
        pod.add(keys)
        [name] = there.links()
        there.end(signal.SIGKILL)
        (tmp_path / "run" / "attachments" / name).unlink()
        there.start()
        there.until(there.is_joined, "joined")
        assert "net1" in pod.devices()
        pod.inside("ip", "link", "add", "other", "type", "bridge")
        assert pod.run("DEL", keys) == (0, {})
        assert pod.devices() == {"lo", "other"}
        # Another's device of that name is spared.
        pod.inside("ip", "link", "set", "other", "name", "net1")
        assert pod.run("DEL", keys) == (0, {})
        assert pod.devices() == {"lo", "net1"}
        status, answer = pod.run("ADD", keys)
        assert (status, answer["code"]) == (1, 999)
        assert answer["msg"] == "net1: the pod has an interface of that name"
        assert there.links() == {}


def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("demo.py")), str(tmp_path / "pods.svg")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("exit status 0") == 4, done.stdout
    assert "net1  (default/web (tenant))" in (tmp_path / "pods.svg").read_text()


@private_net
def test_a_pods_link_stays_through_unplug_and_replug(tmp_path: Path) -> None:
    """The VF takes in frames for the pod's MAC, though the macvlan is in no dump of the host's namespace."""
    with joined(tmp_path) as there:
        pod = there.pod("web")
        pod.add(there.netconf())
        [before] = pod.ip("link", "show", "net1")
        assert there.carries() == "ens4"
        there.until(lambda: pod.reaches("10.3.0.1"), "reached by the VF")
        ip("link", "delete", "ens4")
        there.until(lambda: there.carries() == "ens3", "the standby carries")
        there.until(lambda: pod.reaches("10.3.0.1"), "reached by the standby")
        there.plug_one(102, "ens4", "pci", "0000:02:00.0")
        there.until(lambda: there.carries() == "ens4", "the new VF carries")
        there.until(lambda: pod.reaches("10.3.0.1"), "reached by the new VF")
        assert pod.ip("link", "show", "net1") == [before]
        assert [row["state"] for row in there.links().values()] == ["ready"]


@private_net
def test_a_kill_while_pods_come_loses_none_and_leaves_none(tmp_path: Path) -> None:
    """Each ADD either succeeds, and its link outlives the daemon, or fails and nothing is left of it."""
    with joined(tmp_path) as there:
        pods = [there.pod(f"p{number}") for number in range(6)]
        added = []
        for number, pod in enumerate(pods):
            if number == 3:
                there.end(signal.SIGKILL)
            if number == 5:
                there.start()
                there.until(there.is_joined, "joined")
            there.ipam.answer({"ADD": {"ips": [{"address": f"10.3.0.{number + 10}/24"}]}})
            status, answer = pod.run("ADD", there.netconf())
            added += [pod.name] if status == 0 else []
            assert status == 0 or answer["code"] == 50
        assert added == ["p0", "p1", "p2", "p5"]
        owners = [f"default/{name}" for name in added]
        there.until(lambda: sorted(row["owner"] for row in there.links().values()) == owners, "four links")
        there.until(lambda: {row["state"] for row in there.links().values()} == {"ready"}, "ready")
        assert [pod.name for pod in pods if "net1" in pod.devices()] == added
        for pod in pods:
            assert pod.run("DEL", there.netconf()) == (0, {})
        there.until(lambda: there.links() == {}, "gone")
        assert all(pod.devices() == {"lo"} for pod in pods)
