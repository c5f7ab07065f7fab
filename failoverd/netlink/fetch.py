"""Read the IP configuration of devices, over a socket of its own."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import trio

from failoverd.model.inet import Address, Label, Neighbour, Route, Setting
from failoverd.model.pairs import Inet
from failoverd.netlink.frames import (
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    attribute,
    build,
    read_done,
    read_error,
    split,
)
from failoverd.netlink.inet import (
    IFADDR,
    RTA_OIF,
    RTM_GETADDR,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    RTMSG,
    read_address,
    read_route,
)
from failoverd.netlink.links import RTM_NEWLINK
from failoverd.netlink.neighbours import (
    RTM_GETADDRLABEL,
    RTM_GETNEIGH,
    RTM_NEWADDRLABEL,
    RTM_NEWNEIGH,
    ask_labels,
    ask_neighbours,
    read_label,
    read_neighbour,
)
from failoverd.netlink.requests import get_link
from failoverd.netlink.settings import read_settings
from failoverd.netlink.transport import Transport

FAMILIES = (2, 10)
"""AF_INET and AF_INET6: the families whose routes the kernel filters by device."""

NEIGHBOURS, PROXIES, LABELS, SETTINGS = 1 << 20, 1 + (1 << 20), 2 + (1 << 20), 3 + (1 << 20)
"""Sequence numbers, apart from those of the route dumps."""

TRIES = 8
STRETCH = 32
"""Rows read before the engine has its turn. A datagram may hold four hundred addresses."""
Opener = Callable[[], Awaitable[Transport]]
T = TypeVar("T")


class InterruptedDumpError(Exception):
    """The tables changed during each of several reads."""


async def fetch_addresses(open_socket: Opener, ifindexes: Iterable[int]) -> dict[int, list[Address]]:
    """Return the addresses of these devices. Raises as fetch_inet does."""
    return await _retried(open_socket, _addresses, tuple(ifindexes))


async def fetch_inet(open_socket: Opener, ifindexes: Iterable[int]) -> dict[int, Inet]:
    """Return the IP configuration of these devices; empty for a device that is gone by now.

    The kernel filters the routes (NETLINK_GET_STRICT_CHK with RTA_OIF), as a router's table may hold a million of them,
    and the neighbours. Address labels are few.

    Raises OSError, NetlinkError, InterruptedDumpError.
    """
    return await _retried(open_socket, _fetch, tuple(ifindexes))


async def dump_once(open_socket: Opener, ask: bytes) -> list[Message]:
    """Return the answer to one dump request with the sequence number 1. Raises as fetch_inet does."""

    async def collect(sock: Transport, _nothing: tuple[int, ...]) -> list[Message]:
        return [message async for message in dump(sock, ask, 1)]

    return await _retried(open_socket, collect, ())


async def _retried(
    open_socket: Opener, ask: Callable[[Transport, tuple[int, ...]], Awaitable[T]], wanted: tuple[int, ...]
) -> T:
    sock = await open_socket()
    try:
        for _ in range(TRIES):
            try:
                return await ask(sock, wanted)
            except InterruptedDumpError:
                continue
        raise InterruptedDumpError("the routing tables keep changing")
    finally:
        sock.close()


async def _fetch(sock: Transport, ifindexes: tuple[int, ...]) -> dict[int, Inet]:
    addresses = await _addresses(sock, ifindexes)
    routes: dict[int, list[Route]] = {ifindex: [] for ifindex in ifindexes}
    for seq, (ifindex, family) in enumerate([(i, f) for i in ifindexes for f in FAMILIES], start=2):
        routes[ifindex] += await _routes(sock, ifindex, family, seq)
    labels = await _labels(sock)
    return {
        i: Inet(
            tuple(addresses[i]),
            tuple(routes[i]),
            await _neighbours(sock, i),
            tuple(label for label in labels if label.ifindex == i),
            await _settings(sock, i),
        )
        for i in ifindexes
    }


async def _addresses(sock: Transport, ifindexes: tuple[int, ...]) -> dict[int, list[Address]]:
    addresses: dict[int, list[Address]] = {ifindex: [] for ifindex in ifindexes}
    ask = build(RTM_GETADDR, NLM_F_DUMP, 1, IFADDR.pack(0, 0, 0, 0, 0))
    async for message in dump(sock, ask, 1):
        if message.type == RTM_NEWADDR and (address := read_address(message)).ifindex in addresses:
            addresses[address.ifindex].append(address)
    return addresses


async def _routes(sock: Transport, ifindex: int, family: int, seq: int) -> list[Route]:
    """Return the routes of one family through one device. The kernel ends the dump with ENODEV where the device is
    gone."""
    head = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    ask = build(RTM_GETROUTE, NLM_F_DUMP, seq, head + attribute(RTA_OIF, struct.pack("=i", ifindex)))
    routes: list[Route] = []
    try:
        async for message in dump(sock, ask, seq):
            route = read_route(message) if message.type == RTM_NEWROUTE else None
            if route is not None and _is_meant(route, ifindex, family):
                routes.append(replace(route, ifindex=ifindex))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    return routes


async def _neighbours(sock: Transport, ifindex: int) -> tuple[Neighbour, ...]:
    """Return the permanent neighbour entries, and the addresses for which the machine answers on this device (proxy
    entries). An old kernel does not filter."""
    found: list[Neighbour] = []
    for seq, is_proxy in ((NEIGHBOURS, False), (PROXIES, True)):
        ask = build(RTM_GETNEIGH, NLM_F_DUMP, seq, ask_neighbours(ifindex, is_proxy))
        async for message in dump(sock, ask, seq):
            entry = read_neighbour(message) if message.type == RTM_NEWNEIGH else None
            if entry is not None and entry.ifindex == ifindex:
                found.append(entry)
    return tuple(found)


async def _labels(sock: Transport) -> list[Label]:
    """Return every address label; none where the kernel has no IPv6."""
    ask = build(RTM_GETADDRLABEL, NLM_F_DUMP, LABELS, ask_labels())
    try:
        rows = [message async for message in dump(sock, ask, LABELS)]
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return []
    return [read_label(message) for message in rows if message.type == RTM_NEWADDRLABEL]


async def _settings(sock: Transport, ifindex: int) -> tuple[Setting, ...]:
    """Return the settings in the device's own message; none for a device that is gone."""
    await sock.send(get_link(ifindex, SETTINGS))
    settings: tuple[Setting, ...] = ()
    while True:
        for message in split(await sock.recv()):
            if message.seq == SETTINGS and message.type == RTM_NEWLINK:
                settings = read_settings(message)
            if message.seq == SETTINGS and message.type == NLMSG_ERROR:
                return settings


