"""The real kernel, in a network namespace of its own that nothing else sees.

A child process makes the namespace and opens the netlink sockets there, and hands them over (SCM_RIGHTS).
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
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 1, 11, 12
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
        self._ours.send(b"open")
        room = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
        answer, extra, _, _ = self._ours.recvmsg(200, room)
        if not extra:
            raise NoNamespaceError(answer.decode())
        return socket.socket(fileno=int.from_bytes(extra[0][2][:4], sys.byteorder))

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

    async def recv(self) -> bytes:
        """The next datagram. Raises OSError(ENOBUFS) where some were lost."""
        return await self._sock.recv(1 << 18)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


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
        while asked := channel.recv(300):
            if asked != b"open":
                channel.send(str(_write(*asked.decode().split("\0"))).encode())
                continue
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
                descriptor = array.array("i", [sock.fileno()])
                channel.sendmsg([b"socket"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)])
        os._exit(0)
    except BaseException as error:
        channel.send(repr(error).encode())
        os._exit(1)
