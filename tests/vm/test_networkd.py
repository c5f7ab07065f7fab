"""A NIC that systemd-networkd manages becomes a standby while networkd stands still: it hears of everything at once.

Who it hears first is chance then, as it is on a busy machine. The matrix has what a pair meets besides.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from debguest import ONE_OF_THE_SUITES, DebGuest, package
from pairguest import ADDRESS, STANDBY, VF, run

from failoverd_lab.dhcp import Asked, Dhcp
from failoverd_lab.frames import Station, mac
from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.switch import open_switch

pytestmark = pytest.mark.vm

LEASE = 30
"""Seconds. A client that lives on where it should have ended asks again when 7/8 of them are over."""
LAN = "[Match]\nName=en*\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n"
PATIENT = "[join]\nudev_wait = 60.0\n"
"""Five times as long is waited for networkd: no slow machine gets there."""
ON = """
systemctl unmask systemd-networkd.service systemd-networkd.socket; systemctl start systemd-networkd.service
until ip -4 -o address show dev "$1" | grep -q inet; do sleep 0.2; done
"""
NOTE = 'cat "/run/systemd/netif/links/$(cat "/sys/class/net/$1/ifindex")"'
ROLE = 'udevadm settle; udevadm info --query=property "/sys/class/net/$1" | sed -n s/^FAILOVERD_ROLE=//p'


@asynccontextmanager
async def managed(suite: str) -> AsyncIterator[tuple[DebGuest, Dhcp]]:
    """A guest whose one NIC has its lease from networkd, and failoverd from its package."""
    built = await image(suite, progress=print)
    async with open_switch() as switch, open_guest(built, switch, nics=(STANDBY,)) as guest:
        dhcp = Dhcp(Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0])), ipaddress.IPv4Address(ADDRESS), LEASE)
        peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER, services=(dhcp.answer,))
        pair = DebGuest(guest, switch, (await guest.netdevs("pv"))[0])
        await guest.put("/etc/systemd/network/10-lan.network", LAN.encode(), 0o644)
        await pair.shell(ON, pair.name)
        await guest.put("/etc/failoverd/failoverd.toml", PATIENT.encode(), 0o644)
        await guest.put("/run/failoverd.deb", package().read_bytes())
        await pair.install()
        yield pair, dhcp
        peer.close()


@pytest.mark.parametrize("suite", ONE_OF_THE_SUITES)
def test_networkd_lets_go_of_a_nic_whatever_it_hears_first(suite: str) -> None:
    async def test() -> None:
        async with managed(suite) as (pair, dhcp):
            standby = f"{pair.name}nsby"
            await pair.shell("systemctl kill --signal=STOP systemd-networkd.service")
            await pair.guest.plug(VF)
            held = f"waiting for the network manager to release {standby}"
            master = await pair.until(lambda master: held in master["reason"])
            assert (master["state"], master["standby"]) == ("degraded", None)
            assert await pair.shell(ROLE, standby) == "standby\n", "udev's word is out, and there for networkd to read"
            assert "OPER_STATE=routable" in await pair.shell(NOTE, standby)
            assert " DOWN " in await pair.shell('ip -br link show dev "$1"', standby)
            assert ADDRESS in await pair.shell('ip -br address show dev "$1"', pair.name)
            begun = time.monotonic()
            await pair.shell("systemctl kill --signal=CONT systemd-networkd.service")
            await pair.until(lambda master: bool(master["standby"]))
            await pair.accelerated()
            with trio.fail_after(60):
                while "ADMIN_STATE=unmanaged" not in await pair.shell(NOTE, standby):
                    await trio.sleep(0.5)
            await trio.sleep(LEASE)
            assert_nobody_asks_by_the_standby([asked for asked in dhcp.asked if asked.at >= begun])
            said = await pair.shell("journalctl --no-pager --output=cat --unit=failoverd")
            assert "another program has given" not in said, said
            assert ADDRESS in await pair.shell('ip -br address show dev "$1"', pair.name)

    run(test)


def assert_nobody_asks_by_the_standby(asked: Sequence[Asked]) -> None:
    """And the lease is not given back by a slave: the master has it."""
    assert {one.kind for one in asked} <= {"discover", "request"}, asked
    assert {one.port.partition("@")[0] for one in asked} == {"vf"}, asked
