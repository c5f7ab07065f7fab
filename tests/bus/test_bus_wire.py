"""Bytes and messages: cutting the stream, its bounds, and what may not be sent."""

from __future__ import annotations

import inspect
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from dbus_next import Message, Variant
from dbus_next.message_bus import BaseMessageBus
from hypothesis import given
from hypothesis import strategies as st

from failoverd.bus.envelope import Envelope
from failoverd.bus.private import ATTRIBUTES, PRIVATE, VERSION
from failoverd.bus.wire import LONGEST, Reader, TooLongError, UnreadableError, WireError, marshal, read


def call(text: str, serial: int = 1) -> Message:
    return Message("org.example", "/a", "org.example.A", "Do", signature="s", body=[text], serial=serial)


def found(reader: Reader, data: bytes) -> list[Any]:
    return [opened(envelope) for envelope in reader.feed(data)]


def opened(envelope: Envelope) -> Any:
    """The message, or why it cannot be read."""
    try:
        return read(envelope)
    except (TooLongError, UnreadableError) as error:
        return error


@given(st.lists(st.integers(1, 200), min_size=1))
def test_messages_are_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    texts = ["", "one", "x" * 300, "ü"]
    stream = b"".join(marshal(call(text, number + 1)) for number, text in enumerate(texts))
    reader, seen, at = Reader(), [], 0
    for cut in [*cuts, len(stream)]:
        seen += found(reader, stream[at : at + cut])
        at += cut
    assert [message.body[0] for message in seen] == texts


@given(st.integers(1, 3000))
def test_a_long_message_is_passed_over_and_not_kept(cut: int) -> None:
    stream = marshal(call("x" * (LONGEST + 1), 7)) + marshal(call("short", 8))
    reader, seen = Reader(), []
    for at in range(0, len(stream), cut):
        seen += found(reader, stream[at : at + cut])
        assert len(reader._buffer) <= LONGEST + cut
    assert isinstance(seen[0], TooLongError)
    assert (seen[0].message.serial, seen[0].message.member) == (7, "Do")
    assert seen[1].body == ["short"]


def test_one_that_cannot_be_read_does_not_take_the_next_with_it() -> None:
    data = marshal(call("text"))
    broken = data.replace(b"text", b"\xff\xff\xff\xff")
    first, second = found(Reader(), broken + data)
    assert isinstance(first, UnreadableError)
    assert second.body == ["text"]


@pytest.mark.parametrize("data", [b"x" * 16, b"l\x01\0\x02" + bytes(12), b"l\x01\0\x01" + bytes(8) + b"\xff\xff\0\0"])
def test_what_is_no_d_bus_ends_the_connection(data: bytes) -> None:
    with pytest.raises(WireError):
        found(Reader(), data)


@pytest.mark.parametrize(
    ("signature", "value"),
    [("s", "a\0b"), ("as", ["a\0b"]), ("a{sv}", {"a\0b": Variant("u", 1)}), ("v", Variant("s", "\0")), ("s", "\udc80")],
)
def test_a_text_that_would_end_the_connection_is_refused(signature: str, value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - UnicodeEncodeError is one, too.
        marshal(Message.new_signal("/a", "org.example.A", "Said", signature, [value]))


@pytest.mark.parametrize("place", PRIVATE)
def test_the_private_names_of_dbus_next_are_as_they_were(place: str) -> None:
    module, _, names = place.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    assert tuple(inspect.signature(found).parameters) == PRIVATE[place]


def test_dbus_next_is_the_one_that_is_pinned() -> None:
    assert version("dbus-next") == VERSION
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert f"dbus-next=={VERSION}" in project["project"]["dependencies"]


def test_a_bus_of_dbus_next_has_the_private_attributes() -> None:
    class Unconnected(BaseMessageBus):  # type: ignore[misc]
        def _setup_socket(self) -> None:
            """No socket."""

    bus = Unconnected("unix:path=/nowhere")
    assert all(hasattr(bus, name) for name in ATTRIBUTES)
    assert bus._bus_address == [("unix", {"path": "/nowhere"})]
