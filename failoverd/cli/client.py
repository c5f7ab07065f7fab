"""A client of the daemon's control socket.

It does not use D-Bus: the socket exists before the bus, and one line of JSON each way needs no library. Both come from
one table of calls (core/calls.py) and one status document.

It imports nothing that makes a start slower: the plain `_socket`, and JSON by its C part.
"""

from __future__ import annotations

import _socket
import errno
import struct
import time

from failoverd.cli.quick import encoded, environ, loads, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CONTROL = "/run/failoverd/control"
PATIENCE = 10.0
"""Seconds to wait for the daemon's answer. The daemon gives itself 8."""
LONGEST = 1 << 26
"""Bytes beyond which a line is not taken for an answer."""
OK = b'{"ok": '
"""The beginning of an answer that has a document."""
UNIT = "failoverd.service"
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


class NoDaemonError(Exception):
    """No daemon answers on the control socket, or not as failoverd does."""


class NotDoneError(Exception):
    """The call was not carried out; the text says why and what to do, `kind` is one word for programs."""

    def __init__(self, text: str, kind: str = "Failed") -> None:
        super().__init__(text)
        self.kind = kind


def call(name: str, *arguments: str, patience: float = 0.0) -> dict[str, Any]:
    """Call the daemon; `patience` is in seconds, PATIENCE if it is 0. Raises NoDaemonError and NotDoneError."""
    return _document(name, _ask(name, arguments, patience))


def plain_call(name: str, *arguments: str) -> bytes:
    """The same, but return the document as the daemon wrote it: JSON, which may have megabytes."""
    line = _ask(name, arguments, 0.0)
    if not (line.startswith(OK) and line.endswith(b"}")):
        _document(name, line)
        raise NoDaemonError(f"{control()} answered what is no answer: {line[:40]!r}")
    return line[len(OK) : -1]


def _ask(name: str, arguments: Sequence[str], patience: float) -> bytes:
    """Return the line that the daemon answers with."""
    path = control()
    patience = patience or PATIENCE
    request = f'{{"call": {quote(name)}, "arguments": [{", ".join(map(quote, arguments))}]}}\n'
    try:
        return _exchange(path, request.encode(), patience)
    except (BlockingIOError, TimeoutError) as error:
        raise NoDaemonError(
            f"no answer at {path} for {patience:g} s: failoverd is there and does not get to it. What it has not begun "
            "by now it will not begin; what it has may still come true. See systemctl status failoverd, and restart it "
            "if it stays like that, which touches no traffic"
        ) from error
    except PermissionError as error:
        raise NotDoneError(f"{path}: {error.strerror}; try it as root", "AccessDenied") from error
    except OSError as error:
        raise NoDaemonError(f"no failoverd answers at {path} ({error.strerror or error}); {_advice(error)}") from error


def control() -> str:
    """Return the path of the control socket."""
    return environ("FAILOVERD_CONTROL", CONTROL)


def _exchange(path: str, request: bytes, patience: float) -> bytes:
    """Send one line and return one line."""
    deadline = time.monotonic() + patience
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        # A socket with Python's timeout is non-blocking, and would not wait for its turn when many connect at once.
        wait = struct.pack("@ll", int(patience), round(patience % 1 * 1e6))
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, wait)
        sock.connect(encoded(path))
        sock.settimeout(patience)
        _send(sock, request)
        return _line(sock, deadline)
    finally:
        sock.close()


def _send(sock: _socket.socket, request: bytes) -> None:
    """Send the request. A daemon that refuses at once may close the socket before it has read the line."""
    try:
        sock.sendall(request)
    except BrokenPipeError:
        return


def _line(sock: _socket.socket, deadline: float) -> bytes:
    """Return what arrives up to the first newline, or to the end. `deadline` is for the whole line, so single bytes now
    and then do not extend it."""
    data = bytearray()
    while len(data) < LONGEST:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        try:
            part = sock.recv(1 << 16)
        except ConnectionResetError:
            break
        data += part
        if not part or b"\n" in part:
            break
    return bytes(data.partition(b"\n")[0])


def _advice(error: OSError) -> str:
    """Return what to do when no daemon listens."""
    import os

    if error.errno in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTDIR):
        if any(os.path.exists(f"{directory}/{UNIT}") for directory in UNITS):  # noqa: PTH110
            return "systemctl start failoverd, and systemctl status failoverd if that does not help"
        return f"there is no {UNIT}, either: install the package, or see failoverctl install-service --help"
    return "FAILOVERD_CONTROL says where its control socket is, if not at " + CONTROL


def _document(name: str, line: bytes) -> dict[str, Any]:
    try:
        return _read(loads(line.decode()))
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        what = f"what is no answer: {line[:40]!r}" if line else f"nothing; whether {name} was done, its log tells"
        raise NoDaemonError(f"{control()} answered {what}; see systemctl status failoverd, and restart it") from error


def _read(answer: Any) -> dict[str, Any]:
    if "error" in answer:
        raise NotDoneError(str(answer["error"]["text"]), str(answer["error"].get("kind", "Failed")))
    document = answer["ok"]
    if not isinstance(document, dict):
        raise TypeError
    return document
