"""The control socket: one line of JSON in, one line out. `{"call": "explain", "arguments": ["ens3"]}`.

It exists before D-Bus does, and without it. Any user may read; a call that changes something requires root, checked by
the peer's credentials (SO_PEERCRED). Each client gets a bounded line and a bounded time. The number of clients served
at once is bounded too: separately for root and for all other users, so that no user can lock root out, and per user, so
that no user can lock out another. A client above the bound is told so at once and does not wait, as each waiting client
costs a file descriptor.

Calls by users other than root get only a part of the time: the kernel schedules failoverd ahead of other processes, and
a user who asks without end must not take that CPU time from failing over.
"""

from __future__ import annotations

import collections
import json
import logging
import math
import select
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import trio

from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS, check
from failoverd.daemon.accepting import take_each
from failoverd.daemon.files import set_aside
from failoverd.inventory.questions import QUESTIONS, argument_error

log = logging.getLogger("failoverd")

LINE = 4096
"""Longest request read, in bytes."""
PATIENCE = 5.0
"""Seconds a client may take to send its request, and again to read its answer."""
CLIENTS = 16
"""How many clients are served at once: of root, and of all other users together."""
EACH = 4
"""How many clients of one user other than root are served at once."""
REST, LONGEST_REST = 3.0, 0.1
"""After a call by a user other than root, the next one waits for so many times what this one took, at most for the
longest (in seconds)."""
PACE = 0.001
"""Seconds until the next client is accepted after one that is not root's, or is above the bound. Accepting one costs a
seventh of that, and any user can connect without end and say nothing."""
QUEUE = 128
"""The listen backlog: how many clients may wait to be accepted."""

SLICE = 100
"""Rows of a list that are encoded at a stretch."""

UCRED = struct.Struct("=iII")


class Serve(Protocol):
    """Carries out a call with its arguments."""

    def __call__(self, call: str, *arguments: str) -> Awaitable[dict[str, Any]]:
        """Return the call's document. Raises CallError."""


Ask = Callable[[str, Sequence[str]], Awaitable[list[bytes]]]
"""Answers a question about the inventory with the pieces of a JSON document. Raises CallError."""


async def no_inventory(question: str, _arguments: Sequence[str]) -> list[bytes]:
    """Refuse every question: there is no inventory here. Raises CallError."""
    raise CallError(f"nothing here answers {question}")


