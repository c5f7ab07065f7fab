"""Announcements: what they say, of which addresses they tell, and that they leave by their device."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from privatenet import private_net
from veths import make_veth

from failoverd.model.events import Answered
from failoverd.model.inet import Address
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import AddAddress, Rename, Request, SetUp
from failoverd.netlink.announce import BURST, PAUSE, announce, frames, gratuitous_arp, unsolicited_na
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.transport import KernelSocket
from failoverd_lab import frames as lab

MAC = bytes.fromhex("525400aabbcc")
FOUR, SIX = socket.inet_aton("192.0.2.1"), socket.inet_pton(socket.AF_INET6, "2001:db8::1")
RARP = 0x8035
TENTATIVE, DADFAILED, OPTIMISTIC, PERMANENT = 0x40, 0x08, 0x04, 0x80


def four(flags: int = 0) -> Address:
    return Address(2, 2, 24, 0, flags, FOUR)


def six(flags: int = 0) -> Address:
    return Address(2, 10, 64, 0, flags, SIX)


def test_a_gratuitous_arp_is_one_to_the_peer() -> None:
    frame = gratuitous_arp(MAC, FOUR)
    said = lab.parse(frame)
    assert isinstance(said, lab.Neighbour)
    assert (said.kind, said.request, said.sender_mac, said.announcement) == ("arp", True, MAC, True)
    assert said.sender is not None
    assert said.sender.packed == said.target.packed == FOUR
    assert (frame[:6], frame[6:12], len(frame)) == (b"\xff" * 6, MAC, 42)


def test_an_unsolicited_advertisement_is_one_to_the_peer() -> None:
    frame = unsolicited_na(MAC, SIX)
    said = lab.parse(frame)
    assert isinstance(said, lab.Neighbour)
    assert (said.kind, said.request, said.sender_mac, said.announcement) == ("nd", False, MAC, True)
    assert said.target.packed == SIX
    header, icmp = frame[14:54], frame[54:]
    assert (frame[:6], frame[6:12]) == (bytes.fromhex("333300000001"), MAC)
    assert header[38:40] + header[24:26] == b"\0\1\xff\x02"
    assert header[7] == 255, "another hop limit is passed over (RFC 4861, 7.1.2)"
    assert struct.unpack_from("!H", header, 4) == (len(icmp),)
    assert icmp[4] == 0x20, "override, and neither solicited nor from a router"


@given(st.binary(min_size=6, max_size=6), st.binary(min_size=16, max_size=16))
def test_the_checksum_holds_whatever_is_announced(mac: bytes, address: bytes) -> None:
    """The sum of the pseudo-header and the whole message, its checksum included, is nothing (RFC 1071)."""
    frame = unsolicited_na(mac, address)
    source, to, icmp = frame[22:38], frame[38:54], frame[54:]
    assert lab.checksum(source + to + struct.pack("!II", len(icmp), 58) + icmp) == 0


@pytest.mark.parametrize(
    ("address", "kinds"),
    [
        (four(), [0x0806]),
        (four(PERMANENT), [0x0806]),
        (six(), [0x86DD]),
        (six(PERMANENT), [0x86DD]),
        (six(TENTATIVE), [RARP]),
        (six(TENTATIVE | OPTIMISTIC), [RARP]),
        (six(DADFAILED), [RARP]),
        (Address(2, 7, 8, 0, 0, b"\1\2\3"), [RARP]),
    ],
)
def test_only_what_is_surely_ours_is_announced_or_else_the_mac(address: Address, kinds: list[int]) -> None:
    assert [struct.unpack_from("!H", frame, 12)[0] for frame in frames(MAC, [address])] == kinds


def test_every_address_has_its_own() -> None:
    assert frames(MAC, [four(), six(TENTATIVE), six()]) == [gratuitous_arp(MAC, FOUR), unsolicited_na(MAC, SIX)]


async def open_inet() -> KernelSocket:
    return await KernelSocket.open(strict=True)


async def do(*requests: Request) -> None:
    sock = await KernelSocket.open()
    talk = Conversation(lambda link: link)
    talk.request(Ticket(PairOf(""), Part.MOVE), requests, 0.0)
    for datagram in talk.out:
        await sock.send(datagram)
    answered = False
    while not answered:
        for event in talk.feed(await sock.recv(), 0.0):
            if isinstance(event, Answered):
                assert event.answers is not None
                assert {number for number, _ in event.answers} == {0}
                answered = True
    sock.close()


def waiting(ear: socket.socket) -> list[bytes]:
    """What has come by now: a veth hands a frame over before its sender goes on, or very soon after."""
    frames = []
    ear.settimeout(0.5)
    with suppress(TimeoutError):
        while True:
            frames.append(ear.recv(2000))
    return frames


@private_net
def test_the_real_kernel_sends_them_by_their_device_and_a_gone_one_is_told_of() -> None:
    """IFA_F_NODAD (0x02) makes an address sure at once."""

    async def main() -> tuple[list[bytes], list[str]]:
        first, second = await make_veth("v0", "v1")
        parts = [
            AddAddress(Address(first, 2, 24, 0, 0, FOUR, ((1, FOUR), (2, FOUR)))),
            AddAddress(Address(first, 10, 64, 0, 0x02, SIX, ((1, SIX),))),
        ]
        await do(SetUp(second, True), SetUp(first, True), *parts)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear:
            ear.bind(("v1", 0))
            ear.settimeout(10)
            troubles = await announce(open_inet, {first: "52:54:00:aa:bb:cc", 99: "52:54:00:aa:bb:cc"}, {})
            heard: list[bytes] = []
            while len(heard) < 2:
                frame = ear.recv(2000)
                if frame[6:12] == MAC:
                    heard.append(frame)
        return heard, troubles

    heard, troubles = trio.run(main)
    assert sorted(heard) == sorted([gratuitous_arp(MAC, FOUR), unsolicited_na(MAC, SIX)])
    assert troubles == []


@private_net
def test_a_device_whose_name_is_no_text_is_announced() -> None:
    async def main() -> tuple[bytes, list[str]]:
        first, second = await make_veth("v0", "v1")
        address = AddAddress(Address(first, 2, 24, 0, 0, FOUR, ((1, FOUR), (2, FOUR))))
        await do(Rename(first, "e\udce9"), SetUp(second, True), SetUp(first, True), address)
        assert os.fsencode(socket.if_indextoname(first)) == b"e\xe9"
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as ear:
            ear.bind(("v1", 0x0806))
            ear.settimeout(10)
            troubles = await announce(open_inet, {first: "52:54:00:aa:bb:cc"}, {})
            return ear.recv(2000), troubles

    assert trio.run(main) == (gratuitous_arp(MAC, FOUR), [])


@private_net
def test_each_is_announced_by_its_own_device_and_one_that_is_down_keeps_no_other() -> None:
    """Over one socket: what is bound for one must not carry what is another's."""

    async def main() -> list[str]:
        (a, far_a), (b, _), (c, far_c) = [await make_veth(f"{name}0", f"{name}1") for name in "abc"]
        await do(*(SetUp(ifindex, True) for ifindex in (a, far_a, c, far_c)))
        kind = (socket.AF_PACKET, socket.SOCK_RAW)
        with socket.socket(*kind) as x, socket.socket(*kind) as y:
            x.bind(("a1", RARP))
            y.bind(("c1", RARP))
            macs = {i: f"52:54:00:00:00:{i:02x}" for i in (a, b, 99, c)}
            troubles = await announce(open_inet, macs, {})
            assert [frame[11] for frame in waiting(x)] == [a]
            assert [frame[11] for frame in waiting(y)] == [c]
        return troubles

    (trouble,) = trio.run(main)
    assert "down" in trouble


