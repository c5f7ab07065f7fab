"""Convert traffic control messages to the model and back: the ingress slot's qdisc, and filters on its two hooks.

By hand, as only two things are ever written: a clsact, and a u32 filter that matches everything and redirects it. What
other programs have set up is reported by kind and place only. Layouts: linux/rtnetlink.h (struct tcmsg),
linux/pkt_cls.h (TCA_U32_*), linux/tc_act/tc_mirred.h.

The kernel lists a u32 filter in three rows: the priority itself, its hash table, its one key. Only the last counts as a
filter here.
"""

from __future__ import annotations

import struct
from dataclasses import field, replace

from failoverd.dataclass import dataclass
from failoverd.model.links import Filter, Tc
from failoverd.netlink.frames import (
    HEADER,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Message,
    NetlinkError,
    attribute,
    attributes,
    build,
)

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
MESSAGES = frozenset({RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER})

TCMSG = struct.Struct("=BxxxiIII")
TCA_KIND, TCA_OPTIONS = 1, 2
TC_H_ROOT = 0xFFFFFFFF
TC_H_CLSACT = 0xFFFFFFF1
"""Also the parent of an ingress qdisc: the two share one slot."""
CLSACT_HANDLE = 0xFFFF0000
HOOKS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
NAMES = {parent: hook for hook, parent in HOOKS.items()}

PREFERENCE = 64_023
"""The priority of failoverd's filters: behind those of any other program."""
HANDLE = 1
"""The first key of the priority's own table, whatever that table's number: the hooks of a clsact share the numbers of
their tables (net/sched/cls_u32.c, tc_u_common_find). The same key again is refused (ENOSPC)."""
ETH_P_ALL = struct.unpack("=H", struct.pack("!H", 3))[0]
INFO = PREFERENCE << 16 | ETH_P_ALL
COOKIE = b"failoverd"

TCA_U32_SEL, TCA_U32_ACT = 5, 7
MATCH_ALL = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + struct.pack("=IIii", 0, 0, 0, 0)
"""struct tc_u32_sel (flags TC_U32_TERMINAL, one key) and a key that matches everything."""
TCA_ACT_KIND, TCA_ACT_OPTIONS, TCA_ACT_COOKIE = 1, 2, 6
TCA_MIRRED_PARMS = 2
MIRRED = struct.Struct("=IIiiiiI")
TC_ACT_STOLEN = 4
REDIRECT = {"egress": 1, "ingress": 3}


@dataclass(slots=True)
class Table:
    """The known traffic control state of one device, from notifications and dumps alike."""

    slot: str = ""
    root: str = ""
    filters: dict[tuple[str, int, int], Filter] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        """Take in one message. Raises NetlinkError for one that cannot be read."""
        _, _, handle, parent, info = head(message)
        kind = _text(dict(attributes(message.payload, TCMSG.size)).get(TCA_KIND, b""))
        if message.type in (RTM_NEWQDISC, RTM_DELQDISC):
            self._qdisc(message.type == RTM_NEWQDISC, handle, parent, kind)
        elif parent in NAMES and message.type == RTM_NEWTFILTER:
            self._filter(message, NAMES[parent], info >> 16, handle, kind)
        elif parent in NAMES:
            self._forget(NAMES[parent], info >> 16, handle)

    def tc(self) -> Tc:
        """The state as the model has it."""
        return Tc(self.slot, self.root, frozenset(self.filters.values()))

    def forget_target(self, ifindex: int) -> bool:
        """Clear the redirects to a device that is gone. Returns whether there were any."""
        dead = {key: found for key, found in self.filters.items() if found.redirect == ifindex}
        self.filters |= {key: replace(found, redirect=0) for key, found in dead.items()}
        return bool(dead)

    def _qdisc(self, there: bool, handle: int, parent: int, kind: str) -> None:
        """Note a qdisc. The kernel's own root qdisc has no handle. The ingress slot's filters go with its qdisc."""
        if parent == TC_H_CLSACT:
            self.slot = kind if there else ""
            if not there:
                self.filters.clear()
        elif parent == TC_H_ROOT:
            self.root = kind if there and handle else ""

    def _filter(self, message: Message, hook: str, pref: int, handle: int, kind: str) -> None:
        if not handle or (kind == "u32" and not handle & 0xFFF):
            return
        found = Filter(hook, pref, handle, kind)
        if kind == "u32":
            found = _redirect(message, found)
        self.filters[hook, pref, handle] = found

    def _forget(self, hook: str, pref: int, handle: int) -> None:
        """Remove filters: without a handle all of a priority, without a priority all of a hook."""
        for key in list(self.filters):
            if key[0] == hook and pref in (0, key[1]) and handle in (0, key[2]):
                del self.filters[key]


