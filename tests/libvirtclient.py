"""What libvirt's clients send and how they read answers, written a second time: the judge of failoverd's own codec."""

from __future__ import annotations

import struct
from typing import NamedTuple

PROGRAM = 0x20008086


class Reply(NamedTuple):
    """An answer."""

    version: int
    procedure: int
    type: int
    serial: int
    status: int
    payload: bytes


def call(procedure: int, payload: bytes = b"", serial: int = 7, program: int = PROGRAM, kind: int = 0) -> bytes:
    return struct.pack(">IIIiiIi", 28 + len(payload), program, 1, procedure, kind, serial, 0) + payload


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(f">I{len(data)}s", len(data), data) + bytes(-len(data) % 4)


def number(value: int) -> bytes:
    return struct.pack(">I", value & 0xFFFFFFFF)


def replies(data: bytes) -> list[Reply]:
    """All answers in these bytes, which must be whole."""
    found = []
    while data:
        length, _program, version, procedure, kind, serial, status = struct.unpack_from(">IIIiiIi", data)
        assert len(data) >= length >= 28
        found.append(Reply(version, procedure, kind, serial, status, data[28:length]))
        data = data[length:]
    return found


def error_of(payload: bytes) -> tuple[int, int, str]:
    """Code, domain and message of an error object, which must be whole."""
    code, domain, has_message, length = struct.unpack_from(">iiII", payload)
    padded = length + -length % 4
    message = payload[16 : 16 + length].decode()
    assert has_message == 1
    rest = payload[16 + padded :]
    level, dom, has_str1, again = struct.unpack_from(">iIII", rest)
    assert (level, dom, has_str1, again) == (2, 0, 1, length)
    assert rest[16 : 16 + length].decode() == message
    assert rest[16 + padded :] == struct.pack(">IIiiI", 0, 0, 0, 0, 0)
    return code, domain, message


OPEN = number(1) + text("interface:///system") + number(0)
