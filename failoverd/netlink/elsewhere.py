"""Find devices of other network namespaces that stand on a device of this one: a container's macvlan, say.

A dump of this namespace does not show them, and enslaving the device below cuts them off. When a device is moved to
another namespace, the kernel gives that namespace a number (nsid) here. With CAP_NET_ADMIN over it, its devices can be
listed under the number (IFLA_TARGET_NETNSID), and IFLA_LINK then refers to this namespace. A device that was created in
its namespace leaves no number behind. A macvlan among these is found by its MAC, for which the device below accepts
frames while the macvlan is up; other kinds show only when the kernel refuses to enslave the NIC, and a VLAN not even
then.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from failoverd.netlink.bridge_hosts import fetch_taken_in
from failoverd.netlink.fetch import Opener, dump_once
from failoverd.netlink.frames import (
    NLM_F_DUMP,
    NLMSG_ERROR,
    Message,
    NetlinkError,
    attribute,
    attributes,
    build,
    read_error,
    split,
)
from failoverd.netlink.links import INFO, RTM_GETLINK, RTM_NEWLINK, read_underlay

RTM_NEWNSID, RTM_GETNSID = 88, 90
NETNSA_NSID, NETNSA_FD = 1, 3
IFLA_ADDRESS, IFLA_TARGET_NETNSID = 1, 46
GENERAL = bytes(4)
"""struct rtgenmsg, padded."""
OWN = Path("/proc/thread-self/ns/net")
PEERS = frozenset({"veth", "netkit", "vxcan"})
"""Kinds whose IFLA_LINK is the other end, and not a device below."""


async def upper_elsewhere(open_socket: Opener, ifindex: int) -> str:
    """Return a sentence about a device of another namespace that stands on this one, or "".

    A namespace that cannot be listed, or is gone by now, is passed over. Raises as fetch_inet does.
    """
    numbers = [_nsid(message) for message in await dump_once(open_socket, build(RTM_GETNSID, NLM_F_DUMP, 1, GENERAL))]
    if not numbers:
        return ""
    own = await _own_nsid(open_socket)
    for nsid in sorted(number for number in numbers if number not in (-1, own)):
        target = attribute(IFLA_TARGET_NETNSID, struct.pack("=i", nsid))
        try:
            rows = await dump_once(open_socket, build(RTM_GETLINK, NLM_F_DUMP, 1, INFO.pack(0, 0, 0, 0, 0) + target))
        except OSError:
            continue
        own = await _own_nsid(open_socket)
        for row in (row for row in rows if row.type == RTM_NEWLINK):
            kind, link, where = read_underlay(row)
            if kind not in PEERS and own != -1 and (link, where) == (ifindex, own):
                return f"the {kind or 'device'} of a container (nsid {nsid}) stands on it"
    return ""


async def mac_elsewhere(open_socket: Opener, ifindex: int) -> str:
    """Return a sentence about a MAC for which this device accepts frames and which no device of this namespace has, or
    "".

    Raises as fetch_inet does.
    """
    macs = await fetch_taken_in(open_socket, ifindex)
    if not macs:
        return ""
    rows = await dump_once(open_socket, build(RTM_GETLINK, NLM_F_DUMP, 1, INFO.pack(0, 0, 0, 0, 0)))
    own = {dict(attributes(row.payload, INFO.size)).get(IFLA_ADDRESS) for row in rows if row.type == RTM_NEWLINK}
    strange = [mac.hex(":") for mac in macs if mac not in own]
    return f"something with the MAC {strange[0]}, which no device here has, stands on it" if strange else ""


async def _own_nsid(open_socket: Opener) -> int:
    """Return the nsid of this namespace in itself, -1 for none: the first listing that needs one assigns it."""
    sock = await open_socket()
    fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        await sock.send(build(RTM_GETNSID, 0, 1, GENERAL + attribute(NETNSA_FD, struct.pack("=i", fd))))
        for message in split(await sock.recv()):
            if message.type == NLMSG_ERROR and (number := read_error(message)[0]):
                raise OSError(number, "the kernel does not tell the number of a network namespace")
            return _nsid(message)
    finally:
        os.close(fd)
        sock.close()
    return -1


def _nsid(message: Message) -> int:
    if message.type != RTM_NEWNSID:
        return -1
    raw = dict(attributes(message.payload, len(GENERAL))).get(NETNSA_NSID, b"")
    if len(raw) != 4:
        raise NetlinkError(f"a namespace's number of {len(raw)} bytes")
    return int(struct.unpack("=i", raw)[0])
