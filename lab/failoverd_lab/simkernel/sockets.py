"""A netlink socket of the simulated kernel: requests in, answers and notifications out (net/netlink/af_netlink.c).

The queue is what matters to a client. Notifications that a request causes stand before its acknowledgement. The queue
has a bound in bytes. Beyond it messages are dropped, and the next recv says so once (ENOBUFS), before the messages that
are still queued; until the queue has been emptied, no more are accepted. A dump is made chunk by chunk as its reader
reads, so the tables can change underneath it, which NLM_F_DUMP_INTR then says.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import trio

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.dumps import Dump
from failoverd_lab.simkernel.inetmsg import Cause
from failoverd_lab.simkernel.requests import Reply, Request, Row
from failoverd_lab.simkernel.state import Refused
from failoverd_lab.simkernel.wire import Message

DEFAULT_BUFFER = 212_992
"""net.core.rmem_default in bytes; holds 92 notifications."""
LEAST_CHARGE = 2304
"""Bytes that a message takes of the queue's bound: a notification's buffer is larger than its contents (skb
truesize)."""


class Server(Protocol):
    """The kernel behind the sockets."""

    def answer(self, request: Request) -> list[Reply]:
        """Carry out a request. Raises Refused."""

    def start_dump(self, request: Request) -> Iterator[Row]:
        """Begin a dump. Raises Refused."""

    def settle(self) -> None:
        """Do the work that waits for the end of the request."""

    def forget(self, sock: SimSocket) -> None:
        """Forget a closed socket."""


class SimSocket:
    """An AF_NETLINK socket, protocol NETLINK_ROUTE, with NETLINK_EXT_ACK on."""

    def __init__(self, pid: int, server: Server) -> None:
        self.pid = pid
        self.groups: set[int] = set()
        self.limit = DEFAULT_BUFFER
        self._strict = False
        self._server = server
        self._queue: deque[tuple[bytes, int | None]] = deque()
        self.hears_all = False
        self.nsid: int | None = None
        self._held = 0
        self._overrun = False
        self._congested = False
        self._dump: Dump | None = None
        self._closed = False
        self._readers = trio.lowlevel.ParkingLot()

    def join(self, group: int) -> None:
        """NETLINK_ADD_MEMBERSHIP (RTNLGRP_*)."""
        self.groups.add(group)

    def set_strict(self, on: bool = True) -> None:
        """NETLINK_GET_STRICT_CHK: honour the filters of a dump request."""
        self._strict = on

    def set_receive_buffer(self, size: int) -> None:
        """SO_RCVBUF in bytes, doubled as the kernel does it."""
        self.limit = max(2 * size, LEAST_CHARGE)

    def listen_all(self, on: bool = True) -> None:
        """NETLINK_LISTEN_ALL_NSID: hear the groups of every namespace that has a number here.

        `nsid` is then the number of the namespace that the last datagram was about, as its ancillary data tell; None
        for one that has no number.
        """
        self.hears_all = on

    async def send(self, datagram: bytes) -> None:
        """Process a datagram's messages one by one, going on after an error."""
        await trio.lowlevel.checkpoint()
        self.send_nowait(datagram)

    def send_nowait(self, datagram: bytes) -> None:
        """The same, without a turn for any other task."""
        if self._closed:
            raise trio.ClosedResourceError
        for message in wire.messages(datagram):
            self._handle(message)
            self._server.settle()

    async def recv(self) -> bytes:
        """Return the next datagram. Raises OSError(ENOBUFS) once where messages were dropped."""
        await trio.lowlevel.checkpoint()
        while (datagram := self.recv_nowait()) is None:
            await self._readers.park()
        return datagram

    def recv_nowait(self) -> bytes | None:
        """The same, but None where there is none yet."""
        if self._closed:
            raise trio.ClosedResourceError
        if self._overrun:
            self._overrun = False
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return self._take() if self._queue else None

    def close(self) -> None:
        """Leave every group; a reader that waits gets trio.ClosedResourceError. Safe to call twice."""
        self._closed = True
        self._server.forget(self)
        self._readers.unpark_all()

    @property
    def congested(self) -> bool:
        """Whether messages were dropped and the queue has not been emptied since."""
        return self._congested

    @property
    def has_unread(self) -> bool:
        """Whether the kernel has told something that its reader has not read."""
        return bool(self._queue) or self._overrun

    def deliver(self, message: bytes, nsid: int | None = None) -> None:
        """Queue a datagram, or note the overrun."""
        if self._congested or self._held > self.limit:
            self._overrun = self._overrun or not self._congested
            self._congested = True
        else:
            self._push(message, nsid)
        self._readers.unpark()

    def _push(self, datagram: bytes, nsid: int | None = None) -> None:
        self._queue.append((datagram, nsid))
        self._held += _charge(datagram)
        self._readers.unpark()

    def _take(self) -> bytes:
        datagram, self.nsid = self._queue.popleft()
        self._held -= _charge(datagram)
        if not self._queue:
            self._congested = False
        if self._dump is not None and self._held <= self.limit // 2:
            self._go_on(self._dump)
        return datagram

    def _handle(self, message: Message) -> None:
        if not message.flags & n.NLM_F_REQUEST or message.type < n.NLMSG_MIN_TYPE:
            if message.flags & n.NLM_F_ACK:
                self._ack(message)
            return
        request = Request(message.type, message.flags, message.body, Cause(message.seq, self.pid), self._strict)
        getting = message.type % 4 == n.RTM_GETLINK % 4
        try:
            if getting and message.flags & n.NLM_F_DUMP:
                self._begin(request, message)
                return
            for kind, body in self._server.answer(request):
                self.deliver(Message(kind, 0, message.seq, self.pid, body).pack())
        except Refused as refused:
            self._ack(message, refused)
            return
        if message.flags & n.NLM_F_ACK:
            self._ack(message)

    def _begin(self, request: Request, message: Message) -> None:
        """netlink_dump_start(): one at a time, and its first chunk at once."""
        if self._dump is not None:
            raise Refused(errno.EBUSY)
        rows = self._server.start_dump(request)
        filtered = request.strict and len(request.body) > 12 and request.type < n.RTM_NEWQDISC
        flags = n.NLM_F_MULTI | (n.NLM_F_DUMP_FILTERED if filtered else 0)
        self._dump = Dump(rows, message.seq, self.pid, flags)
        try:
            self._go_on(self._dump)
        except Refused:
            self._dump = None
            raise

    def _go_on(self, dump: Dump) -> None:
        """netlink_dump(): waits for room, and is never dropped, not even after an overrun."""
        if self._held < self.limit:
            datagram = dump.chunk()
            if dump.done:
                self._dump = None
            self._push(datagram)

    def _ack(self, message: Message, refused: Refused | None = None) -> None:
        """netlink_ack(): an error echoes the whole request, an acknowledgement its header."""
        header = wire.HEADER.pack(
            wire.HEADER.size + len(message.body), message.type, message.flags, message.seq, message.pid
        )
        if refused is None:
            body, flags = struct.pack("=i", 0) + header, n.NLM_F_CAPPED
        else:
            body, flags = struct.pack("=i", -refused.code) + header + message.body, 0
            if refused.text:
                body += b"\0" * (-len(body) % 4) + wire.string(n.NLMSGERR_ATTR_MSG, refused.text)
                flags |= n.NLM_F_ACK_TLVS
        self.deliver(Message(n.NLMSG_ERROR, flags, message.seq, self.pid, body).pack())


def _charge(datagram: bytes) -> int:
    return max(LEAST_CHARGE, 256 + (1 << (len(datagram) + 319).bit_length()))
