"""A guest with all sorts of things on its master, and whether each of them still works, seen from outside.

Every look is judged at once, thing by thing, and what is wrong is said in words: a test that asks for many things at
many stops shall tell all that it has found, and not the first.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from debguest import DebGuest, deb_guest
from pairguest import MAC, VF

from failoverd_lab.frames import Station, mac, udp
from failoverd_lab.host import LabError
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.membership import Memberships
from failoverd_lab.nics import nic_of
from failoverd_lab.peer import Peer
from failoverd_lab.router import Router
from failoverd_lab.vlans import Vlans, hosts, tagged

PREFIX = ipaddress.IPv6Network("fd00:111::/64")
ROUTER = "fe80::1"
SLAAC = "fd00:111::5054:ff:fefa:1101"
MACVLAN, BEHIND, STRANGER = "02:00:00:00:00:50", "02:00:00:00:00:60", "02:00:00:00:00:99"
VLAN = 7
FOUR, SIX, TAGGED = "239.1.2.3", "ff05::123", "239.1.2.7"
JUMBO = 8900
"""Bytes of an echo that fits into an MTU of 9000 and not into one of 8900."""
SOON = 5.0
"""Seconds within which what follows from a switch has to be seen."""

THINGS = {
    "VLANs": ("yes", "yes"),
    "macvlan": ("yes", "yes"),
    "a bridge it is a port of": ("yes", "no"),
    "IPv6 addresses by SLAAC": ("yes", "yes"),
    "duplicate address detection": ("yes", "yes"),
    "multicast groups": ("yes", "yes"),
    "promiscuous capture": ("yes", "yes"),
    "jumbo frames": ("yes", "yes"),
    "nftables rules by its name": ("yes", "yes"),
    "a qdisc": ("yes", "no"),
}
"""What stands on a master, and whether it goes on working on a bond and under tc: the table of docs/stacked.md. What is
"yes" is looked at in the tests below, and what is "no" is seen to be refused."""

NO_RESTART = b"[Service]\nRestart=no\n"
STACK = """
m=$1
ip link set $m mtu 9000
ip link add link $m name v7 type vlan id 7
ip address add 10.111.7.2/24 dev v7
ip link set v7 up
ip link add link $m name mv0 address 02:00:00:00:00:50 type macvlan mode bridge
ip address add 10.111.8.2/24 dev mv0
ip link set mv0 up
nft add table inet lab
nft add counter inet lab seen
nft add chain inet lab in '{ type filter hook input priority 0; }'
nft add rule inet lab in iifname "$m" counter name seen
systemd-run --quiet --unit=capture --property=StandardOutput=file:/run/capture \\
    tcpdump -i $m -n -l --immediate-mode ether dst 02:00:00:00:00:99
systemd-run --quiet --unit=joiner python3 /run/joiner.py $m
until [ -s /run/joined ] && systemctl is-active -q capture; do sleep 0.1; done
"""
BRIDGE = """
m=$1
ip netns add box
ip link add vout type veth peer name vin address 02:00:00:00:00:60 netns box
ip link add br0 address 52:54:00:fa:11:01 type bridge
ip link set vout master br0
ip link set vout up
ip link set br0 up
ip netns exec box ip address add 10.111.0.60/24 dev vin
ip netns exec box ip link set vin up
ip address flush dev $m scope global
ip link set $m master br0
ip address add 10.111.0.2/24 dev br0
ip address add fd00:111::2/64 dev br0 nodad
"""
JOINER = f"""
import selectors, socket, struct, sys
index = socket.if_nametoindex(sys.argv[1])
ears = selectors.DefaultSelector()
for group, where in (("{FOUR}", index), ("{TAGGED}", socket.if_nametoindex("v7")), ("{SIX}", index)):
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    ear = socket.socket(family, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.bind((group if ":" not in group else "::", 7010))
    raw = socket.inet_pton(family, group)
    if family == socket.AF_INET:
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", raw, bytes(4), where))
    else:
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack("16si", raw, where))
    ears.register(ear, selectors.EVENT_READ, group)
with open("/run/joined", "w", buffering=1) as out:
    print("ready", file=out)
    while True:
        for key, _ in ears.select():
            key.fileobj.recv(2000)
            print(key.data, file=out)
