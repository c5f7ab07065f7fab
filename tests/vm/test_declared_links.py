"""A VLAN and a macvlan that are declared on a failover master before there is one."""

from __future__ import annotations

import pytest
from pairguest import MAC, STANDBY, VF, PairGuest, pair_guest, run
from stacked import station

from failoverd_lab import install
from failoverd_lab.frames import mac
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.nics import nic_of
from failoverd_lab.peer import Peer
from failoverd_lab.vlans import Vlans, hosts

pytestmark = [pytest.mark.vm, pytest.mark.more]

VLAN, HOST = 5, "10.111.5.2"
PATIENCE = 120.0
"""Seconds for a join in an emulated guest."""
DECLARED = f"""
mkdir -p /etc/failoverd/failoverd.toml.d
cat >/etc/failoverd/failoverd.toml.d/60-links.toml <<EOF
[link.storage]
kind = "vlan"
id = {VLAN}
lower = "master:{MAC}"
device = "stor0"
addresses = ["{HOST}/24"]
[link.guest]
kind = "macvlan"
lower = "master:{MAC}"
device = "mv0"
EOF
"""
SEEN = """
for device in stor0 mv0; do until ip link show $device up | grep -q LOWER_UP; do sleep 0.1; done; done
until ip address show stor0 | grep -q 10.111.5.2/24; do sleep 0.1; done
"""


async def answers(pair: PairGuest, peer: Peer, vlans: Vlans, nic: str) -> None:
    """The guest answers in the VLAN, and by this NIC."""
    back = await vlans.ask(peer.send, station(MAC, HOST), VLAN)
    assert (nic_of(back.port), back.vlan) == (nic, VLAN)
    await pair.shell(SEEN)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_they_are_made_with_the_join_and_carry_on(suite: str) -> None:
    async def test() -> None:
        async with pair_guest(nics=(STANDBY,), suite=suite, config={"master": {"datapath": "bond"}}) as pair:
            vlans = Vlans({0: hosts(mac(PEER_MAC), PEER), VLAN: hosts(mac(PEER_MAC), ("10.111.5.1",))})
            peer = Peer(pair.switch, name="peer", mac_address=PEER_MAC, addresses=PEER, services=(vlans.answer,))
            try:
                await pair.shell(DECLARED)
                await install.start(pair.guest)
                await pair.shell("! ip link show stor0")
                await pair.guest.plug(VF)
                await pair.until(lambda master: master["state"] == "accelerated", PATIENCE)
                await pair.shell(SEEN)
                await answers(pair, peer, vlans, "vf")
                index = await pair.shell("cat /sys/class/net/stor0/ifindex")
                await pair.guest.unplug("vf")
                await pair.on_standby()
                await answers(pair, peer, vlans, "pv")
                await pair.guest.plug(VF)
                await pair.until(lambda master: master["state"] == "accelerated", PATIENCE)
                await answers(pair, peer, vlans, "vf")
                assert await pair.shell("cat /sys/class/net/stor0/ifindex") == index
            except BaseException:
                print(await pair.shell("ip -d link; ip address; journalctl --no-pager -u failoverd | tail -n 60"))
                raise
            finally:
                peer.close()

    run(test)
