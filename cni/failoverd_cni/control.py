"""A client of failoverd's control socket: one line of JSON each way (failoverd's daemon/control.py)."""

from __future__ import annotations

import _socket
import errno
import struct
import time

from failoverd_cni import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATIENCE = 2.0
"""Seconds for an answer."""
LONGER = 5.0
"""The same where a pod waits for it. failoverd loads what it needs for pods by the first of them."""
LONGEST = 1 << 26
"""Bytes beyond which a line is no answer."""
BUSY, PAUSE = "Busy", 0.02
"""The kind of refusal of a daemon that serves as many clients as it can; seconds until the next try."""


class NoDaemonError(Exception):
    """No daemon answers. `may_run` says whether one may be there all the same."""

    def __init__(self, text: str, *, may_run: bool) -> None:
        super().__init__(text)
        self.may_run = may_run


class RefusedCallError(Exception):
    """The daemon will not do it; the text is its own, `kind` one word for programs."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


def ask(path: str, call: str, *arguments: str, patience: float = 0) -> dict[str, Any]:
    """Call the daemon, with so much patience in seconds, or PATIENCE. Returns its document. Raises NoDaemonError and
    RefusedCallError."""
    patience = patience or PATIENCE
    request = (fastjson.dumps({"call": call, "arguments": list(arguments)}) + "\n").encode()
    deadline = time.monotonic() + patience
    while True:
        try:
            return _document(path, _exchange(path, request, deadline, patience))
        except RefusedCallError as error:
            if error.kind != BUSY:
                raise
            if time.monotonic() + PAUSE > deadline:
                raise NoDaemonError(f"failoverd at {path}: {error}", may_run=True) from None
        time.sleep(PAUSE)


def _exchange(path: str, request: bytes, deadline: float, patience: float) -> bytes:
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        # With Python's own timeout a socket does not wait for its turn where many connect at once.
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, struct.pack("@ll", int(patience), 0))
        sock.connect(path)
        return _answer(sock, request, deadline)
    except (BlockingIOError, TimeoutError):
        text = f"failoverd does not answer at {path} for {patience:g} s; see systemctl status failoverd"
        raise NoDaemonError(text, may_run=True) from None
    except OSError as error:
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
        text = f"no failoverd answers at {path} ({error.strerror}); systemctl start failoverd"
        raise NoDaemonError(text, may_run=not gone) from None
    finally:
        sock.close()


def _answer(sock: _socket.socket, request: bytes, deadline: float) -> bytes:
    """Send the line and return what comes, up to its end."""
    data = bytearray()
    try:
        sock.sendall(request)
    except BrokenPipeError:
        # A daemon that has no room answers before it has read.
        data.clear()
    while len(data) < LONGEST and not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        part = sock.recv(1 << 16)
        if not part:
            break
        data += part
    return bytes(data)


def _document(path: str, line: bytes) -> dict[str, Any]:
    try:
        answer = fastjson.loads(line.decode())
        if "error" in answer:
            raise RefusedCallError(str(answer["error"]["text"]), str(answer["error"]["kind"]))
        document = answer["ok"]
        if isinstance(document, dict):
            return document
    except (LookupError, TypeError, ValueError, RecursionError):
        pass
    raise NoDaemonError(f"{path} answered what is no answer of failoverd's: {line[:40]!r}", may_run=True)
