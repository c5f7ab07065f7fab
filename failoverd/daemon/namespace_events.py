"""What changes in the namespaces that are referred to, heard by one socket in our own.

With CAP_NET_BROADCAST a socket hears of the links, addresses and routes of every namespace that has a number here
(NETLINK_LISTEN_ALL_NSID), and holds none of them. Without the capability it hears of our own namespace alone, and of
others that they have ended.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator

import trio

from failoverd.dataclass import dataclass
from failoverd.links.addresses import PROTOCOL
from failoverd.model.places import HERE, Place
from failoverd.netlink.frames import HEADER, NetlinkError, split
from failoverd.netlink.inet import RTM_DELROUTE, RTM_NEWROUTE
from failoverd.netlink.transport import LARGEST, SO_RCVBUFFORCE, SOL_NETLINK, is_overrun, keep_out
from failoverd.netns.kernel import OWN, open_netlink
from failoverd.netns.numbers import NETLINK_ADD_MEMBERSHIP, RTM_DELNSID, RTM_NEWNSID, RTNLGRP_NSID, Asking, read_nsid

log = logging.getLogger("failoverd")

NETLINK_LISTEN_ALL_NSID = 8
RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE = 1, 5, 7, 9, 11
GROUPS = (RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE)
BUFFER = 4 << 20
"""Bytes: a thousand links come and go while the links' thread waits for the kernel."""
TURN = 1000
"""Datagrams that are read in a turn."""
NAP = 0.02
"""Seconds between two turns of reading: a storm of events costs fewer turns."""
NUMBER = struct.Struct("=i")

LOAD_HALF, LOAD_BYTE, IF_EQUAL, RETURN = 0x28, 0x30, 0x15, 0x06
"""Instructions of classic BPF (linux/filter.h): load from an offset, compare what was loaded and skip, return."""
OTHERS_ROUTES = b"".join(
    struct.pack("=HBBI", *line)
    for line in (
        (LOAD_HALF, 0, 0, 4),
        (IF_EQUAL, 1, 0, socket.htons(RTM_NEWROUTE)),
        (IF_EQUAL, 0, 2, socket.htons(RTM_DELROUTE)),
        (LOAD_BYTE, 0, 0, HEADER.size + 5),
        (IF_EQUAL, 0, 1, PROTOCOL),
        (RETURN, 0, 0, 0xFFFFFFFF),
        (RETURN, 0, 0, 0),
    )
)
"""Drops what is told of routes with a protocol (struct rtmsg) other than ours: each address brings some, and a routing
daemon in a container may have hundreds of thousands. What is loaded, the program takes for big-endian."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the kernel has told of links, addresses or routes in a namespace: messages of rtnetlink."""

    place: Place
    datagram: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """This namespace is no more."""

    place: Place


@dataclass(frozen=True, slots=True)
class Overrun:
    """The kernel had to drop events: anything may have changed."""


NOTHING = Told(HERE, b"")
Event = Told | Ended | Overrun


class NamespaceEvents:
    """See the module. `place_of` tells the place with a number, None for one that does not matter. `close` ends it."""

    def __init__(self, place_of: Callable[[int], Place | None]) -> None:
        """Open the socket. Raises OSError."""
        self._place_of = place_of
        self._own = _own_nsid()
        self.hears_all = True
        """Whether it hears of other namespaces, for which the process needs CAP_NET_BROADCAST."""
        sock = open_netlink()
        try:
            self._listen(sock)
        except BaseException:
            sock.close()
            raise
        sock.setblocking(False)
        self._socket = sock

    def _listen(self, sock: socket.socket) -> None:
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, NUMBER.pack(BUFFER))
        try:
            sock.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
        except PermissionError:
            self.hears_all = False
            log.warning("without CAP_NET_BROADCAST changes inside of other namespaces are not heard, only looked for")
        keep_out(sock, OTHERS_ROUTES)
        for group in (*GROUPS, RTNLGRP_NSID):
            sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._socket.close()

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens, until cancelled. Raises OSError."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            for event in self.pending():
                yield event
            await trio.sleep(NAP)

    def pending(self) -> Iterator[Event]:
        """Yield what has happened and was not read yet, TURN datagrams at most. Raises OSError."""
        for _ in range(TURN):
            event = self._next()
            if event is None:
                return
            if event is not NOTHING:
                yield event

    def _next(self) -> Event | None:
        """Return the next event, None for none as yet; one without bytes is of no interest. Raises OSError."""
        try:
            data, control, _, sender = self._socket.recvmsg(LARGEST, socket.CMSG_SPACE(NUMBER.size))
        except BlockingIOError:
            return None
        except OSError as error:
            if not is_overrun(error):
                raise
            return Overrun()
        nsid = number_of(control)
        # What our own namespace tells bears no number where it has none, and its own where it has one.
        place = HERE if nsid is None or nsid == self._own else self._place_of(nsid)
        if sender[0] != 0 or place is None:
            return NOTHING
        try:
            # What is told to all is one message a datagram.
            message = next(split(data))
        except (NetlinkError, StopIteration):
            return Overrun()
        if message.type not in (RTM_NEWNSID, RTM_DELNSID):
            return Told(place, data)
        # Other namespaces tell of their own lists of numbers, which are none of ours.
        is_end = place == HERE and message.type == RTM_DELNSID
        ended = self._place_of(read_nsid(message)) if is_end else None
        return Ended(ended) if ended else NOTHING


def _own_nsid() -> int:
    """Return the number of our own namespace in itself. It is given one, as another process may do so at any time."""
    fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.closing(Asking()) as asking:
            return asking.assigned(fd)
    finally:
        os.close(fd)


def number_of(control: list[tuple[int, int, bytes]]) -> int | None:
    """Return the number of the namespace that an event is from, None where it has none."""
    for level, kind, content in control:
        if (level, kind) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID) and len(content) >= NUMBER.size:
            return int(NUMBER.unpack_from(content)[0])
    return None
