"""What the codec writes, as the real kernel understands it."""

from __future__ import annotations

import errno
import struct
from dataclasses import replace
from pathlib import Path

import kernelbytes as kernel
import pytest
import trio
from everyrequest import EVERY
from privatenet import container, private_net
from toykernel import route
from veths import make_veth

from failoverd.kinds import Bond, NewDevice, Place, Veth, VethPair, Vlan
from failoverd.model.events import Answered
from failoverd.model.links import Link
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import (
    AddAltname,
    AddRoute,
    CreateLink,
    DeleteLink,
    DeleteMarked,
    DropAltname,
    DropRoute,
    MoveLink,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetLinkLocal,
    SetMac,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetSysctl,
    SetUp,
)
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.frames import NLMSG_ERROR, attributes, read_error, split
from failoverd.netlink.listing import list_links
from failoverd.netlink.requests import PLACED_WRITERS, WRITERS, Descriptors, write_request
from failoverd.netlink.transport import KernelSocket

TICKET = Ticket(PairOf("52:54:00:aa:bb:cc"), Part.MOVE)


def test_every_kind_of_request_has_its_writer() -> None:
    assert set(WRITERS) | set(PLACED_WRITERS) == EVERY - {SetSysctl}
    assert not set(WRITERS) & set(PLACED_WRITERS)


def nested(data: bytes, *path: int) -> dict[int, bytes]:
    """The attributes under this path of attributes."""
    for kind in path:
        data = dict(attributes(data))[kind]
    return dict(attributes(data))


def test_a_bond_is_made_with_its_mac_and_its_options() -> None:
    options = Bond(mode=1, miimon=100, fail_over_mac=1, peer_notifications=2, lp_interval=7)
    (message,) = split(write_request(CreateLink(NewDevice("ens3", "52:54:00:aa:bb:cc", 9000), options), 5))
    assert struct.unpack_from("=BxHiII", message.payload) == (0, 0, 0, 0, 0)
    assert (message.type, message.flags, message.seq) == (16, 0x1 | 0x4 | 0x200 | 0x400, 5)
    attrs = message.payload[16:]
    top = nested(attrs)
    assert (top[3], top[1], top[4]) == (b"ens3\0", bytes.fromhex("525400aabbcc"), struct.pack("=I", 9000))
    assert nested(attrs, 18)[1] == b"bond\0"
    written = nested(attrs, 18, 2)
    assert written == {1: b"\1", 3: struct.pack("=I", 100), 12: b"\2", 13: b"\1", 16: b"\2", 19: struct.pack("=I", 7)}


def test_choosing_the_active_slave_names_the_bond_by_its_index() -> None:
    (message,) = split(write_request(SetActive(9, 7), 5))
    assert struct.unpack_from("=BxHi", message.payload) == (0, 0, 9)
    assert nested(message.payload[16:], 18, 2) == {2: struct.pack("=I", 7)}


@pytest.mark.parametrize("request_", [SetUp(7, False), SetUp(7, True), SetMaster(7, 9), SetMtu(7, 9000), DeleteLink(7)])
def test_only_bringing_a_device_up_or_down_touches_its_flags(request_: Request) -> None:
    """In one message "up" would be done before the rest of it."""
    (message,) = split(write_request(request_, 1))
    _, _, index, flags, change = struct.unpack_from("=BxHiII", message.payload)
    assert index == 7
    assert change == (1 if isinstance(request_, SetUp) else 0)
    assert flags == (1 if isinstance(request_, SetUp) and request_.up else 0)


@pytest.mark.parametrize("on", [True, False])
def test_all_multicast_is_a_flag_and_nothing_else_is_touched(on: bool) -> None:
    for request, flag in ((SetAllMulticast(7, on), 0x200), (SetPromiscuous(7, on), 0x100)):
        (message,) = split(write_request(request, 1))
        assert struct.unpack("=BxHiII", message.payload) == (0, 0, 7, flag if on else 0, flag)


@pytest.mark.parametrize(("on", "mode"), [(True, b"\0"), (False, b"\1")])
def test_a_link_local_address_is_a_matter_of_ipv6(on: bool, mode: bytes) -> None:
    (message,) = split(write_request(SetLinkLocal(7, on), 1))
    assert struct.unpack_from("=BxHiII", message.payload) == (0, 0, 7, 0, 0)
    assert nested(message.payload[16:], 26, 10) == {8: mode}


