"""Looking up the IP configuration of devices, over a socket of its own."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from failoverd.model.inet import Address, Route
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
from failoverd.netlink.transport import Transport

FAMILIES = (2, 10)
"""AF_INET and AF_INET6: those whose routes the kernel filters by device."""

TRIES = 8
Opener = Callable[[], Awaitable[Transport]]
T = TypeVar("T")


class InterruptedDumpError(Exception):
    """The tables changed while they were read, again and again."""


async def fetch_addresses(open_socket: Opener, ifindexes: Iterable[int]) -> dict[int, list[Address]]:
    """Only the addresses. Raises as fetch_inet does."""
    return await _retried(open_socket, _addresses, tuple(ifindexes))


async def fetch_inet(open_socket: Opener, ifindexes: Iterable[int]) -> dict[int, Inet]:
    """Addresses and routes of these devices, none for a device that is gone by now.

    The kernel filters the routes (NETLINK_GET_STRICT_CHK with RTA_OIF): a router's table may hold a million of them.
    Raises OSError, NetlinkError, InterruptedDumpError.
    """
    return await _retried(open_socket, _fetch, tuple(ifindexes))


async def dump_once(open_socket: Opener, ask: bytes) -> list[Message]:
    """The answer to one dump request with the sequence number 1. Raises as fetch_inet does."""

    async def collect(sock: Transport, _nothing: tuple[int, ...]) -> list[Message]:
        return [message async for message in _dump(sock, ask, 1)]

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
    return {i: Inet(tuple(addresses[i]), tuple(routes[i])) for i in ifindexes}


async def _addresses(sock: Transport, ifindexes: tuple[int, ...]) -> dict[int, list[Address]]:
    addresses: dict[int, list[Address]] = {ifindex: [] for ifindex in ifindexes}
    ask = build(RTM_GETADDR, NLM_F_DUMP, 1, IFADDR.pack(0, 0, 0, 0, 0))
    async for message in _dump(sock, ask, 1):
        if message.type == RTM_NEWADDR and (address := read_address(message)).ifindex in addresses:
            addresses[address.ifindex].append(address)
    return addresses


async def _routes(sock: Transport, ifindex: int, family: int, seq: int) -> list[Route]:
    """The routes of one family through one device. The kernel ends the dump with ENODEV where the device is gone."""
    head = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    ask = build(RTM_GETROUTE, NLM_F_DUMP, seq, head + attribute(RTA_OIF, struct.pack("=i", ifindex)))
    routes: list[Route] = []
    try:
        async for message in _dump(sock, ask, seq):
            route = read_route(message) if message.type == RTM_NEWROUTE else None
            if route is not None and _is_meant(route, ifindex, family):
                routes.append(replace(route, ifindex=ifindex))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    return routes


def _is_meant(route: Route, ifindex: int, family: int) -> bool:
    """Whether the route leads through this device. An old kernel filters nothing, and one without IPv6 takes the
    question for one about all families (net/core/rtnetlink.c, rtnl_dump_all)."""
    through = route.ifindex == ifindex or any(hop.ifindex == ifindex for hop in route.hops)
    return through and route.family == family


async def _dump(sock: Transport, ask: bytes, seq: int) -> AsyncIterator[Message]:
    await sock.send(ask)
    interrupted = False
    while True:
        for message in split(await sock.recv()):
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
    """The errno of a dump that is refused or broken off, and the kernel's words for it."""
    if message.type == NLMSG_ERROR:
        return read_error(message)
    return (read_done(message), "") if message.type == NLMSG_DONE else (0, "")
