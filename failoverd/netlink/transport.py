"""The interface between the daemon and the kernel, real or simulated: datagrams."""

from __future__ import annotations

import array
import errno
import socket
import struct
from typing import Protocol

import trio

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
RTMGRP_LINK = 0x1
RTMGRP_TC = 0x8
RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV6_IFADDR = 0x100
EVENTS = RTMGRP_LINK | RTMGRP_TC | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
"""The multicast groups of the daemon's socket."""
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
SOCK_FPROG = struct.Struct("@HP")
"""struct sock_fprog (linux/filter.h)."""
INSTRUCTION = 8
"""Bytes of a struct sock_filter."""
LARGEST = 1 << 18
"""Longest datagram read, in bytes; the kernel fills a dump's datagrams up to 32 KiB."""


class Transport(Protocol):
    """A netlink socket. `recv` raises OSError(ENOBUFS) once when the kernel had to drop messages."""

    async def send(self, datagram: bytes) -> None:
        """Send a datagram to the kernel, which processes its messages before this returns."""

    async def recv(self) -> bytes:
        """Return the next datagram."""

    def recv_nowait(self) -> bytes | None:
        """Return the next datagram, None where there is none yet. Raises what `recv` raises."""

    def close(self) -> None:
        """Close the socket; safe to call twice."""


OVERRUNS = (errno.ENOBUFS, errno.ENOMEM)


class KernelSocket:
    """An AF_NETLINK socket of this network namespace."""

    def __init__(self, sock: socket.socket) -> None:
        self._raw = sock
        self._sock = trio.socket.from_stdlib_socket(sock)
        # Allocated once: a new buffer of that size for every message is a mapping made and unmade.
        self._buffer = bytearray(LARGEST)

    @classmethod
    async def open(
        cls, groups: int = 0, receive_buffer: int = 0, strict: bool = False, protocol: int = NETLINK_ROUTE
    ) -> KernelSocket:
        """Open a socket in these multicast groups.

        `receive_buffer` is in bytes, 0 for the system's default. `strict` lets the kernel filter dumps
        (NETLINK_GET_STRICT_CHK, since 4.20). Raises OSError.
        """
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        try:
            sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            if strict:
                sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
            if receive_buffer:
                _set_buffer(sock, receive_buffer)
            sock.bind((0, groups))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def send(self, datagram: bytes) -> None:
        """See Transport."""
        await self._sock.sendto(datagram, (0, 0))

    async def recv(self) -> bytes:
        """See Transport. Messages of other processes are passed over: only the kernel has port 0."""
        while True:
            size, sender = await self._sock.recvfrom_into(self._buffer)
            if sender[0] == 0:
                return bytes(memoryview(self._buffer)[:size])

    def recv_nowait(self) -> bytes | None:
        """See Transport."""
        while True:
            try:
                size, sender = self._raw.recvfrom_into(self._buffer)
            except BlockingIOError:
                return None
            if sender[0] == 0:
                return bytes(memoryview(self._buffer)[:size])

    async def readable(self) -> None:
        """Wait until there is something to receive. Raises trio.ClosedResourceError when it is closed meanwhile."""
        await trio.lowlevel.wait_readable(self._raw)

    def keep_out(self, program: bytes) -> None:
        """Make the kernel drop datagrams for which this classic BPF program returns 0. Raises OSError."""
        keep_out(self._raw, program)

    def resize(self, receive_buffer: int) -> None:
        """Set the size of the receive buffer, in bytes. Raises OSError."""
        _set_buffer(self._raw, receive_buffer)

    def close(self) -> None:
        """See Transport."""
        self._sock.close()


def keep_out(sock: socket.socket, program: bytes) -> None:
    """Make the kernel drop datagrams for which this classic BPF program returns 0. Raises OSError."""
    code = array.array("B", program)
    about = SOCK_FPROG.pack(len(program) // INSTRUCTION, code.buffer_info()[0])
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, about)


def _set_buffer(sock: socket.socket, size: int) -> None:
    """Set the receive buffer's size: beyond the system's limit with CAP_NET_ADMIN, up to it without."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, struct.pack("=i", size))
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def is_overrun(error: OSError) -> bool:
    """Return whether the kernel dropped messages, or had no memory to go on with a dump; the socket stays usable."""
    return error.errno in OVERRUNS
