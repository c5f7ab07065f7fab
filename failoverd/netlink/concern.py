"""Whether what the kernel tells has to do with declared links. Other devices may come and go by the thousand."""

from __future__ import annotations

from collections.abc import Container

from failoverd.links.addresses import PROTOCOL
from failoverd.links.picture import Interest
from failoverd.netlink import inet, links
from failoverd.netlink.frames import Message, NetlinkError, pick, split
from failoverd.netlink.inet import IFADDR, RTMSG
from failoverd.netlink.links import INFO, head

IFLA_IFNAME = frozenset({3})


def concerns(datagram: bytes, interest: Interest, known: Container[int]) -> bool:
    """Return whether a datagram tells of a device of interest, or of one of the `known` ifindexes; also for one that
    cannot be read, as it may have."""
    try:
        return any(_concerns(message, interest, known) for message in split(datagram))
    except NetlinkError:
        return True


def _concerns(message: Message, interest: Interest, known: Container[int]) -> bool:
    payload = message.payload
    match message.type:
        case links.RTM_NEWLINK | links.RTM_DELLINK:
            _, ifindex, _ = head(message)
            if ifindex in known or ifindex in interest.ifindexes or interest.prefix.encode() in message.raw:
                return True
            name = pick(payload[INFO.size :], IFLA_IFNAME).get(3, b"").rstrip(b"\0")
            return name.decode("utf-8", "surrogateescape") in interest.names
        case inet.RTM_NEWADDR | inet.RTM_DELADDR:
            return len(payload) < IFADDR.size or IFADDR.unpack_from(payload)[4] in known
        case inet.RTM_NEWROUTE | inet.RTM_DELROUTE:
            return len(payload) < RTMSG.size or RTMSG.unpack_from(payload)[5] == PROTOCOL
        case _:
            return False
