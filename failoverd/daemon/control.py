"""The control socket: one line of JSON in, one line out. `{"call": "explain", "arguments": ["ens3"]}`.

It is there before D-Bus is and when D-Bus is not. Everybody may read; what changes something is root's, told by the
peer's credentials (SO_PEERCRED). A client gets a bounded line and a bounded time, and a bounded number of them is
served at once: so many of root's and so many of everybody else's, for nobody may keep root out. The others are told so
and not kept waiting, as each that waits costs a file descriptor.
"""

from __future__ import annotations

import json
import logging
import socket
import stat
import struct
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

import trio

from failoverd.core.answers import CallError
from failoverd.core.calls import CALLS, check

log = logging.getLogger("failoverd")

LINE = 4096
"""Longest request read, in bytes."""
PATIENCE = 5.0
"""Seconds a client may take over its request, and over reading its answer."""
CLIENTS = 16
"""How many are served at once, of root's and of everybody else's."""
QUEUE = 128
"""How many may wait to be accepted."""

UCRED = struct.Struct("=iII")


class Serve(Protocol):
    """Carries out a call with its arguments."""

    def __call__(self, call: str, *arguments: str) -> Awaitable[dict[str, Any]]:
        """The call's document. Raises CallError."""


def listen(path: Path) -> trio.SocketListener:
    """The listening socket, in place of one a former daemon left. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        raw = socket.socket(fileno=sock.fileno())
        try:
            raw.bind(str(path))
        finally:
            raw.detach()
        path.chmod(0o666)
        sock.listen(QUEUE)
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(sock)


async def serve(listener: trio.SocketListener, carry_out: Serve) -> None:
    """Answer clients until cancelled."""
    served: Counter[bool] = Counter()

    async def client(stream: trio.SocketStream) -> None:
        is_root = _peer_uid(stream) == 0
        served[is_root] += 1
        try:
            async with stream:
                answer = await _answer(stream, carry_out, served[is_root] <= CLIENTS)
                with trio.move_on_after(PATIENCE):
                    await stream.send_all(answer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            served[is_root] -= 1

    await trio.serve_listeners(client, [listener])


async def _answer(stream: trio.SocketStream, carry_out: Serve, has_room: bool) -> bytes:
    try:
        if not has_room:
            raise CallError("too many clients at once; try again")
        with trio.fail_after(PATIENCE):
            call, arguments = _parse(await _line(stream))
        if CALLS[call].changes and _peer_uid(stream) != 0:
            raise CallError(f"{call} is root's; try it with sudo", "AccessDenied")
        document = {"ok": await carry_out(call, *arguments)}
    except trio.TooSlowError:
        return b""
    except CallError as error:
        document = {"error": {"text": str(error), "kind": error.kind}}
    return json.dumps(document).encode() + b"\n"


async def _line(stream: trio.SocketStream) -> bytes:
    data = b""
    while b"\n" not in data:
        more = await stream.receive_some(LINE)
        if not more:
            break
        data += more
        if len(data) > LINE:
            raise CallError(f"a request has at most {LINE} bytes")
    return data


def _parse(line: bytes) -> tuple[str, list[str]]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CallError("a request is one line of JSON", "BadArgument") from error
    call = raw.get("call") if isinstance(raw, dict) else None
    arguments = raw.get("arguments", []) if isinstance(raw, dict) else []
    if not isinstance(call, str):
        raise CallError(f"there is no call {call!r}; there are {', '.join(CALLS)}")
    if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
        raise CallError("the arguments are a list of texts", "BadArgument")
    check(call, arguments)
    return call, arguments


def _peer_uid(stream: trio.SocketStream) -> int:
    _, uid, _ = UCRED.unpack(stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
    return int(uid)
