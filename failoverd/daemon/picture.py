"""The picture of all interfaces, their addresses and gateways, while clients ask for it.

It has two sockets. One listens: to links as they are, and to addresses and routes only as what is to be looked at again
(inventory/stock.py). The other one asks. A question first takes in all events so far, then has the doubtful parts
looked at, and then answers: so a change made before the question is in its answer. Long work is cut into slices, and
the engine gets its turn between them; nothing is taken in while an answer is made, so an answer is of one moment. After
lost events everything is looked at again, and if that does not come to an end, the answer says that it is not `sure`.
"""

from __future__ import annotations

import errno
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from failoverd.core.call_answers import CallError
from failoverd.daemon.inventory import Roles
from failoverd.daemon.leases import leased, with_client
from failoverd.inventory.answers import generation_only, head_of, is_meant, unchanged
from failoverd.inventory.facts import DefaultRoute, IpAddress
from failoverd.inventory.find import NotFoundError, find
from failoverd.inventory.gateways import resolved
from failoverd.inventory.questions import ALL, LIST, ROW, TABLE
from failoverd.inventory.rows import line_of, listed, row_of
from failoverd.inventory.stock import Entry, Stale, Stock
from failoverd.inventory.xml import lines_of
from failoverd.netlink.devices import read_speed
from failoverd.netlink.fetch import InterruptedDumpError, dump
from failoverd.netlink.frames import Message, NetlinkError, split
from failoverd.netlink.inet import RTM_NEWADDR, RTM_NEWROUTE
from failoverd.netlink.inventory import (
    FAMILIES,
    FILTER,
    GROUPS,
    RTM_NEWNEXTHOP,
    ask_addresses,
    ask_links,
    ask_nexthops,
    ask_routes,
    read_default,
    read_interface,
    read_ip,
    read_nexthop,
    read_prefix,
)
from failoverd.netlink.links import AF_UNSPEC, RTM_DELLINK, RTM_NEWLINK, head
from failoverd.netlink.transport import KernelSocket, Transport, is_overrun

log = logging.getLogger("failoverd")
T = TypeVar("T")

