"""Policy rules as the simulated kernel keeps them (rules.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

from failoverd_lab.simkernel import uapi as n


@dataclass
class Rule:
    """One rule. `attrs` are all that were given, but those that have fields."""

    family: int
    priority: int
    table: int
    dst_len: int = 0
    src_len: int = 0
    tos: int = 0
    action: int = n.FR_ACT_TO_TBL
    flags: int = 0
    protocol: int = n.RTPROT_KERNEL
    attrs: dict[int, bytes] = field(default_factory=dict)


def first_rules() -> list[Rule]:
    """Return the rules of a new namespace."""
    usual = [(0, n.RT_TABLE_LOCAL), (32766, n.RT_TABLE_MAIN)]
    four = [Rule(n.AF_INET, priority, table) for priority, table in [*usual, (32767, n.RT_TABLE_DEFAULT)]]
    return four + [Rule(n.AF_INET6, priority, table) for priority, table in usual]
