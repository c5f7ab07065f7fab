"""Bytes to messages and values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libvirtclient import call, number, text

from failoverd.libvirt.messages import HEAD, LONGEST, BadMessageError, Inbox, Message, pong, reply_head
from failoverd.libvirt.xdr import BadPayloadError, Reader, packed, packed_optional


def fed(inbox: Inbox, data: bytes) -> list[Message]:
    return list(inbox.feed(data))


@given(st.lists(st.binary(max_size=60), max_size=6), st.integers(1, 90))
def test_messages_come_out_as_they_went_in_however_they_are_cut(payloads: list[bytes], size: int) -> None:
    data = b"".join(call(1, payload, serial) for serial, payload in enumerate(payloads))
    inbox, found = Inbox(), []
    for start in range(0, len(data), size):
        found += fed(inbox, data[start : start + size])
    assert [(message.serial, message.payload) for message in found] == list(enumerate(payloads))
    assert not inbox.has_part


def test_a_part_of_a_message_waits() -> None:
    inbox = Inbox()
    assert fed(inbox, call(1)[:3]) == []
    assert inbox.has_part
    assert fed(inbox, call(1)[3:27]) == []
    assert [message.procedure for message in fed(inbox, call(1)[27:] + call(2)[:9])] == [1]
    assert inbox.has_part


@pytest.mark.parametrize("length", [0, 27, LONGEST + 1, 0xFFFFFFFF])
def test_a_length_that_is_none(length: int) -> None:
    inbox = Inbox()
    with pytest.raises(BadMessageError, match=f"a message of {length} bytes"):
        fed(inbox, number(length))


def test_the_longest_message_is_read() -> None:
    assert len(fed(Inbox(), call(1, bytes(LONGEST - 28)))[0].payload) == LONGEST - 28


def test_an_answer_has_the_calls_serial_and_a_ping_has_its_own() -> None:
    (message,) = fed(Inbox(), call(156, b"abcd", serial=0xFFFFFFFF))
    assert HEAD.unpack(reply_head(message, 1, 12)) == (40, 0x20008086, 1, 156, 1, 0xFFFFFFFF, 1)
    (ping,) = fed(Inbox(), call(1, program=0x6B656570, kind=2, serial=0))
    assert ping.is_ping
    assert not message.is_ping
    assert HEAD.unpack(pong()) == (28, 0x6B656570, 1, 2, 2, 0, 0)


@given(st.binary(max_size=40), st.integers(-(1 << 31), (1 << 31) - 1))
def test_values_are_read_as_they_are_written(data: bytes, value: int) -> None:
    reader = Reader(packed(data) + packed_optional(data) + number(0) + number(value) + number(value))
    assert packed(data) == text(data)
    known = data.decode("utf-8", "surrogateescape")
    assert (reader.string(), reader.optional_string(), reader.optional_string()) == (known, known, None)
    assert (reader.signed(), reader.unsigned()) == (value, value & 0xFFFFFFFF)
    reader.end()


def test_what_is_no_value() -> None:
    for data, why in ((b"\0\0\0", "too early"), (number(5) + b"abcd", "longer than its message")):
        with pytest.raises(BadPayloadError, match=why):
            Reader(data).string()
    with pytest.raises(BadPayloadError, match="longer than its message"):
        Reader(number(0xFFFFFFFF)).string()
    with pytest.raises(BadPayloadError, match="longer than its message"):
        Reader(number(1) + b"a").string()
    with pytest.raises(BadPayloadError, match="2 is no boolean"):
        Reader(number(2)).optional_string()
    with pytest.raises(BadPayloadError, match="4 bytes are left over"):
        Reader(number(2)).end()
