"""Look through the kernel's queue ahead of its turn for one thing: a NIC that carries has lost its link.

    the kernel's queue -> put() -> ... -> take() -> the conversation
                            |
                            +-> losses(): a NIC that is down or has no carrier at the queue's end

Other programs create links by the hundred, each with several messages of 1.5 kB. Behind them may be the one message
that failoverd exists for. The flags are in a message's header, and reading it takes a microsecond, so the whole queue
is looked through before any of it is processed. The last message about a NIC counts. Earlier ones are older, and must
not bring back a link that is known to be lost: `as_known` sees to that. The queue keeps its order.

Rejected: a filter in the kernel, as names have to be known; a second socket for queries, as an answer could overtake
the event it belongs to; `carrier` in /sys, as reading it takes the same lock as a query (RTNL).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from failoverd.model.links import Link
from failoverd.netlink.frames import HEADER, align
from failoverd.netlink.links import AF_UNSPEC, IFF_LOWER_UP, IFF_UP, INFO, RTM_NEWLINK

MOST = 8 << 20
"""Most bytes held here; the rest waits in the kernel. A link's message has 1.5 kB."""


class LookAhead:
    """The queue of datagrams (see the module). `known` holds the devices as the conversation knows them, by ifindex."""

    def __init__(self, known: Mapping[int, Link]) -> None:
        self._known = known
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._flags: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._untold: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether more may be queued."""
        return self._size < MOST

    def put(self, datagram: bytes) -> None:
        """Queue a datagram of the kernel, and look at its headers."""
        self._queue.append(datagram)
        self._size += len(datagram)
        at, end = 0, len(datagram)
        while at + HEADER.size + INFO.size <= end:
            length, kind = HEADER.unpack_from(datagram, at)[:2]
            if kind == RTM_NEWLINK:
                family, _, ifindex, flags, _ = INFO.unpack_from(datagram, at + HEADER.size)
                if family == AF_UNSPEC and is_watched(self._known.get(ifindex)):
                    self._flags[ifindex] = flags
                    self._left[ifindex] = self._left.get(ifindex, 0) + 1
                    self._untold.add(ifindex)
            at += max(align(length), HEADER.size)

    def take(self) -> bytes:
        """Remove and return the oldest datagram."""
        datagram = self._queue.popleft()
        self._size -= len(datagram)
        return datagram

    def losses(self) -> list[Link]:
        """Return the NICs that carried so far and are down or without carrier at the queue's end, each once."""
        lost = [known for i in self._untold if (known := self._known.get(i)) is not None and known.carrier]
        told = [link for known in lost if (link := self._at_the_end(known)) is not known]
        self._untold.clear()
        return told

    def passed(self, ifindex: int) -> None:
        """Note that a message about this device has been taken and is being read."""
        if ifindex in self._left:
            self._left[ifindex] -= 1
            if not self._left[ifindex]:
                del self._left[ifindex], self._flags[ifindex]

    def as_known(self, link: Link) -> Link:
        """Return the device as its message says, with the link down where the queue's end says that it is lost."""
        return self._at_the_end(link) if link.carrier and link.ifindex in self._flags else link

    def forget(self) -> None:
        """Drop the notes: the messages were lost or cannot be read."""
        self._flags.clear()
        self._left.clear()
        self._untold.clear()

    def _at_the_end(self, link: Link) -> Link:
        flags = self._flags.get(link.ifindex, IFF_UP | IFF_LOWER_UP)
        if flags & IFF_UP and flags & IFF_LOWER_UP:
            return link
        return replace(link, up=link.up and bool(flags & IFF_UP), carrier=False)


def is_watched(known: Link | None) -> bool:
    """Return whether this device may be a slave of a pair."""
    return known is not None and bool(known.perm_mac) and not known.kind
