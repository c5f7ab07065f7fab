"""RTM_NEWTFILTER, DELTFILTER, GETTFILTER (net/sched/cls_api.c of 6.1) on clsact and ingress.

Notifications carry the request's flags, sequence number and port, and stand before its acknowledgement. The first
filter of a direction is preceded by RTM_NEWCHAIN, the last one followed by RTM_DELCHAIN; a request that is refused may
cause both.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from failoverd_lab.simkernel import protos, slots
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.protos import Asked
from failoverd_lab.simkernel.requests import Reply, Request, Row
from failoverd_lab.simkernel.state import Refused
from failoverd_lab.simkernel.tcmsg import TCMSG, chain_body, filter_body
from failoverd_lab.simkernel.tcstate import MAJOR, Filter, Proto
from failoverd_lab.simkernel.wire import Message

NO_PRIO = (errno.ENOENT, "Invalid filter command with priority of zero")
NO_HANDLE = (errno.ENOENT, "Specified filter handle not found")


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWTFILTER: create, or change with what the message says."""
    if not request.head(TCMSG)[4] & MAJOR and not request.wants(n.NLM_F_CREATE):
        raise Refused(*NO_PRIO)
    asked = protos.parse(net, request)
    asked.block.classid = asked.parent
    if not asked.block.protos:
        _tell_chain(net, asked, n.RTM_NEWCHAIN, n.NLM_F_CREATE | n.NLM_F_EXCL)
    try:
        proto, one = protos.put(net, request, asked)
        _tell(net, request, n.RTM_NEWTFILTER, asked, proto, one)
    finally:
        _end_chain(net, asked)
    return []


def delete(net: Net, request: Request) -> list[Reply]:
    """RTM_DELTFILTER: one filter, with handle 0 all of a priority, with priority 0 all of a direction."""
    _, _, handle, _, info = request.head(TCMSG)
    if not info & MAJOR and (info or handle or n.TCA_KIND in request.attrs(TCMSG)):
        raise Refused(errno.ENOENT, "Cannot flush filters with protocol, handle or kind set")
    asked = protos.parse(net, request)
    if not asked.prio:
        _flush(net, request, asked)
        return []
    if not asked.block.protos:
        raise Refused(errno.ENOENT, "Cannot find specified filter chain")
    proto = protos.named(asked)
    if not handle:
        protos.drop(net, asked, proto)
        _tell(net, request, n.RTM_DELTFILTER, asked, proto)
    else:
        one = protos.find(asked.qdisc, proto, handle)
        if one is None:
            raise Refused(*NO_HANDLE)
        if one.table:
            raise Refused(errno.EINVAL, "cls_u32: Not allowed to delete root node")
        _tell(net, request, n.RTM_DELTFILTER, asked, proto, one)
        protos.remove(net, asked, proto, one)
    _end_chain(net, asked)
    return []


def get(net: Net, request: Request) -> list[Reply]:
    """RTM_GETTFILTER for one."""
    if not request.head(TCMSG)[4] & MAJOR:
        raise Refused(*NO_PRIO)
    asked = protos.parse(net, request)
    if not asked.block.protos:
        raise Refused(errno.EINVAL, "Cannot find specified filter chain")
    proto = protos.named(asked)
    one = protos.find(asked.qdisc, proto, asked.handle)
    if one is None:
        raise Refused(*NO_HANDLE)
    return [(n.RTM_NEWTFILTER, filter_body(asked.device.index, asked.parent, proto, one))]


def dump(net: Net, request: Request) -> Iterator[Row]:
    """RTM_GETTFILTER with NLM_F_DUMP: of one parent, which need not exist. Priority and protocol can be given."""
    _, ifindex, _, parent, info = request.head(TCMSG)
    device = net.devices.get(ifindex)
    qdisc = slots.lookup(device, parent & MAJOR) if device else None
    block = qdisc.block(parent & 0xFFFF) if qdisc else None
    if qdisc is None or block is None:
        return
    for proto in list(block.protos):
        if info & MAJOR in (0, proto.prio) and info & 0xFFFF in (0, proto.protocol):
            for one in (None, *protos.walk(qdisc, proto)):
                yield n.RTM_NEWTFILTER, filter_body(ifindex, block.classid, proto, one), 0


def _flush(net: Net, request: Request, asked: Asked) -> None:
    if not asked.block.protos:
        return
    for proto in asked.block.protos:
        _tell(net, request, n.RTM_DELTFILTER, asked, proto)
    for proto in list(asked.block.protos):
        protos.drop(net, asked, proto)
    _end_chain(net, asked)


def _tell(net: Net, request: Request, kind: int, asked: Asked, proto: Proto, one: Filter | None = None) -> None:
    body = filter_body(asked.device.index, asked.parent, proto, one)
    net.publish(n.RTNLGRP_TC, Message(kind, request.flags, *request.cause, body))


def _tell_chain(net: Net, asked: Asked, kind: int, flags: int = 0) -> None:
    net.publish(n.RTNLGRP_TC, Message(kind, flags, 0, 0, chain_body(asked.device.index)))


def _end_chain(net: Net, asked: Asked) -> None:
    if not asked.block.protos:
        _tell_chain(net, asked, n.RTM_DELCHAIN)
