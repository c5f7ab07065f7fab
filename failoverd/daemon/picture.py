"""The picture of all interfaces, their addresses and gateways, while clients ask for it.

It has two sockets. One listens: to links as they are, and to addresses and routes only as what is to be looked at again
(inventory/stock.py). The other one asks (inventory_look.py). A question first takes in all events so far, then has the
doubtful parts looked at, and then answers (inventory_answers.py): so a change made before the question is in its
answer. Long work is cut into slices, and the engine gets its turn between them; nothing is taken in while an answer is
made, so an answer is of one moment. After lost events everything is looked at again, and if that does not come to an
end, the answer says that it is not `sure`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import trio

from failoverd.daemon.inventory import Roles
from failoverd.daemon.inventory_answers import Answers, needs_little
from failoverd.daemon.inventory_look import Look
from failoverd.daemon.leases import leased, with_client
from failoverd.inventory.stock import Stock
from failoverd.netlink.devices import read_speed
from failoverd.netlink.fetch import InterruptedDumpError
from failoverd.netlink.frames import Message, NetlinkError, split
from failoverd.netlink.inet import RTM_NEWADDR, RTM_NEWROUTE
from failoverd.netlink.inventory import (
    RTM_NEWNEXTHOP,
    read_default,
    read_interface,
    read_ip,
    read_nexthop,
    read_prefix,
)
from failoverd.netlink.inventory_filter import FILTER, GROUPS
from failoverd.netlink.links import AF_UNSPEC, RTM_DELLINK, RTM_NEWLINK, head
from failoverd.netlink.transport import KernelSocket, Transport, is_overrun

log = logging.getLogger("failoverd")

RECEIVE_BUFFER = 8 << 20
"""The receive buffer of the listening socket, in bytes."""
MOST = RECEIVE_BUFFER // 1024
"""More datagrams than the buffer holds: all events from before a question are among so many."""
STRETCH = 32
"""Datagrams at a stretch."""
ROUNDS = 3
"""How often one answer looks again at what changes meanwhile."""
RTM_DELADDR, RTM_DELROUTE, RTM_DELNEXTHOP = RTM_NEWADDR + 1, RTM_NEWROUTE + 1, RTM_NEWNEXTHOP + 1


class Listener(Protocol):
    """A netlink socket that only listens."""

    async def readable(self) -> None:
        """Wait until a datagram is there."""

    def recv_nowait(self) -> bytes | None:
        """As in Transport."""

    def close(self) -> None:
        """Close the socket."""


async def open_picture(open_asking: Callable[[], Awaitable[Transport]], root: Path = Path("/")) -> Picture:
    """Open a picture of this network namespace, with DHCP clients' files below `root`. Raises OSError."""
    events = await KernelSocket.open(GROUPS, RECEIVE_BUFFER)
    try:
        events.keep_out(FILTER)
        return Picture(events, await open_asking(), root)
    except BaseException:
        events.close()
        raise


class Picture:
    """The picture; see the module. One task at a time may call it.

    Its generations begin with the microseconds since boot, so none is that of an earlier picture: there is less than
    one change in a microsecond.
    """

    def __init__(
        self,
        events: Listener,
        asking: Transport,
        root: Path = Path("/"),
        ask_speed: Callable[[str], int] = read_speed,
    ) -> None:
        self._events, self._asking = events, asking
        self._root, self._ask_speed = root, ask_speed
        self.stock = Stock(time.monotonic_ns() // 1000)
        self._look, self._answers = Look(asking, self.stock), Answers(self.stock)

    def close(self) -> None:
        """Close it; safe to call twice."""
        self._events.close()
        self._asking.close()

    async def heard(self) -> None:
        """Wait for an event. Raises trio.ClosedResourceError if the picture is closed meanwhile."""
        await self._events.readable()

    async def drain(self) -> None:
        """Take in the events so far. Raises OSError."""
        for number in range(1, MOST + 1):
            if number % STRETCH == 0:
                await trio.lowlevel.checkpoint()
            try:
                datagram = self._events.recv_nowait()
            except OSError as error:
                if not is_overrun(error):
                    raise
                log.info("the inventory has lost events, and looks at everything again when it is asked")
                self.stock.doubt_everything()
                continue
            if datagram is None:
                return
            if not self.stock.stale.everything:
                self._take(datagram)

    def _take(self, datagram: bytes) -> None:
        try:
            for message in split(datagram):
                self._hear(message)
        except NetlinkError as error:
            log.warning("the inventory cannot read what the kernel has told: %s; it looks again", error)
            self.stock.doubt_everything()

    def _hear(self, message: Message) -> None:
        kind, stock = message.type, self.stock
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            family, ifindex, _ = head(message)
            if family == AF_UNSPEC and kind == RTM_NEWLINK:
                stock.see(read_interface(message))
            elif family == AF_UNSPEC:
                stock.lose(ifindex)
        elif kind in (RTM_NEWADDR, RTM_DELADDR):
            ifindex, address = read_ip(message)
            if address is not None:
                stock.addresses_changed(ifindex, address.text if kind == RTM_DELADDR else "")
        elif kind in (RTM_NEWROUTE, RTM_DELROUTE):
            if routes := read_default(message):
                stock.route_changed(routes)
            elif ifindex := read_prefix(message):
                stock.addresses_changed(ifindex, "")
        elif kind in (RTM_NEWNEXTHOP, RTM_DELNEXTHOP):
            stock.nexthop_changed(read_nexthop(message).id)

    async def answer(self, question: str, arguments: Sequence[str], roles: Roles) -> list[bytes]:
        """See Inventory.ask. Raises CallError, and OSError. After the latter, or a cancellation, a dump may be under
        way on the asking socket, and the picture has to be closed."""
        await self._refresh()
        if not needs_little(question, arguments):
            await self._look_around()
            self.stock.set_roles(roles)
        # Nothing is known to have been missed where nothing has to be looked at as a whole.
        return await self._answers.to(question, arguments, is_sure=not self.stock.stale.everything)

    async def _refresh(self) -> None:
        """Take in the events so far, and look at what is in doubt."""
        for _ in range(ROUNDS):
            await self.drain()
            if not self.stock.stale:
                return
            stale = self.stock.take_stale()
            try:
                await self._look.at(stale)
            except InterruptedDumpError:
                self.stock.doubt_everything()
        await self.drain()

    async def _look_around(self) -> None:
        """Look at what the kernel sends no events of: speeds and leases."""
        wanted = [
            (ifindex, entry.seen)
            for ifindex, entry in self.stock.entries.items()
            if entry.speed is None and entry.seen.operstate == "up"
        ]
        names = [seen.name for _, seen in wanted]
        speeds = await trio.to_thread.run_sync(self._ask_all, names) if names else []
        for (ifindex, seen), speed in zip(wanted, speeds, strict=True):
            self.stock.set_speed(ifindex, seen, speed)
        leases = await trio.to_thread.run_sync(leased, self._root)
        served = await trio.to_thread.run_sync(with_client, self._root)
        if served:
            named = (entry.seen for entry in self.stock.entries.values())
            leases = {seen.ifindex: "" for seen in named if seen.name in served} | leases
        self.stock.set_leased(frozenset(filter(lambda ifindex: self._has(ifindex, leases[ifindex]), leases)))

    def _has(self, ifindex: int, address: str) -> bool:
        entry = self.stock.entries.get(ifindex)
        return entry is not None and entry.has_ipv4(address)

    def _ask_all(self, names: Iterable[str]) -> list[int]:
        return [self._ask_speed(name) for name in names]