def head(message: Message) -> tuple[int, int, int, int, int]:
    """Return the family, ifindex, handle, parent and info of a message. Raises NetlinkError for one too short."""
    if len(message.raw) < HEADER.size + TCMSG.size:
        raise NetlinkError(f"a traffic control message of {len(message.raw)} bytes")
    family, ifindex, handle, parent, info = TCMSG.unpack_from(message.raw, HEADER.size)
    return family, ifindex, handle, parent, info


def _redirect(message: Message, found: Filter) -> Filter:
    """Return the filter with the target of its redirect, and whether it has failoverd's cookie."""
    options = dict(attributes(dict(attributes(message.payload, TCMSG.size)).get(TCA_OPTIONS, b"")))
    for _, action in attributes(options.get(TCA_U32_ACT, b"")):
        table = dict(attributes(action))
        if _text(table.get(TCA_ACT_KIND, b"")) == "mirred":
            parms = dict(attributes(table.get(TCA_ACT_OPTIONS, b""))).get(TCA_MIRRED_PARMS, b"")
            if len(parms) < MIRRED.size:
                raise NetlinkError(f"a mirred action of {len(parms)} bytes")
            ours = table.get(TCA_ACT_COOKIE) == COOKIE and found.pref == PREFERENCE
            return replace(found, redirect=MIRRED.unpack_from(parms)[6], ours=ours)
    return found


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def add_clsact(ifindex: int, seq: int) -> bytes:
    """Build the request that adds a clsact, refused where the slot is taken."""
    body = TCMSG.pack(0, ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0) + attribute(TCA_KIND, b"clsact\0")
    return build(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq, body)


def drop_clsact(ifindex: int, seq: int) -> bytes:
    """Build the request that removes the clsact with all of its filters."""
    body = TCMSG.pack(0, ifindex, CLSACT_HANDLE, TC_H_CLSACT, 0) + attribute(TCA_KIND, b"clsact\0")
    return build(RTM_DELQDISC, NLM_F_ACK, seq, body)


def add_redirect(ifindex: int, hook: str, target: int, seq: int) -> bytes:
    """Build the request that adds the redirecting filter, refused where there is one."""
    parms = MIRRED.pack(0, 0, TC_ACT_STOLEN, 0, 0, REDIRECT[hook], target)
    action = attribute(TCA_ACT_KIND, b"mirred\0")
    action += attribute(TCA_ACT_COOKIE, COOKIE)
    action += attribute(TCA_ACT_OPTIONS, attribute(TCA_MIRRED_PARMS, parms))
    options = attribute(TCA_U32_SEL, MATCH_ALL) + attribute(TCA_U32_ACT, attribute(1, action))
    body = TCMSG.pack(0, ifindex, HANDLE, HOOKS[hook], INFO)
    body += attribute(TCA_KIND, b"u32\0") + attribute(TCA_OPTIONS, options)
    return build(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq, body)


def drop_redirect(ifindex: int, hook: str, handle: int, seq: int) -> bytes:
    """Build the request that removes all of failoverd's priority, or with a handle only that filter.

    u32 would leave an empty priority behind while there is another u32 filter on the device (net/sched/cls_u32.c,
    u32_delete).
    """
    body = TCMSG.pack(0, ifindex, handle, HOOKS[hook], INFO) + attribute(TCA_KIND, b"u32\0")
    return build(RTM_DELTFILTER, NLM_F_ACK, seq, body)


def dump_qdiscs(seq: int) -> bytes:
    """Build the dump request for the qdiscs of all devices."""
    return build(RTM_GETQDISC, NLM_F_DUMP, seq, TCMSG.pack(0, 0, 0, 0, 0))


def dump_filters(ifindex: int, hook: str, seq: int) -> bytes:
    """Build the dump request for the filters on one hook of a device. A device without the hook has none."""
    return build(RTM_GETTFILTER, NLM_F_DUMP, seq, TCMSG.pack(0, ifindex, 0, HOOKS[hook], 0))
