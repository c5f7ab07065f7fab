"""Create, change and delete links for the lab: rtnetlink on a socket that stays in the namespace where it was opened.

A request runs in a worker thread. The kernel works on it before `send` returns, and to delete a device it waits for
every reader that may still look at it; meanwhile the switch, which lives in this process, must go on passing frames.

Messages that the daemon's own builders can make are taken from them. Others (a veth pair, a bridge, the look at all
devices, by which the daemon is judged) are built and read here.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import trio

from failoverd.model.inet import Address, Route
from failoverd.model.requests import AddAddress, AddRoute, DropAddress, Request
from failoverd.netlink.frames import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    attribute,
    attributes,
    build,
    read_error,
    split,
)
from failoverd.netlink.inet import RTM_GETADDR, RTM_NEWADDR, read_address
from failoverd.netlink.links import IFF_LOWER_UP, IFF_UP, INFO, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, text
from failoverd.netlink.requests import write_request
from failoverd.netlink.transport import NETLINK_EXT_ACK, NETLINK_ROUTE, SOL_NETLINK

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
IFLA_PROP_LIST, IFLA_ALT_IFNAME = 52, 53
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 2
RTA_GATEWAY, RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 5, 254, 3, 1
LARGEST = 1 << 18
WIRE_MTU = 65535
"""A cable passes whatever the NIC sends; a veth drops frames longer than its peer's MTU."""

Writer = Callable[[int], bytes]
"""Builds a message for a sequence number."""


class KernelRefusedError(OSError):
    """The kernel refused; errno and its own text."""


class Rtnl:
    """A NETLINK_ROUTE socket in the namespace in which it is made."""

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._sock.bind((0, 0))
        self._turn = trio.Lock()
        self._seq = 0

    async def ask(self, what: Request | Writer) -> None:
        """Carry out one request. Raises KernelRefusedError."""
        await self._talk(what if callable(what) else partial(write_request, what))

    async def send(self, datagram: bytes) -> None:
        """Send messages that need no answer."""
        async with self._turn:
            await trio.to_thread.run_sync(self._sock.send, datagram)

    async def look(self) -> list[dict[str, Any]]:
        """Return every device with its addresses; see World.links, whose `nic` is left out. Raises KernelRefusedError.

        By a dump. A request for a single device makes the kernel report a carrier that it has lost
        (linkwatch_sync_dev), and the daemon would hear of it early only because the lab looked; a dump does not
        (measured on 6.18).
        """
        links = await self._talk(lambda seq: build(RTM_GETLINK, NLM_F_DUMP, seq, INFO.pack(0, 0, 0, 0, 0)))
        addresses = await self._talk(lambda seq: build(RTM_GETADDR, NLM_F_DUMP, seq, bytes(8)))
        found = [read_address(message) for message in addresses if message.type == RTM_NEWADDR]
        rows = [_row(message) for message in links if message.type == RTM_NEWLINK]
        names = {row["ifindex"]: row["name"] for row in rows}
        for row in rows:
            row["master"] = names.get(row["master"], "")
            row["addresses"] = [_cidr(address) for address in found if address.ifindex == row["ifindex"]]
        return rows

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        self._sock.close()

    async def _talk(self, write: Writer) -> list[Message]:
        async with self._turn:
            self._seq += 1
            return await trio.to_thread.run_sync(self._exchange, write(self._seq), self._seq)

    def _exchange(self, datagram: bytes, seq: int) -> list[Message]:
        self._sock.send(datagram)
        messages: list[Message] = []
        while True:
            for message in split(self._sock.recv(LARGEST)):
                if message.seq != seq:
                    continue
                if message.type == NLMSG_ERROR:
                    number, words = read_error(message)
                    if number:
                        raise KernelRefusedError(number, words or os.strerror(number))
                if message.type in (NLMSG_ERROR, NLMSG_DONE):
                    return messages
                messages.append(message)


