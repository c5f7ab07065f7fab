"""Read RTM_NEWLINK of devices that can be in no pair, by hand.

Containers and virtual machines create them by the hundred. This reader takes a sixth of the codec's time, as it looks
only at what other parts may need of such a device: above all its name, which a pair may wish for. The other fields keep
the defaults of a new Link. A property test holds the two readers to each other.
"""

from __future__ import annotations

import struct

from failoverd.model.links import BYSTANDERS, NO_NAMES, Link
from failoverd.netlink.frames import ATTR, HEADER, TYPE_MASK, Message, NetlinkError, attributes
from failoverd.netlink.links import IFF_LOWER_UP, IFF_UP, INFO, mac, text

ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, LINK_NETNSID, PROP_LIST = 1, 3, 4, 5, 10, 18, 37, 52
INFO_KIND, ALT_IFNAME = 1, 53
NUMBER = struct.Struct("=I")
NONE = bytes(NUMBER.size)
WANTED = frozenset((ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, LINK_NETNSID, PROP_LIST))
KINDS = {kind.encode(): kind for kind in BYSTANDERS}


def read_bystander(message: Message) -> Link | None:
    """Return the device; None where its kind is not in BYSTANDERS or its message is odd, and the full reader has to
    take it."""
    raw = message.raw
    _, hardware, ifindex, flags, _ = INFO.unpack_from(raw, HEADER.size)
    found: dict[int, bytes] = {}
    at, end = HEADER.size + INFO.size, len(raw)
    try:
        while at + ATTR.size <= end:
            length, kind = ATTR.unpack_from(raw, at)
            if length < ATTR.size or at + length > end:
                return None
            if kind & TYPE_MASK in WANTED:
                found[kind & TYPE_MASK] = raw[at + ATTR.size : at + length]
            at += (length + 3) & ~3
        what = KINDS.get(dict(attributes(found.get(LINKINFO, b""))).get(INFO_KIND, b"").rstrip(b"\0"))
        if what is None:
            return None
        names = attributes(found[PROP_LIST]) if PROP_LIST in found else ()
        return Link(
            ifindex=ifindex,
            name=text(found.get(IFNAME, b"")),
            mac=mac(found.get(ADDRESS, b"")),
            up=bool(flags & IFF_UP),
            carrier=bool(flags & IFF_LOWER_UP),
            mtu=NUMBER.unpack(found.get(MTU, NONE))[0],
            master=NUMBER.unpack(found.get(MASTER, NONE))[0],
            link=NUMBER.unpack(found.get(LINK, NONE))[0] if LINK_NETNSID not in found else 0,
            kind=what,
            hardware=hardware,
            altnames=frozenset(text(name) for kind, name in names if kind == ALT_IFNAME) or NO_NAMES,
        )
    except (struct.error, NetlinkError):
        return None
