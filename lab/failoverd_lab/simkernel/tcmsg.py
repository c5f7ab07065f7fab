"""RTM_NEWQDISC, NEWTFILTER and NEWCHAIN as the kernel fills them (tc_fill_qdisc, tcf_fill_node, tc_chain_fill_node).

Statistics are left out, and u32's counters and mirred's times are zero: frames are not counted here.
"""

from __future__ import annotations

import struct

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.tcstate import Filter, Mirred, Proto, Qdisc

TCMSG = struct.Struct("=BxxxiIII")
MIRRED = struct.Struct("=IIiiiii")
"""struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex."""


def qdisc_body(ifindex: int, qdisc: Qdisc, parent: int, references: int) -> bytes:
    """Return the payload of RTM_NEWQDISC and RTM_DELQDISC."""
    options = wire.attr(n.TCA_OPTIONS, qdisc.options) if qdisc.options is not None else b""
    attrs = wire.string(n.TCA_KIND, qdisc.kind) + options + wire.u8(n.TCA_HW_OFFLOAD, 0)
    return TCMSG.pack(n.AF_UNSPEC, ifindex, qdisc.handle, parent, references) + attrs


def filter_body(ifindex: int, parent: int, proto: Proto, one: Filter | None = None) -> bytes:
    """Return the payload of RTM_NEWTFILTER and RTM_DELTFILTER; without a filter it is about the whole priority."""
    head = TCMSG.pack(n.AF_UNSPEC, ifindex, one.handle if one else 0, parent, proto.prio | proto.protocol)
    attrs = wire.string(n.TCA_KIND, proto.kind) + wire.u32(n.TCA_CHAIN, 0)
    return head + attrs + (_options(proto, one) if one else b"")


def chain_body(ifindex: int) -> bytes:
    """Return the payload of RTM_NEWCHAIN and RTM_DELCHAIN. It does not say which direction's chain it is."""
    return TCMSG.pack(n.AF_UNSPEC, ifindex, 0, n.TC_H_CLSACT_HANDLE, 0) + wire.u32(n.TCA_CHAIN, 0)


def _options(proto: Proto, one: Filter) -> bytes:
    if proto.kind != "u32":
        return wire.attr(n.TCA_OPTIONS, one.options)
    if one.table:
        return wire.nest(n.TCA_OPTIONS, wire.u32(n.TCA_U32_DIVISOR, 1))
    actions = [wire.nest(order, *_action(action)) for order, action in enumerate(one.actions, start=1)]
    return wire.nest(
        n.TCA_OPTIONS,
        wire.attr(n.TCA_U32_SEL, one.options),
        wire.u32(n.TCA_U32_HASH, one.handle & 0xFFFFF000),
        wire.u32(n.TCA_U32_FLAGS, n.TCA_CLS_FLAGS_NOT_IN_HW),
        wire.nest(n.TCA_U32_ACT, *actions) if actions else b"",
    )


def _action(action: Mirred) -> list[bytes]:
    target = action.target.index if action.target is not None else 0
    parms = MIRRED.pack(action.index, 0, action.verdict, action.bound, action.bound, action.eaction, target)
    return [
        wire.string(n.TCA_ACT_KIND, "mirred"),
        wire.attr(n.TCA_ACT_COOKIE, action.cookie) if action.cookie else b"",
        wire.nest(n.TCA_ACT_OPTIONS, wire.attr(n.TCA_MIRRED_PARMS, parms), wire.attr(n.TCA_MIRRED_TM, bytes(32))),
    ]