def veth(guest: int, name: str, mac: str, ifindex: int, wire: str, far: int = 0) -> Writer:
    """Build a veth pair: `name` in the namespace of the open file `guest`, and `wire`, which is down, in the socket's
    own.

    Both get the same ifindex, unless `far` is the wire's. With one number the kernel takes each for a device of its
    own. For a device whose peer has another number (dev_get_iflink), it reports a change of carrier at once; for
    hardware, at most once a second, as it finds the time (net/core/link_watch.c, linkwatch_urgent_event). Measured:
    0.1 s after another device's loss 0.2 ms, and 900 ms.
    """
    other = INFO.pack(0, 0, far or ifindex, 0, 0) + _name(wire) + _number(IFLA_MTU, WIRE_MTU)
    info = attribute(IFLA_INFO_KIND, b"veth\0") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other))
    address = attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    parts = _name(name) + address + _number(IFLA_NET_NS_FD, guest) + attribute(IFLA_LINKINFO, info)
    return _new(INFO.pack(0, 0, ifindex, 0, 0) + parts)


def device(kind: str, name: str) -> Writer:
    """Build a virtual device of a kind that needs only a name, such as a bridge."""
    info = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, kind.encode() + b"\0"))
    return _new(INFO.pack(0, 0, 0, 0, 0) + _name(name) + info)


def makes(kind: str) -> bool:
    """Return whether this kernel makes devices of this kind, which is tried in this thread's namespace."""
    name = "fo-probe"
    gone = partial(build, RTM_DELLINK, NLM_F_ACK, payload=INFO.pack(0, 0, 0, 0, 0) + _name(name))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as sock:
        sock.bind((0, 0))
        for write in (device(kind, name), lambda seq: gone(seq=seq)):
            sock.send(write(1))
            if read_error(next(split(sock.recv(LARGEST))))[0]:
                return False
    return True


def add_address(ifindex: int, address: str) -> Request:
    """Add an address in CIDR form. It may be used at once, without duplicate address detection."""
    return AddAddress(_address(ifindex, address))


def drop_address(ifindex: int, address: str) -> Request:
    """Remove an address."""
    return DropAddress(_address(ifindex, address))


def default_route(ifindex: int, gateway: str) -> Request:
    """Add a default route by this IPv4 gateway."""
    hop = (RTA_GATEWAY, ipaddress.IPv4Address(gateway).packed)
    return AddRoute(
        Route(ifindex, socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0, attrs=(hop,))
    )


def mtu_changes(ifindex: int, mtus: Sequence[int]) -> bytes:
    """Build one datagram that gives a device one MTU after the other. Each is an event; none is acknowledged."""
    head = INFO.pack(0, 0, ifindex, 0, 0)
    return b"".join(build(RTM_NEWLINK, 0, 0, head + _number(IFLA_MTU, mtu)) for mtu in mtus)


def _new(payload: bytes) -> Writer:
    return lambda seq: build(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, seq, payload)


def _name(name: str) -> bytes:
    return attribute(IFLA_IFNAME, name.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _address(ifindex: int, text: str) -> Address:
    found = ipaddress.ip_interface(text)
    raw = found.ip.packed
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    flags = 0 if found.version == 4 else IFA_F_NODAD
    return Address(ifindex, family, found.network.prefixlen, 0, flags, raw, ((IFA_LOCAL, raw), (IFA_ADDRESS, raw)))


def _row(message: Message) -> dict[str, Any]:
    _, _, ifindex, flags, _ = INFO.unpack_from(message.payload)
    found: Mapping[int, bytes] = dict(attributes(message.payload, INFO.size))
    return {
        "name": text(found[IFLA_IFNAME]),
        "ifindex": ifindex,
        "mac": found.get(IFLA_ADDRESS, b"").hex(":"),
        "master": int.from_bytes(found.get(IFLA_MASTER, b""), sys.byteorder),
        "up": bool(flags & IFF_UP),
        "carrier": bool(flags & IFF_LOWER_UP),
        "mtu": struct.unpack("=I", found[IFLA_MTU])[0],
        "kind": text(dict(attributes(found.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_KIND, b"")),
        "altnames": [text(name) for at, name in attributes(found.get(IFLA_PROP_LIST, b"")) if at == IFLA_ALT_IFNAME],
    }


def _cidr(address: Address) -> str:
    return f"{ipaddress.ip_address(address.local)}/{address.prefixlen}"
