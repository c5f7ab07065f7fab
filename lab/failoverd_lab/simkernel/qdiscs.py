"""RTM_NEWQDISC, DELQDISC, GETQDISC (net/sched/sch_api.c of 6.1): clsact and ingress, and any root qdisc as a name.

What one message does depends on its flags, the handle that it names and the contents of the slot; see
tc_modify_qdisc(). A qdisc's filters go with it, without messages: only their chain's end is reported (RTM_DELCHAIN),
after the RTM_DELQDISC. When a device goes, not even its qdiscs' end is reported.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from failoverd_lab.simkernel import slots, u32
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.inetmsg import Cause
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.requests import Reply, Request, Row
from failoverd_lab.simkernel.slots import Asked, lookup
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simkernel.tcmsg import chain_body, qdisc_body
from failoverd_lab.simkernel.tcstate import Qdisc, default_qdisc
from failoverd_lab.simkernel.wire import Message

ROOT_REFERENCES, DEFAULT_REFERENCES = 3, 2


def get(net: Net, request: Request) -> list[Reply]:
    """RTM_GETQDISC for one."""
    asked = slots.parse(net, request)
    qdisc = slots.find(asked)
    return [] if qdisc.builtin else [_row(asked.device, qdisc, asked.parent)]


def dump(net: Net, _request: Request) -> Iterator[Row]:
    """RTM_GETQDISC with NLM_F_DUMP: of every device, whatever ifindex the request names."""
    last = 0
    while following := [i for i in net.devices if i > last]:
        last = min(following)
        device = net.devices[last]
        for qdisc in (device.root, device.ingress):
            if not qdisc.builtin:
                yield (*_row(device, qdisc, qdisc.parent), 0)


def new(net: Net, request: Request) -> list[Reply]:
    """RTM_NEWQDISC: create, change or replace."""
    asked = slots.parse(net, request)
    if not asked.parent:
        if not asked.handle:
            raise Refused(errno.EINVAL, "Handle cannot be zero")
        _modify(net, request, asked, lookup(asked.device, asked.handle))
        return []
    if asked.parent not in (n.TC_H_ROOT, n.TC_H_CLSACT):
        raise Refused(errno.ENOENT, "Failed to find specified qdisc")
    asked.device.ingress_queue |= asked.parent == n.TC_H_CLSACT
    slot = asked.device.root if asked.parent == n.TC_H_ROOT else asked.device.ingress
    present = slot if slot.handle else None
    over = present is not None and _grafts(request, asked, present)
    if present is not None and asked.handle in (0, present.handle) and not over:
        _modify(net, request, asked, present)
        return []
    if asked.handle and present is not None and not request.wants(n.NLM_F_REPLACE):
        raise Refused(errno.EEXIST, "NLM_F_REPLACE needed to override")
    if asked.handle & 0xFFFF:
        raise Refused(errno.EINVAL, "Invalid minor handle")
    if lookup(asked.device, asked.handle) is not None:
        raise Refused(errno.EINVAL, "Cannot move an existing qdisc to a different parent")
    if not over and not request.wants(n.NLM_F_CREATE):
        raise Refused(errno.ENOENT, "Qdisc not found. To create specify NLM_F_CREATE flag")
    _graft(net, asked, slots.create(asked), request.cause)
    return []


def delete(net: Net, request: Request) -> list[Reply]:
    """RTM_DELQDISC."""
    asked = slots.parse(net, request)
    qdisc = slots.find(asked)
    if not asked.parent:
        raise Refused(errno.EINVAL, "Classid cannot be zero")
    if not qdisc.handle:
        raise Refused(errno.ENOENT, "Cannot delete qdisc with handle of zero")
    _graft(net, asked, Qdisc(), request.cause)
    return []


def follow(net: Net, event: Event, device: Device) -> None:
    """dev_shutdown() and mirred_device_event(): both qdiscs go; actions that lead here lead nowhere. There is no
    message."""
    if event is not Event.UNREGISTER:
        return
    _destroy(net, device, device.ingress)
    device.root, device.ingress = Qdisc(), Qdisc()
    for action in net.mirreds.values():
        if action.target is device:
            action.target = None


def _grafts(request: Request, asked: Asked, present: Qdisc) -> bool:
    """The kernel's "magic test": whether a request without handle for a slot taken by another kind replaces it."""
    if asked.handle or asked.kind in ("", present.kind):
        return False
    create, replace, exclusive = (request.wants(f) for f in (n.NLM_F_CREATE, n.NLM_F_REPLACE, n.NLM_F_EXCL))
    return (create and (replace or exclusive)) or not (create or replace or exclusive)


def _modify(net: Net, request: Request, asked: Asked, qdisc: Qdisc | None) -> None:
    if qdisc is None:
        raise Refused(errno.ENOENT, "Specified qdisc not found")
    if request.wants(n.NLM_F_EXCL):
        raise Refused(errno.EEXIST, "Exclusivity flag on, cannot modify")
    if asked.kind not in ("", qdisc.kind):
        raise Refused(*slots.WRONG_KIND)
    if asked.options is not None:
        if qdisc.parent == n.TC_H_CLSACT:
            raise Refused(errno.EINVAL, "Change operation not supported by specified qdisc")
        qdisc.options = asked.options
    kind, body = _row(asked.device, qdisc, asked.parent)
    net.publish(n.RTNLGRP_TC, Message(kind, 0, *request.cause, body))


def _graft(net: Net, asked: Asked, qdisc: Qdisc, cause: Cause) -> None:
    """qdisc_graft(): old and new are reported in one datagram, before the contents of the old one are destroyed."""
    device = asked.device
    ingress = asked.parent != n.TC_H_ROOT
    old = device.ingress if ingress else device.root
    told = []
    if not old.builtin:
        body = qdisc_body(device.index, old, asked.parent, 0 if ingress else 1)
        told.append(Message(n.RTM_DELQDISC, 0, *cause, body))
    if not qdisc.builtin:
        kind, body = _row(device, qdisc, asked.parent)
        told.append(Message(kind, n.NLM_F_REPLACE, *cause, body))
    net.publish(n.RTNLGRP_TC, *told)
    if ingress:
        _destroy(net, device, old)
        device.ingress = qdisc
    else:
        device.root = default_qdisc(device.bus) if qdisc.builtin and device.up else qdisc


def _row(device: Device, qdisc: Qdisc, parent: int) -> Reply:
    references = 1 if qdisc.parent == n.TC_H_CLSACT else ROOT_REFERENCES if qdisc.handle else DEFAULT_REFERENCES
    return n.RTM_NEWQDISC, qdisc_body(device.index, qdisc, parent, references)


def _destroy(net: Net, device: Device, qdisc: Qdisc) -> None:
    for block in qdisc.blocks.values():
        for one in (one for proto in block.protos for one in proto.filters):
            u32.release(net, one)
        if block.protos:
            net.publish(n.RTNLGRP_TC, Message(n.RTM_DELCHAIN, 0, 0, 0, chain_body(device.index)))