async def do(*requests: Request) -> tuple[tuple[tuple[int, str], ...], dict[int, Link]]:
    """The kernel's answers, and the devices as they are then."""
    sock = await KernelSocket.open()
    try:
        # As the lab does it: whoever says something of a veth gets all that the kernel has said.
        talk = Conversation(replace)
        talk.request(TICKET, requests, 0.0)
        for datagram in talk.out:
            await sock.send(datagram)
        talk.out.clear()
        while True:
            for event in talk.feed(await sock.recv(), 0.0):
                if isinstance(event, Answered) and event.answers is not None:
                    return event.answers, {link.ifindex: link for link in await list_links(sock, replace)}
    finally:
        sock.close()


async def elsewhere(
    descriptors: Descriptors, *requests: Request
) -> tuple[tuple[tuple[int, str], ...], dict[int, Link]]:
    """The same, for requests that name another namespace."""
    sock = await KernelSocket.open()
    try:
        answers: list[tuple[int, str]] = []
        for seq, request in enumerate(requests, 1):
            await sock.send(write_request(request, seq, descriptors))
        while len(answers) < len(requests):
            answers += [read_error(m) for m in split(await sock.recv()) if m.type == NLMSG_ERROR]
        return tuple(answers), {link.ifindex: link for link in await list_links(sock, replace)}
    finally:
        sock.close()


OK = (0, "")


@private_net
def test_a_real_device_is_renamed_resized_and_brought_up() -> None:
    async def change() -> None:
        first, second = await make_veth("v0", "v1")
        answers, links = await do(Rename(first, "ens3"), SetMtu(first, 1400), SetUp(first, True), SetUp(second, True))
        assert answers == (OK,) * 4
        found = links[first]
        assert (found.name, found.mtu, found.up, found.kind, found.link) == ("ens3", 1400, True, "veth", second)
        answers, links = await do(SetUp(first, False))
        assert (answers, links[first].up) == ((OK,), False)

    trio.run(change)


@private_net
def test_a_real_route_is_dropped() -> None:
    async def change() -> None:
        first, second = await make_veth("v0", "v1")
        await do(SetUp(first, True), SetUp(second, True))
        there, other = route("2001:db8:9::/64", first, metric=7), route("2001:db8:9::/64", second, metric=8)
        answers, _ = await do(AddRoute(there), AddRoute(other), DropRoute(there), DropRoute(other))
        assert answers == (OK,) * 4
        answers, _ = await do(DropRoute(there))
        assert answers[0][0] == errno.ESRCH

    trio.run(change)


@private_net
def test_a_real_device_is_made_silent_and_all_ears_and_back() -> None:
    async def change() -> None:
        first, _ = await make_veth("v0", "v1")
        for on in (False, True):
            requests = (SetLinkLocal(first, on), SetAllMulticast(first, not on), SetPromiscuous(first, not on))
            answers, links = await do(*requests)
            assert answers == (OK, OK, OK)
            link = links[first]
            assert (link.link_local, link.all_multicast, link.promiscuous) == (on, not on, not on)
            assert link.promiscuity == (not on)

    trio.run(change)


@private_net
def test_alternative_names_come_and_go() -> None:
    long_name = "an-alternative-name-may-be-much-longer-than-fifteen-bytes"

    async def change() -> None:
        first, _ = await make_veth("v0", "v1")
        answers, links = await do(AddAltname(first, long_name), AddAltname(first, "b"))
        assert (answers, links[first].altnames) == ((OK, OK), {long_name, "b"})
        answers, links = await do(DropAltname(first, "b"))
        assert (answers, links[first].altnames) == ((OK,), {long_name})

    trio.run(change)


