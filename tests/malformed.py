"""Messages to failoverd that are wrong in every way we could think of; also a script for a guest.

    python3 malformed.py SOCKET ROUNDS        prints how many reached failoverd, and were dealt with when this ends

A bus passes on what it can read, and ends the connection of whoever sends what it cannot. Both are here.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

from rawbus import ERROR, RETURN, SIGNAL, Field, RawBus, fields, text

NAME, ROOT, MANAGER = b"org.failoverd1", b"/org/failoverd1", b"org.failoverd1.Manager"
PROPERTIES = b"org.freedesktop.DBus.Properties"
Sent = tuple[list[Field], bytes, dict[str, int | str]]


def call(member: bytes, signature: bytes = b"", body: bytes = b"", **how: int | str) -> Sent:
    """A call of the manager's."""
    return at(ROOT, MANAGER, member, signature, body, **how)


def at(
    path: bytes, interface: bytes, member: bytes, signature: bytes = b"", body: bytes = b"", **how: int | str
) -> Sent:
    """A call."""
    header = fields(path=path, interface=interface, member=member, destination=NAME)
    return header + (fields(signature=signature) if signature else []), body, how


def nested(depth: int) -> bytes:
    """A variant in a variant in a variant, and a byte in the last."""
    return b"\1v\0" * (depth - 1) + b"\1y\0\7"


REACH_THE_DAEMON: dict[str, Sent] = {
    "unknown method": call(b"Explode"),
    "unknown interface": at(ROOT, b"org.example.Nothing", b"Explain", b"s", text(b"")),
    "unknown object": at(b"/org/failoverd1/nowhere", MANAGER, b"Explain", b"s", text(b"")),
    "the root": at(b"/", MANAGER, b"Explain", b"s", text(b"")),
    "no interface": (fields(path=ROOT, member=b"Nothing", destination=NAME), b"", {}),
    "no arguments": call(b"Explain"),
    "a number for a text": call(b"Explain", b"u", struct.pack("<I", 1)),
    "two texts": call(b"Explain", b"ss", text(b"abc") + text(b"")),
    "a long text": call(b"Explain", b"s", text(b"x" * 5000)),
    "a huge text": call(b"Explain", b"s", text(b"x" * (1 << 20))),
    "a huge array": call(b"Explain", b"ay", struct.pack("<I", 1 << 18) + bytes(1 << 18)),
    "variants in variants": call(b"Explain", b"v", nested(60)),
    "big-endian, wrong": call(b"Explain", b"u", struct.pack(">I", 1), order=">"),
    "flags that mean nothing": call(b"Explode", flags=0xF8),
    "no reply wanted": call(b"Explode", flags=1),
    "a long member": call(b"M" * 255),
    "odd bytes in a name": call(b"Explain", b"s", text("\ufffe\u202e\U0010ffff".encode())),
    "a property that is none": at(ROOT, PROPERTIES, b"Get", b"ss", text(MANAGER) + b"\0" + text(b"Nothing")),
    "a property to be set": at(ROOT, PROPERTIES, b"Set", b"ssv", text(MANAGER) + b"\0" + text(b"Version") + b"\1y\0\1"),
    "an empty interface": at(ROOT, PROPERTIES, b"GetAll", b"s", text(b"")),
    "a signal to us": (
        fields(path=ROOT, interface=MANAGER, member=b"LinkRenamed", destination=NAME),
        b"",
        {"kind": SIGNAL},
    ),
    "a rename to nonsense": call(b"RenameLink", b"ss", text(b"no such nic") + text(b"a/b%d \n")),
    "a rename of nothing": call(b"RenameLink", b"ss", text(b"") + bytes(3) + text(b"")),
}
"""What a bus delivers: by what is wrong, the header, the body, and what else is odd."""

COST_THE_CONNECTION: dict[str, Sent] = {
    "text that is no UTF-8": call(b"Explain", b"s", text(b"\xff\xfe")),
    "a NUL in a text": call(b"Explain", b"s", text(b"a\0b")),
    "no path": (fields(interface=MANAGER, member=b"Explain", destination=NAME), b"", {}),
    "no member": (fields(path=ROOT, interface=MANAGER, destination=NAME), b"", {}),
    "a path that is none": at(b"org//failoverd1/", MANAGER, b"Explain"),
    "a member that is none": call(b"Ex.plain"),
    "a signature that is none": call(b"Explain", b"(((", b""),
    "more body than it says": call(b"Explain", b"s", text(b"abc") + b"more"),
    "less body than it says": call(b"Explain", b"s", b"\xff\0\0\0abc\0"),
    "a length beyond every bound": call(b"Explain", b"s", b"", length=0x7FFFFFFF),
    "another version of D-Bus": call(b"Explain", version=9),
    "the serial 0": call(b"Explain", serial=0),
    "a kind that is none": call(b"Explain", kind=0),
    "an answer to nothing": (fields(destination=NAME), b"", {"kind": RETURN}),
    "an error without a name": (fields(destination=NAME, reply_serial=1), b"", {"kind": ERROR}),
    "variants without end": call(b"Explain", b"v", nested(200)),
}
"""What makes a bus hang up on its sender."""


def send_a_file(path: str) -> None:
    """Call a method with a file descriptor in it; failoverd has not agreed to take any."""
    with RawBus(path, with_files=True) as client, Path(os.devnull).open("rb") as file:
        header, body, _ = call(b"Explain", b"h", bytes(4))
        client.send_file(header + fields(unix_fds=1), body, file.fileno())
        client.count(b"Error", 1)


def main(path: str, rounds: int) -> None:
    """Send all of it so many times. It is worked through in its order, so the last answer is behind the rest."""
    reached = 0
    for _ in range(rounds):
        with RawBus(path) as client:
            for header, body, how in REACH_THE_DAEMON.values():
                client.send(header, body, **how)
                reached += 1
            header, body, _ = at(ROOT, b"org.freedesktop.DBus.Introspectable", b"Introspect")
            client.send(header, body)
            client.count(b"</node>", 1)
        for header, body, how in COST_THE_CONNECTION.values():
            with RawBus(path) as client:
                client.send(header, body, **how)
        send_a_file(path)
    print(reached)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
