"""Convert policy rules (ip rule) to the model and back. Layouts: linux/fib_rules.h."""

from __future__ import annotations

import struct

from failoverd.model.inet import Rule
from failoverd.netlink.frames import NLM_F_DUMP, Message, NetlinkError, attribute, attributes, build
from failoverd.netlink.links import raw_name, text

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
HEAD = struct.Struct("=BBBBBxxBI")
"""struct fib_rule_hdr: family, lengths of the destination and the source, TOS, table, action, flags."""
FRA_IIFNAME, FRA_PRIORITY, FRA_TABLE, FRA_OIFNAME, FRA_PAD = 3, 6, 15, 17, 18
APART = frozenset({FRA_IIFNAME, FRA_PRIORITY, FRA_TABLE, FRA_OIFNAME, FRA_PAD})
FIB_RULE_INVERT = 0x02
"""The only flag that is an administrator's: the others say whether the devices of these names are there."""
LARGEST_IN_HEAD = 255
"""The largest number of a table that the head has room for."""
NUMBER = struct.Struct("=I")


def ask_rules(family: int, seq: int) -> bytes:
    """Build the dump request for a family's rules."""
    return build(RTM_GETRULE, NLM_F_DUMP, seq, HEAD.pack(family, 0, 0, 0, 0, 0, 0))


def read_rule(message: Message) -> Rule:
    """Return one rule. Raises NetlinkError."""
    payload = message.payload
    if len(payload) < HEAD.size:
        raise NetlinkError(f"a rule of {len(payload)} bytes")
    family, dst_len, src_len, tos, table, action, flags = HEAD.unpack_from(payload)
    rows = tuple(attributes(payload, HEAD.size))
    found = dict(rows)
    return Rule(
        family,
        _number(found.get(FRA_PRIORITY, bytes(4))),
        _number(found[FRA_TABLE]) if FRA_TABLE in found else table,
        action,
        text(found.get(FRA_IIFNAME, b"")),
        text(found.get(FRA_OIFNAME, b"")),
        dst_len,
        src_len,
        tos,
        flags & FIB_RULE_INVERT,
        tuple((kind, data) for kind, data in rows if kind not in APART),
    )


def write_rule(rule: Rule) -> bytes:
    """Return the payload that adds or removes it. Raises ValueError, struct.error for what fits into no message."""
    table = rule.table if rule.table <= LARGEST_IN_HEAD else 0
    body = HEAD.pack(rule.family, rule.dst_len, rule.src_len, rule.tos, table, rule.action, rule.flags)
    body += attribute(FRA_TABLE, NUMBER.pack(rule.table)) + attribute(FRA_PRIORITY, NUMBER.pack(rule.priority))
    for kind, name in ((FRA_IIFNAME, rule.iif), (FRA_OIFNAME, rule.oif)):
        body += attribute(kind, raw_name(name)) if name else b""
    return body + b"".join(attribute(kind, data) for kind, data in rule.attrs)


def _number(data: bytes) -> int:
    if len(data) != NUMBER.size:
        raise NetlinkError(f"a number of a rule in {len(data)} bytes")
    return int(NUMBER.unpack(data)[0])
