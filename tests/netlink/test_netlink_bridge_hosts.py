"""Who is behind a bridge, and the frame that tells the network's switches."""

from __future__ import annotations

import socket
import struct
import subprocess

import kernelbytes as kernel
import pytest
import trio
from privatenet import container, private_net, set_up
from test_netlink_announce import do, open_inet, waiting
from veths import make_veth

from failoverd.model.requests import SetMaster, SetUp
from failoverd.netlink.announce import announce
from failoverd.netlink.bridge_hosts import fetch_bridge_hosts, learned, rarp, taken_in
from failoverd.netlink.frames import NetlinkError, split
from failoverd_lab import rtnl

HOST = bytes.fromhex("020000000060")
PORT, OTHER, BRIDGE = 5, 6, 9


def entry(mac: bytes, ifindex: int, state: int = 2, flags: int = 0, master: int = BRIDGE, vlan: int = 0) -> bytes:
    """RTM_NEWNEIGH as br_fdb.c, fdb_fill_info() lays it out."""
    head = struct.pack("=BxxxiHBB", 7, ifindex, state, flags, 0)
    attrs = kernel.attr(2, mac) + (kernel.number(9, master) if master else b"") + kernel.attr(3, bytes(16))
    return kernel.message(28, head + attrs + (kernel.attr(5, struct.pack("=H", vlan)) if vlan else b""), 1)


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


@pytest.mark.parametrize(
    ("raw", "is_told"),
    [
        (entry(HOST, OTHER), True),
        (entry(HOST, OTHER, state=4), True),
        (entry(HOST, OTHER, state=0x40), True),
        (entry(HOST, PORT), False),
        (entry(HOST, BRIDGE), False),
        (entry(HOST, OTHER, state=0x80), False),
        (entry(HOST, OTHER, flags=2), False),
        (entry(HOST, OTHER, master=8), False),
        (entry(HOST, OTHER, master=0), False),
        (entry(HOST, OTHER, vlan=1), False),
        (entry(b"\x33\x33" + HOST[2:], OTHER), False),
        (entry(HOST[:4], OTHER), False),
    ],
)
def test_only_machines_on_other_ports_are_behind_a_bridge(raw: bytes, is_told: bool) -> None:
    (message,) = split(raw)
    assert learned(message, BRIDGE, PORT) == (HOST if is_told else b"")


def test_a_message_too_short_to_be_one_is_an_error() -> None:
    (message,) = split(kernel.message(28, bytes(8), 1))
    with pytest.raises(NetlinkError, match="a neighbour message of 8 bytes"):
        learned(message, BRIDGE, PORT)


@pytest.mark.parametrize(
    ("raw", "is_told"),
    [
        (entry(HOST, PORT, state=0x80, flags=2, master=0), True),
        (entry(HOST, PORT, state=0x80, flags=0, master=0), False),
        (entry(HOST, OTHER, state=0x80, flags=2, master=0), False),
        (entry(b"\x33\x33" + HOST[2:], PORT, state=0x80, flags=2, master=0), False),
        (entry(HOST[:4], PORT, state=0x80, flags=2, master=0), False),
    ],
)
def test_only_machines_are_taken_in_and_no_groups(raw: bytes, is_told: bool) -> None:
    (message,) = split(raw)
    assert taken_in(message, PORT) == (HOST if is_told else b"")


def test_the_frame_is_a_rarp_request_to_all_from_that_mac() -> None:
    frame = rarp(HOST)
    assert (frame[:6], frame[6:12], frame[12:14]) == (b"\xff" * 6, HOST, b"\x80\x35")
    assert frame[14:22] == bytes.fromhex("0001080006040003")
    assert (frame[22:28], frame[32:38], len(frame)) == (HOST, HOST, 42)


@private_net
def test_the_real_kernels_bridge_is_asked_and_its_port_tells() -> None:
    """A host talks once, and is announced by the bridge's other port; the bridge itself by its MAC."""

    async def main() -> tuple[list[bytes], list[bytes], list[bytes]]:
        talk = rtnl.Rtnl()
        await talk.ask(rtnl.device("bridge", "br0"))
        bridge = socket.if_nametoindex("br0")
        out, wire = await make_veth("out", "wire")
        inside, host = await make_veth("in", "host")
        await do(SetMaster(out, bridge), SetMaster(inside, bridge))
        await do(*(SetUp(ifindex, True) for ifindex in (bridge, out, wire, inside, host)))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear:
            ear.bind(("wire", 0))
            ear.settimeout(10)
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as mouth:
                mouth.bind(("host", 0))
                mouth.send(rarp(HOST))
            while ear.recv(2000)[6:12] != HOST:
                pass
            behind = await fetch_bridge_hosts(open_inet, bridge, out)
            gone = await fetch_bridge_hosts(open_inet, 4711, out)
            mac = "52:54:00:aa:bb:cc"
            assert await announce(open_inet, {out: mac, bridge: mac}, {out: bridge}) == []
            heard: list[bytes] = []
            while HOST not in {frame[6:12] for frame in heard}:
                frame = ear.recv(2000)
                heard += [frame] if frame[12:14] == b"\x80\x35" else []
        talk.close()
        return behind, gone, heard

    behind, gone, heard = trio.run(main)
    assert HOST in behind
    assert gone == []
    assert bytes.fromhex("525400aabbcc") in {frame[6:12] for frame in heard}


@private_net
def test_a_macvlan_in_another_namespace_is_announced_by_its_mac_and_one_that_is_here_by_its_address_alone() -> None:
    async def main() -> list[bytes]:
        out, wire = await make_veth("out", "wire")
        await do(SetUp(out, True), SetUp(wire, True))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear, container() as pid:
            ear.bind(("wire", 0))
            ip(f"link add away link out netns {pid} address {HOST.hex(':')} type macvlan mode bridge")
            set_up(pid, "away")
            ip("link add here link out address 02:00:00:00:00:61 type macvlan mode bridge")
            ip("link set here up")
            devices = {out: "52:54:00:aa:bb:cc", socket.if_nametoindex("here"): "02:00:00:00:00:61"}
            assert await announce(open_inet, devices, {}) == []
            return [frame[6:12] for frame in waiting(ear) if frame[12:14] == b"\x80\x35"]

    told = trio.run(main)
    assert sorted(told) == sorted([bytes.fromhex("525400aabbcc"), bytes.fromhex("020000000061"), HOST])
