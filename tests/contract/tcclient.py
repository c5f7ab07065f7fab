"""Requests and messages of traffic control, for the contract tests."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from client import Client

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

NEW = n.NLM_F_CREATE | n.NLM_F_EXCL
INGRESS = n.TC_H_CLSACT_HANDLE | n.TC_H_MIN_INGRESS
EGRESS = n.TC_H_CLSACT_HANDLE | n.TC_H_MIN_EGRESS
ALL, IPV4 = socket.htons(n.ETH_P_ALL), socket.htons(0x0800)
TABLE, OURS = 0x80000000, 0x80000001
"""u32's first hash table, 800:, and the first filter in it, 800::1."""
COOKIE = b"failoverd-mark"
MATCH_ALL = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
NO_KEYS = bytes(16)
U32 = wire.string(n.TCA_KIND, "u32")


def tcmsg(index: int, handle: int = 0, parent: int = 0, info: int = 0) -> bytes:
    """struct tcmsg."""
    return struct.pack("=BxxxiIII", 0, index, handle, parent, info)


def at(prio: int, protocol: int = ALL) -> int:
    """tcm_info of a filter."""
    return prio << 16 | protocol


def kind(name: str) -> bytes:
    """TCA_KIND."""
    return wire.string(n.TCA_KIND, name)


def mirred(target: int, eaction: int = n.TCA_EGRESS_REDIR, cookie: bytes = b"", index: int = 0) -> bytes:
    """Action 1: all to a device."""
    parms = struct.pack("=IIiiiii", index, 0, n.TC_ACT_STOLEN, 0, 0, eaction, target)
    return wire.nest(
        1,
        wire.string(n.TCA_ACT_KIND, "mirred"),
        wire.nest(n.TCA_ACT_OPTIONS, wire.attr(n.TCA_MIRRED_PARMS, parms)),
        wire.attr(n.TCA_ACT_COOKIE, cookie) if cookie else b"",
    )


def options(*actions: bytes, selector: bytes | None = MATCH_ALL) -> bytes:
    """TCA_OPTIONS of a u32."""
    parts = [wire.attr(n.TCA_U32_SEL, selector)] if selector is not None else []
    return wire.nest(n.TCA_OPTIONS, *parts, *([wire.nest(n.TCA_U32_ACT, *actions)] if actions else []))


def u32(index: int, parent: int, target: int, handle: int = OURS, prio: int = 1, cookie: bytes = COOKIE) -> bytes:
    """A request about a u32 that takes all frames of a direction to a device."""
    eaction = n.TCA_INGRESS_REDIR if parent == INGRESS else n.TCA_EGRESS_REDIR
    return tcmsg(index, handle, parent, at(prio)) + U32 + options(mirred(target, eaction, cookie))


@dataclass(frozen=True)
class Tc:
    """What a test reads of any message of traffic control."""

    type: int
    flags: int
    seq: int
    pid: int
    index: int
    handle: int
    parent: int
    info: int
    attrs: dict[int, bytes]

    @property
    def kind(self) -> str:
        return wire.text(self.attrs.get(n.TCA_KIND, b""))

    @property
    def options(self) -> dict[int, bytes]:
        return wire.table(self.attrs.get(n.TCA_OPTIONS, b""))

    @property
    def action(self) -> dict[int, bytes]:
        """The first action."""
        return wire.table(wire.table(self.options[n.TCA_U32_ACT])[1])

    @property
    def parms(self) -> tuple[int, ...]:
        """struct tc_mirred of it: index, capab, action, refcnt, bindcnt, eaction, ifindex."""
        return struct.unpack_from("=IIiiiii", wire.table(self.action[n.TCA_ACT_OPTIONS])[n.TCA_MIRRED_PARMS])

    @property
    def cookie(self) -> bytes:
        return self.action.get(n.TCA_ACT_COOKIE, b"")

    @property
    def what(self) -> tuple[int, int]:
        """Type and handle."""
        return self.type, self.handle


def tc_of(message: Message) -> Tc:
    """Read a message."""
    _, ifindex, handle, parent, info = struct.unpack_from("=BxxxiIII", message.body)
    return Tc(
        message.type,
        message.flags,
        message.seq,
        message.pid,
        ifindex,
        handle,
        parent,
        info,
        wire.table(message.body[20:]),
    )


def take(client: Client) -> list[Tc]:
    """The messages of traffic control heard so far, in order; forgets everything heard."""
    heard, client.heard = client.heard, []
    kinds = (n.RTM_NEWQDISC, n.RTM_DELQDISC, n.RTM_NEWTFILTER, n.RTM_DELTFILTER, n.RTM_NEWCHAIN, n.RTM_DELCHAIN)
    return [tc_of(message) for message in heard if message.type in kinds]


async def clsact(client: Client, *indexes: int) -> None:
    """Give devices a clsact, and forget that it was told."""
    for index in indexes:
        await client.ask(n.RTM_NEWQDISC, NEW, tcmsg(index, n.TC_H_CLSACT_HANDLE, n.TC_H_CLSACT), kind("clsact"))
    take(client)


async def add(client: Client, body: bytes, flags: int = NEW) -> None:
    """RTM_NEWTFILTER."""
    await client.ask(n.RTM_NEWTFILTER, flags, body)


async def filters(client: Client, index: int, parent: int, prio: int = 0) -> list[Tc]:
    """The rows of a dump."""
    return [tc_of(m) for m in await client.ask(n.RTM_GETTFILTER, n.NLM_F_DUMP, tcmsg(index, 0, parent, prio << 16))]


async def qdiscs(client: Client, *indexes: int) -> list[Tc]:
    """The rows of a dump that are about these devices."""
    rows = [tc_of(m) for m in await client.ask(n.RTM_GETQDISC, n.NLM_F_DUMP, tcmsg(0))]
    return [row for row in rows if row.index in indexes]
