"""The seam between the daemon and the kernel, real or simulated: datagrams."""

from __future__ import annotations

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
"""The groups the daemon listens to."""
SO_RCVBUFFORCE = 33
LARGEST = 1 << 18
"""Longest datagram read, in bytes; the kernel fills a dump's datagrams up to 32 KiB."""


class Transport(Protocol):
    """A netlink socket. `recv` raises OSError(ENOBUFS) once when the kernel had to drop messages."""

    async def send(self, datagram: bytes) -> None:
        """Hand a datagram to the kernel, which works through its messages before this returns."""

    async def recv(self) -> bytes:
        """The next datagram."""

    def close(self) -> None:
        """End it; safe to call twice."""


OVERRUNS = (errno.ENOBUFS, errno.ENOMEM)


class KernelSocket:
    """An AF_NETLINK socket of this network namespace."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._sock = sock
        # Made once: a new buffer of that size for every message is a mapping made and unmade.
        self._buffer = bytearray(LARGEST)

    @classmethod
    async def open(cls, groups: int = 0, receive_buffer: int = 0, strict: bool = False) -> KernelSocket:
        """Open one in these multicast groups. `receive_buffer` in bytes, 0 for the system's default; `strict` lets the
        kernel filter dumps (NETLINK_GET_STRICT_CHK, since 4.20). Raises OSError."""
        sock = trio.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        try:
            sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            if strict:
                sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
            if receive_buffer:
                _set_buffer(sock, receive_buffer)
            await sock.bind((0, groups))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def send(self, datagram: bytes) -> None:
        """See Transport."""
        await self._sock.sendto(datagram, (0, 0))

    async def recv(self) -> bytes:
        """See Transport. What another process sent to us is passed over: only the kernel has port 0."""
        while True:
            size, sender = await self._sock.recvfrom_into(self._buffer)
            if sender[0] == 0:
                return bytes(memoryview(self._buffer)[:size])

    def resize(self, receive_buffer: int) -> None:
        """Give it another receive buffer, in bytes. Raises OSError."""
        _set_buffer(self._sock, receive_buffer)

    def close(self) -> None:
        """See Transport."""
        self._sock.close()


def _set_buffer(sock: trio.socket.SocketType, size: int) -> None:
    """Beyond the system's limit where we may (CAP_NET_ADMIN), up to it where not."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, struct.pack("=i", size))
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def is_overrun(error: OSError) -> bool:
    """Whether the kernel had to drop messages, or had no memory to go on with a dump; the socket stays usable."""
    return error.errno in OVERRUNS
