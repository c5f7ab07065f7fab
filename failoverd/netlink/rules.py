"""Read policy rules (ip rule) as far as they name devices. Layouts: linux/fib_rules.h."""

from __future__ import annotations

import struct

from failoverd.model.inet import Rule
from failoverd.netlink.frames import NLM_F_DUMP, Message, NetlinkError, attributes, build
from failoverd.netlink.links import text

RTM_NEWRULE, RTM_GETRULE = 32, 34
HEAD = struct.Struct("=BBBBBxxBI")
"""struct fib_rule_hdr: family, lengths of the destination and the source, TOS, table, action, flags."""
FRA_IIFNAME, FRA_PRIORITY, FRA_OIFNAME = 3, 6, 17


def ask_rules(family: int, seq: int) -> bytes:
    """Build the dump request for a family's rules."""
    return build(RTM_GETRULE, NLM_F_DUMP, seq, HEAD.pack(family, 0, 0, 0, 0, 0, 0))


def read_rule(message: Message) -> Rule:
    """Return one rule. Raises NetlinkError."""
    if len(message.payload) < HEAD.size:
        raise NetlinkError(f"a rule of {len(message.payload)} bytes")
    found = dict(attributes(message.payload, HEAD.size))
    priority = found.get(FRA_PRIORITY, bytes(4))
    if len(priority) != 4:
        raise NetlinkError(f"a rule's priority of {len(priority)} bytes")
    names = frozenset(text(found[kind]) for kind in (FRA_IIFNAME, FRA_OIFNAME) if kind in found)
    return Rule(HEAD.unpack_from(message.payload)[0], int(struct.unpack("=I", priority)[0]), names)
