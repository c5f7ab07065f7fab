"""A network namespace that is open, and an answer of failoverd-netns as one (daemon/namespaces.py asks)."""

from __future__ import annotations

import array
import os
import socket
from types import TracebackType

from failoverd.model.places import HERE, Absent, Place
from failoverd.netns.kernel import OWN, open_netlink
from failoverd.netns.protocol import LARGEST, Opened, ProtocolError, read_answer

FILES = 2
"""A netlink socket, and a namespace."""


class NamespaceGoneError(Exception):
    """A place cannot be entered. `absent` says why; it may be there, where the reason is door-closed."""

    def __init__(self, absent: Absent) -> None:
        super().__init__(absent.detail)
        self.absent = absent


class OpenNamespace:
    """A place that is open. That keeps the namespace alive, so it is for one request: a context manager."""

    def __init__(self, place: Place, sock: socket.socket, fd: int) -> None:
        self.place = place
        self.socket = sock
        """A blocking NETLINK_ROUTE socket inside, bound, with extended acknowledgements and strict checking."""
        self.fd = fd
        """The namespace itself, for IFLA_NET_NS_FD."""

    def close(self) -> None:
        """Close both; safe to call twice."""
        self.socket.close()
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def __enter__(self) -> OpenNamespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def door_closed(error: Exception) -> Absent:
    """Return that the doorkeeper cannot be asked, and why."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Absent("door-closed", f"failoverd-netns cannot be asked: {why}; systemctl start failoverd-netns.socket")


def open_here() -> OpenNamespace:
    """Open failoverd's own namespace, for which no doorkeeper is needed."""
    sock = open_netlink()
    try:
        return OpenNamespace(HERE, sock, os.open(OWN, os.O_RDONLY | os.O_CLOEXEC))
    except BaseException:
        sock.close()
        raise


def received(door: socket.socket) -> tuple[bytes, list[int]]:
    """Return an answer and its files. Raises OSError. (Python 3.11's socket.recv_fds forgets its flags.)"""
    files = array.array("i")
    room = socket.CMSG_LEN(FILES * files.itemsize)
    data, control, _, _ = door.recvmsg(LARGEST, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
    return data, files.tolist()


def opened(place: Place, data: bytes, files: list[int]) -> OpenNamespace:
    """Return what the doorkeeper has passed. Raises NamespaceGoneError."""
    try:
        answer = read_answer(data)
    except ProtocolError as error:
        answer = door_closed(error)
    if isinstance(answer, Opened) and len(files) == FILES:
        return OpenNamespace(place, socket.socket(fileno=files[0]), files[1])
    for fd in files:
        os.close(fd)
    raise NamespaceGoneError(answer if isinstance(answer, Absent) else door_closed(ProtocolError("no files came")))