def _is_meant(route: Route, ifindex: int, family: int) -> bool:
    """Return whether the route leads through this device and is of this family.

    An old kernel does not filter, and one without IPv6 takes the request for one about all families
    (net/core/rtnetlink.c, rtnl_dump_all).
    """
    through = route.ifindex == ifindex or any(hop.ifindex == ifindex for hop in route.hops)
    return through and route.family == family


async def dump(sock: Transport, ask: bytes, seq: int) -> AsyncIterator[Message]:
    """Yield the rows of one dump as they come in. Raises OSError, NetlinkError, and InterruptedDumpError behind the
    last row."""
    await sock.send(ask)
    interrupted = False
    while True:
        for number, message in enumerate(split(await sock.recv()), start=1):
            if number % STRETCH == 0:
                await trio.lowlevel.checkpoint()
            if message.seq != seq:
                continue
            interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
            number, words = _trouble(message)
            if number:
                raise OSError(number, words or f"the kernel will not list them: {os.strerror(number)}")
            if message.type == NLMSG_DONE:
                if interrupted:
                    raise InterruptedDumpError
                return
            yield message


def _trouble(message: Message) -> tuple[int, str]:
    """Return the errno of a dump that is refused or broken off, and the kernel's text for it."""
    if message.type == NLMSG_ERROR:
        return read_error(message)
    return (read_done(message), "") if message.type == NLMSG_DONE else (0, "")
