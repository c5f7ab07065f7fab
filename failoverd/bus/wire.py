"""Bytes to messages and back: dbus-next's codec, with bounds and repairs around it.

- dbus-next reads from a socket field by field. Here whole messages are cut out of the stream first, by the three
  lengths in the fixed part of the header. So an unreadable message does not take the rest of the stream with it, and
  one that will not be answered is not decoded.
- A message to failoverd is short: names and words. A longer one is not kept while it comes in, and its sender gets an
  error.
- The bus ends the connection of a client that sends a NUL in a string, or text that is not UTF-8. Such a text is
  refused here, where it fails one message and not the whole connection.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from dbus_next import Message, Variant
from dbus_next._private.unmarshaller import Unmarshaller

from failoverd.bus.envelope import FIXED, FOUR, Envelope, envelope

LONGEST = 4096
"""Most bytes of body in a message to failoverd."""
LONGEST_HEADER = 4096
"""Most bytes of header fields. A path, an interface and names have 255 bytes at most: no honest call has more."""
MOST = 1 << 27
"""Most bytes in any message (D-Bus specification, "Message Format")."""
BODY = slice(4, 8)


class WireError(Exception):
    """The peer does not speak D-Bus; the connection is of no use any more."""


class TooLongError(Exception):
    """A message was longer than LONGEST; `message` is that message without its body."""

    def __init__(self, message: Message, length: int) -> None:
        super().__init__(f"the message has {length} bytes; failoverd reads {LONGEST} at most")
        self.message = message


class UnreadableError(Exception):
    """A message could not be read; the next ones can."""


class Reader:
    """Splits the stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[Envelope]:
        """Take in data, and yield the messages that are complete. Raises WireError."""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._buffer += data[skipped:]
        while len(self._buffer) >= FIXED:
            header, body = _lengths(self._buffer)
            if header > LONGEST_HEADER + FIXED or body > MOST:
                raise WireError(f"a message came with {header} bytes of header and {body} of body")
            is_long = body > LONGEST
            needed = header if is_long else header + body
            if len(self._buffer) < needed:
                return
            raw = bytes(self._buffer[:needed])
            del self._buffer[:needed]
            if is_long:
                self._pass_over(body)
                raw = raw[: BODY.start] + bytes(4) + raw[BODY.stop :]
            yield envelope(raw, body if is_long else 0)

    def _pass_over(self, length: int) -> None:
        here = min(length, len(self._buffer))
        del self._buffer[:here]
        self._skip = length - here


def _lengths(start: bytearray) -> tuple[int, int]:
    """Return the lengths of the header with its padding, and of the body."""
    four = FOUR.get(start[0])
    if four is None or start[3] != 1:
        raise WireError(f"what came is no D-Bus message: {bytes(start[:FIXED])!r}")
    (body,), (fields,) = four.unpack_from(start, 4), four.unpack_from(start, 12)
    return FIXED + -(-fields // 8) * 8, body


def read(found: Envelope) -> Message:
    """Decode a message. Raises TooLongError and UnreadableError."""
    try:
        message = Unmarshaller(io.BytesIO(found.raw)).unmarshall()
    except Exception as error:  # dbus-next raises whatever its validators and Python's codecs raise.
        raise UnreadableError(f"a message could not be read: {error!r}") from error
    if message is None:
        raise UnreadableError("a message ended before its fields did")
    if found.too_long:
        raise TooLongError(message, found.too_long)
    return message


def marshal(message: Message) -> bytes:
    """Return a message's bytes. Raises ValueError where a text may not be sent or a value has a wrong type."""
    for text in _texts(message.body):
        if "\0" in text:
            raise ValueError(f"{text!r} has a NUL in it, for which the bus would end the connection")
    return bytes(message._marshall())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Variant):
        yield from _texts(value.value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