@private_net
def test_what_cannot_be_sent_is_said_and_the_rest_is_sent() -> None:
    async def main() -> list[str]:
        first, second = await make_veth("v0", "v1")
        parts = [AddAddress(Address(i, 2, 24, 0, 0, FOUR, ((1, FOUR), (2, FOUR)))) for i in (first, second)]
        await do(SetUp(second, True), *parts)
        return await announce(open_inet, {first: "52:54:00:aa:bb:cc"}, {})

    (trouble,) = trio.run(main)
    assert trouble.startswith("cannot announce by the device with ifindex ")
    assert "down" in trouble


@private_net
def test_a_thousand_addresses_are_announced_at_a_pace_and_the_first_of_a_subnet_first() -> None:
    """Others have their turn between two bursts; what was added to a subnet, or is for itself, comes behind it."""
    many = 1000

    def added(ifindex: int, number: int, prefix: int) -> Address:
        local = socket.inet_aton(f"192.0.{2 + number // 250}.{1 + number % 250}")
        return Address(ifindex, 2, prefix, 0, 0, local, ((1, local), (2, local)))

    async def main() -> None:
        (first, far), (other, far_other) = await make_veth("v0", "v1"), await make_veth("w0", "w1")
        await do(*(SetUp(ifindex, True) for ifindex in (far, first, far_other, other)))
        await do(AddAddress(added(first, many, 32)))
        for begin in range(0, many, 40):
            await do(*(AddAddress(added(first, i, 24 if i < 2 else 32)) for i in range(begin, begin + 40)))
        await do(AddAddress(added(other, 2000, 24)))
        moments: list[float] = []

        async def beside() -> None:
            while True:
                moments.append(trio.current_time())
                await trio.sleep(0)

        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as ear:
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            ear.bind(("v1", 0x0806))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(beside)
                began = trio.current_time()
                assert not await announce(open_inet, {first: "52:54:00:aa:bb:cc", other: "52:54:00:aa:bb:dd"}, {})
                took = trio.current_time() - began
                nursery.cancel_scope.cancel()
            heard = [socket.inet_ntoa(frame[28:32]) for frame in waiting(ear)]
        assert heard[0] == "192.0.2.1"
        assert len(set(heard)) == many + 1
        assert took >= many // BURST * PAUSE
        assert len(moments) > 2 * (many // BURST)

    trio.run(main)