def listen(path: Path) -> trio.SocketListener:
    """Open the listening socket. One left by an earlier daemon is replaced, anything else set aside. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_room(path)
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


def _make_room(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if is_socket:
        path.unlink()
    elif aside := set_aside(path):
        log.error("%s: it is no socket; set aside as %s, the control socket takes its place", path, aside)


class ControlServer(trio.abc.Listener[trio.SocketStream]):
    """Serves clients, those of users other than root at a pace. `door` is the listening socket."""

    def __init__(self, door: trio.SocketListener, carry_out: Serve, ask: Ask = no_inventory) -> None:
        self._door = door
        self._carry_out, self._ask = carry_out, ask
        self._served: collections.Counter[int] = collections.Counter()
        self._one_at_a_time = trio.Lock()
        self._next_question = self._next_client = -math.inf

    async def accept(self) -> trio.SocketStream:
        """Return the next client, a moment later if the last one was not root's or was above the bound."""
        await trio.sleep_until(self._next_client)
        stream = await self._door.accept()
        uid = _peer_uid(stream)
        if uid != 0 or not self._has_room(uid, 1):
            self._next_client = trio.current_time() + PACE
        return stream

    async def aclose(self) -> None:
        """Close `door`."""
        await self._door.aclose()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one client, from its request to its answer."""
        uid = _peer_uid(stream)
        self._served[uid] += 1
        try:
            async with stream:
                answer = await self._answer(stream, uid)
                with trio.move_on_after(PATIENCE):
                    for piece in answer:
                        await stream.send_all(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            self._served[uid] -= 1
            self._served += collections.Counter()

    def _has_room(self, uid: int, more: int = 0) -> bool:
        """Return whether the clients being served, plus `more` of this user's, are within the bounds."""
        if uid == 0:
            return self._served[0] + more <= CLIENTS
        others = self._served.total() - self._served[0]
        return self._served[uid] + more <= EACH and others + more <= CLIENTS

    async def _answer(self, stream: trio.SocketStream, uid: int) -> list[bytes]:
        """Return the line to send, in pieces; no pieces if the client has gone."""
        try:
            if not self._has_room(uid):
                raise CallError("too many clients at once; try again", "Busy")
            with trio.fail_after(PATIENCE):
                call, arguments = _parse(await _line(stream))
            changes = call in CALLS and CALLS[call].changes
            if changes and uid != 0:
                raise CallError(f"{call} is root's; try it with sudo", "AccessDenied")
            if changes and _has_hung_up(stream):
                # The client has given up and told its user that the daemon did not answer. The line may have waited
                # here for as long as this process stood still.
                log.warning("%s was not begun: its client did not wait for an answer", " ".join((call, *arguments)))
                return []
            return [b'{"ok": ', *await self._at_a_pace(uid, call, arguments), b"}\n"]
        except trio.TooSlowError:
            return []
        except CallError as error:
            return [json.dumps({"error": {"text": str(error), "kind": error.kind}}).encode() + b"\n"]

    async def _at_a_pace(self, uid: int, call: str, arguments: list[str]) -> list[bytes]:
        if uid == 0:
            return await self._document(call, arguments)
        async with self._one_at_a_time:
            await trio.sleep_until(self._next_question)
            began = trio.current_time()
            try:
                return await self._document(call, arguments)
            finally:
                now = trio.current_time()
                self._next_question = now + min((now - began) * REST, LONGEST_REST)

    async def _document(self, call: str, arguments: list[str]) -> list[bytes]:
        if call in QUESTIONS:
            return await self._ask(call, arguments)
        return await encoded(await self._carry_out(call, *arguments))


async def encoded(document: Mapping[str, Any]) -> list[bytes]:
    """Return a document as JSON, in pieces. Other tasks run between the slices of a long list."""
    pieces: list[bytes] = []
    for key, value in document.items():
        pieces.append(f"{', ' if pieces else '{'}{json.dumps(key)}: ".encode())
        if not isinstance(value, list) or len(value) <= SLICE:
            pieces.append(json.dumps(value).encode())
            continue
        for begin in range(0, len(value), SLICE):
            slice_ = json.dumps(value[begin : begin + SLICE])[1:-1]
            pieces.append(f"{', ' if begin else '['}{slice_}".encode())
            await trio.lowlevel.checkpoint()
        pieces.append(b"]")
    return [*pieces, b"}" if pieces else b"{}"]


async def serve(door: trio.SocketListener, carry_out: Serve, ask: Ask = no_inventory) -> None:
    """Answer clients until cancelled."""
    server = ControlServer(door, carry_out, ask)
    await take_each(server, server.serve)


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
    if not isinstance(call, str) or (call not in CALLS and call not in QUESTIONS):
        raise CallError(f"there is no call {call!r}; there are {', '.join((*CALLS, *QUESTIONS))}")
    if not isinstance(arguments, list) or not all(isinstance(argument, str) for argument in arguments):
        raise CallError("the arguments are a list of texts", "BadArgument")
    if call not in QUESTIONS:
        check(call, arguments)
    elif why := argument_error(call, arguments):
        raise CallError(why, "BadArgument")
    return call, arguments


def _has_hung_up(stream: trio.SocketStream) -> bool:
    """Return whether a client has closed its socket. One that only shut down its sending side waits for its answer."""
    poll = select.poll()
    poll.register(stream.socket.fileno(), 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def _peer_uid(stream: trio.SocketStream) -> int:
    _, uid, _ = UCRED.unpack(stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
    return int(uid)
