"""The daemon's links engine on the simulated kernel: its namespaces, what it hears, and no thread.

In the real daemon a thread asks the kernel. The simulated one answers at once, and with the virtual clock the time of
the story would jump on while a thread works.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import trio

from failoverd.daemon.links import Concerned, Links
from failoverd.daemon.namespace_events import GROUPS
from failoverd.daemon.open_namespace import NamespaceGoneError, OpenNamespace
from failoverd.links.events import LinksEvent, Look, Make, MayGo
from failoverd.links.marks import Identity
from failoverd.links.state import LinksState
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.signals import Signal
from failoverd_lab.simkernel import BlockingSocket, Namespaces
from failoverd_lab.simkernel.net import Net

IDENTITY = Identity("0000cafe")


class _Opened(OpenNamespace):
    """An open namespace of the simulated kernel."""

    def __init__(self, place: Place, sock: BlockingSocket, namespaces: Namespaces, descriptor: int) -> None:
        super().__init__(place, cast(socket.socket, sock), descriptor)
        self._namespaces = namespaces

    def close(self) -> None:
        """See OpenNamespace."""
        self.socket.close()
        if self.fd >= 0:
            self._namespaces.close(self.fd)
        self.fd = -1


class SimDoors:
    """What failoverd-netns and the daemon's side of it do: the references by name. One lasts for a whole story."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._nets: list[Net] = []
        self._wanted: dict[NamespaceRef, Place | Absent | None] = {}
        self._changed = trio.Event()
        namespaces.own.on_change(self._look)

    async def run(self) -> None:
        """See Doors. The kernel tells at once."""
        await trio.sleep_forever()

    def watch(self, refs: frozenset[NamespaceRef]) -> None:
        """See Doors."""
        self._wanted = {ref: self._wanted.get(ref) for ref in refs}
        self._changed.set()

    def forget(self) -> None:
        """Forget what was told: the daemon has ended."""
        self._wanted = {}

    async def changes(self) -> AsyncIterator[tuple[NamespaceRef, Place | Absent]]:
        """See Doors."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            for ref, before in list(self._wanted.items()):
                if before != (now := self._place(ref)) and ref in self._wanted:
                    self._wanted[ref] = now
                    yield ref, now

    def now(self, ref: NamespaceRef) -> Place | Absent:
        """See Namespaces."""
        return self._place(ref)

    def open(self, place: Place) -> OpenNamespace:
        """See Doors."""
        names = ["", *(name for name in self._namespaces.names if self._place(NamespaceRef("name", name)) == place)]
        name = names[-1]
        if not name and not place.is_own:
            raise NamespaceGoneError(Absent("namespace-absent", f"the network namespace {place.nsid} is gone"))
        sock = self._namespaces[name].open_blocking()
        return _Opened(place, sock, self._namespaces, self._namespaces.descriptor(name))

    async def listen(self, changed: Callable[[Place | None], None], is_concerned: Concerned) -> None:
        """Hand on the namespaces in which something has changed: all that have a number, by one socket."""
        sock = self._namespaces.own.open(sum(1 << group - 1 for group in GROUPS))
        sock.listen_all()
        try:
            while True:
                try:
                    datagram = await sock.recv()
                except OSError:
                    changed(None)
                    continue
                place = self._numbered(sock.nsid)
                if place is not None and is_concerned(place, datagram):
                    changed(place)
        finally:
            sock.close()

    def _look(self) -> None:
        if any(self._place(ref) != before for ref, before in self._wanted.items()):
            self._changed.set()

    def _place(self, ref: NamespaceRef) -> Place | Absent:
        if ref.by != "name":
            return Absent("namespace-absent", f"a story has no namespace by {ref.by}")
        if ref.value not in self._namespaces.names:
            return Absent("namespace-absent", f"there is no network namespace {ref.value}; it is waited for")
        net = self._namespaces[ref.value].net
        if net not in self._nets:
            self._nets.append(net)
        return Place(self._namespaces.own.net.nsids.give(net), self._nets.index(net))

    def _numbered(self, nsid: int | None) -> Place | None:
        """Return the place with this number, failoverd's own for None."""
        if nsid is None:
            return HERE
        net = self._namespaces.own.net.nsids.net(nsid)
        return Place(nsid, self._nets.index(net)) if net is not None and net in self._nets else None


class SimLinks(Links):
    """The engine, which asks the kernel in its own task (see the module)."""

    def __init__(self, doors: SimDoors, tell: Callable[[Signal], None], renames_live: bool) -> None:
        state = LinksState(IDENTITY, renames_live=renames_live)
        super().__init__(state, doors, tell, lambda: False, doors.listen)

    async def _in_thread(self, work: Callable[[Any], LinksEvent], action: Look | Make) -> None:
        await trio.lowlevel.checkpoint()
        self._send.send_nowait(work(action))

    async def _may_go(self, name: str) -> None:
        await trio.lowlevel.checkpoint()
        self._send.send_nowait(MayGo(name))
