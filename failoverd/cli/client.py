"""Talking to the daemon over its control socket."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

PATIENCE = 10.0
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
            sock.settimeout(PATIENCE)
            sock.connect(path)
            sock.sendall(request)
            answer = json.loads(_all(sock))
    except (OSError, ValueError) as error:
        raise NoDaemonError(f"no failoverd answers at {path} ({error}); systemctl start failoverd") from error
    if "error" in answer:
        raise RefusedError(str(answer["error"]["text"]))
    document: dict[str, Any] = answer["ok"]
    return document


def _all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
