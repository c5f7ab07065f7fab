"""RTM_NEWNSID and RTM_GETNSID (rtnl_net_newid, rtnl_net_getid), and attributes that name a network namespace."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.nsids import UNKNOWN, body
from failoverd_lab.simkernel.requests import Reply, Request, Row, number_of
from failoverd_lab.simkernel.state import Refused

RTGENMSG = struct.Struct("=Bxxx")


def target(net: Net, attrs: dict[int, bytes]) -> Net:
    """rtnl_link_get_net(): the namespace that a link message names, the sender's own by default. Raises Refused."""
    if n.IFLA_NET_NS_PID in attrs and n.IFLA_NET_NS_FD in attrs:
        raise Refused(errno.EINVAL, "multiple netns identifying attributes specified")
    return _named(net, attrs, n.IFLA_NET_NS_PID, n.IFLA_NET_NS_FD) or net


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWNSID. Raises Refused."""
    attrs = request.attrs(RTGENMSG)
    if n.NETNSA_NSID not in attrs:
        raise Refused(errno.EINVAL, "nsid is missing")
    (number,) = struct.unpack("=i", attrs[n.NETNSA_NSID])
    other = _peer(net, attrs)
    if net.nsids.number_of(other) != UNKNOWN:
        raise Refused(errno.EEXIST, "Peer netns already has a nsid assigned")
    if number == UNKNOWN:
        net.nsids.give(other)
    elif net.nsids.net(number) is not None:
        raise Refused(errno.EEXIST, "The specified nsid is already used")
    else:
        net.nsids.set(number, other, request.cause.seq, request.cause.pid)
    return []


def get(net: Net, request: Request) -> list[Reply]:
    """RTM_GETNSID for one namespace. Raises Refused."""
    attrs = request.attrs(RTGENMSG)
    if n.NETNSA_NSID in attrs:
        (number,) = struct.unpack("=i", attrs[n.NETNSA_NSID])
        if net.nsids.net(number) is None:
            raise Refused(errno.ENOENT, "Peer netns reference is invalid")
    else:
        number = net.nsids.number_of(_peer(net, attrs))
    return [(n.RTM_NEWNSID, body(number))]


def dump(net: Net, _request: Request) -> Iterator[Row]:
    """RTM_GETNSID with NLM_F_DUMP."""
    for number in net.nsids.all:
        yield n.RTM_NEWNSID, body(number), 0


def _peer(net: Net, attrs: dict[int, bytes]) -> Net:
    try:
        found = _named(net, attrs, n.NETNSA_PID, n.NETNSA_FD)
    except Refused as refused:
        raise Refused(refused.code, "Peer netns reference is invalid") from None
    if found is None:
        raise Refused(errno.EINVAL, "Peer netns reference is missing")
    return found


def _named(net: Net, attrs: dict[int, bytes], pid: int, descriptor: int) -> Net | None:
    """get_net_ns_by_pid(), get_net_ns_by_fd()."""
    if pid in attrs:
        found, missing = net.system.processes.get(number_of(attrs[pid])), errno.ESRCH
    elif descriptor in attrs:
        found, missing = net.system.descriptors.get(number_of(attrs[descriptor])), errno.EBADF
    else:
        return None
    if found is None:
        raise Refused(missing)
    return found
