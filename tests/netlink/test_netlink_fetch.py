from __future__ import annotations

import errno
import struct
from collections.abc import Callable

import kernelbytes as kernel
import pytest
import trio
from privatenet import private_net

from failoverd.model.events import Answered
from failoverd.model.inet import Address, Route
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, AddRoute, Request, SetUp
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.fetch import TRIES, InterruptedDumpError, fetch_inet
from failoverd.netlink.transport import KernelSocket

TICKET = Ticket(PairOf("52:54:00:aa:bb:cc"), Part.MOVE)

Answer = Callable[[int, int], list[bytes]]


LINK, NEIGHBOURS, LABELS = 18, 30, 74


def nothing_else(kind: int, seq: int) -> list[bytes]:
    """No neighbours, no labels, and a device that is gone."""
    return [kernel.ack(seq, errno.ENODEV) if kind == LINK else kernel.done(seq)]


class Scripted:
    """A netlink socket that answers each dump of addresses and routes as `answer(type, seq)` says, and what else is
    asked as `other` does."""

    other: Answer = staticmethod(nothing_else)

    def __init__(self, answer: Answer) -> None:
        self.asked: list[int] = []
        self.closed = False
        self._answer = answer
        self._waiting: list[bytes] = []

    async def send(self, datagram: bytes) -> None:
        ((kind, _, seq),) = kernel.headers(datagram)
        self.asked.append(kind)
        self._waiting += (self.other if kind in (LINK, NEIGHBOURS, LABELS) else self._answer)(kind, seq)

    async def recv(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._waiting.pop(0)

    def recv_nowait(self) -> bytes | None:
        return self._waiting.pop(0) if self._waiting else None

    def close(self) -> None:
        self.closed = True


def fetch(sock: Scripted, *ifindexes: int) -> dict[int, Inet]:
    async def opened() -> Scripted:
        return sock

    return trio.run(fetch_inet, opened, (i for i in ifindexes))


def address(ifindex: int, seq: int) -> bytes:
    return kernel.message(20, struct.pack("=BBBBI", 2, 24, 0, 0, ifindex) + kernel.attr(2, b"\n\0\0\1"), seq)


def route(ifindex: int, seq: int, family: int = 2) -> bytes:
    return kernel.message(24, bytes([family]) + bytes(11) + kernel.number(4, ifindex), seq)


def test_every_device_gets_its_own() -> None:
    def answer(kind: int, seq: int) -> list[bytes]:
        rows = address(7, seq) + address(8, seq) + address(9, seq) if kind == 22 else route(7, seq)
        return [rows, kernel.done(seq)]

    sock = Scripted(answer)
    found = fetch(sock, 7, 8)
    assert {i: (len(inet.addresses), len(inet.routes)) for i, inet in found.items()} == {7: (1, 1), 8: (1, 0)}
    assert (sock.asked, sock.closed) == ([22, 26, 26, 26, 26, 74, 30, 30, 18, 30, 30, 18], True)


def test_rows_of_another_question_are_passed_over() -> None:
    found = fetch(Scripted(lambda _kind, seq: [address(7, seq + 90) + kernel.done(seq + 90), kernel.done(seq)]), 7)
    assert found == {7: Inet()}


def test_interrupted_dumps_are_tried_again_and_not_for_ever() -> None:
    sock = Scripted(lambda _kind, seq: [kernel.done(seq, flags=kernel.DUMP_INTR)])
    with pytest.raises(InterruptedDumpError, match="keep changing"):
        fetch(sock, 7)
    assert (len(sock.asked), sock.closed) == (TRIES, True)


def test_an_interrupted_dump_that_is_whole_the_second_time() -> None:
    tries = iter([kernel.DUMP_INTR, 0, 0, 0])
    sock = Scripted(lambda kind, seq: [address(7, seq) if kind == 22 else b"", kernel.done(seq, flags=next(tries))])
    assert len(fetch(sock, 7)[7].addresses) == 1


@pytest.mark.parametrize("end", [kernel.ack, kernel.done])
def test_a_device_that_is_gone_has_no_routes(end: Callable[..., bytes]) -> None:
    sock = Scripted(lambda kind, seq: [kernel.done(seq) if kind == 22 else end(seq, errno.ENODEV)])
    assert fetch(sock, 7) == {7: Inet()}


@pytest.mark.parametrize("end", [kernel.ack, kernel.done])
def test_a_dump_that_fails_is_never_taken_for_the_whole(end: Callable[..., bytes]) -> None:
    sock = Scripted(lambda _kind, seq: [address(7, seq), end(seq, errno.ENOMEM)])
    with pytest.raises(OSError, match="Cannot allocate memory") as caught:
        fetch(sock, 7)
    assert (caught.value.errno, sock.closed) == (errno.ENOMEM, True)


def test_a_kernel_without_ipv6_tells_ipv4s_routes_twice() -> None:
    sock = Scripted(lambda kind, seq: [route(7, seq) if kind == 26 else b"", kernel.done(seq)])
    assert len(fetch(sock, 7)[7].routes) == 1


def test_a_multipath_route_belongs_to_the_device_of_each_hop() -> None:
    hops = b"".join(struct.pack("=HBBi", 8, 0, 0, ifindex) for ifindex in (7, 8))
    many = bytes([2]) + bytes(11) + kernel.attr(9, hops)
    sock = Scripted(lambda kind, seq: [kernel.message(24, many, seq) if kind == 26 else b"", kernel.done(seq)])
    # What the fake tells of AF_INET6 is AF_INET as well, so it counts once a device.
    assert {i: len(inet.routes) for i, inet in fetch(sock, 7, 8).items()} == {7: 1, 8: 1}


def test_neighbours_labels_and_settings_of_the_device_alone() -> None:
    """An old kernel tells the neighbours of all devices, one without IPv6 no labels."""
    entry = struct.pack("=BxxxiHBB", 2, 7, 0x80, 0, 1) + kernel.attr(1, b"\n\0\0\5") + kernel.attr(2, bytes(6))
    other = struct.pack("=BxxxiHBB", 2, 8, 0x80, 0, 1) + kernel.attr(1, b"\n\0\0\6")
    learned = struct.pack("=BxxxiHBB", 2, 7, 0x02, 0, 1) + kernel.attr(1, b"\n\0\0\7")
    link = struct.pack("=BxHiII", 0, 1, 7, 0, 0) + kernel.number(13, 77) + kernel.attr(20, b"uplink\0")

    def answer(kind: int, seq: int) -> list[bytes]:
        if kind == LABELS:
            return [kernel.ack(seq, errno.EOPNOTSUPP)]
        if kind == LINK:
            return [kernel.message(16, link, seq + 1) + kernel.message(16, link, seq), kernel.ack(seq)]
        return [b"".join(kernel.message(28, row, seq) for row in (entry, other, learned)) + kernel.done(seq)]

    sock = Scripted(lambda _kind, seq: [kernel.done(seq)])
    sock.other = answer
    found = fetch(sock, 7)[7]
    assert {n.attrs[0][1] for n in found.neighbours} == {b"\n\0\0\5"}
    assert found.labels == ()
    assert found.settings == (("txqueuelen", "77"), ("alias", "uplink"), ("group", "0"))


def test_labels_that_the_kernel_will_not_list() -> None:
    sock = Scripted(lambda _kind, seq: [kernel.done(seq)])
    sock.other = lambda _kind, seq: [kernel.ack(seq, errno.ENOMEM)]
    with pytest.raises(OSError, match="Cannot allocate memory"):
        fetch(sock, 7)


async def do(*requests: Request) -> None:
    sock = await KernelSocket.open()
    try:
        talk = Conversation(lambda link: link)
        talk.request(TICKET, requests, 0.0)
        await sock.send(talk.out.pop())
        answered: list[Answered] = []
        while not answered:
            answered = [event for event in talk.feed(await sock.recv(), 0.0) if isinstance(event, Answered)]
        answers = answered[0].answers
        assert answers is not None
        assert {number for number, _ in answers} == {0}, answers
    finally:
        sock.close()


async def look(*ifindexes: int) -> dict[int, Inet]:
    return await fetch_inet(lambda: KernelSocket.open(strict=True), ifindexes)


IPV4 = Address(1, 2, 24, 0, 0x80, b"\n\1\1\1", ((1, b"\n\1\1\1"), (2, b"\n\1\1\1"), (3, b"lo:7\0")), 3600, 1800)
IPV6 = Address(1, 10, 64, 0, 0x82, b"\xfd" + bytes(14) + b"\1", ((1, b"\xfd" + bytes(14) + b"\1"),))
ROUTES = (
    Route(1, 2, 16, 0, 0, 254, 4, 0, 1, 0, ((1, b"\n\2\0\0"), (6, b"\0\1\0\0"), (5, b"\n\1\1\7"))),
    Route(1, 2, 16, 0, 0, 1000, 4, 253, 1, 0, ((1, b"\n\3\0\0"),)),
)


@private_net
def test_the_real_kernel_gives_back_what_it_was_given() -> None:
    async def there_and_back() -> None:
        await do(SetUp(1, True))
        await do(AddAddress(IPV4), *(AddRoute(r) for r in ROUTES))
        found = (await look(1))[1]
        ours = [a for a in found.addresses if a.local == IPV4.local]
        assert [(a.prefixlen, a.valid, a.preferred) for a in ours] == [(24, 3600, 1800)]
        assert dict(ours[0].attrs)[3] == b"lo:7\0"
        metrics = {r.table: dict(r.attrs).get(6) for r in found.routes if r.protocol == 4}
        assert metrics == {254: b"\0\1\0\0", 1000: None}

    trio.run(there_and_back)


@private_net
def test_the_real_kernel_ends_a_dump_for_a_device_that_is_gone_and_we_go_on() -> None:
    async def gone() -> None:
        assert await look(99, 1) == {99: Inet(), 1: (await look(1))[1]}

    trio.run(gone)
