"""HTTP's answers as they come in, whole and in pieces, and those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.netns.http import LONGEST, LONGEST_HEAD, Body, HttpError, Lines, NotFoundError, document, request

HEAD = b"HTTP/1.1 200 OK\r\nServer: Docker\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes) -> bytes:
    """The body of an answer that comes in these pieces and ends with the connection."""
    body = Body()
    found = b"".join(body.feed(piece) for piece in pieces)
    if not body.is_complete:
        found += body.feed(b"")
    assert body.is_complete
    return found


def chunks(*texts: bytes) -> bytes:
    return b"".join(b"%X;name=value\r\n%s\r\n" % (len(text), text) for text in (*texts, b""))


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 4\r\n\r\nbody",
        HEAD + b"content-length:4\r\n\r\nbody and more",
        HEAD + b"\r\nbody",
        b"HTTP/1.0 200\r\n\r\nbody",
        CHUNKED + chunks(b"bo", b"dy"),
    ],
)
@given(st.data())
def test_a_body_is_the_same_however_it_is_cut(answer: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(1, len(answer) - 1), unique=True, max_size=8)))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    if answer.endswith(b"more"):
        pieces = [answer]
    assert read(*pieces) == b"body"


def test_an_empty_body() -> None:
    assert read(HEAD + b"Content-Length: 0\r\n\r\n") == b""
    assert read(CHUNKED + chunks()) == b""


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b""], "ended before an answer"),
        ([HEAD, b""], "ended before an answer"),
        ([HEAD + b"Content-Length: 5\r\n\r\nbody", b""], "ended within an answer"),
        ([CHUNKED + b"4\r\nbo", b""], "ended within an answer"),
        ([b"SSH-2.0-x\r\n\r\n"], "no answer of HTTP"),
        ([b"HTTP/2 200\r\n\r\n"], "no answer of HTTP"),
        ([b"HTTP/1.1\r\n\r\n"], "no answer of HTTP"),
        ([b"HTTP/1.1 500 Server Error\r\n\r\n"], "it answers 500 Server Error"),
        ([b"x" * (LONGEST_HEAD + 1)], "an endless head"),
        ([HEAD + b"Content-Length: -1\r\n\r\n"], "no length"),
        ([HEAD + b"Content-Length: 1_0\r\n\r\n"], "no length"),
        ([HEAD + b"Content-Length: \r\n\r\n"], "no length"),
        ([HEAD + b"Content-Length: abc\r\n\r\n"], "no length"),
        ([CHUNKED + b"xyz\r\n"], "no length"),
        ([CHUNKED + b"2\r\nbody\r\n"], "another length than it says"),
        ([CHUNKED + b"f" * (LONGEST_HEAD + 1)], "an endless line"),
        ([CHUNKED + b"ffffffff\r\n"], "an endless chunk"),
    ],
)
def test_what_is_no_answer_is_refused(pieces: list[bytes], words: str) -> None:
    body = Body()
    for piece in pieces[:-1]:
        body.feed(piece)
    with pytest.raises(HttpError, match=words):
        body.feed(pieces[-1])


def test_what_is_not_there_is_told_apart() -> None:
    with pytest.raises(NotFoundError, match="404 Not Found"):
        Body().feed(b"HTTP/1.1 404 Not Found\r\n\r\n")


def test_a_stream_is_documents_one_a_line() -> None:
    lines = Lines()
    assert list(lines.feed(b'{"a":1}\n\n{"b"')) == [{"a": 1}]
    assert list(lines.feed(b":2}\n[")) == [{"b": 2}]
    with pytest.raises(HttpError, match="no JSON"):
        list(lines.feed(b"\n"))
    with pytest.raises(HttpError, match="an endless line"):
        list(Lines().feed(b" " * (LONGEST + 1)))
    with pytest.raises(HttpError, match="no JSON"):
        document(b"[" * 100000)


def test_a_request_asks_for_one_answer() -> None:
    assert request("/containers/json").startswith(b"GET /containers/json HTTP/1.1\r\nHost: localhost\r\n")
    asked = request("/events", {"type": ["container"]})
    assert b"GET /events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D HTTP/1.1\r\n" in asked
    assert asked.endswith(b"Connection: close\r\n\r\n")
