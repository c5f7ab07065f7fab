"""The CNI plugin in a guest, whose kernel has VLANs: installed from its package, and between two pods."""

from __future__ import annotations

import json
from typing import Any

import pytest
from debguest import SUITES, cni_package
from pairguest import STANDBY, PairGuest, run

from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.switch import open_switch

pytestmark = [pytest.mark.vm, pytest.mark.more]

INSTALL = "export DEBIAN_FRONTEND=noninteractive; cd /run; apt-get -q -y install ./failoverd-cni.deb 2>&1"
IPAM = """#!/usr/bin/python3
import json, os, sys
keys, command = json.load(sys.stdin), os.environ["CNI_COMMAND"]
path = f"/run/cni/{keys['name']}-{os.environ['CNI_CONTAINERID']}-{os.environ['CNI_IFNAME']}"
if command == "ADD":
    open(path, "x").close()
    print(json.dumps({"cniVersion": keys["cniVersion"], "ips": keys["ipam"]["ips"]}))
elif command == "DEL" and os.path.exists(path):
    os.unlink(path)
elif command == "CHECK" and not os.path.exists(path):
    print(json.dumps({"code": 101, "msg": "not reserved"}))
    sys.exit(1)
"""
"""Keeps a reservation as a file for each network, container and interface."""
PODS = """
mkdir -p /run/cni
chmod +x /opt/cni/bin/keeper
for pod in a b; do ip netns add $pod; done
ip link add net1 netns a type veth peer name net1 netns b
for pod in a b; do ip -n $pod link set net1 up; done
"""
CALL = """
export CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=$3 CNI_IFNAME=net1 CNI_PATH=/opt/cni/bin
/usr/lib/cni/failoverd-cni </run/cni/stdin || true
"""

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=10)
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(error)
"""


class Pods:
    """A guest with the plugin and two pods, whose interfaces net1 are the two ends of a cable."""

    def __init__(self, guest: PairGuest) -> None:
        self.shell = guest.shell

    async def call(self, command: str, pod: str, keys: dict[str, Any], path: str = "") -> dict[str, Any]:
        """What the plugin answers; empty for nothing."""
        script = f"cat >/run/cni/stdin <<'END'\n{json.dumps(keys)}\nEND\n{CALL}"
        answer = await self.shell(script, command, pod, path or f"/run/netns/{pod}")
        return dict(json.loads(answer)) if answer.strip() else {}

    async def devices(self, pod: str) -> dict[str, Any]:
        """The pod's devices, by their names."""
        return {row["ifname"]: row for row in json.loads(await self.shell('ip -n "$1" -d -j address', pod)) if row}

    async def answers(self, pod: str, address: str) -> bool:
        """Tell whether another machine answers the pod. Nothing listens there, and its kernel says so."""
        return (await self.shell('ip netns exec "$1" python3 -c "$2" "$3"', pod, CONNECT, address)).strip() == "refused"


def trunk(last: int, **keys: Any) -> dict[str, Any]:
    """Two VLANs, both families on the first; `last` is the last number of the pod's addresses."""
    addresses = {3: [f"10.3.0.{last}/24", f"fd00:3::{last}/64"], 4: [f"10.4.0.{last}/24"]}
    ipams = {vid: {"type": "keeper", "ips": [{"address": one} for one in found]} for vid, found in addresses.items()}
    vlans = [{"vlanId": vid, "ipam": ipam} for vid, ipam in ipams.items()]
    return {"cniVersion": "1.1.0", "name": "trunk", "linkInContainer": True, "vlans": vlans} | keys


@pytest.mark.parametrize("suite", SUITES)
def test_two_vlans_between_two_pods(suite: str) -> None:
    async def test() -> None:
        disk = await image(suite, progress=print)
        async with open_switch() as switch, open_guest(disk, switch, nics=(STANDBY,)) as guest:
            machine = PairGuest(guest, switch, "")
            await guest.put("/run/failoverd-cni.deb", cni_package().read_bytes())
            assert "Setting up failoverd-cni" in await machine.shell(INSTALL)
            await guest.put("/opt/cni/bin/keeper", IPAM.encode())
            await machine.shell(PODS)
            pods = Pods(machine)
            results = await added(pods)
            await carry(pods)
            await are_checked(pods, results)
            await are_refused(pods, results)
            await go(pods, results)

    run(test)


