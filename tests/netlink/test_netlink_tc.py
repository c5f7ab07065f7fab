"""Traffic control's messages: what the kernel tells, and what it is asked."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import replace

import kernelbytes as kernel
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from kernelbytes import EGRESS, INGRESS, INGRESS_SLOT, ROOT
from privatenet import private_net
from veths import make_veth

from failoverd.model.events import Answered
from failoverd.model.links import Filter, Tc
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import AddClsact, AddRedirect, DropClsact, DropRedirect, Request
from failoverd.netlink import tc
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.frames import Message, NetlinkError, attributes, split
from failoverd.netlink.requests import write_request
from failoverd.netlink.transport import EVENTS, KernelSocket

TICKET = Ticket(PairOf("52:54:00:aa:bb:cc"), Part.MOVE)

COOKIE = b"failoverd"
PREF, TABLE, HANDLE = tc.PREFERENCE, 0x80000000, 0x80000001
CLSACT = kernel.tc(kernel.NEWQDISC, 3, INGRESS_SLOT, b"clsact", handle=0xFFFF0000)
OURS = Filter("ingress", PREF, HANDLE, "u32", 2, ours=True)


def told(*raws: bytes) -> Tc:
    """What a table knows after these messages."""
    table = tc.Table()
    for raw in raws:
        for message in split(raw):
            table.take(message)
    return table.tc()


def u32(handle: int, *more: bytes, parent: int = INGRESS, pref: int = PREF, kind: int = kernel.NEWTFILTER) -> bytes:
    return kernel.tc(kind, 3, parent, b"u32", *more, handle=handle, pref=pref)


def others(handle: int, kind: bytes = b"bpf", parent: int = INGRESS, pref: int = 1) -> bytes:
    return kernel.tc(kernel.NEWTFILTER, 3, parent, kind, kernel.attr(2, b"\0" * 8), handle=handle, pref=pref)


ROWS = u32(0) + u32(TABLE, kernel.attr(2, kernel.number(3, 1))) + u32(HANDLE, kernel.mirred(2, 3, COOKIE))
"""One u32 filter as a dump tells it: its priority, its hash table, and itself."""


# What the kernel tells


def test_a_filter_of_ours_is_one_row_of_three() -> None:
    assert told(CLSACT, ROWS) == Tc("clsact", "", frozenset({OURS}))


def test_a_filter_without_our_cookie_or_in_another_place_is_not_ours() -> None:
    assert told(u32(HANDLE, kernel.mirred(2, 3))).filters == {Filter("ingress", PREF, HANDLE, "u32", 2)}
    assert told(u32(HANDLE, kernel.mirred(2, 3, b"failover"))).filters == {Filter("ingress", PREF, HANDLE, "u32", 2)}
    elsewhere = u32(HANDLE, kernel.mirred(2, 3, COOKIE), pref=5)
    assert told(elsewhere).filters == {Filter("ingress", 5, HANDLE, "u32", 2)}


def test_the_filters_of_others_are_told_by_kind_and_place() -> None:
    rows = (others(0), others(1), others(1, b"flower", EGRESS, 7), others(2, b"matchall", EGRESS, 7))
    assert told(*rows).filters == {
        Filter("ingress", 1, 1, "bpf"),
        Filter("egress", 7, 1, "flower"),
        Filter("egress", 7, 2, "matchall"),
    }


def test_a_u32_filter_that_does_something_else_redirects_nowhere() -> None:
    gact = kernel.attr(2, kernel.attr(7, kernel.attr(1, kernel.attr(1, b"gact\0") + kernel.attr(6, COOKIE))))
    assert told(u32(HANDLE, gact)).filters == {Filter("ingress", PREF, HANDLE, "u32")}
    assert told(u32(HANDLE)).filters == {Filter("ingress", PREF, HANDLE, "u32")}
    in_a_table = told(u32(0x00100800, kernel.mirred(2)), u32(0x00100000))
    assert in_a_table.filters == {Filter("ingress", PREF, 0x00100800, "u32", 2)}


def test_a_filter_that_is_changed_is_one_filter() -> None:
    again = u32(HANDLE, kernel.mirred(9, 3, COOKIE))
    assert told(ROWS, again).filters == {Filter("ingress", PREF, HANDLE, "u32", 9, ours=True)}


def test_filters_of_other_qdiscs_are_none_of_ours() -> None:
    assert told(kernel.tc(kernel.NEWTFILTER, 3, 0x00010000, b"u32", kernel.mirred(2), handle=HANDLE, pref=PREF)) == Tc()


BESIDE = u32(HANDLE + 1, kernel.mirred(7))
ELSEWHERE = others(1, parent=EGRESS)
ABOVE = others(1)
ALL = (CLSACT, ROWS, BESIDE, ELSEWHERE, ABOVE)
EVERY = {("ingress", PREF, HANDLE), ("ingress", PREF, HANDLE + 1), ("egress", 1, 1), ("ingress", 1, 1)}


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        (u32(HANDLE, kind=kernel.DELTFILTER), {("ingress", PREF, HANDLE + 1), ("egress", 1, 1), ("ingress", 1, 1)}),
        (u32(0, kind=kernel.DELTFILTER), {("egress", 1, 1), ("ingress", 1, 1)}),
        (kernel.tc(kernel.DELTFILTER, 3, INGRESS), {("egress", 1, 1)}),
        (u32(0, kind=kernel.DELTFILTER, pref=9), EVERY),
        (kernel.tc(kernel.DELQDISC, 3, INGRESS_SLOT, b"clsact", handle=0xFFFF0000), set()),
    ],
    ids=["handle", "priority", "hook", "another priority", "qdisc"],
)
def test_what_goes_takes_with_it_what_it_holds(gone: bytes, left: set[tuple[str, int, int]]) -> None:
    found = told(*ALL, gone)
    assert {(f.hook, f.pref, f.handle) for f in found.filters} == left
    assert found.slot == ("" if not left else "clsact")


def test_qdiscs() -> None:
    root = kernel.tc(kernel.NEWQDISC, 3, ROOT, b"fq", handle=0x80010000)
    assert told(root) == Tc("", "fq")
    assert told(root, kernel.tc(kernel.DELQDISC, 3, ROOT, b"fq", handle=0x80010000)) == Tc()
    assert told(root, kernel.tc(kernel.NEWQDISC, 3, ROOT, b"fq_codel")) == Tc()
    assert told(kernel.tc(kernel.NEWQDISC, 3, ROOT, b"noqueue")) == Tc()
    assert told(kernel.tc(kernel.NEWQDISC, 3, INGRESS_SLOT, b"ingress", handle=0xFFFF0000)) == Tc("ingress")
    assert told(kernel.tc(kernel.NEWQDISC, 3, 0x80010001, b"pfifo", handle=0x00020000)) == Tc()


@pytest.mark.parametrize(
    "raw",
    [
        kernel.message(kernel.NEWQDISC, bytes(19)),
        kernel.message(kernel.NEWTFILTER, b""),
        u32(HANDLE, struct.pack("=HH", 200, 2)),
        u32(HANDLE, struct.pack("=HH", 1, 2)),
        u32(HANDLE, kernel.attr(2, kernel.attr(7, kernel.attr(1, struct.pack("=HHI", 99, 1, 0))))),
        u32(
            HANDLE,
            kernel.attr(
                2,
                kernel.attr(7, kernel.attr(1, kernel.attr(1, b"mirred\0") + kernel.attr(2, kernel.attr(2, bytes(24))))),
            ),
        ),
    ],
    ids=["short", "empty", "attribute too long", "attribute too short", "garbled action", "mirred too short"],
)
def test_what_cannot_be_read_is_an_error(raw: bytes) -> None:
    with pytest.raises(NetlinkError):
        told(raw)


@given(st.sampled_from(sorted(tc.MESSAGES)), st.binary(max_size=200))
def test_garbage_is_read_or_refused(kind: int, garbage: bytes) -> None:
    try:
        tc.Table().take(Message(kind, 0, 0, kernel.message(kind, garbage)))
    except NetlinkError:
        return


@given(st.lists(st.tuples(st.integers(36, len(ROWS) - 1), st.integers(0, 255)), max_size=8))
def test_a_damaged_message_is_read_or_refused(damage: list[tuple[int, int]]) -> None:
    raw = bytearray(ROWS)
    for at, byte in damage:
        raw[at] = byte
    try:
        told(bytes(raw))
    except NetlinkError:
        return


# What it is asked


class Selector(ctypes.Structure):
    """struct tc_u32_sel with one struct tc_u32_key (linux/pkt_cls.h)."""

    _fields_ = (
        ("flags", ctypes.c_ubyte),
        ("offshift", ctypes.c_ubyte),
        ("nkeys", ctypes.c_ubyte),
        ("offmask", ctypes.c_uint16),
        ("off", ctypes.c_uint16),
        ("offoff", ctypes.c_int16),
        ("hoff", ctypes.c_int16),
        ("hmask", ctypes.c_uint32),
        ("key_mask", ctypes.c_uint32),
        ("key_val", ctypes.c_uint32),
        ("key_off", ctypes.c_int),
        ("key_offmask", ctypes.c_int),
    )


class Mirred(ctypes.Structure):
    """struct tc_mirred (linux/tc_act/tc_mirred.h), which begins with tc_gen (linux/pkt_cls.h)."""

    _fields_ = (
        ("index", ctypes.c_uint32),
        ("capab", ctypes.c_uint32),
        ("action", ctypes.c_int),
        ("refcnt", ctypes.c_int),
        ("bindcnt", ctypes.c_int),
        ("eaction", ctypes.c_int),
        ("ifindex", ctypes.c_uint32),
    )


TERMINAL, STOLEN, EGRESS_REDIR, INGRESS_REDIR = 1, 4, 1, 3


def nested(data: bytes, *path: int) -> dict[int, bytes]:
    for kind in path:
        data = dict(attributes(data))[kind]
    return dict(attributes(data))


def only(request: Request) -> Message:
    (message,) = split(write_request(request, 5))
    return message


@pytest.mark.parametrize(("hook", "parent", "way"), [("ingress", INGRESS, 3), ("egress", EGRESS, 1)])
def test_a_redirection_to_the_byte(hook: str, parent: int, way: int) -> None:
    message = only(AddRedirect(3, hook, 2))
    assert (message.type, message.flags, message.seq) == (kernel.NEWTFILTER, 0x1 | 0x4 | 0x200 | 0x400, 5)
    all_protocols = struct.unpack("=H", b"\0\3")[0]
    assert struct.unpack_from("=BxxxiIII", message.payload) == (0, 3, 1, parent, PREF << 16 | all_protocols)
    attrs = message.payload[20:]
    assert nested(attrs)[1] == b"u32\0"
    assert nested(attrs, 2)[5] == bytes(Selector(TERMINAL, 0, 1))
    assert set(nested(attrs, 2, 7)) == {1}
    action = nested(attrs, 2, 7, 1)
    assert (action[1], action[6]) == (b"mirred\0", COOKIE)
    assert {"ingress": INGRESS_REDIR, "egress": EGRESS_REDIR}[hook] == way
    assert nested(attrs, 2, 7, 1, 2) == {2: bytes(Mirred(0, 0, STOLEN, 0, 0, way, 2))}


def test_what_is_written_is_what_is_read() -> None:
    """But for the handle: what is asked for is a key, what is told names its table, too."""
    assert told(write_request(AddRedirect(3, "ingress", 2), 1)).filters == {replace(OURS, handle=1)}
    assert told(write_request(AddClsact(3), 1)).slot == "clsact"
    for handle, left in ((0, set()), (HANDLE, {HANDLE + 1})):
        gone = told(ROWS, BESIDE, write_request(DropRedirect(3, "ingress", handle), 1))
        assert {f.handle for f in gone.filters} == left
    assert told(CLSACT, ROWS, write_request(DropClsact(3), 1)) == Tc()


def test_qdiscs_are_made_only_where_there_is_none() -> None:
    for request, kind, flags in ((AddClsact(3), kernel.NEWQDISC, 0x600), (DropClsact(3), kernel.DELQDISC, 0)):
        message = only(request)
        assert (message.type, message.flags) == (kind, 0x1 | 0x4 | flags)
        assert struct.unpack_from("=BxxxiIII", message.payload) == (0, 3, 0xFFFF0000, INGRESS_SLOT, 0)
        assert nested(message.payload[20:]) == {1: b"clsact\0"}


def test_dumps() -> None:
    (qdiscs,) = split(tc.dump_qdiscs(7))
    (filters,) = split(tc.dump_filters(3, "egress", 8))
    assert (qdiscs.type, qdiscs.flags, qdiscs.seq, tc.head(qdiscs)) == (kernel.GETQDISC, 0x301, 7, (0,) * 5)
    assert (filters.type, filters.flags, filters.seq) == (kernel.GETTFILTER, 0x301, 8)
    assert tc.head(filters) == (0, 3, 0, EGRESS, 0)


# The real kernel


class Ear:
    """Two sockets: one asks, one hears what is told to everybody."""

    def __init__(self, asking: KernelSocket, hearing: KernelSocket) -> None:
        self._asking, self._hearing = asking, hearing
        self.talk = Conversation(lambda link: link)
        self.table = tc.Table()

    async def do(self, *requests: Request) -> list[int]:
        self.talk.request(TICKET, requests, 0.0)
        for datagram in self.talk.out:
            await self._asking.send(datagram)
        self.talk.out.clear()
        while True:
            for event in self.talk.feed(await self._asking.recv(), 0.0):
                if isinstance(event, Answered) and event.answers is not None:
                    return [number for number, _ in event.answers]

    async def until(self, ifindex: int, wanted: Tc) -> None:
        with trio.fail_after(10):
            while self.table.tc() != wanted:
                for message in split(await self._hearing.recv()):
                    if message.type in tc.MESSAGES and tc.head(message)[1] == ifindex:
                        self.table.take(message)

    async def dumped(self, ifindex: int) -> Tc:
        table = tc.Table()
        asks = [tc.dump_qdiscs(900), *[tc.dump_filters(ifindex, hook, 901 + i) for i, hook in enumerate(tc.HOOKS)]]
        for ask in asks:
            await self._asking.send(ask)
            at_end = False
            while not at_end:
                for message in split(await self._asking.recv()):
                    at_end |= message.type == kernel.NLMSG_DONE
                    if message.type in tc.MESSAGES and tc.head(message)[1] == ifindex:
                        table.take(message)
        return table.tc()


async def ear() -> tuple[Ear, int, int]:
    first, second = await make_veth("v0", "v1")
    return Ear(await KernelSocket.open(), await KernelSocket.open(EVENTS)), first, second


@private_net
def test_the_real_kernel_makes_of_it_what_was_meant() -> None:
    async def main() -> None:
        both, first, second = await ear()
        there = Tc("clsact", "", frozenset({Filter("egress", PREF, HANDLE, "u32", second, ours=True)}))
        answers = await both.do(AddClsact(first), AddRedirect(first, "egress", second))
        assert answers == [0, 0]
        await both.until(first, there)
        assert await both.dumped(first) == there
        assert await both.do(AddClsact(first), AddRedirect(first, "egress", second)) == [17, 28]
        assert await both.do(DropRedirect(first, "egress")) == [0]
        await both.until(first, Tc("clsact"))
        assert await both.dumped(first) == Tc("clsact")
        assert await both.do(DropRedirect(first, "egress"), DropClsact(first)) == [2, 0]
        await both.until(first, Tc())
        assert await both.do(DropRedirect(first, "egress"), DropClsact(first)) == [22, 22]

    trio.run(main)


@private_net
def test_the_real_kernel_leaves_a_neighbour_of_ours_alone() -> None:
    """Somebody's filter beside ours, under the same priority, is neither taken for ours nor taken away with it."""

    async def main() -> None:
        both, first, second = await ear()
        await both.do(AddClsact(first), AddRedirect(first, "ingress", second))
        info = PREF << 16 | struct.unpack("=H", b"\0\3")[0]
        head = struct.pack("=BxxxiIII", 0, first, HANDLE + 1, INGRESS, info)
        options = kernel.attr(2, kernel.attr(5, bytes(Selector(TERMINAL, 0, 1))))
        raw = kernel.message(kernel.NEWTFILTER, head + kernel.attr(1, b"u32\0") + options, 77, 0x605)
        await both._asking.send(raw)
        assert struct.unpack_from("=i", await both._asking.recv(), 16) == (0,)
        ours = Filter("ingress", PREF, HANDLE, "u32", second, ours=True)
        theirs = Filter("ingress", PREF, HANDLE + 1, "u32")
        assert (await both.dumped(first)).filters == {ours, theirs}
        await both.until(first, Tc("clsact", "", frozenset({ours, theirs})))
        assert await both.do(DropRedirect(first, "ingress", HANDLE)) == [0]
        assert (await both.dumped(first)).filters == {theirs}
        await both.until(first, Tc("clsact", "", frozenset({theirs})))

    trio.run(main)
