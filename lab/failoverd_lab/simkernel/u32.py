"""Filters of kind u32 and their mirred actions (net/sched/cls_u32.c, act_api.c, act_mirred.c of 6.1).

Only root tables: a request for a hash table of its own, or for a link to one, is refused. The order of the checks is
the kernel's. A request that names an existing filter changes its actions, not its selector.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import POLICY
from failoverd_lab.simkernel.state import Refused
from failoverd_lab.simkernel.tcmsg import MIRRED
from failoverd_lab.simkernel.tcstate import FIRST_TABLE, U32_KEY, U32_TABLE, Filter, Mirred, Proto, Qdisc

SEL_SIZE, KEY_SIZE = 16, 16
AUTO = 0x800
"""The first node number for a filter that asks for none."""
WAYS = (n.TCA_EGRESS_REDIR, n.TCA_EGRESS_MIRROR, n.TCA_INGRESS_REDIR, n.TCA_INGRESS_MIRROR)


def add_table(qdisc: Qdisc, proto: Proto) -> None:
    """u32_init(): the first proto of a qdisc gets 800:, later ones the next number, which goes round."""
    handle = FIRST_TABLE
    if qdisc.tables:
        taken = {other.table.handle for other in qdisc.tables if other.table}
        numbers = [*range(qdisc.next_table, 0x800), *range(1, qdisc.next_table)]
        number = next(i for i in numbers if (i | 0x800) << 20 not in taken)
        handle, qdisc.next_table = (number | 0x800) << 20, number + 1
    proto.table = Filter(handle, table=True)
    qdisc.tables.insert(0, proto)


def drop_table(qdisc: Qdisc, proto: Proto) -> None:
    """u32_destroy()."""
    qdisc.tables.remove(proto)
    if not qdisc.tables:
        qdisc.next_table = 1


def owner(qdisc: Qdisc, handle: int) -> Proto | None:
    """Return the proto in whose table a handle lies, perhaps not the one in the request."""
    tables = (proto for proto in qdisc.tables if proto.table)
    return next((proto for proto in tables if proto.table and proto.table.handle == handle & U32_TABLE), None)


def find(qdisc: Qdisc, handle: int) -> Filter | None:
    """u32_get()."""
    proto = owner(qdisc, handle)
    if proto is None or not handle & U32_KEY:
        return proto.table if proto else None
    return next((one for one in proto.filters if one.handle == handle), None)


def change(net: Net, proto: Proto, old: Filter | None, handle: int, options: bytes | None) -> Filter | None:
    """u32_change(); returns the filter to report. Raises Refused."""
    if options is None:
        if handle:
            raise Refused(errno.EINVAL, "cls_u32: Filter handle requires options")
        return None
    attrs = wire.table(options)
    if old is not None:
        if old.table:
            raise Refused(errno.EINVAL, "cls_u32: Key node id cannot be zero")
        return _replace(net, old, _actions(net, attrs))
    if n.TCA_U32_DIVISOR in attrs or n.TCA_U32_HASH in attrs:
        raise Refused(errno.EOPNOTSUPP, "the simulated kernel has no hash tables but the root's")
    number = _number(proto, handle)
    one = Filter(number, _selector(attrs), _actions(net, attrs))
    _bind(net, one.actions)
    proto.filters.append(one)
    proto.filters.sort(key=lambda other: other.handle)
    return one


def release(net: Net, one: Filter) -> None:
    """Release a filter's actions; an action without users is deleted."""
    for action in one.actions:
        action.bound -= 1
        if not action.bound:
            del net.mirreds[action.index]


def _replace(net: Net, one: Filter, actions: list[Mirred]) -> Filter:
    """Replace a filter's actions: the new ones come before the old ones go. The kernel then reports the filter as it
    was."""
    before = Filter(one.handle, one.options, [replace(action) for action in one.actions])
    _bind(net, actions)
    release(net, one)
    one.actions = actions
    return before


def _bind(net: Net, actions: list[Mirred]) -> None:
    for action in actions:
        action.index = action.index or next(i for i in range(1, 1 << 32) if i not in net.mirreds)
        net.mirreds[action.index] = action
        action.bound += 1


def _number(proto: Proto, handle: int) -> int:
    """Return the handle of a new filter: the requested one, or the first free node from 800 on."""
    base = proto.table.handle if proto.table else FIRST_TABLE
    taken = {one.handle for one in proto.filters}
    if not handle:
        return next(i for i in range(base | AUTO, base | 0xFFF) if i not in taken)
    if handle & U32_TABLE not in (0, base):
        raise Refused(errno.EINVAL, "cls_u32: Handle specified hash table address mismatch")
    number = base | (handle & 0xFFF)
    if number in taken:
        raise Refused(errno.ENOSPC)
    return number


def _selector(attrs: dict[int, bytes]) -> bytes:
    selector = attrs.get(n.TCA_U32_SEL)
    if selector is None:
        raise Refused(errno.EINVAL, "cls_u32: Selector not specified")
    if len(selector) < SEL_SIZE:
        raise Refused(errno.ERANGE, POLICY)
    size = SEL_SIZE + KEY_SIZE * selector[2]
    if len(selector) < size:
        raise Refused(errno.EINVAL)
    return selector[:size]


def _actions(net: Net, attrs: dict[int, bytes]) -> list[Mirred]:
    """tcf_action_init(): actions 1, 2, ... up to the first that is missing."""
    asked = wire.table(attrs.get(n.TCA_U32_ACT, b""))
    orders = []
    for order in range(1, n.TCA_ACT_MAX_PRIO + 1):
        if order not in asked:
            break
        orders.append(wire.table(asked[order]))
    for action in orders:
        _check_kind(action)
    return [_mirred(net, action) for action in orders]


def _check_kind(action: dict[int, bytes]) -> None:
    if len(action.get(n.TCA_ACT_COOKIE, b"")) > n.TC_COOKIE_MAX_SIZE:
        raise Refused(errno.ERANGE, POLICY)
    if n.TCA_ACT_KIND not in action:
        raise Refused(errno.EINVAL, "TC action kind must be specified")
    if wire.text(action[n.TCA_ACT_KIND]) != "mirred":
        raise Refused(errno.ENOENT, "Failed to load TC action module")


def _mirred(net: Net, action: dict[int, bytes]) -> Mirred:
    """tcf_mirred_init(). An existing index is used as it is."""
    if n.TCA_ACT_OPTIONS not in action:
        raise Refused(errno.EINVAL, "act_mirred: Mirred requires attributes to be passed")
    parms = wire.table(action[n.TCA_ACT_OPTIONS]).get(n.TCA_MIRRED_PARMS)
    if parms is None or len(parms) < MIRRED.size:
        raise Refused(errno.EINVAL, "act_mirred: Missing required mirred parameters")
    index, _, verdict, _, _, eaction, ifindex = MIRRED.unpack_from(parms)
    if index in net.mirreds:
        return net.mirreds[index]
    if eaction not in WAYS:
        raise Refused(errno.EINVAL, "act_mirred: Unknown mirred option")
    if not ifindex:
        raise Refused(errno.EINVAL, "act_mirred: Specified device does not exist")
    if ifindex not in net.devices:
        raise Refused(errno.ENODEV)
    return Mirred(index, verdict, eaction, net.devices[ifindex], action.get(n.TCA_ACT_COOKIE, b""))
