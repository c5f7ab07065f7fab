"""Talking to the daemon over its control socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from typing import Any

PATIENCE = 10
"""Seconds to wait for the daemon's answer."""


class NoDaemonError(Exception):
    """Nobody answers on the control socket."""


class RefusedError(Exception):
    """The daemon answered that it will not; the text says why and what to do."""


def call(name: str, argument: str = "") -> dict[str, Any]:
    """Ask the daemon. Raises NoDaemonError and RefusedError."""
    path = os.environ.get("FAILOVERD_CONTROL", "/run/failoverd/control")
    request = json.dumps({"call": name, "argument": argument}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            # A socket with Python's timeout would not wait for its turn where many connect at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", PATIENCE, 0))
            sock.connect(path)
            sock.settimeout(PATIENCE)
            line = _ask(sock, request)
    except (BlockingIOError, TimeoutError) as error:
        raise NoDaemonError(f"no answer at {path} for {PATIENCE} s; see systemctl status failoverd") from error
    except OSError as error:
        raise NoDaemonError(f"no failoverd answers at {path} ({error}); systemctl start failoverd") from error
    try:
        return _document(json.loads(line))
    except (LookupError, TypeError, ValueError) as error:
        what = f"what is no answer: {line[:40]!r}" if line else "nothing"
        raise NoDaemonError(f"{path} answered {what}; systemctl restart failoverd") from error


def _ask(sock: socket.socket, request: bytes) -> bytes:
    """One line out, one line in. A daemon that refuses at once may not wait for our line."""
    with contextlib.suppress(BrokenPipeError):
        sock.sendall(request)
    line = bytearray()
    while not line.endswith(b"\n") and (part := sock.recv(1 << 16)):
        line += part
    return bytes(line)


def _document(answer: Any) -> dict[str, Any]:
    if "error" in answer:
        raise RefusedError(str(answer["error"]["text"]))
    document: dict[str, Any] = answer["ok"]
    return document
