"""Telling the network's switches where those machines are that are behind a bridge here, or have no address of ours.

A switch sends to where it has last heard a MAC. When the traffic takes another NIC, it goes on sending to the old one
until the machine says something by itself, and a bond drops what comes there. Nobody but the machine could announce its
addresses, but anybody may send a frame with its MAC: a RARP request, as hypervisors do after a migration (RFC 903;
QEMU, net/announce.c), which nobody answers.

Who is behind a bridge is in its forwarding database. Of a bridge that knows VLANs nobody is announced, as the frame
would have to be in the right one.
"""

from __future__ import annotations

import errno
import struct

from failoverd.netlink.fetch import Opener, dump_once
from failoverd.netlink.frames import NLM_F_DUMP, Message, NetlinkError, attribute, attributes, build

RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
AF_BRIDGE = 7
NDMSG = struct.Struct("=BxxxiHBB")
NDA_LLADDR, NDA_VLAN, NDA_MASTER = 2, 5, 9
NTF_SELF = 0x02
NUD_PERMANENT = 0x80
ETH_P_RARP = 0x8035
BROADCAST = b"\xff" * 6
MOST = 1000
"""Machines announced for one bridge: a port with more behind it would be flooded by that."""


async def fetch_behind(open_socket: Opener, bridge: int, port: int) -> list[bytes]:
    """The MACs a bridge has learned on its other ports, MOST of them at most. None where the bridge is gone.

    Raises OSError, NetlinkError, InterruptedDumpError.
    """
    ask = build(
        RTM_GETNEIGH,
        NLM_F_DUMP,
        1,
        NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0) + attribute(NDA_MASTER, struct.pack("=I", bridge)),
    )
    try:
        told = await dump_once(open_socket, ask)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return []
        raise
    macs = (learned(message, bridge, port) for message in told if message.type == RTM_NEWNEIGH)
    return list(dict.fromkeys(mac for mac in macs if mac))[:MOST]


def learned(message: Message, bridge: int, port: int) -> bytes:
    """The MAC of an entry that a bridge has learned, or was told, on another port than this one; b"" for any other.

    Raises NetlinkError for a message too short to be one."""
    if len(message.payload) < NDMSG.size:
        raise NetlinkError(f"a neighbour message of {len(message.payload)} bytes")
    _, ifindex, state, flags, _ = NDMSG.unpack_from(message.payload)
    attrs = dict(attributes(message.payload, NDMSG.size))
    mac = attrs.get(NDA_LLADDR, b"")
    is_bridges = attrs.get(NDA_MASTER) == struct.pack("=I", bridge) and not flags & NTF_SELF
    if not is_bridges or ifindex in (port, bridge) or state & NUD_PERMANENT or NDA_VLAN in attrs:
        return b""
    return mac if len(mac) == 6 and not mac[0] & 1 else b""


def rarp(mac: bytes) -> bytes:
    """Here is this MAC."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + mac + bytes(4) + mac + bytes(4)
    return BROADCAST + mac + struct.pack("!H", ETH_P_RARP) + body
