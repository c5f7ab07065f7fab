"""What changes in the namespaces that are referred to, heard by one socket in our own.

With CAP_NET_BROADCAST a socket hears of the links, addresses and routes of every namespace that has a number here
(NETLINK_LISTEN_ALL_NSID), and holds none of them. An event says that something has changed; what is there now, a dump
says. Without the capability it hears of our own namespace alone, and of numbers that are free again.
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
from failoverd.model.places import HERE, Place
from failoverd.netlink.frames import Message, NetlinkError, attributes, split
from failoverd.netlink.inet import RTA_OIF, RTM_DELADDR, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWROUTE
from failoverd.netlink.links import RTM_DELLINK, RTM_NEWLINK
from failoverd.netlink.transport import LARGEST, SO_RCVBUFFORCE, SOL_NETLINK, is_overrun
from failoverd.netns.kernel import OWN, open_netlink
from failoverd.netns.numbers import NETLINK_ADD_MEMBERSHIP, RTM_DELNSID, RTNLGRP_NSID, Asking, read_nsid

log = logging.getLogger("failoverd")

NETLINK_LISTEN_ALL_NSID = 8
RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE = 1, 5, 7, 9, 11
GROUPS = (
    *(RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE),
    RTNLGRP_NSID,
)
BUFFER = 4 << 20
"""Bytes: a thousand links come and go while the links' thread waits for the kernel."""
WITH_IFINDEX = frozenset({RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR})
"""struct ifinfomsg and struct ifaddrmsg have the ifindex in the same place."""
ROUTES = frozenset({RTM_NEWROUTE, RTM_DELROUTE})
IFINDEX = struct.Struct("=4xI")
RTMSG_SIZE = 12
"""sizeof(struct rtmsg)."""
NUMBER = struct.Struct("=i")


@dataclass(frozen=True, slots=True)
class PlaceChanged:
    """Something about a device has changed, its addresses and routes included."""

    place: Place
    ifindex: int
    """0 for what is not about one device: a route over several, or to none."""


@dataclass(frozen=True, slots=True)
class NumberGone:
    """The namespace with this number is no more, and the number may be another one's by now."""

    nsid: int


@dataclass(frozen=True, slots=True)
class Overrun:
    """The kernel had to drop events: anything may have changed."""


Event = PlaceChanged | NumberGone | Overrun


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
        self._socket = trio.socket.from_stdlib_socket(sock)

    def _listen(self, sock: socket.socket) -> None:
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, NUMBER.pack(BUFFER))
        try:
            sock.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
        except PermissionError:
            self.hears_all = False
            log.warning("without CAP_NET_BROADCAST changes inside of other namespaces are not heard, only looked for")
        for group in GROUPS:
            sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._socket.close()

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens, until cancelled. Raises OSError."""
        while True:
            try:
                data, control, _, address = await self._socket.recvmsg(LARGEST, socket.CMSG_SPACE(NUMBER.size))
            except OSError as error:
                if not is_overrun(error):
                    raise
                yield Overrun()
                continue
            # Only the kernel has port 0; trio's types know no address of netlink.
            if isinstance(address, tuple) and address[0] == 0:
                for event in self._read(data, control):
                    yield event

    def _read(self, data: bytes, control: list[tuple[int, int, bytes]]) -> Iterator[Event]:
        nsid = number_of(control)
        # What our own namespace tells bears no number where it has none, and its own where it has one.
        place = HERE if nsid in (None, self._own) else self._place_of(nsid or 0)
        try:
            for message in split(data):
                if message.type == RTM_DELNSID:
                    # A namespace tells its own list of numbers, too, as any that is heard does.
                    if place == HERE:
                        yield NumberGone(read_nsid(message))
                elif place is not None and (ifindex := ifindex_of(message)) is not None:
                    yield PlaceChanged(place, ifindex)
        except NetlinkError as error:
            log.warning("a netlink event cannot be read: %s", error)
            yield Overrun()


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


def ifindex_of(message: Message) -> int | None:
    """Return the device that a message is about, 0 for none, None for a message of another kind.

    Raises NetlinkError for one that is too short.
    """
    payload = message.payload
    if message.type in ROUTES:
        raw = dict(attributes(payload, RTMSG_SIZE)).get(RTA_OIF, b"")
        return int(struct.unpack("=I", raw)[0]) if len(raw) == 4 else 0
    if message.type not in WITH_IFINDEX:
        return None
    if len(payload) < IFINDEX.size:
        raise NetlinkError(f"a message of {len(payload)} bytes about a device")
    return int(IFINDEX.unpack_from(payload)[0])
