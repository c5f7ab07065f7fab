"""VLANs that stood on the paravirtual NIC before there was a pair: a bond that is asked for takes them along."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from pairguest import MAC, STANDBY, VF, PairGuest, pair_guest, run
from stacked import station

from failoverd_lab import install
from failoverd_lab.frames import echo, mac
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.nics import nic_of
from failoverd_lab.peer import Peer
from failoverd_lab.vlans import Vlans, hosts, tagged

pytestmark = [pytest.mark.vm, pytest.mark.more]

VLAN, HOST = 5, "10.111.5.2"
PACE = 0.02
"""Seconds between two echoes while something is changed."""
PATIENCE = 240.0
"""Seconds for a join: each look at what hangs on the NIC and on its VLANs may take seconds on an emulated CPU."""
MADE = """
n=$1
ip link add link $n name storage mtu 1450 type vlan id 5 egress-qos-map 2:3 ingress-qos-map 3:2
ip link property add dev storage altname storage-network
ip link set storage alias "to the disks" txqueuelen 500
sysctl -q net.ipv4.conf.storage.rp_filter=2 net.ipv6.conf.storage.accept_ra=0
ip address add 10.111.5.2/24 dev storage
ip address add fd00:111:5::2/64 dev storage nodad
ip link set storage up
ip route add 10.77.0.0/16 via 10.111.5.1 metric 50
ip -6 route add fd00:77::/48 via fd00:111:5::1
ip link add link $n name $n.7 type vlan id 7 protocol 802.1ad
"""
LOOK = """
echo "{\\"links\\": $(ip -j -d link show type vlan), \\"addresses\\": $(ip -j address show dev storage),"
echo "\\"four\\": $(ip -j route show dev storage), \\"six\\": $(ip -j -6 route show dev storage),"
echo "\\"rp_filter\\": $(sysctl -n net.ipv4.conf.storage.rp_filter),"
echo "\\"accept_ra\\": $(sysctl -n net.ipv6.conf.storage.accept_ra)}"
"""
TELL = """
failoverctl || true; failoverctl explain || true; ip -d link; ip address; cat /run/failoverd/journal/* || true
journalctl --no-pager -o short-monotonic -u failoverd | tail -n 80
"""
LINK = ("ifname", "link", "mtu", "address", "txqlen", "ifalias", "altnames", "operstate")
ADDRESS = ("family", "local", "prefixlen", "scope", "label")
ROUTE = ("dst", "gateway", "protocol", "metric")


async def look(pair: PairGuest) -> Mapping[str, Any]:
    """What the guest says of its VLANs, without what belongs to the device alone: ifindexes, counters."""
    found: dict[str, Any] = json.loads(await pair.shell(LOOK))
    found["links"] = sorted(
        ({**{k: row.get(k) for k in LINK}, **row["linkinfo"]["info_data"]} for row in found["links"]),
        key=lambda row: row["ifname"],
    )
    rows = [one for row in found["addresses"] for one in row.get("addr_info", [])]
    found["addresses"] = sorted(str({k: one.get(k) for k in ADDRESS}) for one in rows)
    for family in ("four", "six"):
        found[family] = sorted(str({k: row.get(k) for k in ROUTE}) for row in found[family])
    return found


class Wire:
    """The other machine in the VLAN."""

    def __init__(self, pair: PairGuest, peer: Peer, vlans: Vlans) -> None:
        self.pair, self.peer, self.vlans = pair, peer, vlans

    async def answers(self, nic: str) -> None:
        """The guest answers in the VLAN, and by this NIC."""
        back = await self.vlans.ask(self.peer.send, station(MAC, HOST), VLAN)
        assert (nic_of(back.port), back.vlan) == (nic, VLAN)

    @asynccontextmanager
    async def silence(self, what: str) -> AsyncIterator[None]:
        """Ask for echoes meanwhile, and print for how long none came."""
        own, numbers = self.vlans.hosts[VLAN][0], itertools.count(20_000)

        async def ask() -> None:
            for number in numbers:
                self.peer.send(tagged(echo(own, station(MAC, HOST), number, 56), VLAN))
                await trio.sleep(PACE)

        began = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            yield
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        times = sorted(one.at for one in self.vlans.answers.values() if one.at >= began)
        gaps = [later - earlier for earlier, later in itertools.pairwise([began, *times])]
        print(f"{what}: {len(times)} echoes, longest silence in the VLAN {max(gaps) * 1000:.0f} ms")


@asynccontextmanager
async def vlan_guest(suite: str) -> AsyncIterator[Wire]:
    config = {"master": {"datapath": "bond"}}
    async with pair_guest(nics=(STANDBY,), suite=suite, config=config) as pair:
        vlans = Vlans({0: hosts(mac(PEER_MAC), PEER), VLAN: hosts(mac(PEER_MAC), ("10.111.5.1",))})
        addresses, services = PEER, (vlans.answer,)
        peer = Peer(pair.switch, name="peer", mac_address=PEER_MAC, addresses=addresses, services=services)
        await pair.shell(MADE, pair.name)
        try:
            yield Wire(pair, peer, vlans)
        except BaseException:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 60):
                print(await pair.shell(TELL))
            raise
        finally:
            peer.close()


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_they_come_along_and_go_back(suite: str) -> None:
    async def test() -> None:
        async with vlan_guest(suite) as wire:
            pair = wire.pair
            await wire.answers("pv")
            before = await look(pair)
            assert [row["ifname"] for row in before["links"]] == [f"{pair.name}.7", "storage"]
            await install.start(pair.guest)
            async with wire.silence("joined"):
                await pair.guest.plug(VF)
                master = await pair.until(lambda master: master["state"] == "accelerated", PATIENCE)
            assert master["datapath"] == "bond"
            await wire.answers("vf")
            assert await look(pair) == before
            async with wire.silence("unplugged"):
                await pair.guest.unplug("vf")
                await pair.on_standby()
            await wire.answers("pv")
            async with wire.silence("replugged"):
                await pair.guest.plug(VF)
                await pair.until(lambda master: master["state"] == "accelerated", PATIENCE)
            await wire.answers("vf")
            assert await look(pair) == before
            async with wire.silence("released"):
                await pair.shell('failoverctl release "$1"', pair.name)
                await pair.shell('until ip -d link show "$1" | grep -q virtio; do sleep 0.1; done', pair.name)
            await wire.answers("pv")
            assert await look(pair) == before
            assert "bond" not in await pair.shell("ip -d link")

    run(test)
