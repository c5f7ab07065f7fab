"""Moves into other network namespaces on the simulated kernel: its namespaces, its sysctls, and no thread.

Everything else is the daemon's: orders, what the configuration wants, the loop of a move, the plan. What is on disk
outlasts the daemon, as in `Disk`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import trio

from failoverd.core.state import State
from failoverd.daemon.links import Concerned
from failoverd.daemon.living import Told
from failoverd.daemon.movefile import dumps, loads
from failoverd.daemon.moves import Moves
from failoverd.daemon.moving import Answers, GoneError
from failoverd.daemon.namespaces import Namespaces
from failoverd.daemon.open_namespace import NamespaceGoneError
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid, ResidenceSaid
from failoverd.model.places import Absent, Place
from failoverd.model.requests import Request, SetSysctl
from failoverd.moves.items import Record, Seen, concerned
from failoverd.moves.residing import Order
from failoverd.moves.rules import Table
from failoverd.netlink.exchange import Exchange
from failoverd.netlink.transport import Transport
from failoverd.netlink.whole_look import look_at_tables, look_whole
from failoverd_lab.simkernel import Namespaces as SimNamespaces
from failoverd_lab.simkernel import SimKernel
from failoverd_lab.simkernel.state import Refused
from failoverd_lab.simlinks import SimDoors

Tell = Callable[[AwaySaid | ResidenceSaid | Told], Awaitable[None]]
Said = Callable[[Record | None], Awaitable[None]]


@dataclass
class Disk:
    """What is below the runtime directory: journals, as text, and orders."""

    journals: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)

    def load(self) -> dict[str, Order]:
        """See Orders."""
        return dict(self.orders)

    def keep(self, mac: str, order: Order | None) -> None:
        """See Orders."""
        if order is None:
            self.orders.pop(mac, None)
        else:
            self.orders[mac] = order

    def records(self) -> list[Record]:
        """The journals, read anew."""
        return [loads(text) for _, text in sorted(self.journals.items())]


class SimGround:
    """See Ground. `namespaces` are the kernel's, with names."""

    def __init__(
        self, mac: str, ref: NamespaceRef, doors: SimDoors, namespaces: SimNamespaces, disk: Disk, said: Said
    ) -> None:
        self._mac, self._ref, self._doors, self._namespaces = mac, ref, doors, namespaces
        self._disk, self._said = disk, said

    def where(self) -> Place | Absent:
        """See Ground."""
        return self._doors.now(self._ref)

    async def look(self, place: Place) -> Seen:
        """See Ground."""
        kernel = self._kernel(place)

        async def open_socket() -> Transport:
            return kernel.open(strict=True)

        return Seen(*await look_whole(open_socket, lambda links: concerned(self._mac, links)))

    async def look_at_tables(self, place: Place, seen: Seen, tables: Iterable[Table]) -> Seen:
        """See WholeGround."""
        kernel = self._kernel(place)

        async def open_socket() -> Transport:
            return kernel.open(strict=True)

        return replace(seen, users=await look_at_tables(open_socket, tables))

    async def send(self, place: Place, to: Place, requests: Sequence[Request]) -> Answers:
        """See Ground."""
        await trio.lowlevel.checkpoint()
        try:
            with self._doors.open(place) as opened, self._doors.open(to) as target:
                return Exchange(opened.socket).make([requests], {to: target.fd})[0]
        except NamespaceGoneError as error:
            raise GoneError(str(error)) from error

    async def write(self, place: Place, requests: Sequence[SetSysctl], _seen: Seen) -> Answers:
        """See Ground."""
        await trio.lowlevel.checkpoint()
        return [_written(self._kernel(place), request) for request in requests]

    async def keep(self, record: Record | None) -> None:
        """See Ground."""
        if record is None:
            self._disk.journals.pop(self._mac, None)
        else:
            self._disk.journals[self._mac] = dumps(record)
        await self._said(record)

    def _kernel(self, place: Place) -> SimKernel:
        for name in ("", *self._namespaces.names):
            if place.is_own != bool(name) and (place.is_own or self._doors.now(NamespaceRef("name", name)) == place):
                return self._namespaces[name]
        raise GoneError(f"network namespace {place.nsid} is gone")


def _written(kernel: SimKernel, request: SetSysctl) -> tuple[int, str]:
    try:
        kernel.write_sysctl(request.ifindex, request.name, int(request.value))
    except Refused as refused:
        return refused.code, refused.text
    return 0, ""


class SimMoves(Moves):
    """What carries out moves, in its own task (see the module)."""

    def __init__(
        self, namespaces: SimNamespaces, disk: Disk, state: Callable[[], State], tell: Tell, things: Mapping[int, str]
    ) -> None:
        """`things` describes what hangs on devices and no device shows, by ifindex."""
        self._sim_doors = SimDoors(namespaces)
        self._namespaces, self._disk = namespaces, disk

        async def hanging(ifindex: int) -> str:
            return things.get(ifindex, "")

        @asynccontextmanager
        async def apart(_mac: str, _owner: str) -> AsyncIterator[None]:
            yield

        super().__init__(cast(Namespaces, self._sim_doors), Path(), state, tell, hanging, apart, disk)

    def _ground(self, mac: str, ref: NamespaceRef) -> SimGround:
        return SimGround(mac, ref, self._sim_doors, self._namespaces, self._disk, self._said(mac))

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        work()

    async def _listen(self) -> None:
        concerned_by: Concerned = lambda place, _datagram: not place.is_own  # noqa: E731
        await self._sim_doors.listen(lambda _place: self._wake_all(), concerned_by)
