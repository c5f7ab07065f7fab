"""Convert RTM_NEWNEIGH and RTM_NEWADDRLABEL to the model and back."""

from __future__ import annotations

import struct

from failoverd.model.inet import Label, Neighbour
from failoverd.netlink.frames import Message, NetlinkError, attribute, attributes

RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_NEWADDRLABEL, RTM_GETADDRLABEL = 72, 74
AF_INET6 = 10

NDMSG = struct.Struct("=BxxxiHBB")
NDA_DST, NDA_LLADDR, NDA_IFINDEX, NDA_PROTOCOL, NDA_FLAGS_EXT = 1, 2, 8, 12, 15
SETTABLE = (NDA_DST, NDA_LLADDR, NDA_PROTOCOL, NDA_FLAGS_EXT)
NUD_PERMANENT = 0x80
NTF_PROXY = 0x08

ADDRLABEL = struct.Struct("=BxBBII")
IFAL_ADDRESS, IFAL_LABEL = 1, 2
NUMBER = struct.Struct("=I")


def ask_neighbours(ifindex: int, proxies: bool) -> bytes:
    """Return the payload of the dump request for a device's neighbours, or for its proxy entries."""
    return NDMSG.pack(0, 0, 0, NTF_PROXY if proxies else 0, 0) + attribute(NDA_IFINDEX, NUMBER.pack(ifindex))


def read_neighbour(message: Message) -> Neighbour | None:
    """Return a permanent or proxy entry, which an administrator has made; None for what the kernel has learned. Raises
    NetlinkError."""
    payload = message.payload
    if len(payload) < NDMSG.size:
        raise NetlinkError(f"a neighbour message of {len(payload)} bytes")
    family, ifindex, state, flags, kind = NDMSG.unpack_from(payload)
    if not (state & NUD_PERMANENT or flags & NTF_PROXY):
        return None
    attrs = tuple((k, data) for k, data in attributes(payload, NDMSG.size) if k in SETTABLE)
    return Neighbour(ifindex, family, state, flags, kind, attrs)


def write_neighbour(neighbour: Neighbour) -> bytes:
    """Return the payload that adds it."""
    head = NDMSG.pack(neighbour.family, neighbour.ifindex, neighbour.state, neighbour.flags, neighbour.type)
    return head + b"".join(attribute(kind, data) for kind, data in neighbour.attrs)


def ask_labels() -> bytes:
    """Return the payload of the dump request for all address labels."""
    return ADDRLABEL.pack(AF_INET6, 0, 0, 0, 0)


def read_label(message: Message) -> Label:
    """Return one label. Raises NetlinkError."""
    payload = message.payload
    found = dict(attributes(payload, ADDRLABEL.size)) if len(payload) >= ADDRLABEL.size else {}
    if len(found.get(IFAL_LABEL, b"")) != NUMBER.size:
        raise NetlinkError(f"an address label of {len(payload)} bytes")
    _, prefixlen, _, ifindex, _ = ADDRLABEL.unpack_from(payload)
    return Label(ifindex, found.get(IFAL_ADDRESS, b""), prefixlen, NUMBER.unpack(found[IFAL_LABEL])[0])


def write_label(label: Label) -> bytes:
    """Return the payload that adds it."""
    head = ADDRLABEL.pack(AF_INET6, label.prefixlen, 0, label.ifindex, 0)
    return head + attribute(IFAL_ADDRESS, label.prefix) + attribute(IFAL_LABEL, NUMBER.pack(label.label))
