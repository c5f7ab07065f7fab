"""Answers of a container runtime's API: HTTP/1.1, as bytes come in.

No library of Debian's does this without a loop of its own but h11, and of HTTP only this is needed: a status, and a
body that is chunked, of a known length, or ends with the connection. What is longer than allowed is refused, a bound
that h11 would still have to be given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

LONGEST_HEAD = 65536
"""Bytes of a status line and headers, and of a chunk's size."""
LONGEST = 16 << 20
"""Bytes of a document, and of a line of a stream."""


class HttpError(Exception):
    """The other side's answer cannot be used."""


class NotFoundError(HttpError):
    """It does not know what was asked for."""


def request(path: str, filters: dict[str, list[str]] | None = None) -> bytes:
    """Return a request for one answer, after which the connection ends."""
    query = f"?filters={quote(json.dumps(filters, separators=(',', ':')))}" if filters else ""
    return f"GET {quote(path)}{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii")


class Body:
    """Takes in an answer's bytes, and gives those of its body. Raises HttpError also for a status other than 200."""

    def __init__(self) -> None:
        self._raw = b""
        self._has_head = False
        self._chunked = False
        self._left = -1
        """Bytes that are left of the body, or of the chunk; -1 where that is not known."""
        self.is_complete = False

    def feed(self, data: bytes) -> bytes:
        """Return what this adds to the body; no data is the end of the connection. Raises HttpError."""
        self._raw += data
        if not self._has_head and not self._take_head():
            if not data:
                raise HttpError("the connection has ended before an answer")
            return b""
        body = b"".join(self._chunks()) if self._chunked else self._plain()
        if not data and not self.is_complete:
            if self._chunked or self._left >= 0:
                raise HttpError("the connection has ended within an answer")
            self.is_complete = True
        return body

    def _take_head(self) -> bool:
        head, end, rest = self._raw.partition(b"\r\n\r\n")
        if len(head) > LONGEST_HEAD:
            raise HttpError("an endless head")
        if not end:
            return False
        status, *lines = head.split(b"\r\n")
        words = status.split(b" ", 2)
        if len(words) < 2 or words[0] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise HttpError(f"no answer of HTTP: {status[:60]!r}")
        if words[1] != b"200":
            kind = NotFoundError if words[1] == b"404" else HttpError
            raise kind(f"it answers {status[9:69].decode('utf-8', 'replace')}")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._has_head, self._raw = True, rest
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        if not self._chunked and b"content-length" in headers:
            self._left = _number(headers[b"content-length"], 10)
        return True

    def _plain(self) -> bytes:
        body = self._raw if self._left < 0 else self._raw[: self._left]
        self._raw = b""
        if self._left >= 0:
            self._left -= len(body)
            self.is_complete = not self._left
        return body

    def _chunks(self) -> Iterator[bytes]:
        while not self.is_complete:
            if self._left < 0 and not self._take_size():
                return
            if len(self._raw) < self._left + 2:
                if self._left > LONGEST:
                    raise HttpError("an endless chunk")
                return
            if self._raw[self._left : self._left + 2] != b"\r\n":
                raise HttpError("a chunk of another length than it says")
            chunk, self._raw = self._raw[: self._left], self._raw[self._left + 2 :]
            self.is_complete, self._left = not self._left, -1
            yield chunk

    def _take_size(self) -> bool:
        line, end, rest = self._raw.partition(b"\r\n")
        if len(line) > LONGEST_HEAD:
            raise HttpError("an endless line")
        if not end:
            return False
        self._left, self._raw = _number(line.partition(b";")[0].strip(), 16), rest
        return True


class Lines:
    """Takes in a stream's bytes, and gives the documents in it, one a line."""

    def __init__(self) -> None:
        self._raw = b""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the documents that are complete now. Raises HttpError."""
        *lines, self._raw = (self._raw + data).split(b"\n")
        if len(self._raw) > LONGEST:
            raise HttpError("an endless line")
        for line in lines:
            if line.strip():
                yield document(line)


def document(data: bytes) -> Any:
    """Parse a document. Raises HttpError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise HttpError(f"no JSON: {data[:60]!r}") from error


def _number(text: bytes, base: int) -> int:
    """Parse a length; int() takes signs and underscores, too. Raises HttpError."""
    if not 0 < len(text) <= 16 or not text.isalnum():
        raise HttpError(f"no length: {text[:60]!r}")
    try:
        return int(text, base)
    except ValueError as error:
        raise HttpError(f"no length: {text[:60]!r}") from error
