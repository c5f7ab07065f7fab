"""ADD, DEL and CHECK of the CNI plugin, on this kernel."""

from __future__ import annotations

import copy
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from privatenet import private_net
from standin import ADDRESSES, MacvlanPod, RealPod, netconf, real_pod, standing_in

from failoverd_cni.pod import Pod

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")

BEFORE: dict[str, Any] = {
    "cniVersion": "1.1.0",
    "interfaces": [
        {"name": "host1", "mac": "02:00:00:00:00:01"},
        {"name": "net1", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/x", "pciID": "0000:00:04.0"},
    ],
    "ips": [{"address": "192.0.2.7/24", "interface": 1}],
    "routes": [{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}],
    "dns": {"nameservers": ["192.0.2.53"], "domain": "first.example"},
    "x-other": 1,
}
TWO = [{"vlanId": 3}, {"vlanId": 4}]
SIX = {"ips": [{"address": "fd00:3::2/64", "gateway": "fd00:3::1"}], "routes": [{"dst": "::/0"}]}


@private_net
def test_a_vlan_with_its_addresses_is_behind_what_was_there(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        before = copy.deepcopy(BEFORE)
        result = pod.add(netconf(prevResult=before, mtu=1400, dns={"nameservers": ["192.0.2.54"], "domain": "x"}))
        [mac] = [row["address"] for row in pod.ip("link", "show", "dev", "net1.3")]
        own = {"name": "net1.3", "mac": mac, "sandbox": pod.variables["CNI_NETNS"], "mtu": 1400}
        assert result["interfaces"] == [*BEFORE["interfaces"], own]
        assert result["ips"] == [*BEFORE["ips"], ADDRESSES["ips"][0] | {"interface": 2}]
        assert result["routes"] == [*BEFORE["routes"], *ADDRESSES["routes"]]
        assert result["dns"] == {"nameservers": ["192.0.2.53", "192.0.2.54"], "domain": "first.example"}
        assert (result["x-other"], result["cniVersion"]) == (1, "1.1.0")
        [link] = pod.ip("-d", "link", "show", "dev", "net1.3")
        assert (link["mtu"], "UP" in link["flags"], link["link"]) == (1400, True, "net1")
        assert pod.addresses("net1.3") == ["10.3.0.2/24"]
        [route] = pod.ip("route", "show", "10.99.0.0/16")
        assert (route["gateway"], route["dev"]) == ("10.3.0.1", "net1.3")
        [address] = pod.ip("-4", "address", "show", "dev", "net1.3")[0]["addr_info"]
        assert address["broadcast"] == "10.3.0.255"
        assert ipam.told() == [("ADD", "net1.3", "net.3")]
        [call] = ipam.calls()
        kept = ("CNI_CONTAINERID", "CNI_NETNS", "CNI_PATH")
        assert {key: call["variables"][key] for key in kept} == {key: pod.variables[key] for key in kept}
        assert call["keys"]["ipam"] == {"type": "fake"}


@pytest.mark.parametrize(("version", "family"), [("0.3.0", "4"), ("0.3.1", "4"), ("0.4.0", "4"), ("1.0.0", None)])
def test_a_result_is_of_the_callers_version(version: str, family: str | None, tmp_path: Path) -> None:
    @private_net
    def test() -> None:
        with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
            ipam.answer({"ADD": {"ips": [{"address": "10.3.0.2/24", "version": "4"}]}})
            result = pod.add(netconf(cniVersion=version))
            assert result["cniVersion"] == version
            assert result["ips"][0].get("version") == family
            assert "mtu" not in result["interfaces"][0]

    test()


@private_net
def test_everything_is_taken_back_wherever_it_fails(tmp_path: Path) -> None:
    """Each request to the kernel is refused once; that of the first success ends the test."""
    with standing_in() as kind, real_pod(tmp_path / "ipam") as (pod, ipam):
        same = pod.devices(), pod.ip("route"), pod.addresses("net1")
        failures = 0
        while True:
            failures += 1
            kind.calls, kind.fails_at = 0, failures
            status, answer = pod.run("ADD", netconf(vlanId=None, vlans=TWO, prevResult=BEFORE))
            if status == 0:
                break
            assert answer["code"] == 999
            assert "Input/output error (as the test wants it)" in answer["msg"]
            assert "details" not in answer, "something was not taken back"
            assert (pod.devices(), pod.ip("route"), pod.addresses("net1")) == same
            given, back = ([row[1:] for row in ipam.told() if row[0] == name] for name in ("ADD", "DEL"))
            assert sorted(given) == sorted(back)
        assert failures > 12
        assert pod.devices() == {"lo", "net1", "net1.3", "net1.4"}


@private_net
def test_what_cannot_be_taken_back_is_said(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        full = {"cniVersion": "1.1.0", "code": 77, "msg": "the range is full", "details": "ask for more"}
        ipam.answer({"ADD": full, "DEL": full | {"code": 5, "msg": "the disk is full"}})
        status, answer = pod.run("ADD", netconf())
        assert (status, answer["code"]) == (1, 77)
        assert answer["msg"] == "net1.3: the IPAM plugin fake, ADD: the range is full"
        assert answer["details"] == "ask for more; not taken back: net1.3: the IPAM plugin fake, DEL: the disk is full"
        assert pod.devices() == {"lo", "net1"}


@private_net
def test_without_ipam_it_is_up_and_has_no_address(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        status, answer = pod.run("ADD", netconf(ipam={}, mac="02:00:00:00:00:33", ifName="v{vid}.{ifname}"))
        assert status == 0, answer
        assert answer["interfaces"] == [
            {"name": "v3.net1", "mac": "02:00:00:00:00:33", "sandbox": pod.variables["CNI_NETNS"], "mtu": 1500}
        ]
        assert answer["ips"] == []
        assert "UP" in pod.ip("link", "show", "dev", "v3.net1")[0]["flags"]
        assert ipam.calls() == []


@private_net
def test_a_named_master_leaves_the_name_and_ipams_identity(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        result = pod.run("ADD", netconf(master="net1"), CNI_IFNAME="net2")
        assert result[1]["interfaces"][0]["name"] == "net2"
        assert pod.devices() == {"lo", "net1", "net2"}
        assert pod.run("DEL", netconf(master="net1"), CNI_IFNAME="net2") == (0, {})
        assert ipam.told() == [("ADD", "net2", "net"), ("DEL", "net2", "net")]
        assert pod.devices() == {"lo", "net1"}


@private_net
def test_a_second_default_route_gets_a_metric(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        default = {"routes": [{"dst": "0.0.0.0/0"}]}
        four = {"ips": [{"address": "10.4.0.2/24", "gateway": "10.4.0.1"}]}
        ipam.answer({"ADD net1.3": ADDRESSES | default, "ADD net1.4": four | default})
        result = pod.add(netconf(vlanId=None, vlans=TWO))
        assert result["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "0.0.0.0/0", "priority": 2052}]
        found = [(row["dev"], row.get("metric", 0)) for row in pod.ip("route", "show", "default")]
        assert found == [("net1.3", 0), ("net1.4", 2052)]


@private_net
def test_routes_are_as_ipam_says(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        rows = [
            {"dst": "10.50.1.7/16", "gw": "10.3.0.9", "mtu": 1300, "advmss": 1200, "priority": 7, "table": 100},
            {"dst": "10.60.0.0/16", "scope": 253},
        ]
        ipam.answer({"ADD": {"ips": [{"address": "10.3.0.2/24"}], "routes": rows}})
        pod.add(netconf())
        [route] = pod.ip("route", "show", "table", "100")
        told = {key: route[key] for key in ("dst", "gateway", "metric")}
        assert told == {"dst": "10.50.0.0/16", "gateway": "10.3.0.9", "metric": 7}
        assert {"mtu": 1300, "advmss": 1200}.items() <= route["metrics"][0].items()
        [route] = pod.ip("route", "show", "10.60.0.0/16")
        assert (route["scope"], "gateway" in route) == ("link", False)


@private_net
def test_ipv6_is_ready_when_add_returns(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        pod.inside("sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1")
        ipam.answer({"ADD": SIX})
        pod.add(netconf(acceptRa=False))
        [row] = [one for one in pod.ip("address", "show", "dev", "net1.3")[0]["addr_info"] if one["scope"] == "global"]
        assert row["local"] == "fd00:3::2"
        assert "tentative" not in row
        values = pod.inside(
            "sysctl", "-n", *(f"net.ipv6.conf.net1/3.{key}" for key in ("accept_ra", "keep_addr_on_down"))
        )
        assert values.split() == ["0", "1"]
        [route] = pod.ip("-6", "route", "show", "default")
        assert (route["gateway"], route["dev"]) == ("fd00:3::1", "net1.3")


@private_net
def test_an_address_of_another_machine_fails_and_nothing_is_left(tmp_path: Path) -> None:
    """It is on the other end of the pod's veth; a macvlan bears no tag."""
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        subprocess.run(["ip", "address", "add", "fd00:3::2/64", "dev", "host1", "nodad"], check=True)
        ipam.answer({"ADD": SIX})
        status, answer = pod.run("ADD", netconf())
        assert (status, answer["code"]) == (1, 999)
        assert answer["msg"] == "net1.3: duplicate address detection: another machine has fd00:3::2"
        assert [row[0] for row in ipam.told()] == ["ADD", "DEL"]
        assert pod.devices() == {"lo", "net1"}
        begun = time.monotonic()
        pod.add(netconf(dad="skip"))
        assert time.monotonic() - begun < 0.8, "detection takes a second"


@private_net
def test_a_kernel_that_makes_no_vlan_leaves_nothing(tmp_path: Path) -> None:
    """The request is the plugin's own. This kernel refuses it for want of VLANs, or for the name."""
    with real_pod(tmp_path / "ipam") as (pod, ipam):
        pod.inside("ip", "link", "add", "net1.3", "type", "bridge")
        status, answer = pod.run("ADD", netconf())
        assert (status, answer["code"]) == (1, 999)
        assert answer["msg"].startswith("net1.3: make VLAN 3 on net1: ")
        assert answer["details"]
        assert ipam.calls() == []
        assert pod.devices() == {"lo", "net1", "net1.3"}


@private_net
def test_a_name_that_is_taken_is_spared(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        pod.inside("ip", "link", "add", "net1.3", "type", "bridge")
        status, answer = pod.run("ADD", netconf())
        assert (status, answer["code"]) == (1, 999)
        assert "File exists" in answer["msg"]
        assert "the pod has an interface net1.3" in answer["details"]
        assert pod.run("DEL", netconf()) == (0, {})
        assert pod.devices() == {"lo", "net1", "net1.3"}
        assert [row[0] for row in ipam.told()] == ["DEL"]


@private_net
def test_two_plugins_of_a_list_with_one_id(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, _):
        first = pod.add(netconf())
        status, answer = pod.run("ADD", netconf(prevResult=first))
        assert (status, answer["code"]) == (1, 7)
        assert answer["msg"] == "net1.3: two plugins of this list have vlanId 3 on net1, or one name"
        assert pod.devices() == {"lo", "net1", "net1.3"}


@private_net
def test_what_a_parent_has_to_be(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        status, answer = pod.run("ADD", netconf(master="net9"), CNI_IFNAME="net2")
        assert (status, answer["code"], answer["msg"]) == (1, 7, "net9: there is no such interface in the pod")
        status, answer = pod.run("ADD", netconf(mtu=1501))
        assert (status, answer["code"]) == (1, 7)
        assert answer["msg"] == "mtu 1501: net1 has 1500, and a VLAN cannot have more"
        pod.inside("ip", "link", "set", "net1", "down")
        status, answer = pod.run("ADD", netconf())
        assert (status, answer["code"]) == (1, 999)
        assert answer["msg"] == "net1 is down, and a VLAN on it cannot be set up"
        assert ipam.calls() == []


@private_net
def test_del_again_and_again(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        keys = netconf(vlanId=None, vlans=TWO)
        keys = keys | {"prevResult": pod.add(keys)}
        for _ in range(3):
            assert pod.run("DEL", keys) == (0, {})
            assert pod.devices() == {"lo", "net1"}
        assert ipam.told()[2:4] == [("DEL", "net1.4", "net.4"), ("DEL", "net1.3", "net.3")]
        assert len(ipam.told()) == 2 + 3 * 2


@private_net
def test_del_where_there_is_nothing_left(tmp_path: Path) -> None:
    """No path, a path that leads nowhere, to a file, into the host's own namespace; no interface below; an odd name."""
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        file = tmp_path / "file"
        file.write_text("")
        subprocess.run(["ip", "link", "add", "net1.3", "type", "bridge"], check=True)
        for path in ("", str(tmp_path / "gone"), str(file), f"{file}/below", "/proc/self/ns/net"):
            assert pod.run("DEL", netconf(), CNI_NETNS=path) == (0, {})
        assert len(ipam.told()) == 5
        assert pod.run("DEL", netconf(master="gone"), CNI_IFNAME="net7") == (0, {})
        assert pod.run("DEL", netconf(), CNI_IFNAME="much-too-long-for-a-name") == (0, {})
        assert [row[1] for row in ipam.told()][5:] == ["net7"]


@pytest.mark.parametrize("keys", [{"failover": "ens3"}, {"vlanId": None}, {"vlanId": "x"}, {"vlans": 3}, {"attach": 1}])
def test_del_of_what_could_not_be_added(keys: dict[str, Any], tmp_path: Path) -> None:
    @private_net
    def test() -> None:
        with real_pod(tmp_path / "ipam") as (pod, ipam):
            assert pod.run("ADD", netconf(**keys))[0] == 1
            assert pod.run("DEL", netconf(**keys)) == (0, {})
            assert ipam.calls() == []

    test()


@private_net
def test_del_does_all_it_can_before_it_fails(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        keys = netconf(vlanId=None, vlans=TWO)
        pod.add(keys)
        ipam.answer({"DEL net1.4": {"code": 11, "msg": "not now"}})
        status, answer = pod.run("DEL", keys)
        assert (status, answer["code"], answer["msg"]) == (1, 11, "net1.4: the IPAM plugin fake, DEL: not now")
        assert pod.devices() == {"lo", "net1"}
        assert [row[:2] for row in ipam.told()[2:]] == [("DEL", "net1.4"), ("DEL", "net1.3")]


CHANGES = {
    "net1.3 is gone": ["ip link del net1.3"],
    "net1.3 is down": ["ip link set net1.3 down"],
    "net1.3 has an MTU of 1300, not 1400": ["ip link set net1.3 mtu 1300"],
    "net1.3 has the MAC 02:00:00:00:00:99": ["ip link set net1.3 address 02:00:00:00:00:99"],
    "net1.3 does not have 10.3.0.2/24": [
        "ip address del 10.3.0.2/24 dev net1.3",
        "ip address add 10.3.0.3/24 dev net1.3",
    ],
    "net1.3 is a bridge, not VLAN 3": ["ip link del net1.3", "ip link add net1.3 type bridge"],
    "net1.3: net1, on which it stands, is gone": ["ip link set net1 down", "ip link set net1 name net5"],
    "net1.3 does not stand on net1": [
        "ip link set net1 down",
        "ip link set net1 name x",
        "ip link add net1 type bridge",
    ],
}


@pytest.mark.parametrize("found", CHANGES)
def test_check_finds(found: str, tmp_path: Path) -> None:
    @private_net
    def test() -> None:
        with standing_in(), real_pod(tmp_path / "ipam") as (pod, _):
            keys = added(pod, BEFORE)
            assert pod.run("CHECK", keys) == (0, {})
            for command in CHANGES[found]:
                pod.inside(*command.split())
            status, answer = pod.run("CHECK", keys)
            assert (status, answer["code"]) == (1, 101)
            assert answer["msg"].startswith(found)

    test()


def added(pod: RealPod, before: dict[str, Any]) -> dict[str, Any]:
    """The configuration for a CHECK after an ADD."""
    keys = netconf(mtu=1400, prevResult=before)
    return keys | {"prevResult": pod.add(keys)}


@private_net
def test_check_lets_be_what_others_added_and_asks_ipam(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, ipam):
        keys = added(pod, BEFORE)
        pod.inside("ip", "address", "add", "10.77.0.1/24", "dev", "net1.3")
        keys["prevResult"]["interfaces"].append({"name": "net9", "sandbox": "x"})
        keys["prevResult"]["ips"].append({"address": "10.9.0.1/24", "interface": 3})
        assert pod.run("CHECK", keys) == (0, {})
        ipam.answer({"CHECK": {"code": 101, "msg": "not reserved"}})
        assert pod.run("CHECK", keys)[1]["msg"] == "net1.3: the IPAM plugin fake, CHECK: not reserved"
        assert ipam.told()[1:] == [("CHECK", "net1.3", "net.3")] * 2
        status, answer = pod.run("CHECK", keys | {"prevResult": BEFORE})
        assert (status, answer["code"]) == (1, 101)
        assert pod.run("CHECK", netconf())[1]["code"] == 7, "prevResult is missing"


@private_net
def test_check_tells_a_vlan_with_another_id(tmp_path: Path) -> None:
    with standing_in(), real_pod(tmp_path / "ipam") as (pod, _):
        keys = added(pod, BEFORE)
        for index in MacvlanPod.made:
            MacvlanPod.made[index] = (4, 0x8100)
        assert pod.run("CHECK", keys)[1]["msg"] == "net1.3 is VLAN 4, not VLAN 3 with the tag 0x8100"
        assert pod.run("DEL", keys) == (0, {})
        assert "net1.3" in pod.devices(), "a VLAN with another id is another plugin's"


@private_net
def test_a_pod_that_is_none(tmp_path: Path) -> None:
    with real_pod(tmp_path / "ipam") as (pod, _):
        file = tmp_path / "file"
        file.write_text("")
        for path, code, text in (
            (str(tmp_path / "gone"), 3, "No such file or directory"),
            (str(file), 8, "it is no network namespace"),
            ("/proc/self/ns/net", 8, "is the network namespace of the host"),
        ):
            status, answer = pod.run("ADD", netconf(), CNI_NETNS=path)
            assert (status, answer["code"]) == (1, code)
            assert text in answer["msg"]
        here = Path("/proc/self/ns/net").readlink()
        with Pod(pod.variables["CNI_NETNS"]) as opened:
            opened.write_sysctls([("ipv4/conf/net1/arp_notify", "1"), ("there/is/none", "1")])
            with pytest.raises(OSError, match="Invalid argument"):
                opened.write_sysctls([("ipv4/conf/net1/arp_notify", "x")])
        assert Path("/proc/self/ns/net").readlink() == here, "it did not come home"
        assert pod.inside("sysctl", "-n", "net.ipv4.conf.net1.arp_notify") == "1\n"
