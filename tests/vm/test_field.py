"""A machine as people have them, all at once: it is reached by IPv4 and IPv6 whatever becomes of its VF.

A container's macvlan and a GRE tunnel stand on the paravirtual NIC. IPv6 is off for devices to come, and the NIC has a
static address. The `.network` file matches what has no kind, so no bond. Each of the four is enough to cut a machine
off whose NIC is bonded without looking.

Everything is judged from outside: by ICMP echoes to the machine's two addresses and to the container's, and by the GRE
frames that leave the guest.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import trio
from debguest import SUITES, DebGuest, package
from pairguest import ADDRESS, MAC, STANDBY, VF, run

from failoverd_lab import install
from failoverd_lab.dhcp import Dhcp
from failoverd_lab.frames import Station, echo, echoed, mac
from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.lan import GUEST, LAST, PEER, PEER_MAC
from failoverd_lab.peer import Peer
from failoverd_lab.switch import open_switch

pytestmark = pytest.mark.vm

RATE = 50
"""Echoes a second to each address, and GRE frames from the guest."""
LEASE = 20
"""Seconds. Where nobody renews it, it is over soon."""
REST = 5.0
"""Seconds of quiet that are listened to after a change."""
SLOW = 60.0
"""Seconds after a boot in which each of the four is heard of again."""
SILENCE = 2.0
"""Seconds without a sign of one of the four at most, whatever is done. What is seen is printed."""
CONTAINER, CONTAINER_MAC = "10.111.0.50", "02:42:0a:6f:00:32"
GRE = "GRE"
ADDRESSES = {ADDRESS: MAC, GUEST[1].partition("/")[0]: MAC, CONTAINER: CONTAINER_MAC}
NAMES = (*ADDRESSES, GRE)
NETWORK = f"""\
[Match]
Name=en*
Kind=!*

[Network]
DHCP=ipv4
Address={GUEST[1]}
IPv6AcceptRA=no

[DHCPv4]
ClientIdentifier=mac
"""
SYSCTL = "net.ipv6.conf.default.disable_ipv6 = 1\n"
BOX = f"""\
#!/bin/sh -e
nic=$1
until ip -4 -o address show dev "$nic" to {ADDRESS} | grep -q inet; do sleep 0.1; done
ip netns add box
ip link add mv0 link "$nic" address {CONTAINER_MAC} type macvlan mode bridge
ip link set mv0 netns box
ip -n box address add {CONTAINER}/24 dev mv0
ip -n box link set mv0 up
ip link add gre1 type gre local {ADDRESS} remote {PEER[0]} dev "$nic"
ip address add 10.99.0.1/24 dev gre1
ip link set gre1 up
exec python3 -c '
import contextlib, socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    with contextlib.suppress(OSError):
        sock.sendto(b"", ("10.99.0.2", 9))
    time.sleep({1 / RATE})
'
"""
SERVICE = "[Service]\nExecStart=/bin/sh -e /usr/local/sbin/box {nic}\n[Install]\nWantedBy=multi-user.target\n"
ON = """
sysctl -q --system
systemctl unmask systemd-networkd.service systemd-networkd.socket
systemctl enable --now systemd-networkd.service box.service
"""
TELL = """
failoverctl; failoverctl explain; ip -d link; ip address; networkctl --no-pager
journalctl --no-pager -o short-monotonic -u failoverd | tail -n 60
"""


@dataclass
class Signs:
    """When (time.monotonic) each of the machine's four was heard of."""

    heard: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def hear(self, frame: bytes, _port: str, at: float) -> Sequence[bytes]:
        """See Peer's services."""
        if back := echoed(frame):
            self.heard[str(back[0])].append(at)
        elif frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x2f":
            self.heard[GRE].append(at)
        return ()

    def silence(self, name: str, begun: float, ended: float) -> float:
        """The longest time without a sign, in seconds."""
        times = [begun, *(at for at in self.heard[name] if begun <= at <= ended), ended]
        return max(later - sooner for sooner, later in pairwise(times))

    def back(self, name: str, begun: float) -> float:
        """When it was heard of again, after the longest silence since then."""
        times = [begun, *(at for at in self.heard[name] if begun <= at), time.monotonic()]
        return max(pairwise(times), key=lambda gap: gap[1] - gap[0])[1]


