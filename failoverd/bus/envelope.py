"""A message as it came, of which only the header is read: its sender, its member, and whether an answer is awaited.

Telling a flood of calls from an administrator's order may take a few microseconds a message. dbus-next takes a hundred
times as long to read a whole message, so that is done when its turn has come, and not at all where the answer is not
awaited.
"""

from __future__ import annotations

import struct

from failoverd.dataclass import dataclass

METHOD_CALL, METHOD_RETURN, ERROR = 1, 2, 3
BUS = b"org.freedesktop.DBus"
NO_REPLY_EXPECTED = 1
FIXED = 16
"""Size of the header's fixed part in bytes (D-Bus specification, "Message Format")."""
INTERFACE, MEMBER, SENDER = 2, 3, 7
FOUR = {ord("l"): struct.Struct("<I"), ord("B"): struct.Struct(">I")}
TEXTS = b"so"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message: all its bytes, and the texts of its header. `too_long`: bytes of body that were not kept, 0 for
    none."""

    raw: bytes
    too_long: int
    sender: bytes
    interface: bytes
    member: bytes

    @property
    def is_call(self) -> bool:
        """Whether it is a method call."""
        return self.raw[1] == METHOD_CALL

    @property
    def is_answer(self) -> bool:
        """Whether it answers a call of failoverd's, which calls only the bus itself. Signals are not listened to: any
        client may send one."""
        return self.raw[1] in (METHOD_RETURN, ERROR) and self.sender == BUS

    @property
    def wants_reply(self) -> bool:
        """Whether its sender waits for an answer."""
        return not self.raw[2] & NO_REPLY_EXPECTED

    @property
    def can_be_answered(self) -> bool:
        """Whether it has what an answer needs. A bus passes on no other; it would end the connection for such an
        answer."""
        return bool(self.sender and self.serial)

    @property
    def serial(self) -> int:
        """Its serial number, which the answer refers to."""
        return int(FOUR[self.raw[0]].unpack_from(self.raw, 8)[0])


def envelope(raw: bytes, too_long: int = 0) -> Envelope:
    """Read the header's texts as far as possible; a bus passes on no message for which it is not."""
    found: dict[int, bytes] = {}
    four = FOUR[raw[0]]
    try:
        at, end = FIXED, FIXED + four.unpack_from(raw, 12)[0]
        while at < end:
            code, kind = raw[at], raw[at + 2]
            at += 4
            if kind in TEXTS:
                begin = at + 4
                at = begin + four.unpack_from(raw, at)[0]
                found[code] = raw[begin:at]
                at += 1
            else:
                # A signature, or a number.
                at += 2 + raw[at] if kind == ord("g") else 4
            at = (at + 7) & ~7
    except (IndexError, struct.error):
        pass
    return Envelope(raw, too_long, found.get(SENDER, b""), found.get(INTERFACE, b""), found.get(MEMBER, b""))


def refusal(call: Envelope, serial: int, name: bytes, text: bytes) -> bytes:
    """Build an error reply to this call, byte by byte: it is the answer to a flood, and has to cost less than the
    flood."""
    return _reply(ERROR, call.sender, call.serial, serial, b"s", _text(text), _field(4, b"s", _text(name)))


def method_return(sender: bytes, answers: int, serial: int, signature: bytes, body: bytes) -> bytes:
    """Build the answer, with this body, to the sender's call whose serial number is `answers`."""
    return _reply(METHOD_RETURN, sender, answers, serial, signature, body)


def _reply(
    kind: int, sender: bytes, answers: int, serial: int, signature: bytes, body: bytes, more: bytes = b""
) -> bytes:
    header = more + _field(8, b"g", bytes([len(signature)]) + signature + b"\0")
    fields = header + _field(5, b"u", struct.pack("<I", answers)) + b"\6\1s\0" + _text(sender)
    fixed = struct.pack("<cBBBIII", b"l", kind, NO_REPLY_EXPECTED, 1, len(body), serial, len(fields))
    return fixed + _padded(fields) + body


def _field(code: int, signature: bytes, value: bytes) -> bytes:
    return _padded(bytes([code, 1]) + signature + b"\0" + value)


def _text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value + b"\0"


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)
