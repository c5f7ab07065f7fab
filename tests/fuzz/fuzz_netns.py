"""Datagrams between failoverd and failoverd-netns, in both directions: each is refused, or says the same when it is
packed again. The doorkeeper is root, and what the service's user sends is not trusted.
"""

from __future__ import annotations

from fuzzing import Harness

from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent, Place
from failoverd.netns.protocol import (
    Findings,
    Found,
    Open,
    ProtocolError,
    Set,
    Watch,
    Written,
    pack_findings,
    pack_open,
    pack_opened,
    pack_refused,
    pack_set,
    pack_watch,
    pack_written,
    read_answer,
    read_request,
)
from failoverd.netns.references import file_of, pid_of

RED = NamespaceRef("name", "red", create=True)


def one(data: bytes) -> None:
    """See the module."""
    _request(data)
    _answer(data)


def _request(data: bytes) -> None:
    try:
        request = read_request(data)
    except ProtocolError:
        return
    if isinstance(request, Open):
        assert read_request(pack_open(request.reference, request.place)) == request
        return
    if isinstance(request, Set):
        assert read_request(pack_set(request)) == request
        assert "/" not in request.device
        return
    again = [read_request(piece) for piece in pack_watch(request.references, request.started)]
    watches = [piece for piece in again if isinstance(piece, Watch)]
    assert tuple(reference for piece in watches for reference in piece.references) == request.references
    for reference in request.references:
        pid_of(reference)
        path = file_of(reference)
        assert path is None or path.is_absolute()


def _answer(data: bytes) -> None:
    try:
        answer = read_answer(data)
    except ProtocolError:
        return
    if isinstance(answer, Findings):
        pieces = [read_answer(piece) for piece in pack_findings(answer.by_reference)]
        found = {
            one: what for piece in pieces if isinstance(piece, Findings) for one, what in piece.by_reference.items()
        }
        assert found.keys() == answer.by_reference.keys()
    elif isinstance(answer, Written):
        assert read_answer(pack_written(answer)) == answer
    elif isinstance(answer, Absent):
        assert isinstance(read_answer(pack_refused(answer)), Absent)


def seeds() -> list[bytes]:
    """What the two send."""
    references = [RED, NamespaceRef("pid", "4711"), NamespaceRef("path", "/proc/1/task/2/ns/net")]
    references.append(NamespaceRef("container", "label:role=web"))
    return [
        *pack_watch(references, {references[1]: 815}),
        pack_open(RED, Place(3, 17)),
        pack_set(Set(RED, Place(3, 17), 5, "ens3", (("ipv6/accept_ra", "0"),))),
        pack_written(Written((0, 13))),
        *pack_findings({RED: Found(Place(3, 17)), references[1]: Absent("process-gone", "process 4711 has ended")}),
        pack_opened(),
        pack_refused(Absent("pid-reused", "declare it anew")),
    ]


WORDS = (
    b'"watch"',
    b'"open"',
    b'"set"',
    b'"settings"',
    b'"ipv4/rp_filter"',
    b'"more":true',
    b'"name"',
    b'"path"',
    b'"../x"',
    b'"\\u0000"',
    b"-1",
    b"1e3",
    b"[[",
    b"true",
)

HARNESS = Harness("netns", one, seeds, WORDS)
