"""What the daemon and the doorkeeper say to each other: one JSON document a datagram, on SOCK_SEQPACKET.

A connection watches, opens or sets.

    {"watch": [[by, value, create, started], ...], "more": false}     the whole set of references, in one or more pieces
    {"found": [[by, value, create, nsid, epoch, started], ...]}       what they lead to, and later what has changed
    {"absent": [[by, value, create, reason, detail], ...]}

    {"open": [by, value, create], "nsid": 3, "epoch": 17}             asks for a socket inside, if it leads there
    {"opened": true}                                                  with two files: a netlink socket, a namespace
    {"refused": [reason, detail]}

    {"set": [by, value, create], "nsid": 3, "epoch": 17, "ifindex": 5, "device": "ens3", "settings": [[name, value]]}
    {"written": [errno, ...]}                                         or refused, as above

What is set are per-device sysctls (model/settings.py): files that only a process inside can write.

`started` binds a reference to one process (its start time in the kernel's ticks, 0 for none): the daemon says again
what it was told, so that a doorkeeper that is started anew does not take a reused pid for the same process.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Setting
from failoverd.model.links import IFNAMSIZ
from failoverd.model.places import Absent, Place
from failoverd.model.settings import SYSCTLS

LARGEST = 65536
"""Bytes of a datagram."""
PIECE = 16384
"""Bytes of rows from which on a new datagram is begun. A row that follows is shorter than LARGEST less this."""
REFERENCES = 4096
"""References in a set."""
LONGEST = 1024
"""Characters of a reference's value. As JSON one takes at most six bytes."""
LONGEST_VALUE = 11
"""Characters of a sysctl's value: a number of 32 bits, with its sign."""
BY = ("name", "pid", "path", "container")

Started = Mapping[NamespaceRef, int]
"""The start times of the processes that references are bound to."""


class ProtocolError(Exception):
    """The other side sent what is not in the protocol."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A piece of the set of references that are to be watched from now on."""

    references: tuple[NamespaceRef, ...]
    started: Started
    more: bool
    """Whether another piece of the same set follows."""


@dataclass(frozen=True, slots=True)
class Open:
    """The wish for a socket inside of a namespace, if the reference still leads there."""

    reference: NamespaceRef
    place: Place


@dataclass(frozen=True, slots=True)
class Set:
    """The wish to write sysctls of one device in a namespace, if the reference still leads there."""

    reference: NamespaceRef
    place: Place
    ifindex: int
    device: str
    """The device's name. Nothing is written where another device has it."""
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A namespace, and the start time of the process that the reference is bound to; 0 for none."""

    place: Place
    started: int = 0


Finding = Found | Absent
"""What a reference leads to."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What references lead to."""

    by_reference: Mapping[NamespaceRef, Finding]


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer that comes with the files."""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a Set: an errno for each setting, 0 for done."""

    numbers: tuple[int, ...]


Request = Watch | Open | Set
Answer = Findings | Opened | Written | Absent


def pack_watch(references: Collection[NamespaceRef], started: Started) -> list[bytes]:
    """Return the datagrams that ask to watch these references, and no others from then on."""
    pieces = list(_pieces([*_words(one), started.get(one, 0)] for one in references)) or [[]]
    last = len(pieces) - 1
    return [_document(watch=piece, more=number < last) for number, piece in enumerate(pieces)]


def pack_open(reference: NamespaceRef, place: Place) -> bytes:
    """Return the datagram that asks for a socket in this namespace."""
    return _document(open=_words(reference), nsid=place.nsid, epoch=place.epoch)


def pack_set(request: Set) -> bytes:
    """Return the datagram that asks to write sysctls."""
    place, what = request.place, [list(setting) for setting in request.settings]
    where = {"nsid": place.nsid, "epoch": place.epoch, "ifindex": request.ifindex, "device": request.device}
    return _document(set=_words(request.reference), **where, settings=what)


def pack_written(written: Written) -> bytes:
    """Return the datagram that answers it."""
    return _document(written=list(written.numbers))


def pack_findings(findings: Mapping[NamespaceRef, Finding]) -> list[bytes]:
    """Return the datagrams that tell what references lead to."""
    found, absent = [], []
    for reference, what in findings.items():
        if isinstance(what, Found):
            found.append([*_words(reference), what.place.nsid, what.place.epoch, what.started])
        else:
            absent.append([*_words(reference), what.reason, what.detail[:LONGEST]])
    return [_document(found=piece) for piece in _pieces(found)] + [_document(absent=piece) for piece in _pieces(absent)]


