"""The real kernel, in a network namespace of its own that nothing else sees.

A child process makes the namespace, and others, opens the netlink sockets there, and hands them over (SCM_RIGHTS).
The kernel judges a request by the socket's opener and by the sender; whoever made a user namespace has every
capability in it from outside, so this needs no root and the test process itself never changes its namespace.
When the child has gone and the sockets are closed, the kernel takes the namespace down with all that is in it.
"""

from __future__ import annotations

import array
import ctypes
import os
import socket
import sys

import trio

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_LISTEN_ALL_NSID = 270, 1, 8
NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 11, 12
SO_RCVBUFFORCE = 33


class NoNamespaceError(Exception):
    """This machine lets us have no network namespace; the text says why."""


class Namespace:
    """A private network namespace, as a place to open NETLINK_ROUTE sockets in."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            self._ours.close()
            _serve(theirs)
        theirs.close()
        answer = self._ours.recv(200)
        if answer != b"ready":
            self.close()
            raise NoNamespaceError(answer.decode())

    def open(self) -> socket.socket:
        """A new NETLINK_ROUTE socket of this namespace."""
        return socket.socket(fileno=self._ask(b"open")[0])

    def _ask(self, what: bytes) -> tuple[int, bytes]:
        self._ours.send(what)
        return self._answered()

    def _answered(self) -> tuple[int, bytes]:
        """A descriptor and the text that came with it."""
        answer, descriptor = _received(self._ours)
        if descriptor is None:
            raise NoNamespaceError(answer.decode())
        return descriptor, answer

    def another(self) -> int:
        """A descriptor of a further namespace, which nothing else holds."""
        return self._ask(b"another")[0]

    def open_in(self, descriptor: int) -> socket.socket:
        """A new NETLINK_ROUTE socket of a further namespace."""
        self._ours.sendmsg([b"open in"], [_rights(descriptor)])
        return socket.socket(fileno=self._answered()[0])

    def write(self, path: str, value: str) -> int:
        """Write a file as a process of this namespace; the errno, 0 for done."""
        self._ours.send(f"{path}\0{value}".encode())
        return int(self._ours.recv(200))

    def close(self) -> None:
        """Let the child end. The namespace goes when the last socket does."""
        self._ours.close()
        os.waitpid(self._pid, 0)


class RealSocket:
    """An AF_NETLINK socket with the surface of SimSocket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.bind((0, 0))
        self.nsid: int | None = None
        self._raw = sock
        self._sock = trio.socket.from_stdlib_socket(sock)

    def join(self, group: int) -> None:
        """Join one multicast group (RTNLGRP_*)."""
        self._raw.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def set_strict(self, on: bool = True) -> None:
        """NETLINK_GET_STRICT_CHK: dump requests are checked and their filters honoured."""
        self._raw.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, int(on))

    def set_receive_buffer(self, size: int) -> None:
        """SO_RCVBUF in bytes (the kernel doubles it)."""
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    async def send(self, datagram: bytes) -> None:
        """Send one datagram to the kernel."""
        await self._sock.send(datagram)

    def listen_all(self, on: bool = True) -> None:
        """NETLINK_LISTEN_ALL_NSID: hear every namespace that has a number in this one."""
        self._raw.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, int(on))

    async def recv(self) -> bytes:
        """The next datagram. Raises OSError(ENOBUFS) where some were lost."""
        datagram, extra, _, _ = await self._sock.recvmsg(1 << 18, socket.CMSG_SPACE(4))
        numbers = [raw for level, kind, raw in extra if (level, kind) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID)]
        self.nsid = int.from_bytes(numbers[0], sys.byteorder) if numbers else None
        return datagram

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def _rights(descriptor: int) -> tuple[int, int, array.array[int]]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor])


def _received(channel: socket.socket) -> tuple[bytes, int | None]:
    """A message, and the descriptor with it."""
    text, extra, _, _ = channel.recvmsg(300, socket.CMSG_SPACE(array.array("i", [0]).itemsize))
    return text, int.from_bytes(extra[0][2][:4], sys.byteorder) if extra else None


def _write(path: str, value: str) -> int:
    """/proc/sys/net shows the namespace of whoever looks."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno or -1
    return 0


def _serve(channel: socket.socket) -> None:
    """The child: makes the namespace, then opens a socket or writes a file for each message, until the other end is
    closed."""
    try:
        flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(flags):
            channel.send(f"unshare: {os.strerror(ctypes.get_errno())}".encode())
            os._exit(1)
        channel.send(b"ready")
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        while (received := _received(channel))[0]:
            asked, descriptor = received
            if asked not in (b"open", b"open in", b"another"):
                channel.send(str(_write(*asked.decode().split("\0"))).encode())
                continue
            if asked == b"another":
                libc.unshare(CLONE_NEWNET)
                made = os.open("/proc/self/ns/net", os.O_RDONLY)
            else:
                if descriptor is not None:
                    libc.setns(descriptor, CLONE_NEWNET)
                    os.close(descriptor)
                made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).detach()
            libc.setns(own, CLONE_NEWNET)
            channel.sendmsg([b"here"], [_rights(made)])
            os.close(made)
        os._exit(0)
    except BaseException as error:
        channel.send(repr(error).encode())
        os._exit(1)
