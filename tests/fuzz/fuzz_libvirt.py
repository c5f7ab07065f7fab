"""Bytes of a client of libvirt's, up to what the daemon would be asked: each whole message is answered by a whole one,
or the connection ends.

After the bytes the client opens its connection and asks for the number of interfaces, which it must be told if nothing
before was an end or a part.
"""

from __future__ import annotations

from fuzzing import Harness
from libvirtclient import OPEN, call, error_of, number, replies, text

from failoverd.libvirt.calls import Knowledge, Session, answer, read
from failoverd.libvirt.errors import LibvirtError
from failoverd.libvirt.messages import ERROR, LONGEST, OK, BadMessageError, Inbox, Message, pong, reply_head
from failoverd.libvirt.rows import Rows

ROWS = Rows(1, [["eth0", True, "52:54:00:00:00:01"], ["v0", False, "52:54:00:00:00:02"], ["v1", True, ""]])


def one(data: bytes) -> None:
    """See the module."""
    session, inbox = Session(), Inbox()
    try:
        for message in inbox.feed(data):
            _one_answer(session, message)
        is_whole = not inbox.has_part
        answers = [_one_answer(session, message) for message in inbox.feed(call(1, OPEN) + call(126))]
    except BadMessageError:
        return
    if is_whole:
        assert answers[1] == (OK, number(2))


def _one_answer(session: Session, message: Message) -> tuple[int, bytes]:
    """The status and the payload of the answer. Raises BadMessageError."""
    if message.is_ping:
        (reply,) = replies(pong())
        return reply.status, reply.payload
    try:
        procedure, arguments = read(session, message)
        if procedure.needs_document:
            ROWS.named(arguments[0])
        status, payload = OK, answer(session, procedure, arguments, Knowledge(b"here", ROWS, b"<interface/>"))
    except LibvirtError as error:
        status, payload = ERROR, error.packed()
        error_of(payload)
    (reply,) = replies(reply_head(message, status, len(payload)) + payload)
    assert (reply.serial, reply.procedure, reply.payload) == (message.serial, message.procedure, payload)
    assert reply.version == message.version
    return status, payload


def seeds() -> list[bytes]:
    """What virsh sends."""
    named = text("eth0") + text("52:54:00:00:00:01")
    begin = call(66, serial=0) + call(60, number(10), 1) + call(1, OPEN, 2)
    return [
        begin + call(284, number(1) + number(3), 3) + call(156, named, 4) + call(2, serial=5),
        begin + call(128, text("eth0"), 3) + call(130, named + number(0), 4),
        begin + call(129, text("52:54:00:00:00:02"), 3) + call(127, number(16384), 4) + call(138, number(1), 5),
        begin + call(1, serial=0, program=0x6B656570, kind=2) + call(131, text("<interface/>") + number(0), 3),
        call(1, number(0) + number(0)) + call(110) + call(157) + call(59) + call(3) + call(149) + call(137),
    ]


WORDS = (
    *(number(value) for value in (0x20008086, 0x6B656570, 1, 28, 32, 66, 126, 127, 128, 129, 130, 156, 284)),
    *(number(LONGEST), number(LONGEST + 1), b"\xff\xff\xff\xff", text("eth0"), text(b"\xff"), OPEN),
)

HARNESS = Harness("libvirt", one, seeds, WORDS)
