"""A D-Bus client made of bytes: it sends what no library lets one send, and need not read what it asked for."""

from __future__ import annotations

import array
import itertools
import socket
import struct
from collections.abc import Sequence
from types import TracebackType

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
CODES = {
    name: code + 1
    for code, name in enumerate(
        "path interface member error_name reply_serial destination sender signature unix_fds".split()  # noqa: SIM905
    )
}
TYPES = {"path": "o", "signature": "g", "reply_serial": "u", "unix_fds": "u"}
PATIENCE = 20.0

Field = tuple[int, str, bytes | int]


def text(value: bytes, order: str = "<") -> bytes:
    """A string's or a path's bytes; it begins at a multiple of four."""
    return struct.pack(f"{order}I", len(value)) + value + b"\0"


def fields(**values: bytes | int) -> list[Field]:
    """Header fields by their names, with the types they should have."""
    return [(CODES[name], TYPES.get(name, "s"), value) for name, value in values.items()]


def build(
    header: Sequence[Field],
    body: bytes = b"",
    *,
    kind: int = CALL,
    flags: int = 0,
    serial: int = 1,
    order: str = "<",
    version: int = 1,
    length: int | None = None,
) -> bytes:
    """A message as the specification lays it out ("Message Format"), whatever is in it."""
    found = b""
    for code, signature, value in header:
        found += bytes(-len(found) % 8) + bytes([code, 1]) + signature.encode() + b"\0"
        if isinstance(value, int):
            found += bytes(-len(found) % 4) + struct.pack(f"{order}I", value)
        elif signature == "g":
            found += bytes([len(value)]) + value + b"\0"
        else:
            found += bytes(-len(found) % 4) + text(value, order)
    first = b"l" if order == "<" else b"B"
    length = len(body) if length is None else length
    fixed = struct.pack(f"{order}BBBIII", kind, flags, version, length, serial, len(found))
    return first + fixed + found + bytes(-len(found) % 8) + body


class RawBus:
    """A connection to the bus at this socket that has said Hello."""

    def __init__(self, path: str, *, with_files: bool = False) -> None:
        self._serials = itertools.count(2)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(path)
        self.sock.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\n")
        self._until(b"OK")
        if with_files:
            self.sock.sendall(b"NEGOTIATE_UNIX_FD\r\n")
            self._until(b"AGREE_UNIX_FD")
        self.sock.sendall(b"BEGIN\r\n" + build(_to_bus(b"Hello")))
        self._until(b"NameAcquired")

    def __enter__(self) -> RawBus:
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.sock.close()

    def subscribe(self, rule: bytes) -> None:
        """Ask for signals."""
        self.send([*_to_bus(b"AddMatch"), *fields(signature=b"s")], text(rule))

    def send(self, header: Sequence[Field], body: bytes = b"", **how: object) -> None:
        """Send a message with the next serial. Raises OSError where the bus has had enough of us."""
        self.sock.sendall(build(header, body, **{"serial": next(self._serials), **how}))  # type: ignore[arg-type]

    def send_file(self, header: Sequence[Field], body: bytes, file: int) -> None:
        """Send a message with a file descriptor."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
        self.sock.sendmsg([build(header, body, serial=next(self._serials))], rights)

    def count(self, word: bytes, times: int) -> None:
        """Read until this word came so many times."""
        seen, data = 0, b""
        while seen < times:
            more = self.sock.recv(1 << 16)
            assert more, f"the bus hung up after {seen} of {times} {word!r}"
            data = data[-len(word) + 1 :] + more
            seen += data.count(word)

    def reply(self) -> bytes:
        """Read until there is an answer, whatever it is; it has come alone."""
        data = self.sock.recv(1 << 16)
        assert data, "the bus hung up"
        return data

    def is_hung_up(self) -> bool:
        """Read until the bus ends the connection, or nothing comes any more."""
        self.sock.settimeout(0.5)
        try:
            while self.sock.recv(1 << 16):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def _until(self, word: bytes) -> None:
        data = b""
        while word not in data:
            more = self.sock.recv(1 << 16)
            assert more, f"the bus said {data!r}"
            data += more


def _to_bus(member: bytes) -> list[Field]:
    name = b"org.freedesktop.DBus"
    return fields(path=b"/org/freedesktop/DBus", interface=name, destination=name, member=member)