async def send_echoes(peer: Peer) -> None:
    """To each address, until cancelled."""
    own = {address.version: Station(mac(PEER_MAC), address) for address in map(ipaddress.ip_address, PEER)}
    to = [Station(mac(hardware), ipaddress.ip_address(address)) for address, hardware in ADDRESSES.items()]
    begun, number = time.monotonic(), 0
    while True:
        number += 1
        for station in to:
            peer.send(echo(own[station.address.version], station, number))
        await trio.sleep(max(0.0, begun + number / RATE - time.monotonic()))


@asynccontextmanager
async def machine(suite: str) -> AsyncIterator[tuple[DebGuest, Signs]]:
    """The machine with its paravirtual NIC alone, all four being heard of."""
    signs, built = Signs(), await image(suite, progress=print)
    async with open_switch() as switch, open_guest(built, switch, nics=(STANDBY,)) as guest:
        dhcp = Dhcp(Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0])), ipaddress.IPv4Address(ADDRESS), LEASE)
        services = (dhcp.answer, signs.hear)
        peer = Peer(switch, name="peer", mac_address=PEER_MAC, addresses=PEER, services=services)
        pair = DebGuest(guest, switch, (await guest.netdevs("pv"))[0])
        await guest.put("/etc/systemd/network/20-lan.network", NETWORK.encode())
        await guest.put("/etc/sysctl.d/90-hardening.conf", SYSCTL.encode())
        await guest.put("/usr/local/sbin/box", BOX.encode())
        await guest.put("/etc/systemd/system/box.service", SERVICE.format(nic=pair.name).encode())
        await guest.put("/run/failoverd.deb", package().read_bytes())
        await pair.shell(ON)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_echoes, peer)
            with trio.fail_after(60):
                while not all(signs.heard.values()):
                    await trio.sleep(0.1)
            yield pair, signs
            nursery.cancel_scope.cancel()
        peer.close()


@pytest.mark.more
@pytest.mark.parametrize("suite", SUITES)
def test_a_machine_as_people_have_them_is_reached_whatever_becomes_of_its_vf(suite: str) -> None:
    problems: list[str] = []

    async def test() -> None:
        async with machine(suite) as (pair, signs):

            async def stop(
                what: str, change: Callable[[], Awaitable[object]], rest: float = REST, boots: bool = False
            ) -> None:
                """Make the change, and look for silence until the rest is over; after a boot, once it is back."""
                begun = time.monotonic()
                await change()
                if boots:
                    # What comes last is begun by a script, which on a slow machine has its time.
                    changed = time.monotonic()
                    with trio.move_on_after(SLOW):
                        while not all(signs.heard[name][-1] > changed for name in NAMES):
                            await trio.sleep(0.1)
                await trio.sleep(rest)
                since = {name: signs.back(name, begun) if boots else begun for name in NAMES}
                await trio.sleep(LAST)
                seen = {name: signs.silence(name, since[name], time.monotonic()) for name in NAMES}
                print(f"{suite}, {what}: longest silence in seconds:", {k: round(v, 2) for k, v in seen.items()})
                problems.extend(f"{what}: {name}: {gap:.2f} s" for name, gap in seen.items() if gap > SILENCE)
                if boots:
                    print(f"{suite}, {what}: back after", {k: round(v - begun, 1) for k, v in since.items()})
                    gone = [name for name, at in since.items() if time.monotonic() - at < rest / 2]
                    problems.extend(f"{what}: {name} is not back" for name in gone)

            async def migrate() -> None:
                await pair.guest.unplug("vf")
                await pair.on_standby()
                await pair.guest.migrate()
                await pair.guest.plug(VF)
                await pair.accelerated()

            async def unplug() -> None:
                await pair.guest.unplug("vf")
                await pair.on_standby()

            async def plug() -> None:
                await pair.guest.plug(VF)
                await pair.accelerated()

            await stop("installed", pair.install)
            await stop("plugged", plug, LEASE)
            why = (await install.ask(pair.guest, "explain") or {"nics": [{}]})["nics"][0]
            problems.extend([] if f"gre1@{pair.name} stands on it" in str(why.get("reason")) else [f"explain: {why}"])
            await stop("unplugged", unplug)
            await stop("replugged", plug)
            await stop("rebooted", pair.reboot, LEASE, boots=True)
            await pair.accelerated()
            await stop("migrated", migrate)
            if problems:
                pytest.fail("\n".join([*problems, await pair.shell(TELL)]))

    run(test)
