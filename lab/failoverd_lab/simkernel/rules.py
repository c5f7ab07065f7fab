"""Policy rules (net/core/fib_rules.c): kept and listed by priority. No route is looked up by them.

A rule keeps the names of its devices. Whether there are such is told with it, when it is listed.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.requests import Reply, Request, Row, name_of
from failoverd_lab.simkernel.rulestate import Rule
from failoverd_lab.simkernel.state import Refused

FIB_RULE = struct.Struct("=BBBBBxxBI")
HEADED = (n.FRA_TABLE, n.FRA_PRIORITY, n.FRA_PROTOCOL)
SHOWN_BY_TABLE = 252
"""RT_TABLE_COMPAT, in the head of a rule whose table has a larger number than fits."""
LARGEST_IN_HEAD = 255


def new(net: Net, request: Request) -> list[Reply]:
    """fib_newrule(). Raises Refused."""
    rule = _parse(request)
    if not rule.priority:
        # fib_default_rule_pref()
        later = sorted(other.priority for other in _of(net, rule.family) if other.priority)
        rule.priority = later[0] - 1 if later else 0
    if request.wants(n.NLM_F_EXCL) and rule in net.rules:
        raise Refused(errno.EEXIST)
    behind = [other for other in net.rules if other.family == rule.family and other.priority > rule.priority]
    net.rules.insert(net.rules.index(behind[0]) if behind else len(net.rules), rule)
    return []


def delete(net: Net, request: Request) -> list[Reply]:
    """fib_delrule(): removes the first rule that has all that is asked for. Raises Refused."""
    asked = _parse(request)
    for rule in _of(net, asked.family):
        numbers = ((asked.priority, rule.priority), (asked.table, rule.table), (asked.protocol, rule.protocol))
        if all(want in (0, has) for want, has in numbers) and asked.attrs.items() <= rule.attrs.items():
            net.rules.remove(rule)
            return []
    raise Refused(errno.ENOENT)


def dump(net: Net, request: Request) -> Iterator[Row]:
    """RTM_GETRULE."""
    family = request.head(FIB_RULE)[0]
    for rule in list(net.rules):
        if family in (n.AF_UNSPEC, rule.family):
            yield n.RTM_NEWRULE, _body(net, rule), 1


def _of(net: Net, family: int) -> list[Rule]:
    return [rule for rule in net.rules if rule.family == family]


def _parse(request: Request) -> Rule:
    family, dst_len, src_len, tos, table, action, flags = request.head(FIB_RULE)
    attrs = request.attrs(FIB_RULE)
    if family not in (n.AF_INET, n.AF_INET6):
        raise Refused(errno.EAFNOSUPPORT)
    for kind in (n.FRA_IIFNAME, n.FRA_OIFNAME):
        if kind in attrs:
            name_of(attrs[kind])
    priority, given = (wire.number(attrs.get(kind, bytes(4))) for kind in (n.FRA_PRIORITY, n.FRA_TABLE))
    protocol = attrs.get(n.FRA_PROTOCOL, b"\0")[0]
    rest = {kind: data for kind, data in attrs.items() if kind not in HEADED}
    rest.setdefault(n.FRA_SUPPRESS_PREFIXLEN, b"\xff" * 4)
    flags &= ~n.FIB_RULE_DETACHED
    return Rule(family, priority, given or table, dst_len, src_len, tos, action, flags, protocol, rest)


def _body(net: Net, rule: Rule) -> bytes:
    names = {device.name for device in net.devices.values()}
    flags = rule.flags
    for kind, flag in ((n.FRA_IIFNAME, n.FIB_RULE_IIF_DETACHED), (n.FRA_OIFNAME, n.FIB_RULE_OIF_DETACHED)):
        if kind in rule.attrs and wire.text(rule.attrs[kind]) not in names:
            flags |= flag
    shown = rule.table if rule.table <= LARGEST_IN_HEAD else SHOWN_BY_TABLE
    head = FIB_RULE.pack(rule.family, rule.dst_len, rule.src_len, rule.tos, shown, rule.action, flags)
    body = head + wire.u32(n.FRA_TABLE, rule.table) + wire.attr(n.FRA_PROTOCOL, bytes([rule.protocol]))
    body += wire.u32(n.FRA_PRIORITY, rule.priority) if rule.priority else b""
    return body + b"".join(wire.attr(kind, data) for kind, data in sorted(rule.attrs.items()))
