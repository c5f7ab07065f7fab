"""A machine that is configured by one name, which the VF may get at a boot, as it is found first.

Without failoverd either NIC will do: both have the MAC. With it the master gets the paravirtual NIC's name.
"""

from __future__ import annotations

import ipaddress

import pytest
import trio
from debguest import DebGuest, package
from pairguest import ADDRESS, MAC, run

from failoverd_lab.dhcp import Dhcp
from failoverd_lab.frames import Station, mac
from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.machine import COMMAND_LINE
from failoverd_lab.nics import GuestNic
from failoverd_lab.peer import Peer
from failoverd_lab.switch import open_switch

pytestmark = [pytest.mark.vm, pytest.mark.more]

NIC, VF = GuestNic("pv", "virtio", MAC, 3), GuestNic("vf", "vf", MAC, 2)
"""The VF is in the lower slot, so it is mostly found first."""
LINK = f"[Match]\nMACAddress={MAC}\n\n[Link]\nName=lan0\n"
NETWORK = "[Match]\nName={name}\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n"
ENABLE = "systemctl unmask systemd-networkd.service systemd-networkd.socket; systemctl enable systemd-networkd"
BOOTS = 1


WHY = """ip -br link; ip -br address; networkctl --no-pager; cat /run/failoverd/*.json
journalctl --no-pager --boot --output short-monotonic --unit systemd-networkd --unit failoverd --unit systemd-udevd"""


async def reachable(pair: DebGuest, name: str) -> None:
    """The master is called so, and the machine has its address."""
    with trio.move_on_after(120) as waited:
        while ADDRESS not in await pair.shell("ip -4 -br address"):
            await trio.sleep(1)
    assert not waited.cancelled_caught, await pair.shell(f"({WHY}) 2>&1 || true")
    master = await pair.accelerated()
    assert master["name"] == name
    assert ADDRESS in await pair.shell('ip -4 -br address show dev "$1"', name)


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_configured_name_is_the_masters_at_every_boot(suite: str) -> None:
    """First the kernel's own names (net.ifnames=0), then one that a .link file gives by MAC."""

    async def test() -> None:
        built = await image(suite, progress=print)
        line = f"{COMMAND_LINE} net.ifnames=0"
        async with open_switch() as switch, open_guest(built, switch, nics=(NIC,), command_line=line) as guest:
            pair = DebGuest(guest, switch, (await guest.netdevs("pv"))[0])
            dhcp = Dhcp(Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0])), ipaddress.IPv4Address(ADDRESS), 600)
            peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER, services=(dhcp.answer,))
            try:
                await guest.put("/run/failoverd.deb", package().read_bytes())
                await pair.shell(ENABLE)
                await pair.install()
                await guest.plug(VF)
                for name, link in (("eth0", ""), ("lan0", LINK)):
                    await guest.put("/etc/systemd/network/20-lan.network", NETWORK.format(name=name).encode())
                    if link:
                        await guest.put("/etc/systemd/network/10-lan0.link", link.encode())
                    for _ in range(BOOTS):
                        await guest.reboot()
                        await reachable(pair, name)
            finally:
                peer.close()

    run(test)
