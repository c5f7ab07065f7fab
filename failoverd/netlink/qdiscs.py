"""Read the root qdisc of a device so that it can be made again on another one, and write it.

Only of kinds without classes whose dump is what their creation takes (net/sched/sch_*.c: dump and init). Others, and
those that filters hang on, are not read: they are known by name alone (tc.py).
"""

from __future__ import annotations

from failoverd.model.links import Qdisc
from failoverd.netlink.frames import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    Message,
    attribute,
    attributes,
    build,
)
from failoverd.netlink.links import text
from failoverd.netlink.tc import RTM_GETTFILTER, RTM_NEWQDISC, TC_H_ROOT, TCA_KIND, TCA_OPTIONS, TCMSG, head

NLM_F_REPLACE = 0x100
READABLE = frozenset(
    ("bfifo", "cake", "codel", "fq", "fq_codel", "fq_pie", "noqueue", "pfifo", "pfifo_fast", "pie", "sfq")
)
ADD = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE


def read_root(message: Message) -> tuple[int, Qdisc] | None:
    """Return the device and its root qdisc; None for the kernel's own, which has no handle, for one in another place,
    and for what cannot be read. Raises NetlinkError."""
    _, ifindex, handle, parent, _ = head(message)
    if message.type != RTM_NEWQDISC or parent != TC_H_ROOT or not handle:
        return None
    found = dict(attributes(message.payload, TCMSG.size))
    kind = text(found.get(TCA_KIND, b""))
    return (ifindex, Qdisc(kind, handle, found.get(TCA_OPTIONS, b""))) if kind in READABLE else None


def add_root(ifindex: int, qdisc: Qdisc, seq: int) -> bytes:
    """Build the request that makes it."""
    body = TCMSG.pack(0, ifindex, qdisc.handle, TC_H_ROOT, 0) + attribute(TCA_KIND, qdisc.kind.encode() + b"\0")
    body += attribute(TCA_OPTIONS, qdisc.options) if qdisc.options else b""
    return build(RTM_NEWQDISC, ADD, seq, body)


def ask_filters_of(ifindex: int, qdisc: Qdisc, seq: int) -> bytes:
    """Build the dump request for the filters on it."""
    return build(RTM_GETTFILTER, NLM_F_DUMP, seq, TCMSG.pack(0, ifindex, 0, qdisc.handle, 0))
