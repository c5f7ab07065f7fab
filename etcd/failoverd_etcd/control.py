"""The service's own socket: one line of JSON in, one line out, as the daemon's control socket.

`status` any user may ask; `accept` is root's, by the peer's credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from failoverd.cli.commands import NO_DAEMON, NOT_PERMITTED, REFUSED
from failoverd_etcd.commands import CommandError

log = logging.getLogger("failoverd-etcd")

USUAL = "/run/failoverd-etcd/control"
LINE = 1 << 17
"""Longest request, in bytes: an order may name a thousand links."""
PATIENCE = 5.0
CLIENTS = 16

Calls = dict[str, tuple[bool, Callable[[Sequence[str]], dict[str, Any]]]]
"""By name, whether a call is root's, and what carries it out; that raises ValueError with the answer."""


async def serve(path: Path, calls: Calls) -> None:
    """Serve until cancelled. Without the socket the service does its work all the same."""
    clients: set[asyncio.Task[None]] = set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(clients) < CLIENTS:
            clients.add(task)
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                async with asyncio.timeout(PATIENCE):
                    line = await reader.readline()
                    writer.write(json.dumps(answer(calls, line, _uid(writer))).encode() + b"\n")
                    await writer.drain()
        writer.close()
        clients.discard(task)

    try:
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(client, path, limit=LINE)
        path.chmod(0o666)
    except OSError as error:
        log.warning("%s: %s; failoverctl links accept cannot reach this service", path, error.strerror)
        return
    async with server:
        await server.serve_forever()


def answer(calls: Calls, line: bytes, uid: int) -> dict[str, Any]:
    """Return the answer to a line of a user's."""
    try:
        asked = json.loads(line)
        name, arguments = asked["call"], asked["arguments"]
        is_roots, run = calls[name]
        if not all(isinstance(word, str) for word in arguments):
            raise TypeError
    except (LookupError, TypeError, ValueError, RecursionError):
        return {"error": {"text": f"this is no call; there are {', '.join(calls)}", "kind": "Failed"}}
    if is_roots and uid not in (0, os.geteuid()):
        return {"error": {"text": f"{name} is root's; try it with sudo", "kind": "AccessDenied"}}
    try:
        return {"ok": run(arguments)}
    except ValueError as error:
        return {"error": {"text": str(error), "kind": "Failed"}}


def _uid(writer: asyncio.StreamWriter) -> int:
    """Return the user at the other end."""
    sock = writer.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("=iII"))
    return int(struct.unpack("=iII", credentials)[1])


def ask(call: str, *arguments: str) -> dict[str, Any]:
    """Ask the running service, and return its answer; blocks. Raises CommandError."""
    path = os.environ.get("FAILOVERD_ETCD_CONTROL", USUAL)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(path)
            sock.sendall(json.dumps({"call": call, "arguments": arguments}).encode() + b"\n")
            with sock.makefile("rb") as file:
                told = json.loads(file.readline())
    except (OSError, ValueError) as error:
        text = f"no failoverd-etcd answers at {path} ({error}); see systemctl status failoverd-etcd"
        raise CommandError(text, NO_DAEMON) from None
    if "error" in told:
        is_roots = told["error"]["kind"] == "AccessDenied"
        raise CommandError(str(told["error"]["text"]), NOT_PERMITTED if is_roots else REFUSED)
    return dict(told["ok"])