async def added(pods: Pods) -> dict[str, dict[str, Any]]:
    """Names, tags, addresses and the result."""
    results = {pod: await pods.call("ADD", pod, trunk(last)) for pod, last in (("a", 1), ("b", 2))}
    for pod, result in results.items():
        assert "interfaces" in result, result
        assert [(row.get("name"), row.get("mtu")) for row in result["interfaces"]] == [
            ("net1.3", 1500),
            ("net1.4", 1500),
        ]
        assert [row["interface"] for row in result["ips"]] == [0, 0, 1]
        devices = await pods.devices(pod)
        for vid in (3, 4):
            link = devices[f"net1.{vid}"]
            assert (link["linkinfo"]["info_kind"], link["linkinfo"]["info_data"]["id"], link["link"]) == (
                "vlan",
                vid,
                "net1",
            )
            assert link["linkinfo"]["info_data"]["protocol"] == "802.1Q"
        six = [row for row in devices["net1.3"]["addr_info"] if row["local"].startswith("fd00")]
        assert [row.get("tentative", False) for row in six] == [False]
    return results


async def carry(pods: Pods) -> None:
    """Each VLAN's frames reach the same VLAN of the other pod, and no other one."""
    for address in ("10.3.0.2", "10.4.0.2", "fd00:3::2"):
        assert await pods.answers("a", address), address
    # Linux answers ARP for an address of any interface, unless it is told not to.
    await pods.shell("ip netns exec b sysctl -q -w net.ipv4.conf.all.arp_ignore=1")
    await pods.shell("ip -n b address add 10.5.0.2/24 dev net1.4; ip -n a address add 10.5.0.1/24 dev net1.3")
    assert not await pods.answers("a", "10.5.0.2"), "VLAN 3 hears VLAN 4"
    await pods.shell("ip -n b address del 10.5.0.2/24 dev net1.4; ip -n a address del 10.5.0.1/24 dev net1.3")


async def are_checked(pods: Pods, results: dict[str, dict[str, Any]]) -> None:
    """As they are, and with another tag."""
    keys = trunk(1, prevResult=results["a"])
    assert await pods.call("CHECK", "a", keys) == {}
    await pods.shell("ip -n b link del net1.4; ip -n b link add link net1 name net1.4 up type vlan id 5")
    found = await pods.call("CHECK", "b", trunk(2, prevResult=results["b"]))
    assert (found["code"], found["msg"]) == (101, "net1.4 is VLAN 5, not VLAN 4 with the tag 0x8100")


async def are_refused(pods: Pods, results: dict[str, dict[str, Any]]) -> None:
    """The same id again, by another name and by another plugin of the list. Another tag makes another VLAN."""
    before = await pods.devices("a")
    one: dict[str, Any] = {"cniVersion": "1.0.0", "name": "trunk", "linkInContainer": True, "vlanId": 3}
    found = await pods.call("ADD", "a", one | {"ifName": "other"})
    assert (found["code"], "File exists" in found["msg"]) == (999, True), found
    assert "VLAN 3 of net1 under another name" in found["details"]
    found = await pods.call("ADD", "a", one | {"prevResult": results["a"]})
    assert (found["code"], "two plugins of this list" in found["msg"]) == (7, True), found
    assert (await pods.devices("a")).keys() == before.keys()
    provider = one | {"ifName": "outer", "protocol": "802.1ad", "mac": "02:00:00:00:00:77", "mtu": 1400}
    found = await pods.call("ADD", "a", provider)
    assert found["interfaces"][0]["mac"] == "02:00:00:00:00:77"
    link = (await pods.devices("a"))["outer"]
    assert (link["linkinfo"]["info_data"]["protocol"], link["mtu"]) == ("802.1ad", 1400)
    assert await pods.call("DEL", "a", provider) == {}
    assert (await pods.devices("a")).keys() == before.keys()


async def go(pods: Pods, results: dict[str, dict[str, Any]]) -> None:
    """As often as a runtime likes. A VLAN with another tag is another's; a pod that is gone gives addresses back."""
    kept = "ls /run/cni | grep ^trunk"
    assert len((await pods.shell(kept)).split()) == 4
    for _ in range(2):
        assert await pods.call("DEL", "b", trunk(2, prevResult=results["b"])) == {}
    assert {"net1", "net1.4"} == (await pods.devices("b")).keys() - {"lo"}
    assert not await pods.answers("a", "10.3.0.2")
    assert (await pods.shell(kept)).split() == ["trunk.3-a-net1.3", "trunk.4-a-net1.4"]
    await pods.shell("ip netns del a")
    for _ in range(2):
        assert await pods.call("DEL", "a", trunk(1)) == {}
    assert await pods.shell(f"{kept} || true") == ""
