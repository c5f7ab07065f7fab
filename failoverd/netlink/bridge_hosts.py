"""The MACs of hosts behind a bridge on a master, and of containers, and the frame that announces one.

A switch sends to the port where it last heard a MAC. When traffic moves to the other NIC, the switch goes on sending to
the old one until that host says something by itself, and a bond drops what arrives there. Only the host could announce
its addresses, but any machine may send a frame with its MAC: a RARP request, which no machine answers, as hypervisors
send after a migration (RFC 903; QEMU, net/announce.c).

The hosts behind a bridge are in its forwarding database. The frame is put on the bridge's port: sent on the bridge
itself, it would also reach the bridge's own hosts, and these would seem to have moved. For a bridge with VLAN filtering
nothing is announced, as each frame would have to be in the right VLAN. A container's macvlan has its address in another
network namespace, and its MAC in the filter of the device below it.
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
"""Most hosts announced for one bridge: a port with more behind it would be flooded by the announcements."""


async def fetch_bridge_hosts(open_socket: Opener, bridge: int, port: int) -> list[bytes]:
    """Return the MACs that a bridge has learned on its other ports, at most MOST. Empty where the bridge is gone.

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
    """Return the MAC of an entry that this bridge has learned, or was given, on any port but this one; b"" for any
    other entry.

    Raises NetlinkError for a message too short to be one.
    """
    ifindex, state, flags, attrs = _entry(message)
    mac = attrs.get(NDA_LLADDR, b"")
    is_bridges = attrs.get(NDA_MASTER) == struct.pack("=I", bridge) and not flags & NTF_SELF
    if not is_bridges or ifindex in (port, bridge) or state & NUD_PERMANENT or NDA_VLAN in attrs:
        return b""
    return mac if len(mac) == 6 and not mac[0] & 1 else b""


async def fetch_taken_in(open_socket: Opener, ifindex: int) -> list[bytes]:
    """Return the MACs, other than its own, for which a device accepts frames; at most MOST.

    A macvlan that stands on it and is up has one, in whichever network namespace it is (net/core/rtnetlink.c,
    ndo_dflt_fdb_dump lists the device's filter). Raises as fetch_bridge_hosts does.
    """
    ask = build(RTM_GETNEIGH, NLM_F_DUMP, 1, NDMSG.pack(AF_BRIDGE, ifindex, 0, 0, 0))
    told = await dump_once(open_socket, ask)
    macs = (taken_in(message, ifindex) for message in told if message.type == RTM_NEWNEIGH)
    return list(dict.fromkeys(mac for mac in macs if mac))[:MOST]


def taken_in(message: Message, ifindex: int) -> bytes:
    """Return the MAC of an entry in this device's own filter; b"" for a group and for any other entry. Raises as
    `learned` does."""
    index, _, flags, attrs = _entry(message)
    mac = attrs.get(NDA_LLADDR, b"")
    return mac if index == ifindex and flags & NTF_SELF and len(mac) == 6 and not mac[0] & 1 else b""


def _entry(message: Message) -> tuple[int, int, int, dict[int, bytes]]:
    """Return the ifindex, state, flags and attributes of an entry."""
    if len(message.payload) < NDMSG.size:
        raise NetlinkError(f"a neighbour message of {len(message.payload)} bytes")
    _, ifindex, state, flags, _ = NDMSG.unpack_from(message.payload)
    return ifindex, state, flags, dict(attributes(message.payload, NDMSG.size))


def rarp(mac: bytes) -> bytes:
    """Build a RARP request that announces this MAC."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + mac + bytes(4) + mac + bytes(4)
    return BROADCAST + mac + struct.pack("!H", ETH_P_RARP) + body