"""
LOOK = """
m=$1
echo "{\\"captured\\": $(grep -c . /run/capture || true), \\"joined\\": \\"$(tail -n +2 /run/joined | tr '\\n' ' ')\\","
echo "\\"counter\\": $(nft -j list counters),"
echo "\\"links\\": $(ip -j -d link), \\"addresses\\": $(ip -j address),"
echo "\\"qdiscs\\": $(tc -s -j qdisc show dev $m)}"
"""
DAD = """
for n in $2; do ip address add fd00:111::$n/64 dev "$1"; done
"""


@dataclass
class Stop:
    """What was found wrong, thing by thing."""

    name: str
    problems: list[str] = field(default_factory=list)

    def note(self, holds: bool, otherwise: str) -> None:
        """Something that has to hold, and what is wrong if it does not."""
        if not holds:
            self.problems.append(f"{self.name}: {otherwise}")


class Stacked:
    """The guest and the network around it. `begun` is when the last change began."""

    def __init__(self, pair: DebGuest, peer: Peer, vlans: Vlans, members: Memberships) -> None:
        self.pair = pair
        self.peer = peer
        self.vlans = vlans
        self.members = members
        self.problems: list[str] = []
        self.shown: set[str] = set()
        self.begun = time.monotonic()
        self.counter = 0

    @property
    def name(self) -> str:
        """The master's."""
        return self.pair.name

    def carrier(self, nic: str) -> str:
        """The port of the switch that a NIC is on."""
        return self.pair.guest.plugged[nic].port.name

    def where(self, who: str) -> str:
        """The port at which the network's switch has a MAC."""
        port = self.pair.switch.where.get(mac(who))
        return port.name if port is not None else "no port"

    async def look(self) -> Mapping[str, Any]:
        """What the guest says of itself."""
        found: Mapping[str, Any] = json.loads(await self.pair.shell(LOOK, self.name))
        return found

    async def echo(self, stop: Stop, what: str, to: Station, nic: str, vlan: int = 0, size: int = 56) -> None:
        """Somebody on the guest answers, and by this NIC."""
        try:
            back = await self.vlans.ask(self.peer.send, to, vlan, size)
        except LabError as error:
            stop.note(False, f"{what}: {error}")
            return
        stop.note(nic_of(back.port) == nic, f"{what}: the echo came by {back.port} and not by {nic}")
        stop.note(back.vlan == vlan, f"{what}: the echo came in VLAN {back.vlan}")

    async def answers(self, stop: Stop, nic: str) -> None:
        """The master itself, its VLAN, its macvlan, by both protocols, in jumbo frames; by this NIC."""
        own = mac(MAC)
        await self.echo(stop, "the master", station(MAC, "10.111.0.2"), nic)
        await self.echo(stop, "the VLAN", station(MAC, "10.111.7.2"), nic, VLAN)
        await self.echo(stop, "the macvlan", station(MACVLAN, "10.111.8.2"), nic)
        await self.echo(stop, "the SLAAC address", Station(own, ipaddress.ip_address(SLAAC)), nic)
        await self.echo(stop, "a jumbo frame", station(MAC, "10.111.0.2"), nic, 0, JUMBO)
        await self.echo(stop, "a jumbo frame in the VLAN", station(MAC, "10.111.7.2"), nic, VLAN, JUMBO)
        self.shown |= {"VLANs", "macvlan", "IPv6 addresses by SLAAC", "jumbo frames"}

    async def hears(self, stop: Stop, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Frames for strangers are captured, groups are heard, the rule counts."""
        for _ in range(5):
            self.peer.send(udp(station(PEER_MAC, PEER[0]), station(STRANGER, "10.111.0.99"), (1, 7010), b"stranger"))
        for group, vlan in ((FOUR, 0), (TAGGED, VLAN), (SIX, 0)):
            self.peer.send(tagged(multicast(group), vlan))
        after = before
        with trio.move_on_after(SOON):
            while True:
                after = await self.look()
                fresh = after["joined"].split()[len(before["joined"].split()) :]
                caught = after["captured"] - before["captured"]
                if caught >= 5 and {FOUR, TAGGED, SIX} <= set(fresh):
                    break
        stop.note(caught >= 5, f"{caught} of 5 frames to a foreign MAC were captured")
        missing = {FOUR, TAGGED, SIX} - set(fresh)
        stop.note(not missing, f"the guest has not heard {missing}")
        counted = seen(after) - seen(before)
        stop.note(counted > 0, "the nftables counter on the master's name stands still")
        self.shown |= {"promiscuous capture", "nftables rules by its name"}
        return after

    async def reported(self, stop: Stop, nic: str) -> None:
        """Since the change began, the groups were reported by this NIC."""
        port, missing = self.carrier(nic), {"all"}
        with trio.move_on_after(SOON):
            while missing:
                missing = {FOUR, SIX} - self.members.since(self.begun, port)
                missing |= {TAGGED} - self.members.since(self.begun, port, VLAN)
                await trio.sleep(0.05)
        stop.note(not missing, f"not reported by {nic} since the switch: {missing}")
        self.shown.add("multicast groups")

    def is_in_order(self, stop: Stop, seen: Mapping[str, Any], mtus: int) -> None:
        """No address was found to be a duplicate, the SLAAC one is there, and so many NICs have the master's MTU."""
        rows = {row["ifname"]: row for row in seen["addresses"] if row}
        mine = {one["local"]: one for one in rows[self.name]["addr_info"]}
        stop.note(SLAAC in mine, f"the SLAAC address is gone: {list(mine)}")
        bad = [one["local"] for row in rows.values() for one in row["addr_info"] if one.get("dadfailed")]
        stop.note(not bad, f"taken for duplicates: {bad}")
        sizes = {row["ifname"]: row["mtu"] for row in seen["links"] if row.get("parentbus")}
        stop.note(list(sizes.values()) == [9000] * mtus, f"the NICs' MTUs are {sizes}")

    async def until_valid(self, stop: Stop, *words: str) -> None:
        """These addresses pass duplicate address detection."""
        wanted, found = {f"fd00:111::{word}" for word in words}, dict[str, Any]()
        with trio.move_on_after(20):
            while True:
                rows = json.loads(await self.pair.shell('ip -j -6 address show dev "$1"', self.name))
                found = {one["local"]: one for row in rows for one in row.get("addr_info", [])}
                if wanted <= found.keys() and not any(found[one].get("tentative") for one in wanted):
                    break
        stop.note(wanted <= found.keys(), f"{wanted - found.keys()} are not there")
        bad = [one for one in wanted & found.keys() if found[one].get("dadfailed") or found[one].get("tentative")]
        stop.note(not bad, f"not usable after duplicate address detection: {bad}")
        self.shown.add("duplicate address detection")

    async def stop_at(
        self, name: str, nic: str, change: Callable[[], Awaitable[object]], *, switches: bool = True
    ) -> None:
        """Change something while an address is being added, then look at everything; `nic` carries by then."""
        stop, number = Stop(name), f"d{self.counter}"
        self.counter += 1
        self.begun = time.monotonic()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.pair.shell, DAD, self.name, number)
            await change()
        if switches:
            await self.reported(stop, nic)
        await self.answers(stop, nic)
        await self.until_valid(stop, number)
        after = await self.hears(stop, await self.look())
        self.is_in_order(stop, after, len(self.pair.guest.plugged))
        print(f"{name}: {time.monotonic() - self.begun:.0f} s, {'; '.join(stop.problems) or 'ok'}")
        self.problems += stop.problems


