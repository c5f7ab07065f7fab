"""Bytes to messages and back, with dbus-next's codec, and what has to be bounded or mended around it.

- dbus-next reads from a socket field by field. Here whole messages are cut out of the stream first, by the three
  lengths in the fixed part of the header; so one that cannot be read does not take the rest of the stream with it.
- A message to us is short: names and words. A longer one is not kept while it comes in, and its sender is told so.
- The bus ends the connection of whoever sends a NUL in a string, or text that is no UTF-8. Such a text is refused
  here, where it is still somebody's error and not everybody's.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

from dbus_next import Message, Variant
from dbus_next._private.unmarshaller import Unmarshaller

LONGEST = 4096
"""Bytes of body that a message to us may have."""
LONGEST_HEADER = 4096
"""Bytes of header fields. A path, an interface and names of 255 bytes at most: more is nobody's honest call."""
MOST = 1 << 27
"""Bytes that any message may have (D-Bus specification, "Message Format")."""
FIXED = 16
"""Bytes of the header's fixed part (D-Bus specification, "Message Format")."""
BODY = slice(4, 8)


class WireError(Exception):
    """The other side does not speak D-Bus; the connection is of no use any more."""


class TooLongError(Exception):
    """A message was longer than LONGEST; `message` is that message without its body."""

    def __init__(self, message: Message, length: int) -> None:
        super().__init__(f"the message has {length} bytes; failoverd reads {LONGEST} at most")
        self.message = message


class UnreadableError(Exception):
    """A message could not be read; the next ones can."""


class Reader:
    """Cuts the stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[Message | TooLongError | UnreadableError]:
        """The messages that are complete now. Raises WireError."""
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
            yield _message(raw, body if is_long else 0)

    def _pass_over(self, length: int) -> None:
        here = min(length, len(self._buffer))
        del self._buffer[:here]
        self._skip = length - here


def _lengths(start: bytearray) -> tuple[int, int]:
    """How long the header is with its padding, and the body."""
    order = {ord("l"): "<", ord("B"): ">"}.get(start[0])
    if order is None or start[3] != 1:
        raise WireError(f"what came is no D-Bus message: {bytes(start[:FIXED])!r}")
    body, _serial, fields = struct.unpack_from(f"{order}III", start, 4)
    return FIXED + -(-fields // 8) * 8, body


def _message(raw: bytes, too_long: int) -> Message | TooLongError | UnreadableError:
    try:
        message = Unmarshaller(io.BytesIO(raw)).unmarshall()
    except Exception as error:  # dbus-next raises whatever its validators and Python's codecs raise.
        return UnreadableError(f"a message could not be read: {error!r}")
    if message is None:
        return UnreadableError("a message ended before its fields did")
    return TooLongError(message, too_long) if too_long else message


def marshal(message: Message) -> bytes:
    """Its bytes. Raises ValueError where a text may not be sent or a value has a wrong type."""
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
