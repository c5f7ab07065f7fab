"""A small rtnetlink client for the contract tests; the same for the simulated and for the real kernel."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel import wire
from failoverd_lab.simkernel.wire import Message

PATIENCE = 10
"""Seconds to wait for what must come."""


class NetlinkSocket(Protocol):
    """What SimSocket and RealSocket have in common."""

    nsid: int | None
    """The namespace that the last datagram was about, by its number."""

    def join(self, group: int) -> None: ...
    def set_strict(self, on: bool = True) -> None: ...
    def set_receive_buffer(self, size: int) -> None: ...
    def listen_all(self, on: bool = True) -> None: ...
    async def send(self, datagram: bytes) -> None: ...
    async def recv(self) -> bytes: ...
    def close(self) -> None: ...


class Refused(Exception):  # noqa: N818  (it is an answer, not a fault)
    """The kernel said no. `text` is its ext-ack text, "" for none."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{errno.errorcode.get(code, code)}: {text}")
        self.code, self.text = code, text


def ifinfo(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    """struct ifinfomsg."""
    return struct.pack("=BxHiII", family, 0, index, flags, change)


def ifaddr(index: int, cidr: str, flags: int = 0, scope: int = 0) -> bytes:
    """struct ifaddrmsg with IFA_LOCAL and IFA_ADDRESS of an address like 192.0.2.1/24."""
    address, _, length = cidr.partition("/")
    family, raw = parse_ip(address)
    return (
        struct.pack("=BBBBI", family, int(length), flags, scope, index)
        + wire.attr(n.IFA_LOCAL, raw)
        + wire.attr(n.IFA_ADDRESS, raw)
    )


def rtmsg(dst: str, table: int = 254, protocol: int = 4, scope: int = 0, kind: int = 1, flags: int = 0) -> bytes:
    """struct rtmsg with RTA_DST of a prefix like 192.0.2.0/24."""
    address, _, length = dst.partition("/")
    family, raw = parse_ip(address)
    head = struct.pack("=BBBBBBBBI", family, int(length), 0, 0, table, protocol, scope, kind, flags)
    return head + (wire.attr(n.RTA_DST, raw) if int(length) else b"")


def parse_ip(address: str) -> tuple[int, bytes]:
    """The family of an address and its bytes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return int(family), socket.inet_pton(family, address)


@dataclass
class Link:
    """What a test reads of an RTM_NEWLINK."""

    index: int
    name: str
    flags: int
    change: int
    family: int
    attrs: dict[int, bytes]
    altnames: set[str] = field(default_factory=set)
    info: dict[int, bytes] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    slave: dict[int, bytes] = field(default_factory=dict)

    @property
    def up(self) -> bool:
        return bool(self.flags & n.IFF_UP)

    @property
    def carrier(self) -> bool:
        return bool(self.flags & n.IFF_LOWER_UP)

    @property
    def mac(self) -> str:
        return wire.mac_text(self.attrs[n.IFLA_ADDRESS])

    @property
    def mtu(self) -> int:
        return wire.number(self.attrs[n.IFLA_MTU])

    @property
    def master(self) -> int:
        return self.number(n.IFLA_MASTER)

    @property
    def kind(self) -> str:
        return wire.text(self.info.get(n.IFLA_INFO_KIND, b""))

    @property
    def slave_kind(self) -> str:
        return wire.text(self.info.get(n.IFLA_INFO_SLAVE_KIND, b""))

    @property
    def active(self) -> int:
        return wire.number(self.data.get(n.IFLA_BOND_ACTIVE_SLAVE, b"\0"))

    def number(self, kind: int) -> int:
        return wire.number(self.attrs.get(kind, b"\0"))


def link_of(message: Message) -> Link:
    """Read an RTM_NEWLINK or RTM_DELLINK."""
    family, _, index, flags, change = struct.unpack_from("=BxHiII", message.body)
    attrs = wire.table(message.body[16:])
    info = wire.table(attrs.get(n.IFLA_LINKINFO, b""))
    found = Link(index, wire.text(attrs.get(n.IFLA_IFNAME, b"")), flags, change, family, attrs, info=info)
    names = wire.attributes(attrs.get(n.IFLA_PROP_LIST, b""))
    found.altnames = {wire.text(raw) for kind, raw in names if kind == n.IFLA_ALT_IFNAME}
    found.data = wire.table(info.get(n.IFLA_INFO_DATA, b""))
    found.slave = wire.table(info.get(n.IFLA_INFO_SLAVE_DATA, b""))
    return found


class Client:
    """One socket for everything. What it hears beside the answers to its requests is kept in `heard`.

    The kernel queues what a request causes in front of the request's acknowledgement; so once `ask` returns, all of it
    has been heard.
    """

    def __init__(self, sock: NetlinkSocket, *groups: int) -> None:
        self.sock = sock
        self.heard: list[Message] = []
        self._seq = 100
        for group in groups:
            sock.join(group)

    async def ask(self, kind: int, flags: int, *parts: bytes) -> list[Message]:
        """Send one request and return its answers, the rows of a dump for a dump. Raises Refused."""
        self._seq += 1
        getting = kind % 4 == n.RTM_GETLINK % 4
        flags |= n.NLM_F_REQUEST | (0 if flags & n.NLM_F_DUMP and getting else n.NLM_F_ACK)
        await self.sock.send(Message(kind, flags, self._seq, 0, b"".join(parts)).pack())
        found: list[Message] = []
        while True:
            for message in wire.messages(await self.sock.recv()):
                ours = message.seq == self._seq
                if ours and message.type == n.NLMSG_ERROR:
                    check(message)
                    return found
                if ours and message.type == n.NLMSG_DONE:
                    return found
                (found if ours and getting else self.heard).append(message)

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """Wait for a notification, from the oldest not yet taken on; all before it are forgotten."""
        with trio.fail_after(PATIENCE):
            while True:
                while self.heard:
                    message = self.heard.pop(0)
                    if wanted(message):
                        return message
                self.heard += wire.messages(await self.sock.recv())

    async def until_link(self, wanted: Callable[[Link], bool]) -> Link:
        """Wait for an RTM_NEWLINK that says something."""
        return link_of(await self.until(lambda m: m.type == n.RTM_NEWLINK and wanted(link_of(m))))

    async def until_operational(self, index: int) -> Link:
        """Wait until a device's operstate is told to be up: the last that is told of a device that comes up."""
        return await self.until_link(lambda link: link.index == index and link.number(n.IFLA_OPERSTATE) == n.IF_OPER_UP)

    async def until_addr(self, cidr: str, kind: int = n.RTM_NEWADDR) -> Addr:
        """Wait for an RTM_NEWADDR, or RTM_DELADDR, of an address."""
        return addr_of(await self.until(lambda m: m.type == kind and addr_of(m).cidr == cidr))

    def take_links(self, *indexes: int) -> list[Link]:
        """The RTM_NEWLINKs heard so far of these devices, in order; forgets everything heard."""
        heard, self.heard = self.heard, []
        links = [link_of(m) for m in heard if m.type == n.RTM_NEWLINK]
        return [link for link in links if link.index in indexes]

    async def links(self) -> dict[int, Link]:
        """Every link by its ifindex."""
        found = await self.ask(n.RTM_GETLINK, n.NLM_F_DUMP, ifinfo())
        return {link.index: link for link in map(link_of, found)}

    async def link(self, index: int) -> Link:
        """One link."""
        return link_of((await self.ask(n.RTM_GETLINK, 0, ifinfo(index)))[0])

    async def set_link(self, index: int, *attrs: bytes, up: bool | None = None) -> None:
        """RTM_SETLINK."""
        change = 0 if up is None else n.IFF_UP
        await self.ask(n.RTM_SETLINK, 0, ifinfo(index, n.IFF_UP if up else 0, change), *attrs)

    async def create(self, kind: str, name: str, *attrs: bytes, data: bytes = b"", up: bool = False) -> int:
        """RTM_NEWLINK for a new device; its ifindex."""
        parts = [wire.string(n.IFLA_INFO_KIND, kind)] + ([wire.attr(n.IFLA_INFO_DATA, data)] if data else [])
        head = ifinfo(0, n.IFF_UP if up else 0, n.IFF_UP if up else 0)
        attrs = (wire.string(n.IFLA_IFNAME, name), *attrs, wire.nest(n.IFLA_LINKINFO, *parts))
        await self.ask(n.RTM_NEWLINK, n.NLM_F_CREATE | n.NLM_F_EXCL, head, *attrs)
        return next(link.index for link in (await self.links()).values() if link.name == name)

    async def change_bond(self, index: int, data: bytes) -> None:
        """RTM_NEWLINK for options of a bond that exists."""
        info = (wire.string(n.IFLA_INFO_KIND, "bond"), wire.attr(n.IFLA_INFO_DATA, data))
        await self.ask(n.RTM_NEWLINK, 0, ifinfo(index), wire.nest(n.IFLA_LINKINFO, *info))

    async def refused(self, asking: Awaitable[object]) -> tuple[int, str]:
        """The errno and the text with which the kernel refuses; fails if it does not."""
        try:
            await asking
        except Refused as refused:
            return refused.code, refused.text
        raise AssertionError("the kernel did not refuse")


def check(message: Message) -> None:
    """Raise Refused if an NLMSG_ERROR carries an errno."""
    (code,) = struct.unpack_from("=i", message.body)
    if code:
        raise Refused(-code, ack_text(message))


def ack_text(message: Message) -> str:
    """The ext-ack text of an NLMSG_ERROR, "" for none."""
    if not message.flags & n.NLM_F_ACK_TLVS:
        return ""
    at = 4 + wire.HEADER.size
    if not message.flags & n.NLM_F_CAPPED:
        at = 4 + wire.HEADER.unpack_from(message.body, 4)[0]
    return wire.text(wire.table(message.body[(at + 3) & ~3 :]).get(n.NLMSGERR_ATTR_MSG, b""))


@dataclass
class Addr:
    """What a test reads of an RTM_NEWADDR."""

    index: int
    cidr: str
    flags: int
    scope: int
    attrs: dict[int, bytes]

    @property
    def label(self) -> str:
        return wire.text(self.attrs[n.IFA_LABEL])


def addr_of(message: Message) -> Addr:
    """Read an RTM_NEWADDR or RTM_DELADDR."""
    family, length, _, scope, index = struct.unpack_from("=BBBBI", message.body)
    attrs = wire.table(message.body[8:])
    raw = attrs.get(n.IFA_LOCAL, attrs[n.IFA_ADDRESS])
    return Addr(index, f"{socket.inet_ntop(family, raw)}/{length}", wire.number(attrs[n.IFA_FLAGS]), scope, attrs)


@dataclass
class Path:
    """What a test reads of an RTM_NEWROUTE."""

    dst: str
    table: int
    protocol: int
    scope: int
    kind: int
    flags: int
    attrs: dict[int, bytes]

    @property
    def oif(self) -> int:
        return wire.number(self.attrs.get(n.RTA_OIF, b"\0"))

    @property
    def metric(self) -> int:
        return wire.number(self.attrs.get(n.RTA_PRIORITY, b"\0"))

    @property
    def gateway(self) -> str:
        raw = self.attrs.get(n.RTA_GATEWAY)
        return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw) if raw else ""


def path_of(message: Message) -> Path:
    """Read an RTM_NEWROUTE or RTM_DELROUTE."""
    family, length, _, _, _, protocol, scope, kind, flags = struct.unpack_from("=BBBBBBBBI", message.body)
    attrs = wire.table(message.body[12:])
    raw = attrs.get(n.RTA_DST, bytes(4 if family == socket.AF_INET else 16))
    dst = f"{socket.inet_ntop(family, raw)}/{length}"
    return Path(dst, wire.number(attrs[n.RTA_TABLE]), protocol, scope, kind, flags, attrs)


def gateway(address: str) -> bytes:
    """RTA_GATEWAY."""
    return wire.attr(n.RTA_GATEWAY, parse_ip(address)[1])


def oif(index: int) -> bytes:
    """RTA_OIF."""
    return wire.u32(n.RTA_OIF, index)
