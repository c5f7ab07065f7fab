"""What the bus sends, from its bytes to the answer's bytes.

The stream is cut into messages, each is read and answered from the objects of a machine with a pair. It may end the
connection (WireError), be passed over or refused; the answer can be sent, and read again.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Sequence

import malformed
import trio
from dbus_next import Message
from fuzz_control import machine
from fuzzing import Harness
from rawbus import ERROR, RETURN, build, fields, text

from failoverd.bus.connection import Connection
from failoverd.bus.dispatch import Asked, answer
from failoverd.bus.envelope import envelope, method_return, refusal
from failoverd.bus.interfaces import BusError
from failoverd.bus.tree import Tree
from failoverd.bus.wire import Reader, TooLongError, UnreadableError, WireError, marshal, read
from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.core.status import status
from failoverd.daemon.dbus import inventory
from failoverd.daemon.dbus.calls import DOINGS
from failoverd.daemon.dbus.interfaces import INTERFACES, INVENTORY, ROOT
from failoverd.daemon.dbus.objects import objects
from failoverd.inventory.answers import generation_only
from failoverd.inventory.facts import Interface, IpAddress
from failoverd.inventory.find import NotFoundError, find
from failoverd.inventory.questions import argument_error
from failoverd.inventory.rows import listed, row_of
from failoverd.inventory.stock import Stock
from failoverd.inventory.xml import lines_of

HELD = 1 << 14
"""Bytes that a reader may hold on to: less than a header and a body at their longest, and a piece."""
PIECE = 512


class Speeds:
    """For each slave, whatever is asked."""

    def __getitem__(self, _key: str) -> object:
        return lambda _ifindex: 10_000


STOCK = Stock()
for ifindex, name in ((3, "ens4"), (4, "x\udcff"), (5, "a&b")):
    STOCK.see(Interface(ifindex, name, mac="52:54:00:00:00:01", altnames=("é", "y\udcff")))
STOCK.set_addresses(3, [IpAddress(4, "10.0.0.2", 24), IpAddress(6, "2001:db8::2", 64)])
TREE = Tree(ROOT, INTERFACES)
STATE = machine()
TREE.replace(objects(status(STATE), Speeds()))  # type: ignore[arg-type]


def one(data: bytes) -> None:
    """See the module."""
    reader = Reader()
    taken: list[Message] = []
    connection = Connection("unix:path=/nowhere", lambda found: taken.append(_read(found)))
    with contextlib.suppress(WireError):
        for at in range(0, len(data), PIECE):
            for found in reader.feed(data[at : at + PIECE]):
                connection._take(found)
                if found.can_be_answered:
                    envelope(refusal(found, 1, b"org.example.Error", b"no"))
            assert len(reader._buffer) <= HELD


def _read(found: object) -> None:
    """As the desk does."""
    with contextlib.suppress(TooLongError, UnreadableError):
        call = read(found)  # type: ignore[arg-type]
        try:
            reply = _answered(call)
        except BusError as error:
            reply = Message.new_error(call, error.name, str(error).replace("\0", "\\0"))
        if isinstance(reply, bytes):
            _is_readable(reply)
        elif not call.flags & 1 and call.sender and call.serial:
            reply.serial = 1
            _is_readable(marshal(reply))


def _answered(call: Message) -> Message | bytes:
    found = answer(TREE, call)
    if isinstance(found, Asked) and found.interface == INVENTORY.name:
        return _told(call, found)
    if isinstance(found, Asked):
        doing = DOINGS[found.method.name]
        try:
            document = CALLS[doing.call].run(STATE, doing.arguments(found), 0.0).document
            values = doing.answer(document)
        except CallError as error:
            raise BusError("org.failoverd1.Error.Failed", str(error)) from error
        return Message.new_method_return(call, "".join(arg.signature for arg in found.method.gives), values)
    return Message.new_method_return(call, *found)


def _told(call: Message, asked: Asked) -> Message | bytes:
    """An answer of the inventory."""
    try:
        told = trio.run(inventory.answer, asked, _ask)
    except CallError as error:
        raise BusError("org.failoverd1.Error.Failed", str(error)) from error
    gives = "".join(arg.signature for arg in asked.method.gives)
    if isinstance(told, bytes):
        return method_return(b":1.9", 1, 1, gives.encode(), told)
    return Message.new_method_return(call, gives, told)


async def _ask(question: str, arguments: Sequence[str]) -> list[bytes]:
    """As a machine with interfaces of these names."""
    if why := argument_error(question, arguments):
        raise AssertionError(why)
    try:
        if question == "interface":
            entry = find(STOCK, arguments[1])
            text = "\n".join(lines_of(STOCK, entry))
            return [b"{", json.dumps(text).encode() if arguments[0] == "xml" else row_of(STOCK, entry), b"}"]
    except (NotFoundError, ValueError) as error:
        raise CallError(str(error)) from error
    return [b"{", *map(listed, STOCK.in_order()), b"}"] if arguments else [generation_only(7, True)]


def _is_readable(reply: bytes) -> None:
    """A bus would end our connection for what it cannot read."""
    (found,) = Reader().feed(reply)
    with contextlib.suppress(TooLongError):
        read(found)


def seeds() -> list[bytes]:
    """Each method of ours and of the standard's, and what is known to be malformed."""
    sender = fields(sender=b":1.7")
    known = [
        build(header + sender, body, **how)  # type: ignore[arg-type]
        for header, body, how in (*malformed.REACH_THE_DAEMON.values(), *malformed.COST_THE_CONNECTION.values())
        if len(body) < 8192
    ]
    of_bus = fields(sender=b"org.freedesktop.DBus", reply_serial=1)
    calls = [
        malformed.at(malformed.ROOT, b"org.freedesktop.DBus.Introspectable", b"Introspect"),
        malformed.at(malformed.ROOT, b"org.freedesktop.DBus.ObjectManager", b"GetManagedObjects"),
        malformed.at(malformed.ROOT, malformed.PROPERTIES, b"GetAll", b"s", text(malformed.MANAGER)),
        malformed.at(
            b"/org/failoverd1/master/52_54_00_aa_bb_cc", b"org.failoverd1.Master", b"Drain", b"u", struct.pack("<I", 60)
        ),
        malformed.at(
            b"/org/failoverd1/master/52_54_00_aa_bb_cc",
            b"org.failoverd1.Master",
            b"SwitchTo",
            b"o",
            text(b"/org/failoverd1/slave/3"),
        ),
        malformed.call(b"Explain", b"s", text(b"ens4")),
        malformed.call(b"RenameLink", b"ss", text(b"ens4") + bytes(3) + text(b"lan0")),
        malformed.call(b"Explain", b"s", text(b"")),
        malformed.call(b"Reload"),
        malformed.at(malformed.ROOT, malformed.PROPERTIES, b"GetAll", b"s", text(INVENTORY.name.encode())),
        malformed.at(malformed.ROOT, INVENTORY.name.encode(), b"List", b"u", struct.pack("<I", 2)),
        malformed.at(malformed.ROOT, INVENTORY.name.encode(), b"Describe", b"s", text(b"ens4")),
        malformed.at(malformed.ROOT, INVENTORY.name.encode(), b"XML", b"s", text(b"3")),
    ]
    return [
        *known,
        *(build(header + sender, body, **how) for header, body, how in calls),  # type: ignore[arg-type]
        build(of_bus + fields(signature=b"s"), text(b":1.5"), kind=RETURN),
        build(of_bus + fields(signature=b"s", error_name=b"a.b"), text(b"no"), kind=ERROR),
    ]


WORDS = (b"\1v\0", b"\1a\0", b"a{sv}", b"(", b")", b"\1o\0", b"\1g\0", b"l", b"B", text(b"x"), b"\xff\xff\xff\x7f")

HARNESS = Harness("dbus", one, seeds, WORDS, 8192)