RECEIVE_BUFFER = 8 << 20
"""The receive buffer of the listening socket, in bytes."""
MOST = RECEIVE_BUFFER // 1024
"""More datagrams than the buffer holds: all events from before a question are among so many."""
STRETCH = 32
"""Datagrams, or lines of a document, at a stretch."""
SLICE = 100
"""Rows that are made and joined at a stretch."""
FEW = 16
"""Up to so many interfaces are looked at one by one; for more, all are."""
ROUNDS = 3
"""How often one answer looks again at what changes meanwhile."""
NOT_THERE = (errno.ENODEV, errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
RTM_DELADDR, RTM_DELROUTE, RTM_DELNEXTHOP = RTM_NEWADDR + 1, RTM_NEWROUTE + 1, RTM_NEWNEXTHOP + 1

LINES: Mapping[str, Callable[[Entry], bytes]] = {TABLE: line_of, LIST: listed}
"""The short rows, which take nothing that has to be looked for outside of netlink."""


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
        self._seq = 0
        self._made: dict[tuple[str, ...], tuple[int, list[bytes]]] = {}
        self.stock = Stock(time.monotonic_ns() // 1000)

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
        is_table = question == "interfaces" and arguments[0] in LINES
        await self._refresh()
        if not is_table:
            await self._look_around()
            self.stock.set_roles(roles)
        if question == "generation":
            return [generation_only(self.stock.generation, self.is_sure)]
        if question == "interface":
            return await self._one(*arguments)
        if question == "interface-xml":
            return await self._documents(list(arguments))
        known = arguments[2] if len(arguments) > 2 else ""
        if known == str(self.stock.generation) and self.is_sure:
            return [unchanged(self.stock.generation)]
        key = (question, *arguments[:2], str(self.is_sure))
        made = self._made.get(key)
        if made is None or made[0] != self.stock.generation:
            pieces = await (self._interfaces(arguments) if question == "interfaces" else self._documents(None))
            made = self._made[key] = (self.stock.generation, pieces)
        return made[1]

    @property
    def is_sure(self) -> bool:
        """Whether nothing is known to have been missed."""
        return not self.stock.stale.everything

    async def _interfaces(self, arguments: Sequence[str]) -> list[bytes]:
        which = arguments[1] if len(arguments) > 1 else ALL
        make: Callable[[Entry], bytes] = LINES.get(arguments[0]) or partial(row_of, self.stock)
        rows = [entry for entry in self.stock.in_order() if is_meant(entry, which)]
        pieces = [head_of(self.stock.generation, self.is_sure, "interfaces")]
        for start in range(0, len(rows), SLICE):
            pieces.append((b", " if start else b"") + b", ".join(map(make, rows[start : start + SLICE])))
            await trio.lowlevel.checkpoint()
        return [*pieces, b"]}"]

    async def _one(self, form: str, word: str) -> list[bytes]:
        """Return the row or the XML document of one interface. Raises CallError."""
        try:
            entry = find(self.stock, word)
            made = row_of(self.stock, entry) if form == ROW else await self._document(entry)
        except NotFoundError as error:
            raise CallError(str(error), error.kind) from error
        except ValueError as error:
            raise CallError(str(error), "NoDocument") from error
        what = "interfaces" if form == ROW else "documents"
        return [head_of(self.stock.generation, self.is_sure, what), made, b"]}"]

    async def _documents(self, words: list[str] | None) -> list[bytes]:
        """Return the XML documents of the interfaces that these words name, or of all."""
        refused: list[str] = []
        entries = self.stock.in_order() if words is None else await self._meant(words, refused)
        pieces: list[bytes] = [head_of(self.stock.generation, self.is_sure, "documents")]
        is_first = True
        for number, entry in enumerate(entries):
            if number % STRETCH == 0:
                await trio.lowlevel.checkpoint()
            try:
                document = await self._document(entry)
            except ValueError as error:
                refused.append(str(error))
                continue
            pieces += [document] if is_first else [b", ", document]
            is_first = False
        return [b"".join(pieces), b'], "refused": ' + json.dumps(refused).encode() + b"}"]

    async def _meant(self, words: list[str], refused: list[str]) -> list[Entry]:
        found = []
        for word in words:
            await trio.lowlevel.checkpoint()
            try:
                found.append(find(self.stock, word))
            except NotFoundError as error:
                refused.append(str(error))
        return found

    async def _document(self, entry: Entry) -> bytes:
        """Return its XML as a JSON string. Raises ValueError if there is none."""
        if entry.document is None:
            lines = []
            for line in lines_of(self.stock, entry):
                lines.append(line)
                if len(lines) % SLICE == 0:
                    await trio.lowlevel.checkpoint()
            entry.document = json.dumps("\n".join(lines) + "\n").encode()
        return entry.document

    async def _refresh(self) -> None:
        """Take in the events so far, and look at what is in doubt."""
        for _ in range(ROUNDS):
            await self.drain()
            if not self.stock.stale:
                return
            stale = self.stock.take_stale()
            try:
                await self._look(stale)
            except InterruptedDumpError:
                self.stock.doubt_everything()
        await self.drain()

    async def _look(self, stale: Stale) -> None:
        """Look at the stale parts. Raises OSError, NetlinkError, InterruptedDumpError."""
        if stale.everything:
            seen = [one async for one in self._rows(ask_links, RTM_NEWLINK, read_interface)]
            self.stock.keep_only(interface.ifindex for interface in seen)
            for number, interface in enumerate(seen):
                self.stock.see(interface)
                if number % SLICE == 0:
                    await trio.lowlevel.checkpoint()
        if stale.everything or len(stale.addresses) > FEW:
            await self._look_at_addresses(0)
        else:
            for ifindex in sorted(stale.addresses):
                await self._look_at_addresses(ifindex)
        if stale.everything or stale.all_routes or len(stale.routes) > FEW:
            await self._look_at_routes(0)
        else:
            for ifindex in sorted(stale.routes):
                await self._look_at_routes(ifindex)
        if stale.everything:
            # New links were marked as stale; they have been looked at with all others.
            self.stock.take_stale()

    async def _look_at_addresses(self, ifindex: int) -> None:
        """Look at the addresses of one interface, or with 0 of all."""
        found: dict[int, list[IpAddress]] = {ifindex: []} if ifindex else {i: [] for i in self.stock.entries}
        for family in FAMILIES:
            async for where, address in self._rows(partial(_addresses_of, family, ifindex), RTM_NEWADDR, read_ip):
                if address is not None and where in found:
                    found[where].append(address)
        for where, addresses in found.items():
            self.stock.set_addresses(where, addresses)

    async def _look_at_routes(self, ifindex: int) -> None:
        """Look at the default routes of one interface, or with 0 of all. Most of a router's routes are no default,
        which their header says."""
        found: list[DefaultRoute] = []
        for family in FAMILIES:
            async for routes in self._rows(partial(_routes_of, family, ifindex), RTM_NEWROUTE, read_default):
                found += routes
        if any(not route.ifindex for route in found):
            nexthops = [one async for one in self._rows(ask_nexthops, RTM_NEWNEXTHOP, read_nexthop)]
            found = resolved(found, {nexthop.id: nexthop for nexthop in nexthops})
        self.stock.set_routes((one for one in found if not ifindex or one.ifindex == ifindex), ifindex)

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
                    log.warning("the inventory leaves out what it cannot read: %s", error)
                    continue
                yield row
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise

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


def _addresses_of(family: int, ifindex: int, seq: int) -> bytes:
    return ask_addresses(seq, family, ifindex)


def _routes_of(family: int, ifindex: int, seq: int) -> bytes:
    return ask_routes(seq, family, ifindex)
