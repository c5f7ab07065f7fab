"""The numbers that namespaces have in ours (nsid), and which namespace each of them is.

A number is valid from its RTM_NEWNSID to its RTM_DELNSID; the kernel gives it to the next namespace at once. So a place
is the number together with the namespace's cookie, which no other one gets.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress

from failoverd.model.places import Place
from failoverd.netlink.frames import NLM_F_ACK, NLMSG_ERROR, Message, attribute, attributes, build, read_error, split
from failoverd.netlink.transport import LARGEST, SOL_NETLINK, is_overrun
from failoverd.netns.kernel import cookie_inside, open_netlink

RTM_NEWNSID, RTM_DELNSID, RTM_GETNSID = 88, 89, 90
NETNSA_NSID, NETNSA_FD = 1, 3
GENERAL = bytes(4)
"""struct rtgenmsg, padded."""
RTNLGRP_NSID = 28
NETLINK_ADD_MEMBERSHIP = 1
Gone = Callable[[int | None], None]


class Asking:
    """A socket in our own namespace that asks for the numbers of others. `close` closes it."""

    def __init__(self) -> None:
        self._socket = open_netlink()

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._socket.close()

    def nsid(self, fd: int) -> int:
        """Return the number of an open namespace, -1 where it has none. Raises OSError."""
        answer = self._request(build(RTM_GETNSID, 0, 1, GENERAL + attribute(NETNSA_FD, _packed(fd))))
        return read_nsid(answer) if answer.type == RTM_NEWNSID else -1

    def assigned(self, fd: int) -> int:
        """Return the number of an open namespace, which gets one if it has none. Raises OSError."""
        if (nsid := self.nsid(fd)) >= 0:
            return nsid
        payload = GENERAL + attribute(NETNSA_NSID, struct.pack("=i", -1)) + attribute(NETNSA_FD, _packed(fd))
        # Another process may be faster.
        with suppress(FileExistsError):
            self._request(build(RTM_NEWNSID, NLM_F_ACK, 1, payload))
        return self.nsid(fd)

    def _request(self, datagram: bytes) -> Message:
        """Send a request and return its answer, which the kernel queues before `send` is over. Raises OSError."""
        self._socket.sendto(datagram, (0, 0))
        while True:
            data, sender = self._socket.recvfrom(LARGEST)
            if sender[0] == 0:
                break
        message = next(split(data))
        if message.type == NLMSG_ERROR and (number := read_error(message)[0]):
            raise OSError(number, os.strerror(number))
        return message


class Numbers:
    """Tells places. `gone` is called with each number that the kernel has taken back, None when it may have been any.

    It has two sockets in our own namespace: one that asks, and one that hears. `close` closes them.
    """

    def __init__(self, gone: Gone) -> None:
        self._gone = gone
        self._cookies: dict[int, int] = {}
        self._asking = Asking()
        try:
            self.hearing = open_netlink()
        except BaseException:
            self._asking.close()
            raise
        self.hearing.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NSID)
        self.hearing.setblocking(False)

    def close(self) -> None:
        """Close the sockets; safe to call twice."""
        self._asking.close()
        self.hearing.close()

    def place(self, fd: int) -> Place:
        """Return the place of an open namespace, which gets a number if it has none. Raises OSError."""
        nsid = self._asking.assigned(fd)
        # The kernel has queued the end of the number's last owner before it could give the number away.
        self.hear()
        if nsid not in self._cookies:
            self._cookies[nsid] = cookie_inside(fd)
        return Place(nsid, self._cookies[nsid])

    def hear(self) -> None:
        """Take in what the kernel has told of numbers so far."""
        while True:
            try:
                datagram, sender = self.hearing.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                if not is_overrun(error):
                    raise
                self._cookies.clear()
                self._gone(None)
                continue
            if sender[0] == 0:
                for message in split(datagram):
                    if message.type == RTM_DELNSID:
                        nsid = read_nsid(message)
                        self._cookies.pop(nsid, None)
                        self._gone(nsid)


def read_nsid(message: Message) -> int:
    """Return the number that a message about one bears, -1 for none."""
    raw = dict(attributes(message.payload, len(GENERAL))).get(NETNSA_NSID, b"")
    return int(struct.unpack("=i", raw)[0]) if len(raw) == 4 else -1


def _packed(fd: int) -> bytes:
    return struct.pack("=i", fd)
