from __future__ import annotations

import struct

import kernelbytes as kernel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.netlink.frames import (
    NetlinkError,
    attribute,
    attributes,
    build,
    keep,
    pack,
    pick,
    read_done,
    read_error,
    split,
)

KIND = st.integers(0, 0xFFFF)
ATTRIBUTE = st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40))


@given(st.lists(st.tuples(KIND, st.integers(0, 0xFFFFFFFF), st.binary(max_size=40)), max_size=5))
def test_what_is_built_is_split_again(rows: list[tuple[int, int, bytes]]) -> None:
    datagram = b"".join(build(kind, 0, seq, body) for kind, seq, body in rows)
    assert [(m.type, m.seq, m.payload) for m in split(datagram)] == rows


@given(st.lists(ATTRIBUTE, max_size=5))
def test_attributes_come_back(rows: list[tuple[int, bytes]]) -> None:
    assert list(attributes(b"".join(attribute(kind, data) for kind, data in rows))) == rows


def test_the_nested_flag_is_no_part_of_an_attributes_number() -> None:
    assert list(attributes(kernel.attr(18 | 0x8000, b"x"))) == [(18, b"x")]


@pytest.mark.parametrize("cut", [1, 15, 17, 20, 33])
def test_a_half_read_datagram_is_noticed(cut: int) -> None:
    whole = kernel.message(16, b"12345678") + kernel.message(16, b"1234")
    with pytest.raises(NetlinkError):
        list(split(whole[:cut]))


def test_a_message_that_is_shorter_than_its_header_is_no_endless_loop() -> None:
    with pytest.raises(NetlinkError, match="it has 0 bytes"):
        list(split(struct.pack("=IHHII", 0, 16, 0, 0, 0)))


def test_an_attribute_that_claims_more_than_there_is() -> None:
    with pytest.raises(NetlinkError, match="attribute 3 says it has 40 bytes and 8 are left"):
        list(attributes(struct.pack("=HH", 40, 3) + b"1234"))


def test_keep_leaves_out_what_nobody_asked_for() -> None:
    raw = kernel.link(7, b"eth0", kernel.attr(23, b"statistics"), kernel.number(4, 1500))
    kept = keep(raw, 32, frozenset({3, 4}))
    (message,) = split(kept)
    assert list(attributes(message.payload, 16)) == [(3, b"eth0\0"), (4, struct.pack("=I", 1500))]


def test_what_is_picked_is_what_is_wanted_and_nothing_is_read_behind_it() -> None:
    data = kernel.attr(9, bytes(8)) + kernel.attr(5 | 0x8000, b"five") + kernel.attr(1, b"one") + b"\xff\xff\1\0"
    assert pick(data, frozenset({1, 5})) == {5: b"five", 1: b"one"}
    assert pick(data[:-4], frozenset({1, 7})) == {1: b"one"}
    with pytest.raises(NetlinkError, match="attribute 1 says it has 65535 bytes and 4 are left"):
        pick(data, frozenset({1, 7}))


ECHO = kernel.message(19, b"a request of some length")


@pytest.mark.parametrize("capped", [True, False])
def test_the_kernels_words_for_a_refusal(capped: bool) -> None:
    raw = kernel.ack(5, 16, "Device can not be enslaved while up", ECHO, capped)
    (message,) = split(raw)
    assert read_error(message) == (16, "Device can not be enslaved while up")


@pytest.mark.parametrize("capped", [True, False])
def test_a_refusal_without_words(capped: bool) -> None:
    (message,) = split(kernel.ack(5, 16, "", ECHO, capped))
    assert read_error(message) == (16, "")


def test_an_acknowledgement_is_error_0() -> None:
    (message,) = split(kernel.ack(5))
    assert read_error(message) == (0, "")


def test_an_acknowledgement_too_short_to_be_one() -> None:
    (message,) = split(kernel.message(kernel.NLMSG_ERROR, b"1234"))
    with pytest.raises(NetlinkError, match="4 bytes"):
        read_error(message)


@pytest.mark.parametrize("errno", [0, 19, 90])
def test_how_a_dump_ended(errno: int) -> None:
    (message,) = split(kernel.done(1, errno))
    assert read_done(message) == errno


def test_a_done_without_an_errno_is_a_whole_dump() -> None:
    (message,) = split(kernel.message(kernel.NLMSG_DONE, b""))
    assert read_done(message) == 0


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=20))
def test_packing_keeps_the_order_and_the_limit(messages: list[bytes]) -> None:
    datagrams = pack(messages, 40)
    assert b"".join(datagrams) == b"".join(messages)
    assert all(0 < len(datagram) <= 40 for datagram in datagrams)


def test_a_message_over_the_limit_goes_alone() -> None:
    assert pack([b"a", b"b" * 50, b"c"], 10) == [b"a", b"b" * 50, b"c"]


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_else(garbage: bytes) -> None:
    for whole in (garbage, kernel.message(kernel.NLMSG_ERROR, garbage, flags=0x300)):
        try:
            for message in split(whole):
                read_done(message)
                read_error(message)
                list(attributes(message.payload))
                keep(message.raw, 16, frozenset({1}))
        except NetlinkError:
            continue


@pytest.mark.parametrize("number", [-(1 << 31), -4096])
def test_an_error_that_no_kernel_has(number: int) -> None:
    """strerror(3) takes an int, and what is negated here may be none."""
    body = struct.pack("=i", number) + kernel.done(0)
    for kind, read in ((kernel.NLMSG_ERROR, read_error), (kernel.NLMSG_DONE, read_done)):
        (message,) = split(kernel.message(kind, body))
        with pytest.raises(NetlinkError, match="the kernel has no error"):
            read(message)
