"""Bridges as far as a move needs to know them: the options that others do not read, and what cannot be cloned of them.

The rest of the options is kept as the kernel tells it (kinds/bridge.py, REST). A port's options, VLANs of ports, static
entries of the forwarding database are looked at only for whether there are any.
"""

from __future__ import annotations

import struct

from failoverd.kinds.bridge import DEFAULT_GROUP, GROUP_ADDRESS, REST, VLAN_FILTERING
from failoverd.netlink.fetch import Opener, dump_once
from failoverd.netlink.frames import NLM_F_DUMP, Message, attribute, attributes, build
from failoverd.netlink.links import INFO, text
from failoverd.netlink.neighbours import NDMSG, RTM_GETNEIGH, RTM_NEWNEIGH

IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 18, 1, 2, 4, 5
AF_BRIDGE, NDA_MASTER, NUD_NOARP = 7, 9, 0x40
USUAL = {
    2: struct.pack("=H", 32),
    **dict.fromkeys((4, 5, 6, 7, 10, 12, 28, 29, 32, 33, 39, 40, 43), b"\0"),
    **dict.fromkeys((8, 9, 25, 27, 30), b"\1"),
    31: bytes(2),
    42: bytes(4),
}
"""IFLA_BRPORT_* of a new port: its priority, and flags. Its cost follows from its speed."""
MULTI_BOOLOPT = 46
IFLA_BRPORT_BACKUP_PORT = 34


def read_rest(message: Message) -> bytes:
    """Return the further options of a bridge, b"" for another device. Raises NetlinkError."""
    info = _info(message)
    if text(info.get(IFLA_INFO_KIND, b"")) != "bridge":
        return b""
    told = {kind: data for kind, data in attributes(info.get(IFLA_INFO_DATA, b"")) if kind in REST}
    flags = told.pop(MULTI_BOOLOPT, b"")[:4]
    if any(flags):
        # Values and a mask of those that are meant. Some kernels refuse to turn one off that they do not have.
        told[MULTI_BOOLOPT] = flags + flags
    return b"".join(attribute(kind, data) for kind, data in told.items())


def oddity(message: Message) -> str:
    """Return what cannot be cloned of a bridge, or of a port of one, by its message, in words. Raises NetlinkError."""
    info = _info(message)
    if text(info.get(IFLA_INFO_KIND, b"")) == "bridge":
        options = dict(attributes(info.get(IFLA_INFO_DATA, b"")))
        if any(options.get(VLAN_FILTERING, b"")):
            return "the VLANs of its ports cannot be cloned yet"
        if options.get(GROUP_ADDRESS, DEFAULT_GROUP) != DEFAULT_GROUP:
            return "its group address cannot be cloned"
    if text(info.get(IFLA_INFO_SLAVE_KIND, b"")) == "bridge":
        port = dict(attributes(info.get(IFLA_INFO_SLAVE_DATA, b"")))
        if IFLA_BRPORT_BACKUP_PORT in port or any(port.get(kind, usual) != usual for kind, usual in USUAL.items()):
            return "it has options of its own as a port (bridge -d link), which cannot be cloned yet"
    return ""


async def has_static_entries(open_socket: Opener, bridge: int) -> bool:
    """Whether a bridge's forwarding database has entries that an administrator has made. Raises as dump_once does."""
    head = NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)
    ask = build(RTM_GETNEIGH, NLM_F_DUMP, 1, head + attribute(NDA_MASTER, struct.pack("=I", bridge)))
    rows = [row for row in await dump_once(open_socket, ask) if row.type == RTM_NEWNEIGH]
    return any(NDMSG.unpack_from(row.payload)[2] & NUD_NOARP for row in rows if len(row.payload) >= NDMSG.size)


def _info(message: Message) -> dict[int, bytes]:
    found = dict(attributes(message.payload, INFO.size))
    return dict(attributes(found.get(IFLA_LINKINFO, b"")))
