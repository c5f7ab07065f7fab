"""Both namespaces of a move, as the daemon reaches them: its own, and one by failoverd-netns.

Looks are asked for in trio's own thread, by sockets that are closed behind each. What changes something goes by a
thread, as it may block: to move a device takes the kernel tens of milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import trio

from failoverd.daemon.movefile import path_of, write_record
from failoverd.daemon.moving import Answers, GoneError
from failoverd.daemon.open_namespace import NamespaceGoneError, OpenNamespace
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Setting
from failoverd.model.places import Absent, Place
from failoverd.model.requests import MoveLink, Request, SetSysctl
from failoverd.moves.items import Record, Seen, concerned
from failoverd.moves.rules import Table
from failoverd.netlink.exchange import Exchange
from failoverd.netlink.fetch import InterruptedDumpError, Opener
from failoverd.netlink.frames import NetlinkError
from failoverd.netlink.sysctls import write_sysctl
from failoverd.netlink.transport import KernelSocket, Transport
from failoverd.netlink.whole_look import look_at_tables, look_whole

FAILURES = (OSError, NamespaceGoneError, NetlinkError, InterruptedDumpError)


class Doors(Protocol):
    """The way into namespaces (daemon/namespaces.py)."""

    def now(self, reference: NamespaceRef) -> Place | Absent:
        """Return what a reference leads to as far as is known."""

    def open(self, place: Place) -> OpenNamespace:
        """Open a namespace; blocks. Raises NamespaceGoneError, OSError."""

    def write(self, place: Place, ifindex: int, device: str, settings: Sequence[Setting]) -> tuple[int, ...]:
        """Write sysctls of a device in another namespace; blocks. Raises NamespaceGoneError."""


class KernelGround:
    """See the module, and Ground in moving.py. `directory` has the journals; `said` is told of each that is written."""

    def __init__(
        self,
        mac: str,
        ref: NamespaceRef,
        doors: Doors,
        directory: Path,
        said: Callable[[Record | None], Awaitable[None]],
    ) -> None:
        self._mac, self.ref, self._doors, self._directory, self._said = mac, ref, doors, directory, said

    def where(self) -> Place | Absent:
        """See Ground."""
        return self._doors.now(self.ref)

    async def look(self, place: Place) -> Seen:
        """See Ground."""
        try:
            return Seen(*await look_whole(self._opener(place), lambda links: concerned(self._mac, links)))
        except FAILURES as error:
            raise GoneError(f"{_called(place)} cannot be looked at: {error}") from error

    async def look_at_tables(self, place: Place, seen: Seen, tables: Iterable[Table]) -> Seen:
        """Return what was seen of a namespace together with who has routes in these tables. Raises GoneError."""
        try:
            return replace(seen, users=await look_at_tables(self._opener(place), tables))
        except FAILURES as error:
            raise GoneError(f"{_called(place)} cannot be looked at: {error}") from error

    def _opener(self, place: Place) -> Opener:
        async def open_socket() -> Transport:
            if place.is_own:
                return await KernelSocket.open(strict=True)
            opened = await trio.to_thread.run_sync(self._doors.open, place)
            os.close(opened.fd)
            return KernelSocket(opened.socket)

        return open_socket

    async def send(self, place: Place, to: Place, requests: Sequence[Request]) -> Answers:
        """See Ground."""

        def work() -> Answers:
            with self._doors.open(place) as opened:
                if not any(isinstance(request, MoveLink) for request in requests):
                    return Exchange(opened.socket).make([requests], {})[0]
                with self._doors.open(to) as target:
                    return Exchange(opened.socket).make([requests], {to: target.fd})[0]

        try:
            return await trio.to_thread.run_sync(work)
        except FAILURES as error:
            raise GoneError(f"{_called(place)} cannot be reached: {error}") from error

    async def write(self, place: Place, requests: Sequence[SetSysctl], seen: Seen) -> Answers:
        """See Ground."""
        by_device: dict[int, list[SetSysctl]] = {}
        for request in requests:
            by_device.setdefault(request.ifindex, []).append(request)

        def work() -> Mapping[SetSysctl, tuple[int, str]]:
            answers: dict[SetSysctl, tuple[int, str]] = {}
            for ifindex, mine in by_device.items():
                name = seen.links[ifindex].name
                if place.is_own:
                    answers |= {request: write_sysctl(request, name) for request in mine}
                    continue
                numbers = self._doors.write(place, ifindex, name, [(request.name, request.value) for request in mine])
                answers |= {request: (number, "") for request, number in zip(mine, numbers, strict=True)}
            return answers

        try:
            answers = await trio.to_thread.run_sync(work)
        except FAILURES as error:
            raise GoneError(f"{_called(place)} cannot be reached: {error}") from error
        return [answers[request] for request in requests]

    async def keep(self, record: Record | None) -> None:
        """See Ground. The directory is below /run, so no disk is waited for."""
        if record is None:
            path_of(self._directory, self._mac).unlink(missing_ok=True)
        else:
            write_record(self._directory, record)
        await self._said(record)


def _called(place: Place) -> str:
    return "failoverd's network namespace" if place.is_own else f"network namespace {place.nsid}"