@private_net
def test_a_real_pair_of_veths_is_made_as_it_was_asked_for() -> None:
    near = NewDevice("v0", "02:00:00:00:00:0a", 1400, 4711)
    far = NewDevice("v1", "02:00:00:00:00:0b", 1300, 4712)

    async def change() -> None:
        answers, links = await do(CreateLink(near, VethPair(far)), CreateLink(near, VethPair(NewDevice("v2"))))
        assert (answers[0], answers[1][0]) == (OK, errno.EEXIST)
        found = [(link.ifindex, link.name, link.mac, link.mtu, link.kind, link.info) for link in links.values()][1:]
        assert found == [
            (4711, "v0", near.mac, 1400, "veth", Veth(4712)),
            (4712, "v1", far.mac, 1300, "veth", Veth(4711)),
        ]

    trio.run(change)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def test_a_namespace_is_named_by_its_descriptor() -> None:
    red, descriptors = Place(7), {Place(7): 12}
    pair = CreateLink(NewDevice("v0"), VethPair(NewDevice("v1", place=red)))
    (message,) = split(write_request(pair, 5, descriptors))
    assert 28 not in nested(message.payload[16:])
    assert nested(nested(message.payload[16:], 18, 2)[1][16:]) == {3: b"v1\0", 28: number(12)}
    vlan = CreateLink(NewDevice("ens3.7", lower=2, place=red), Vlan(7))
    (message,) = split(write_request(vlan, 5, descriptors))
    assert nested(message.payload[16:])[28] == number(12)
    (message,) = split(write_request(MoveLink(3, red, 77, "eth1"), 5, descriptors))
    assert struct.unpack_from("=BxHiII", message.payload) == (0, 0, 3, 0, 0)
    assert nested(message.payload[16:]) == {28: number(12), 3: b"eth1\0", 49: number(77)}
    with pytest.raises(KeyError):
        write_request(MoveLink(3, red), 5)


@private_net
def test_a_real_device_moves_and_a_real_pair_is_created_across_two_namespaces() -> None:
    async def change(there: int) -> None:
        red = Place(7)
        far = NewDevice("v0", "02:00:00:00:00:0b", 1300, 4712, place=red)
        pair = CreateLink(NewDevice("v0", ifindex=4711), VethPair(far))
        answers, links = await elsewhere({red: there}, pair, MoveLink(1, red))
        assert (answers[0], answers[1][0]) == (OK, errno.EINVAL)
        assert (links[4711].link, links[4711].info) == (0, Veth(4712, 0))
        first, second = await make_veth("w0", "w1")
        answers, links = await elsewhere({red: there}, MoveLink(second, red, 77))
        assert (answers, links[first].info) == ((OK,), Veth(77, 0))
        assert second not in links

    with container() as pid, Path(f"/proc/{pid}/ns/net").open() as there:
        trio.run(change, there.fileno())


@private_net
def test_a_real_device_gets_a_mac_and_is_deleted_by_its_mark() -> None:
    async def change() -> None:
        first, second = await make_veth("v0", "v1")
        answers, links = await do(SetMac(first, "02:00:00:00:00:0c"), AddAltname(first, "a-long-mark-for-the-device"))
        assert (answers, links[first].mac) == ((OK, OK), "02:00:00:00:00:0c")
        answers, links = await do(DeleteMarked("another-mark"), DeleteMarked("a-long-mark-for-the-device"))
        assert [number for number, _ in answers] == [errno.ENODEV, 0]
        assert not {first, second} & set(links)

    trio.run(change)


@private_net
def test_a_device_is_deleted_and_a_missing_one_is_a_refusal() -> None:
    async def change() -> None:
        first, second = await make_veth("v0", "v1")
        answers, links = await do(DeleteLink(first), SetMtu(first, 1400))
        assert answers[0] == OK
        assert answers[1][0] == 19
        assert not {first, second} & set(links)

    trio.run(change)


@private_net
def test_the_kernels_words_arrive_with_its_refusal() -> None:
    async def refuse() -> tuple[tuple[int, str], ...]:
        first, _ = await make_veth("v0", "v1")
        return (await do(SetMtu(first, 10_000_000)))[0]

    ((number, text),) = trio.run(refuse)
    assert number == 22
    assert "mtu" in text


@private_net
def test_one_refusal_does_not_stop_the_rest_of_the_batch() -> None:
    async def change() -> None:
        first, _ = await make_veth("v0", "v1")
        answers, links = await do(SetMtu(99, 1400), SetMtu(first, 1400))
        assert [number for number, _ in answers] == [19, 0]
        assert links[first].mtu == 1400

    trio.run(change)


def test_headers_of_a_datagram() -> None:
    """The helper the other tests count with."""
    assert list(kernel.headers(write_request(SetMtu(7, 1400), 5))) == [(19, 0x5, 5)]
