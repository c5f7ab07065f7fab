"""The header of a message read by hand, and the answer that is made by hand, beside dbus-next's own."""

from __future__ import annotations

import pytest
from dbus_next import MessageType
from hypothesis import given
from hypothesis import strategies as st
from malformed import REACH_THE_DAEMON
from rawbus import RETURN, SIGNAL, build, fields, text

from failoverd.bus.envelope import envelope, method_return, refusal
from failoverd.bus.wire import read


@pytest.mark.parametrize("what", REACH_THE_DAEMON)
def test_the_header_is_what_dbus_next_reads(what: str) -> None:
    header, body, how = REACH_THE_DAEMON[what]
    if len(body) > 4096:
        body, how = b"", {**how, "length": 0}
    found = envelope(build([*header, *fields(sender=b":1.9")], body, **how))  # type: ignore[arg-type]
    message = read(found)
    assert (found.sender, found.member) == (message.sender.encode(), message.member.encode())
    assert (found.interface, found.serial) == ((message.interface or "").encode(), message.serial)
    assert found.is_call == (message.message_type is MessageType.METHOD_CALL)
    assert found.wants_reply == (not message.flags.value & 1)
    assert not found.is_answer


@given(st.binary(max_size=80), st.sampled_from([b"l", b"B"]))
def test_a_header_that_cannot_be_read_says_nothing(junk: bytes, order: bytes) -> None:
    found = envelope(order + b"\1\0\1" + bytes(4) + b"\0\0\0\0" + len(junk).to_bytes(4, "little") + junk)
    assert not found.can_be_answered


def test_only_the_bus_itself_answers_us() -> None:
    for sender, kind, is_answer in (
        (b"org.freedesktop.DBus", RETURN, True),
        (b"org.freedesktop.DBus", SIGNAL, False),
        (b":1.9", RETURN, False),
    ):
        assert envelope(build(fields(sender=sender, reply_serial=7), kind=kind)).is_answer == is_answer


def test_a_refusal_is_an_answer_to_the_call() -> None:
    header = fields(path=b"/a", interface=b"a.b", member=b"Do", sender=b":1.9")
    call = envelope(build(header, text(b""), serial=77, order=">"))
    message = read(envelope(refusal(call, 5, b"org.example.Error.No", b"try again")))
    assert message.message_type is MessageType.ERROR
    assert (message.serial, message.reply_serial, message.destination) == (5, 77, ":1.9")
    assert (message.error_name, message.signature, message.body) == ("org.example.Error.No", "s", ["try again"])


def test_an_answer_has_the_body_it_is_given() -> None:
    message = read(envelope(method_return(b":1.9", 77, 5, b"s", text(b"well"))))
    assert message.message_type is MessageType.METHOD_RETURN
    assert (message.serial, message.reply_serial, message.destination) == (5, 77, ":1.9")
    assert (message.signature, message.body) == ("s", ["well"])
