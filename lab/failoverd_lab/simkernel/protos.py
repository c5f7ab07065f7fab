"""The tables of filters: find, add and remove entries (net/sched/cls_api.c of 6.1).

u32 is in u32.py; filters of other kinds are kept and returned as they came, and have no effect on frames.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from failoverd_lab.simkernel import slots, u32, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simkernel.tcmsg import TCMSG
from failoverd_lab.simkernel.tcstate import MAJOR, Block, Filter, Proto, Qdisc

OPAQUE_KINDS = frozenset(("basic", "bpf", "cgroup", "flow", "flower", "fw", "matchall", "route"))
AUTO_PRIO = 0x80000000
NOT_FOUND = "Filter with specified priority/protocol not found"
NEED_CREATE = (errno.ENOENT, "Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter")


@dataclass(frozen=True, slots=True)
class Asked:
    """A parsed request about filters; `kind` is "" where it names none."""

    device: Device
    qdisc: Qdisc
    block: Block
    handle: int
    parent: int
    prio: int
    protocol: int
    kind: str
    options: bytes | None


def parse(net: Net, request: Request) -> Asked:
    """tcf_block_find()."""
    _, ifindex, handle, parent, info = request.head(TCMSG)
    attrs = request.attrs(TCMSG)
    device = net.devices.get(ifindex)
    if device is None:
        raise Refused(errno.ENODEV)
    qdisc = slots.lookup(device, parent & MAJOR) if parent else device.root
    if qdisc is None:
        raise Refused(errno.EINVAL, "Parent Qdisc doesn't exists")
    if not qdisc.blocks:
        raise Refused(errno.EINVAL, "Qdisc not classful")
    block = qdisc.block(parent & 0xFFFF)
    if block is None:
        raise Refused(errno.ENOENT, "Specified class doesn't exist") if parent & 0xFFFF else Refused(errno.EINVAL)
    kind = wire.text(attrs.get(n.TCA_KIND, b""))
    options = attrs.get(n.TCA_OPTIONS)
    return Asked(device, qdisc, block, handle, parent, info & MAJOR, info & 0xFFFF, kind, options)


def put(net: Net, request: Request, asked: Asked) -> tuple[Proto, Filter | None]:
    """The part of tc_new_tfilter() behind the chain's lookup."""
    proto = next((p for p in asked.block.protos if p.prio == asked.prio), None)
    created = proto is None
    if proto is None:
        proto = _create(request, asked)
    elif asked.protocol not in (0, proto.protocol):
        raise Refused(errno.EINVAL, NOT_FOUND)
    try:
        _check_kind(asked, proto)
        old = find(asked.qdisc, proto, asked.handle)
        if old is None and not request.wants(n.NLM_F_CREATE):
            raise Refused(*NEED_CREATE)
        if old is not None and request.wants(n.NLM_F_EXCL):
            raise Refused(errno.EEXIST, "Filter already exists")
        return proto, _change(net, asked, proto, old)
    except Refused:
        if created:
            drop(net, asked, proto)
        raise


def _create(request: Request, asked: Asked) -> Proto:
    """tcf_proto_create(); without a priority the new one goes before all others made so."""
    if not asked.kind or not asked.protocol:
        raise Refused(errno.EINVAL, "Filter kind and protocol must be specified")
    if not request.wants(n.NLM_F_CREATE):
        raise Refused(*NEED_CREATE)
    if asked.kind != "u32" and asked.kind not in OPAQUE_KINDS:
        raise Refused(errno.ENOENT, "TC classifier not found")
    others = (other.prio for other in asked.block.protos if other.prio >= AUTO_PRIO)
    proto = Proto(asked.prio or (next(others, 0xC0000001) - 1) & MAJOR, asked.protocol, asked.kind)
    if asked.kind == "u32":
        u32.add_table(asked.qdisc, proto)
    asked.block.protos.append(proto)
    asked.block.protos.sort(key=lambda other: other.prio)
    return proto


def _change(net: Net, asked: Asked, proto: Proto, old: Filter | None) -> Filter | None:
    if proto.kind == "u32":
        return u32.change(net, proto, old, asked.handle, asked.options)
    one = old or Filter(asked.handle or 1 + max((other.handle for other in proto.filters), default=0))
    one.options = asked.options or b""
    if old is None:
        proto.filters.append(one)
    return one


def _check_kind(asked: Asked, proto: Proto) -> None:
    if asked.kind not in ("", proto.kind):
        raise Refused(errno.EINVAL, "Specified filter kind does not match existing one")


def named(asked: Asked) -> Proto:
    """Return the filters that a request names. Raises Refused."""
    proto = next((p for p in asked.block.protos if p.prio == asked.prio), None)
    if proto is None:
        raise Refused(errno.ENOENT, NOT_FOUND)
    if asked.protocol not in (0, proto.protocol):
        raise Refused(errno.EINVAL, NOT_FOUND)
    _check_kind(asked, proto)
    return proto


def find(qdisc: Qdisc, proto: Proto, handle: int) -> Filter | None:
    if proto.kind == "u32":
        return u32.find(qdisc, handle)
    return next((one for one in proto.filters if one.handle == handle), None)


def remove(net: Net, asked: Asked, proto: Proto, one: Filter) -> None:
    """Remove one filter. An empty u32 goes only if it is the qdisc's last; see u32_delete()."""
    holder = u32.owner(asked.qdisc, one.handle) if proto.kind == "u32" else None
    (holder or proto).filters.remove(one)
    u32.release(net, one)
    if not proto.filters and (proto.kind != "u32" or len(asked.qdisc.tables) == 1):
        drop(net, asked, proto)


def drop(net: Net, asked: Asked, proto: Proto) -> None:
    asked.block.protos.remove(proto)
    if proto.kind == "u32":
        u32.drop_table(asked.qdisc, proto)
    for one in proto.filters:
        u32.release(net, one)


def walk(qdisc: Qdisc, proto: Proto) -> list[Filter]:
    """u32_walk() goes by the priority alone, and so meets the tables of the other direction."""
    if proto.table is None:
        return list(proto.filters)
    rows: list[Filter] = []
    for other in qdisc.tables:
        if other.prio == proto.prio and other.table:
            rows += [other.table, *other.filters]
    return rows