def pack_opened() -> bytes:
    """Return the datagram that goes with the files."""
    return _document(opened=True)


def pack_refused(why: Absent) -> bytes:
    """Return the datagram that refuses to open a namespace."""
    return _document(refused=[why.reason, why.detail[:LONGEST]])


def read_request(data: bytes) -> Request:
    """Parse what a client sent. Raises ProtocolError."""
    match _parsed(data):
        case {"watch": list(rows), "more": bool(more), **rest} if not rest:
            started = dict(map(_bound, rows))
            return Watch(tuple(started), {one: when for one, when in started.items() if when}, more)
        case {"open": list(words), "nsid": int(nsid), "epoch": int(epoch), **rest} if not rest:
            return Open(_reference(words), Place(_number(nsid), _number(epoch)))
        case {
            "set": list(words),
            "nsid": int(nsid),
            "epoch": int(epoch),
            "ifindex": int(ifindex),
            "device": str(device),
            "settings": list(rows),
            **rest,
        } if not rest:
            place = Place(_number(nsid), _number(epoch))
            return Set(_reference(words), place, _number(ifindex), _device(device), tuple(map(_setting, rows)))
        case other:
            raise ProtocolError(f"no request: {str(other)[:80]}")


def read_answer(data: bytes) -> Answer:
    """Parse what the doorkeeper sent. Raises ProtocolError."""
    match _parsed(data):
        case {"found": list(rows), **rest} if not rest:
            return Findings(dict(map(_found, rows)))
        case {"absent": list(rows), **rest} if not rest:
            return Findings(dict(map(_absent, rows)))
        case {"opened": True, **rest} if not rest:
            return Opened()
        case {"written": list(numbers), **rest} if not rest and all(isinstance(number, int) for number in numbers):
            return Written(tuple(map(_number, numbers)))
        case {"refused": [str(reason), str(detail)], **rest} if not rest:
            return Absent(reason, detail)
        case other:
            raise ProtocolError(f"no answer: {str(other)[:80]}")


def _document(**members: Any) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def _pieces(rows: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    """Yield the rows in pieces that fit into a datagram."""
    piece: list[list[Any]] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += len(json.dumps(row))
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _words(reference: NamespaceRef) -> list[Any]:
    return [reference.by, reference.value, reference.create]


def _parsed(data: bytes) -> Any:
    if len(data) > LARGEST:
        raise ProtocolError(f"a message of more than {LARGEST} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {data[:80]!r}") from error


def _reference(words: Any) -> NamespaceRef:
    match words:
        case [str(by), str(value), bool(create)] if by in BY and 0 < len(value) <= LONGEST and "\0" not in value:
            return NamespaceRef(by, value, create)
        case _:
            raise ProtocolError(f"no reference: {str(words)[:80]}")


def _device(name: str) -> str:
    """Check a device's name, which becomes part of a path."""
    raw = name.encode("utf-8", "surrogatepass")
    if not 0 < len(raw) <= IFNAMSIZ or "/" in name or "\0" in name or name in (".", ".."):
        raise ProtocolError(f"no device: {name[:80]!r}")
    return name


def _setting(row: Any) -> Setting:
    match row:
        case [str(name), str(value)] if name in SYSCTLS and len(value) <= LONGEST_VALUE:
            if value.removeprefix("-").isascii() and value.removeprefix("-").isdigit():
                return name, value
    raise ProtocolError(f"no sysctl: {str(row)[:80]}")


def _number(value: int) -> int:
    """Check a number that the kernel has given; it has none beyond 64 bits. A bool is none."""
    if isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ProtocolError(f"no number: {str(value)[:80]}")
    return value


def _bound(row: Any) -> tuple[NamespaceRef, int]:
    match row:
        case [*words, int(started)]:
            return _reference(words), _number(started)
        case _:
            raise ProtocolError(f"no reference: {str(row)[:80]}")


def _found(row: Any) -> tuple[NamespaceRef, Finding]:
    match row:
        case [*words, int(nsid), int(epoch), int(started)]:
            return _reference(words), Found(Place(_number(nsid), _number(epoch)), _number(started))
        case _:
            raise ProtocolError(f"nothing found: {str(row)[:80]}")


def _absent(row: Any) -> tuple[NamespaceRef, Finding]:
    match row:
        case [*words, str(reason), str(detail)]:
            return _reference(words), Absent(reason, detail)
        case _:
            raise ProtocolError(f"nothing absent: {str(row)[:80]}")
