"""What declared links need of a device, read by hand.

A machine may have two thousand of them, each of which is read after each change; pyroute2's codec takes ten times as
long (netlink/links.py). A property test holds this to it.
"""

from __future__ import annotations

import struct

from failoverd.kinds import KINDS, Data
from failoverd.model.links import NO_NAMES, Link
from failoverd.netlink.frames import Message, NetlinkError, attributes, pick
from failoverd.netlink.links import IFF_LOWER_UP, IFF_UP, INFO, mac, text

ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, LINK_NETNSID, PROP_LIST, ALT_IFNAME = 1, 3, 4, 5, 10, 18, 37, 52, 53
WANTED = frozenset({ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, LINK_NETNSID, PROP_LIST})
INFO_KIND, INFO_DATA = 1, 2
INFO_WANTED = frozenset({INFO_KIND, INFO_DATA})
NUMBER = struct.Struct("=i")


def read_device(message: Message) -> Link:
    """Return a device with its ifindex, names, MAC, MTU, flags, master, lower device, kind and options, and with
    defaults in place of everything else.

    Raises NetlinkError for a message that is not one of a device.
    """
    payload = message.payload
    if len(payload) < INFO.size:
        raise NetlinkError(f"a link message of {len(message.raw)} bytes")
    _, _, ifindex, flags, _ = INFO.unpack_from(payload)
    attrs = pick(payload[INFO.size :], WANTED)
    info = pick(attrs.get(LINKINFO, b""), INFO_WANTED)
    kind = text(info.get(INFO_KIND, b""))
    lower = _number(attrs, LINK)
    nsid = _number(attrs, LINK_NETNSID) if LINK_NETNSID in attrs else None
    known = KINDS.get(kind)
    try:
        options = known.read(Data(pick(info.get(INFO_DATA, b""), known.wanted), lower, nsid)) if known else None
    except struct.error as error:
        raise NetlinkError(f"the options of a {kind}: {error}") from error
    return Link(
        ifindex,
        text(attrs.get(IFNAME, b"")),
        mac(attrs.get(ADDRESS, b"")),
        up=bool(flags & IFF_UP),
        carrier=bool(flags & IFF_LOWER_UP),
        mtu=_number(attrs, MTU),
        master=_number(attrs, MASTER),
        # An ifindex of another network namespace says nothing here.
        link=lower if nsid is None else 0,
        kind=kind,
        info=options,
        altnames=_altnames(attrs[PROP_LIST]) if PROP_LIST in attrs else NO_NAMES,
    )


def _altnames(listed: bytes) -> frozenset[str]:
    return frozenset(text(name) for kind, name in attributes(listed) if kind == ALT_IFNAME)


def _number(attrs: dict[int, bytes], kind: int) -> int:
    raw = attrs.get(kind, bytes(4))
    if len(raw) < NUMBER.size:
        raise NetlinkError(f"attribute {kind} of a link has {len(raw)} bytes and no number")
    return int(NUMBER.unpack_from(raw)[0])
