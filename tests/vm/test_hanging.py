"""What hangs on the paravirtual NIC when its first VF comes goes on working, and the machine is reached."""

from __future__ import annotations

import ipaddress

import pytest
import trio
from pairguest import ADDRESS, MAC, STANDBY, VF, PairGuest, pair_guest, run

from failoverd_lab import install
from failoverd_lab.frames import Station, mac, udp
from failoverd_lab.lan import PEER, PEER_MAC
from failoverd_lab.peer import Peer

pytestmark = [pytest.mark.vm, pytest.mark.more]

GROUP = "239.9.9.9"
KNOCK = """
$1 ip neigh flush all
$1 python3 -c 'import socket; socket.socket(2, 2).sendto(b"x", ("10.111.0.1", 9))' || true
for i in 1 2 3 4 5 6 7 8; do $1 ip neigh show 10.111.0.1 | grep -q lladdr && echo reached && break; sleep 0.5; done
"""
UNSEEN = """
ip netns add box
ip link add mv0 link "$1" netns box type macvlan mode bridge
ip -n box address add 10.111.0.50/24 dev mv0
ip -n box link set mv0 up
"""
"""A CNI plugin makes it so: the container's namespace has no number here."""
MOVED = """
ip -n box link del mv0
ip link add mv0 link "$1" type macvlan mode bridge
ip link set mv0 netns box
ip -n box address add 10.111.0.50/24 dev mv0
ip -n box link set mv0 up
"""
TUNNEL = """
modprobe ip_gre
ip link add gre1 type gretap remote 10.111.0.1 local 10.111.0.2 dev "$1"
ip address add 10.99.0.1/24 dev gre1
ip link set gre1 up
ip neigh add 10.99.0.2 lladdr 02:42:00:00:00:02 dev gre1
"""
LISTEN = r"""
cat >/run/ears.py <<'END'
import selectors, socket, struct, sys
name = sys.argv[1]
bound, group = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
bound.bind(("0.0.0.0", 7101))
group.bind(("0.0.0.0", 7102))
wanted = struct.pack("4s4si", socket.inet_aton("239.9.9.9"), bytes(4), socket.if_nametoindex(name))
group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, wanted)
ears = selectors.DefaultSelector()
for one, called in ((bound, "bound"), (group, "group")):
    ears.register(one, selectors.EVENT_READ, called)
with open("/run/ears", "w", buffering=1) as out:
    while True:
        for key, _ in ears.select():
            if b"MARK" in key.fileobj.recv(2000):
                print(key.data, file=out)
END
systemd-run --quiet --unit=ears python3 /run/ears.py "$1"
until [ -e /run/ears ]; do sleep 0.1; done
"""


async def reached(pair: PairGuest, *who: str) -> set[str]:
    prefixes = {"the container": "ip netns exec box", "the machine": ""}
    return {one for one in who if "reached" in await pair.shell(KNOCK, prefixes[one])}


async def why(pair: PairGuest) -> str:
    """What explain says of the paravirtual NIC."""
    document = await install.ask(pair.guest, "explain")
    assert document is not None
    return str(next(row["reason"] for row in document["nics"] if row["bus"] == "virtio"))


async def heard(pair: PairGuest, peer: Peer) -> set[str]:
    own = Station(mac(PEER_MAC), ipaddress.ip_address(PEER[0]))
    machine = Station(mac(MAC), ipaddress.ip_address(ADDRESS))
    group = Station(bytes.fromhex("01005e090909"), ipaddress.ip_address(GROUP))
    await pair.shell(": >/run/ears")
    for _ in range(3):
        peer.send(udp(own, machine, (7101, 7101), b"MARK"))
        peer.send(udp(own, group, (7102, 7102), b"MARK"))
        await trio.sleep(0.5)
    return set((await pair.shell("cat /run/ears")).replace("\0", "").split())


def test_a_containers_macvlan_a_tunnel_and_bound_sockets_keep_their_nic() -> None:
    async def test() -> None:
        async with pair_guest(nics=(STANDBY,)) as pair:
            peer = Peer(pair.switch, name="peer", mac_address=PEER_MAC, addresses=PEER)
            both = ("the container", "the machine")
            await install.start(pair.guest)
            await pair.shell(UNSEEN, pair.name)
            assert await reached(pair, *both) == {*both}
            await pair.guest.plug(VF)
            master = await pair.accelerated()
            assert master["datapath"] == "tc"
            assert "which no device here has, stands on it" in await why(pair)
            assert await reached(pair, *both) == {*both}
            await pair.guest.unplug("vf")
            await pair.on_standby()
            assert await reached(pair, *both) == {*both}
            # The same from the beginning, with one that can be seen, a tunnel and sockets.
            await pair.shell('failoverctl release "$1"', pair.name)
            await pair.shell(MOVED, pair.name)
            await pair.guest.plug(VF)
            await pair.shell('failoverctl adopt "$1"', pair.name)
            assert (await pair.accelerated())["datapath"] == "tc"
            assert await reached(pair, *both) == {*both}
            assert "the macvlan of a container (nsid 0) stands on it" in await why(pair)
            await pair.shell('failoverctl release "$1"; ip -n box link del mv0', pair.name)
            await pair.shell(LISTEN, pair.name)
            await pair.shell('failoverctl adopt "$1"', pair.name)
            assert (await pair.accelerated())["datapath"] == "tc"
            assert "a UDP socket (port 7101) is bound to it" in await why(pair)
            assert await heard(pair, peer) == {"bound", "group"}
            await pair.shell(TUNNEL, pair.name)
            assert f"gre1@{pair.name} stands on it" in await why(pair)
            peer.close()

    run(test)
