"""Find sockets that are bound to a device: by SO_BINDTODEVICE, or as packet sockets (NETLINK_SOCK_DIAG).

Such a socket keeps the ifindex. When the device becomes a slave, the socket receives nothing any more, and what it
sends leaves by the standby and draws the traffic there. The kernel lists the sockets that wait for frames: TCP sockets
that listen or are connected (over an IPv6 link-local address they are bound, too), UDP, raw and packet sockets. Sockets
that every machine has, or that come back by themselves on the master, are passed over: DHCP clients
(daemon/neighbours.py knows those that do not come back), ICMP, captures, LLDP, ARP.
"""

from __future__ import annotations

import errno
import struct

from failoverd.netlink.fetch import Opener, dump_once
from failoverd.netlink.frames import NLM_F_DUMP, Message, NetlinkError, attributes, build

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
AF_INET, AF_INET6, AF_PACKET = 2, 10, 17
TCP, UDP, RAW = 6, 17, 255
ESTABLISHED, SYN_SENT, CLOSED, CLOSE_WAIT, LISTEN = 1, 2, 7, 8, 10
"""Socket states (TCP_ESTABLISHED and so on); a UDP or raw socket is CLOSED, or ESTABLISHED if it is connected."""
DATAGRAMS = 1 << CLOSED | 1 << ESTABLISHED
STREAMS = 1 << LISTEN | 1 << ESTABLISHED | 1 << SYN_SENT | 1 << CLOSE_WAIT
ASKED = ((TCP, "TCP", STREAMS), (UDP, "UDP", DATAGRAMS), (RAW, "raw", DATAGRAMS))
BYTECODE, DEVICE_IS = 1, 9
"""INET_DIAG_REQ_BYTECODE, INET_DIAG_BC_DEV_COND (linux/inet_diag.h): the kernel leaves out what is not bound to it."""
FILTER = struct.Struct("=HHBBHI")
"""The attribute's length and kind; struct inet_diag_bc_op (code, where to go on if so, if not); the ifindex. To go on
beyond the end is to leave the socket out (net/ipv4/inet_diag.c, inet_diag_bc_run).
"""
INET_REQUEST = struct.Struct("=BBBxI48x")
INET = struct.Struct("=BBxx2sxx32xI")
"""struct inet_diag_msg up to the device: family, state, port, device."""
PACKET_REQUEST = struct.Struct("=BBxxII8x")
PACKET = struct.Struct("=BBHI8x")
PACKET_SHOW_INFO, PACKET_DIAG_INFO = 1, 0
USUAL_PORTS = {UDP: frozenset({68, 546}), RAW: frozenset({1, 58})}
"""Ports of DHCP clients; for raw sockets the protocols ICMP and ICMPv6."""
USUAL_FRAMES = frozenset({0, 0x0003, 0x0800, 0x0806, 0x86DD, 0x88CC})
"""Protocols of packet sockets: none yet, all, IPv4, ARP, IPv6, LLDP."""


async def bound_to(open_diag: Opener, ifindex: int) -> str:
    """Return a sentence about a socket that is bound to this device and would receive nothing any more, or "".

    A kind of socket that this kernel cannot list is passed over. Raises as fetch_inet does.
    """
    only = FILTER.pack(FILTER.size, BYTECODE, DEVICE_IS, 8, 12, ifindex)
    for protocol, word, states in ASKED:
        for family in (AF_INET, AF_INET6):
            for row in await _list(open_diag, INET_REQUEST.pack(family, protocol, 0, states) + only):
                port, device = _inet(row)
                if device == ifindex and port not in USUAL_PORTS.get(protocol, ()):
                    return f"a {word} socket ({'protocol' if protocol == RAW else 'port'} {port}) is bound to it"
    for row in await _list(open_diag, PACKET_REQUEST.pack(AF_PACKET, 0, 0, PACKET_SHOW_INFO)):
        number, device = _packet(row)
        if device == ifindex and number not in USUAL_FRAMES:
            return f"a packet socket (protocol {number:#06x}) is bound to it"
    return ""


async def _list(open_diag: Opener, request: bytes) -> list[Message]:
    try:
        rows = await dump_once(open_diag, build(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, 1, request))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP):
            return []
        raise
    return [row for row in rows if row.type == SOCK_DIAG_BY_FAMILY]


def _inet(row: Message) -> tuple[int, int]:
    if len(row.payload) < INET.size:
        raise NetlinkError(f"a socket's message of {len(row.payload)} bytes")
    _, _, port, device = INET.unpack_from(row.payload)
    return int.from_bytes(port, "big"), device


def _packet(row: Message) -> tuple[int, int]:
    if len(row.payload) < PACKET.size:
        raise NetlinkError(f"a packet socket's message of {len(row.payload)} bytes")
    info = dict(attributes(row.payload, PACKET.size)).get(PACKET_DIAG_INFO, bytes(4))
    return PACKET.unpack_from(row.payload)[2], int.from_bytes(info[:4], "little")
