"""The simulated kernel's traffic control state: qdiscs, filters, mirred actions. Plain records.

A device has two slots: the root, for a qdisc proper, and the ingress slot, which "clsact" and "ingress" share. An empty
slot holds noop, which is never reported. clsact has two blocks of filters, one for each direction. A block is a list of
protos ("tcf_proto" in the kernel): one for each priority, all filters of it of one kind and one protocol.

Easily overlooked: the hash tables of u32 belong to the qdisc, not to the block or the priority. Handles are unique over
both directions of a clsact, the second proto gets table 801:, and a dump of one direction also shows the filters of the
other if they have the same priority (u32_walk() of net/sched/cls_u32.c goes by it alone).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failoverd_lab.simkernel import uapi as n

if TYPE_CHECKING:
    from failoverd_lab.simkernel.state import Device

ALL_PROTOCOLS = socket.htons(n.ETH_P_ALL)
MAJOR = 0xFFFF0000
U32_TABLE, U32_KEY = 0xFFF00000, 0x000FFFFF
FIRST_TABLE = 0x80000000


@dataclass(eq=False, slots=True)
class Mirred:
    """A mirred action. Filters can share one by its index. `target` is None once that device is gone."""

    index: int
    verdict: int
    eaction: int
    target: Device | None
    cookie: bytes
    bound: int = 0


@dataclass(eq=False, slots=True)
class Filter:
    """One filter. `options` is u32's selector, or for other kinds all of TCA_OPTIONS; `table` marks u32's table row."""

    handle: int
    options: bytes = b""
    actions: list[Mirred] = field(default_factory=list)
    table: bool = False

    @property
    def matches_all(self) -> bool:
        """Whether u32's selector has no key, or only keys with an empty mask."""
        count = self.options[2]
        return not any(any(self.options[16 * i : 16 * i + 4]) for i in range(1, count + 1))


@dataclass(eq=False, slots=True)
class Proto:
    """The filters of one priority, by handle. `prio` is shifted as in tcm_info; `table` is u32's root table."""

    prio: int
    protocol: int
    kind: str
    table: Filter | None = None
    filters: list[Filter] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Block:
    """One direction of a clsact. `classid` is the parent of the last request for a filter, which dumps show."""

    classid: int = 0
    protos: list[Proto] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Qdisc:
    """A qdisc; `blocks` by the minor number of their parent, `tables` the u32 protos of them all, newest first."""

    kind: str = "noop"
    handle: int = 0
    parent: int = n.TC_H_ROOT
    options: bytes | None = None
    blocks: dict[int, Block] = field(default_factory=dict)
    tables: list[Proto] = field(default_factory=list)
    next_table: int = 1

    @property
    def builtin(self) -> bool:
        """Whether this is the content of an empty slot."""
        return self.kind == "noop"

    def block(self, minor: int) -> Block | None:
        """Return the block of a minor number: ingress has one block whatever the minor says, clsact one for each of
        two."""
        return self.blocks.get(0 if self.kind == "ingress" else minor)


def default_qdisc(bus: str) -> Qdisc:
    """Return the qdisc of a device that comes up without a root qdisc; virtual devices queue nothing."""
    return Qdisc("pfifo_fast" if bus else "noqueue")


def redirect(device: Device, minor: int) -> Mirred | None:
    """Return the action that redirects every frame of one direction; None where there is none."""
    qdisc = device.ingress
    if minor == n.TC_H_MIN_EGRESS and qdisc.kind != "clsact":
        return None
    block = qdisc.block(minor)
    for proto in block.protos if block else ():
        if proto.kind != "u32" or proto.protocol != ALL_PROTOCOLS:
            continue
        for one in proto.filters:
            if one.matches_all and one.actions:
                ways = (n.TCA_EGRESS_REDIR, n.TCA_INGRESS_REDIR)
                return next((action for action in one.actions if action.eaction in ways), None)
    return None
