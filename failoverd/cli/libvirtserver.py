"""Serves libvirt's clients on sockets that systemd has opened.

Any local user may connect, so each client is bounded: in its messages (libvirt/messages.py), in the time until its
connection is open, in the time for one message and for reading one answer; and the clients in their number, as those of
one user. What is beyond is closed at once. None of it reaches the daemon, which answers one question of this process at
a time.

The sockets are plain ones and no trio streams: a list of 5,000 interfaces is 5,000 calls, and a stream takes two turns
of the loop for each.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import select
import socket
import struct
from collections.abc import Sequence

import trio

from failoverd.cli.libvirtsource import Source
from failoverd.libvirt.calls import Knowledge, Session, answer, read
from failoverd.libvirt.errors import LibvirtError
from failoverd.libvirt.messages import ERROR, OK, BadMessageError, Inbox, Message, pong, reply_head
from failoverd.libvirt.rows import Rows

log = logging.getLogger("failoverd")

CLIENTS = 64
"""How many clients are served at once: of root, and of all other users together."""
EACH = 20
"""How many clients of one user other than root are served at once."""
PATIENCE = 5.0
"""Seconds a client may take to open its connection, to send a message it has begun, and to read an answer."""
CHUNK = 4096
"""Bytes that are read at once, and so the most answers at a stretch: 146."""
SOON = 0.0003
"""Seconds for which the only client's next call is waited for without a turn of the loop."""
AT_A_STRETCH = 16
PAUSE = 0.1
"""Seconds until the next try when a client could not be accepted."""

NO_ROWS = Rows(-1, ())
UCRED = struct.Struct("=iII")


class Server:
    """See the module. `idle` is after how many seconds without a client it ends."""

    def __init__(self, source: Source, idle: float) -> None:
        self._source, self._idle = source, idle
        self._served: collections.Counter[int] = collections.Counter()
        self._hostname = socket.gethostname().encode("utf-8", "surrogateescape")
        self._end_at = math.inf
        self._stretch = 0

    async def run(self, listeners: Sequence[socket.socket]) -> None:
        """Serve until there has been no client for a while."""
        async with trio.open_nursery() as clients:
            while not await self._accept_until_idle(listeners, clients):
                pass

    async def _accept_until_idle(self, listeners: Sequence[socket.socket], clients: trio.Nursery) -> bool:
        """Accept clients until there has been none for a while. Returns False if one has come in that very moment."""
        self._end_at = trio.current_time() + self._idle
        async with trio.open_nursery() as doors:
            for listener in listeners:
                doors.start_soon(self._accept, listener, clients)
            while trio.current_time() < self._end_at:
                # A client that is there has set the end to never; one that goes sets it anew.
                await trio.sleep_until(min(self._end_at, trio.current_time() + self._idle))
            doors.cancel_scope.cancel()
        return not self._served

    async def _accept(self, listener: socket.socket, clients: trio.Nursery) -> None:
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
            uid = _peer_uid(sock)
            if self._has_room(uid):
                self._served[uid] += 1
                self._end_at = math.inf
                clients.start_soon(self._client, sock, uid)
            else:
                sock.close()

    def _has_room(self, uid: int) -> bool:
        if uid == 0:
            return self._served[0] < CLIENTS
        return self._served[uid] < EACH and self._served.total() - self._served[0] < CLIENTS

    async def _client(self, sock: socket.socket, uid: int) -> None:
        try:
            with sock:
                sock.setblocking(False)
                await self._serve(sock)
        except (OSError, BadMessageError):
            return
        except Exception:
            # One client must not end the others' connections, whatever goes wrong.
            log.exception("a client of libvirt's failed; please report this")
        finally:
            self._served[uid] -= 1
            self._served += collections.Counter()
            if not self._served:
                self._end_at = trio.current_time() + self._idle

    async def _serve(self, sock: socket.socket) -> None:
        """Answer one client until it goes, or has had its time. Raises BadMessageError, OSError."""
        session, inbox = Session(), Inbox()
        with trio.move_on_after(PATIENCE) as limit:
            opened_by, part_by = limit.deadline, math.inf
            while data := await self._received(sock):
                # What takes time from here on is the daemon, or has a deadline of its own.
                _extend(limit, math.inf if session.is_open else opened_by)
                had_part, is_whole = inbox.has_part, False
                for message in inbox.feed(data):
                    is_whole = True
                    head, payload = await self._answer(session, message)
                    # A large answer is shared by all clients that wait for it, and copied for none of them.
                    for piece in (head + payload,) if len(payload) < CHUNK else (head, payload):
                        await _send(sock, piece)
                if not inbox.has_part:
                    part_by = math.inf
                elif is_whole or not had_part:
                    part_by = trio.current_time() + PATIENCE
                _extend(limit, min(math.inf if session.is_open else opened_by, part_by))

    async def _received(self, sock: socket.socket) -> bytes:
        """Return what a client has sent, b"" if it has gone. Raises OSError."""
        # virsh sends one call after the other, each as soon as the last is answered. A turn of the loop costs as much
        # as an answer; so the only client there is gets AT_A_STRETCH of them without one. Others have their turns.
        self._stretch = (self._stretch + 1) % AT_A_STRETCH
        goes_on = bool(self._stretch) and self._served.total() == 1
        if goes_on:
            select.select((sock,), (), (), SOON)
        try:
            data = sock.recv(CHUNK)
        except BlockingIOError:
            pass
        else:
            if not goes_on:
                await trio.lowlevel.checkpoint()
            return data
        while True:
            await trio.lowlevel.wait_readable(sock)
            with contextlib.suppress(BlockingIOError):
                return sock.recv(CHUNK)

    async def _answer(self, session: Session, message: Message) -> tuple[bytes, bytes]:
        """Return the head and the payload of an answer. Raises BadMessageError."""
        if message.is_ping:
            return pong(), b""
        try:
            procedure, arguments = read(session, message)
            rows, document = NO_ROWS, b""
            if procedure.needs_rows:
                rows = await self._source.rows()
            if procedure.needs_document:
                document = await self._source.document(rows.named(arguments[0]).name)
            payload = answer(session, procedure, arguments, Knowledge(self._hostname, rows, document))
            return reply_head(message, OK, len(payload)), payload
        except LibvirtError as error:
            payload = error.packed()
            return reply_head(message, ERROR, len(payload)), payload


def _extend(limit: trio.CancelScope, deadline: float) -> None:
    """Set a deadline, which costs something even if nothing changes."""
    if limit.deadline != deadline:
        limit.deadline = deadline


async def _send(sock: socket.socket, data: bytes) -> None:
    """Send all of it. Raises OSError, also if the client does not read it in time."""
    sent = _sent_now(sock, data)
    if sent == len(data):
        return
    left = memoryview(data)[sent:]
    try:
        with trio.fail_after(PATIENCE):
            while left:
                await trio.lowlevel.wait_writable(sock)
                left = left[_sent_now(sock, left) :]
    except trio.TooSlowError as error:
        raise TimeoutError from error


def _sent_now(sock: socket.socket, data: bytes | memoryview) -> int:
    """Send what there is room for, and return how many bytes that were."""
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0


def _peer_uid(sock: socket.socket) -> int:
    _, uid, _ = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
    return int(uid)
