"""A pair of veths in this network namespace, made without the codec under test."""

from __future__ import annotations

import socket
import struct

import kernelbytes as kernel
import trio

CREATE = 0x1 | 0x4 | 0x200 | 0x400


async def make_veth(name: str, peer: str) -> tuple[int, int]:
    """Make them; their ifindexes. Raises OSError."""
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
    other = kernel.attr(1, body + kernel.attr(3, peer.encode() + b"\0"))
    info = kernel.attr(18, kernel.attr(1, b"veth\0") + kernel.attr(2, other))
    request = kernel.message(16, body + kernel.attr(3, name.encode() + b"\0") + info, 1, CREATE)
    with trio.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        await sock.send(request)
        (number,) = struct.unpack_from("=i", await sock.recv(1 << 16), 16)
    if number:
        raise OSError(-number, f"no veth: {-number}")
    return socket.if_nametoindex(name), socket.if_nametoindex(peer)
