"""Serves the daemon on a socket that systemd has opened.

Only root and the user failoverd are served. A client is bounded in its messages, in its references, and in the time it
may take to read an answer; the clients in their number.
"""

from __future__ import annotations

import contextlib
import logging
import math
import pwd
import socket
import struct
from collections.abc import Collection, Mapping

import trio

from failoverd.model.declared import NamespaceRef
from failoverd.netns.opening import Bound, answer_open, answer_set
from failoverd.netns.protocol import (
    LARGEST,
    REFERENCES,
    Finding,
    Open,
    ProtocolError,
    Set,
    Watch,
    pack_findings,
    read_request,
)
from failoverd.netns.watching import Watching

log = logging.getLogger("failoverd")

USER = "failoverd"
CLIENTS = 32
"""How many clients are served at once."""
PATIENCE = 5.0
"""Seconds a client may take to ask, and to read an answer."""
PAUSE = 0.1
"""Seconds until the next try when a client could not be accepted."""
UCRED = struct.Struct("=iII")


class Server:
    """See the module. `idle` is after how many seconds without a client it ends, `sockets` are those of runtimes."""

    def __init__(self, idle: float, sockets: Collection[str]) -> None:
        self._idle, self._sockets = idle, sockets
        self._watching: set[Watching] = set()
        self._clients = 0
        self._end_at = math.inf
        self._served = {0}
        with contextlib.suppress(KeyError):
            self._served.add(pwd.getpwnam(USER).pw_uid)

    async def run(self, listener: socket.socket) -> None:
        """Serve until there has been no client for a while."""
        listener.setblocking(False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._accept, listener, nursery)
            self._end_at = trio.current_time() + self._idle
            while trio.current_time() < self._end_at:
                await trio.sleep_until(min(self._end_at, trio.current_time() + self._idle))
            # A client that comes now waits in the listening socket, and systemd starts this process anew for it.
            nursery.cancel_scope.cancel()

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                log.warning("no client can be taken: %s", error.strerror)
                await trio.sleep(PAUSE)
                continue
            _, uid, _ = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
            if uid in self._served and self._clients < CLIENTS:
                self._clients += 1
                self._end_at = math.inf
                nursery.start_soon(self._client, sock)
            else:
                sock.close()

    async def _client(self, sock: socket.socket) -> None:
        try:
            with sock:
                sock.setblocking(False)
                await self._serve(sock)
        except ProtocolError as error:
            log.warning("a client of the namespaces' socket is closed: it sent %s", error)
        except OSError:
            return
        except Exception:
            # One client must not end the others' connections, whatever goes wrong.
            log.exception("a client of the namespaces' socket failed; please report this")
        finally:
            self._clients -= 1
            if not self._clients:
                self._end_at = trio.current_time() + self._idle

    async def _serve(self, sock: socket.socket) -> None:
        """Serve one client until it goes. Raises ProtocolError, OSError."""
        data = b""
        with trio.move_on_after(PATIENCE):
            data = await _received(sock)
        if not data:
            return
        request = read_request(data)
        if isinstance(request, Open):
            answer_open(sock, request, self._bound_process(request.reference))
        elif isinstance(request, Set):
            answer_set(sock, request, self._bound_process(request.reference))
        else:
            await self._watch(sock, request)

    async def _watch(self, sock: socket.socket, first: Watch) -> None:
        """Tell a client what has changed until it goes. Raises ProtocolError, OSError."""
        done = trio.CancelScope()
        trouble: list[OSError | ProtocolError] = []

        async def send(findings: Mapping[NamespaceRef, Finding]) -> None:
            try:
                for datagram in pack_findings(findings):
                    await _send(sock, datagram)
            except OSError:
                done.cancel()

        watching = Watching(send, self._sockets)
        self._watching.add(watching)
        try:
            with done:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(watching.run)
                    # Not through the nursery: those of later releases of trio wrap what is raised in them.
                    try:
                        await _take_sets(sock, watching, first)
                    except (OSError, ProtocolError) as error:
                        trouble.append(error)
                    done.cancel()
        finally:
            self._watching.remove(watching)
            watching.close()
        if trouble:
            raise trouble[0]

    def _bound_process(self, reference: NamespaceRef) -> Bound:
        bound = (watching.bound_process(reference) for watching in self._watching)
        return next(filter(None, bound), None)


async def _take_sets(sock: socket.socket, watching: Watching, piece: Watch) -> None:
    """Take in sets of references until the client goes. Raises ProtocolError, OSError."""
    references: list[NamespaceRef] = []
    started: dict[NamespaceRef, int] = {}
    while True:
        references += piece.references
        started.update(piece.started)
        if len(references) > REFERENCES:
            raise ProtocolError(f"more than {REFERENCES} references")
        if not piece.more:
            watching.want(frozenset(references), started)
            references, started = [], {}
        data = await _received(sock)
        if not data:
            return
        request = read_request(data)
        if not isinstance(request, Watch):
            raise ProtocolError("a wish to open on a connection that watches")
        piece = request


async def _received(sock: socket.socket) -> bytes:
    """Return the next message, b"" if the client has gone. Raises OSError."""
    while True:
        await trio.lowlevel.wait_readable(sock)
        with contextlib.suppress(BlockingIOError):
            data, _, flags, _ = sock.recvmsg(LARGEST)
            if flags & socket.MSG_TRUNC:
                raise ProtocolError(f"a message of more than {LARGEST} bytes")
            return data


async def _send(sock: socket.socket, data: bytes) -> None:
    """Send a message. Raises OSError, also if the client does not read it in time."""
    with trio.move_on_after(PATIENCE):
        while True:
            with contextlib.suppress(BlockingIOError):
                sock.send(data)
                return
            await trio.lowlevel.wait_writable(sock)
    raise TimeoutError