def table() -> list[str]:
    """The rows of the table in docs/stacked.md."""
    return [f"| {thing} | {bond} | {tc} |" for thing, (bond, tc) in THINGS.items()]


def station(text: str, address: str) -> Station:
    """A MAC and an address, from text."""
    return Station(mac(text), ipaddress.ip_address(address))


def multicast(group: str) -> bytes:
    """A datagram to a group, from the peer."""
    to = ipaddress.ip_address(group)
    raw = to.packed
    if isinstance(to, ipaddress.IPv4Address):
        return udp(station(PEER_MAC, PEER[0]), Station(b"\x01\x00\x5e" + raw[1:], to), (1, 7010), b"group")
    return udp(station(PEER_MAC, PEER[1]), Station(b"\x33\x33" + raw[-4:], to), (1, 7010), b"group")


def seen(found: Mapping[str, Any]) -> int:
    """The packets of the nftables counter."""
    return int(next(row["counter"]["packets"] for row in found["counter"]["nftables"] if "counter" in row))


@asynccontextmanager
async def stacked_guest(suite: str, datapath: str) -> AsyncIterator[Stacked]:
    """A guest with the package, joined in this way, whose daemon is not started again when it is killed."""
    async with deb_guest(suite) as pair:
        own = mac(PEER_MAC)
        vlans = Vlans({0: hosts(own, (*PEER, "10.111.8.1")), VLAN: hosts(own, ("10.111.7.1",))})
        members, router = Memberships(), Router(Station(own, ipaddress.ip_address(ROUTER)), PREFIX)
        services = (vlans.answer, members.answer, router.answer)
        addresses = (*PEER, "10.111.8.1", ROUTER)
        peer = Peer(pair.switch, name="peer", mac_address=PEER_MAC, addresses=addresses, services=services)
        await pair.guest.put("/etc/failoverd/failoverd.toml", f'[master]\ndatapath = "{datapath}"\n'.encode())
        await pair.guest.put("/etc/systemd/system/failoverd.service.d/lab.conf", NO_RESTART)
        await pair.guest.put("/run/joiner.py", JOINER.encode())
        await pair.install()
        await pair.accelerated()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(router.advertise, peer.send, 5.0)
            yield Stacked(pair, peer, vlans, members)
            nursery.cancel_scope.cancel()
        peer.close()


async def replug(stacked: Stacked) -> None:
    """A VF comes and carries."""
    await stacked.pair.guest.plug(VF)
    await stacked.pair.accelerated()


async def unplug(stacked: Stacked) -> None:
    """The VF goes."""
    await stacked.pair.guest.unplug("vf")
    await stacked.pair.on_standby()
