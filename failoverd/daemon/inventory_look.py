"""Looking at interfaces, addresses and routes for the inventory: what is stale is asked of the kernel anew.

Few interfaces are asked for one by one, many all at once: a dump costs the kernel the more the more links there are.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

import trio

from failoverd.inventory.facts import DefaultRoute, IpAddress
from failoverd.inventory.gateways import resolved
from failoverd.inventory.stock import Stale, Stock
from failoverd.netlink.fetch import dump
from failoverd.netlink.frames import NLMSG_ERROR, Message, NetlinkError, read_error, split
from failoverd.netlink.inet import RTM_NEWADDR, RTM_NEWROUTE
from failoverd.netlink.inventory import (
    FAMILIES,
    RTM_NEWNEXTHOP,
    ask_addresses,
    ask_links,
    ask_nexthops,
    ask_routes,
    read_default,
    read_interface,
    read_ip,
    read_nexthop,
)
from failoverd.netlink.links import RTM_NEWLINK
from failoverd.netlink.requests import get_link
from failoverd.netlink.transport import Transport

log = logging.getLogger("failoverd")
T = TypeVar("T")

SLICE = 100
"""Interfaces that are taken in at a stretch."""
FEW = 16
"""Up to so many interfaces are looked at one by one; for more, all are."""
NOT_THERE = (errno.ENODEV, errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
UNREAD = "the inventory leaves out what it cannot read: %s"


class Look:
    """Looks by this socket, which nothing else uses, and puts what it finds into the stock. One task at a time may
    call it. After OSError or a cancellation, a dump may be under way on the socket, and it has to be closed."""

    def __init__(self, asking: Transport, stock: Stock) -> None:
        self._asking, self._stock = asking, stock
        self._seq = 0

    async def at(self, stale: Stale) -> None:
        """Look at the stale parts. Raises OSError, NetlinkError, InterruptedDumpError."""
        if stale.everything or len(stale.links) > FEW:
            await self._at_links()
        else:
            for ifindex in sorted(stale.links):
                await self._at_link(ifindex)
        if stale.everything or len(stale.addresses) > FEW:
            await self._at_addresses(0)
        else:
            for ifindex in sorted(stale.addresses):
                await self._at_addresses(ifindex)
        if stale.everything or stale.all_routes or len(stale.routes) > FEW:
            await self._at_routes(0)
        else:
            for ifindex in sorted(stale.routes):
                await self._at_routes(ifindex)
        if stale.everything:
            # New links were marked as stale; they have been looked at with all others.
            self._stock.take_stale()

    async def _at_links(self) -> None:
        """Look at all interfaces."""
        seen = [one async for one in self._rows(ask_links, RTM_NEWLINK, read_interface)]
        self._stock.keep_only(interface.ifindex for interface in seen)
        for number, interface in enumerate(seen):
            self._stock.see(interface)
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()

    async def _at_link(self, ifindex: int) -> None:
        """Look at one interface. One that is gone has an event of its own."""
        self._seq += 1
        await self._asking.send(get_link(ifindex, self._seq))
        while True:
            for message in split(await self._asking.recv()):
                if message.seq != self._seq:
                    continue
                if message.type == NLMSG_ERROR:
                    number, words = read_error(message)
                    if number and number not in NOT_THERE:
                        raise OSError(number, words or os.strerror(number))
                    return
                try:
                    self._stock.see(read_interface(message))
                except NetlinkError as error:
                    log.warning(UNREAD, error)

    async def _at_addresses(self, ifindex: int) -> None:
        """Look at the addresses of one interface, or with 0 of all."""
        found: dict[int, list[IpAddress]] = {ifindex: []} if ifindex else {i: [] for i in self._stock.entries}
        for family in FAMILIES:
            async for where, address in self._rows(partial(_addresses_of, family, ifindex), RTM_NEWADDR, read_ip):
                if address is not None and where in found:
                    found[where].append(address)
        for where, addresses in found.items():
            self._stock.set_addresses(where, addresses)

    async def _at_routes(self, ifindex: int) -> None:
        """Look at the default routes of one interface, or with 0 of all. Most of a router's routes are no default,
        which their header says."""
        found: list[DefaultRoute] = []
        for family in FAMILIES:
            async for routes in self._rows(partial(_routes_of, family, ifindex), RTM_NEWROUTE, read_default):
                found += routes
        if any(not route.ifindex for route in found):
            nexthops = [one async for one in self._rows(ask_nexthops, RTM_NEWNEXTHOP, read_nexthop)]
            found = resolved(found, {nexthop.id: nexthop for nexthop in nexthops})
        self._stock.set_routes((one for one in found if not ifindex or one.ifindex == ifindex), ifindex)

    async def _rows(self, ask: Callable[[int], bytes], kind: int, read: Callable[[Message], T]) -> AsyncIterator[T]:
        """Yield the rows of a dump. There are none if the device is gone, a table has no route (ENOENT), or this kernel
        does not have the dump. A row that cannot be read is left out, so that the others do not suffer from it."""
        self._seq += 1
        try:
            async for message in dump(self._asking, ask(self._seq), self._seq):
                if message.type != kind:
                    continue
                try:
                    row = read(message)
                except NetlinkError as error:
                    log.warning(UNREAD, error)
                    continue
                yield row
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise


def _addresses_of(family: int, ifindex: int, seq: int) -> bytes:
    return ask_addresses(seq, family, ifindex)


def _routes_of(family: int, ifindex: int, seq: int) -> bytes:
    return ask_routes(seq, family, ifindex)
