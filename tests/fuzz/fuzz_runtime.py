"""Answers of container runtimes: HTTP as it comes in, cut anywhere, and the documents and events in it. Each is refused
with a documented error or read, and a body is the same however the connection cuts it.
"""

from __future__ import annotations

import contextlib
import json

from fuzzing import Harness

from failoverd.netns.containers import group_of, is_meant, parse, read_container, read_event, read_list
from failoverd.netns.http import Body, HttpError, Lines, document

WANTED = [
    parse(text) for text in ("label:role=web", "env:A=b", "name:web", f"id:{'a' * 12}", "pod:shop/cart", "machine:m")
]


def one(data: bytes) -> None:
    """See the module."""
    whole, pieces = _body([data]), _body([data[at : at + 1] for at in range(len(data))])
    assert whole == pieces
    with contextlib.suppress(HttpError):
        for event in Lines().feed(data):
            read_event(event)
    group_of(data.decode(errors="replace"))
    for text in {data, whole[0]}:
        _document(text)


def _body(pieces: list[bytes]) -> tuple[bytes, str]:
    """The body so far, and what was wrong."""
    body, found = Body(), b""
    try:
        for piece in [*(piece for piece in pieces if piece), b""]:
            if body.is_complete:
                break
            found += body.feed(piece)
    except HttpError as error:
        return b"", type(error).__name__
    return found, ""


def _document(data: bytes) -> None:
    try:
        parsed = document(data)
    except HttpError:
        return
    with contextlib.suppress(ValueError):
        for known in read_list(parsed):
            assert known.isalnum()
    with contextlib.suppress(ValueError):
        if container := read_container(parsed):
            assert container.pid > 0
            for wanted in WANTED:
                is_meant(wanted, container)


def seeds() -> list[bytes]:
    """What Docker and Podman answer."""
    known = "a" * 64
    state, config = {"Running": True, "Pid": 4711}, {"Labels": {"role": "web"}, "Env": ["A=b"]}
    described = {"Id": known, "Name": "/web", "State": state, "Config": config, "HostConfig": {"NetworkMode": "host"}}
    event = json.dumps({"Action": "die", "Actor": {"ID": known}}).encode() + b"\n"
    body = json.dumps(described).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return [
        head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(event), event),
        head.replace(b"200 OK", b"404 Not Found") + b'\r\n{"message":"no such container"}',
        b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps([{"Id": known}]).encode(),
        body,
        event,
        f"0::/system.slice/docker-{known}.scope\n0::/machine.slice/systemd-nspawn@m.service/payload".encode(),
    ]


WORDS = (
    b"\r\n",
    b"\r\n\r\n",
    b"Content-Length: ",
    b"chunked",
    b"ffffffff",
    b"-1",
    b"0_1",
    b"+1",
    b'"Pid":',
    b"null",
    b"died",
)

HARNESS = Harness("runtime", one, seeds, WORDS)
