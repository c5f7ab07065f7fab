"""The two slots of a device for a qdisc: their contents, and the checks of a request about them.

Follows net/sched/sch_api.c of 6.1. Classes, and the qdiscs in them, are not modelled.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simkernel.state import Device, Refused
from failoverd_lab.simkernel.tcmsg import TCMSG
from failoverd_lab.simkernel.tcstate import MAJOR, Block, Qdisc

SPECIAL_KINDS = ("clsact", "ingress")
ROOT_KINDS = frozenset(
    (
        *("bfifo", "cake", "codel", "drr", "etf", "ets", "fq", "fq_codel", "hfsc", "hhf", "htb", "mq", "mqprio"),
        *("netem", "noqueue", "pfifo", "pfifo_fast", "pie", "prio", "qfq", "red", "sfb", "sfq", "taprio", "tbf"),
    )
)
FIRST_AUTO_HANDLE = 0x80010000
WRONG_KIND = (errno.EINVAL, "Invalid qdisc name")


@dataclass(frozen=True, slots=True)
class Asked:
    """A parsed request about a qdisc; `kind` is "" where it names none."""

    device: Device
    handle: int
    parent: int
    kind: str
    options: bytes | None


def parse(net: Net, request: Request) -> Asked:
    _, ifindex, handle, parent, _ = request.head(TCMSG)
    attrs = request.attrs(TCMSG)
    if ifindex not in net.devices:
        raise Refused(errno.ENODEV)
    kind = wire.text(attrs.get(n.TCA_KIND, b""))
    return Asked(net.devices[ifindex], handle, parent, kind, attrs.get(n.TCA_OPTIONS))


def find(asked: Asked) -> Qdisc:
    """Return the qdisc that a get or a deletion names, checked as tc_get_qdisc() does."""
    device = asked.device
    if not asked.parent:
        found = lookup(device, asked.handle)
        if found is None:
            raise Refused(errno.ENOENT, "Failed to find qdisc with specified handle")
    elif asked.parent == n.TC_H_ROOT:
        found = device.root
    elif asked.parent & MAJOR != n.TC_H_CLSACT_HANDLE:
        raise Refused(errno.ENOENT, "Failed to find qdisc with specified classid")
    elif device.ingress_queue:
        found = device.ingress
    else:
        raise Refused(errno.ENOENT, "Cannot find specified qdisc on specified device")
    if asked.parent and asked.handle not in (0, found.handle):
        raise Refused(errno.EINVAL, "Invalid handle")
    if asked.kind not in ("", found.kind):
        raise Refused(*WRONG_KIND)
    return found


def create(asked: Asked) -> Qdisc:
    """qdisc_create()."""
    special = asked.kind in SPECIAL_KINDS
    if not special and asked.kind not in ROOT_KINDS:
        raise Refused(errno.ENOENT, "Specified qdisc kind is unknown")
    if asked.parent == n.TC_H_CLSACT:
        if not special:
            raise Refused(errno.EINVAL, "Specified parent ID is reserved for ingress and clsact Qdiscs")
        minors = (n.TC_H_MIN_INGRESS, n.TC_H_MIN_EGRESS) if asked.kind == "clsact" else (0,)
        blocks = {minor: Block() for minor in minors}
        return Qdisc(asked.kind, n.TC_H_CLSACT_HANDLE, n.TC_H_CLSACT, b"", blocks)
    if special:
        raise Refused(errno.EOPNOTSUPP)
    taken = asked.device.root.handle
    auto = FIRST_AUTO_HANDLE + 0x10000 * (taken == FIRST_AUTO_HANDLE)
    return Qdisc(asked.kind, asked.handle or auto, n.TC_H_ROOT, asked.options)


def lookup(device: Device, handle: int) -> Qdisc | None:
    """qdisc_lookup()."""
    return next((q for q in (device.root, device.ingress) if handle and q.handle == handle), None)
