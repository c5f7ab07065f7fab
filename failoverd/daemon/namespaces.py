"""The daemon's side of failoverd-netns: what references to namespaces lead to, and sockets inside.

    links engine --watch(references)--> Namespaces --Unix socket--> failoverd-netns
                 <--changes()---------- (a task)   <-findings------
    its worker thread --open(place)------------------------------->  a netlink socket, and the namespace as a file
    moves            --write(place)------------------------------->  sysctls, written inside

Nothing is started while no reference is wanted. When the connection breaks, what was known stays in force until a new
one tells otherwise, or none is to be had: then everything is absent, `door-closed`, and that says nothing of the
namespaces themselves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import trio

from failoverd.daemon.open_namespace import NamespaceGoneError, OpenNamespace, door_closed, open_here, opened, received
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Setting
from failoverd.model.places import HERE, Absent, Place
from failoverd.netns.protocol import (
    LARGEST,
    Finding,
    Findings,
    Found,
    ProtocolError,
    Set,
    Written,
    pack_open,
    pack_set,
    pack_watch,
    read_answer,
)

AGAIN = 1.0
"""Seconds between two tries to reach the doorkeeper."""
SOON = 0.1
"""Seconds until the next try when a doorkeeper that has answered has ended."""
PATIENCE = 5.0
"""Seconds for the doorkeeper to open a namespace; systemd may have to start it."""
Side = Callable[[trio.socket.SocketType], Awaitable[None]]
UNKNOWN = Absent("door-closed", "failoverd-netns has not answered yet")


class Namespaces:
    """See the module. `door` is the doorkeeper's socket. All but `open` is called in trio's thread."""

    def __init__(self, door: Path) -> None:
        self._door = door
        self._wanted: frozenset[NamespaceRef] = frozenset()
        self._dropped: frozenset[NamespaceRef] = frozenset()
        """What was not wanted any more since the doorkeeper was last told."""
        self._known: dict[NamespaceRef, Place | Absent] = {}
        self._started: dict[NamespaceRef, int] = {}
        self._ways: Mapping[Place, NamespaceRef] = MappingProxyType({})
        self._numbered: dict[int, Place] = {}
        self._changed: dict[NamespaceRef, Place | Absent] = {}
        self._has_changed = trio.Event()
        self._has_wanted = trio.Event()
        self._has_answered = False

    def watch(self, references: Collection[NamespaceRef]) -> None:
        """Want to know of these from now on, and of no others. `changes` tells of each that is new."""
        wanted = frozenset(references)
        before, self._wanted = self._wanted, wanted
        if wanted == before:
            return
        self._dropped |= before - wanted
        for reference in before - wanted:
            for known in (self._known, self._started, self._changed):
                known.pop(reference, None)
        for reference in wanted - before:
            if reference.by == "own":
                self._note(reference, HERE)
        self._find_ways()
        self._has_wanted.set()

    def place_of(self, nsid: int) -> Place | None:
        """Return the place with this number, None where no reference leads to it. For `namespace_events`."""
        return self._numbered.get(nsid)

    def now(self, reference: NamespaceRef) -> Place | Absent:
        """Return what a reference leads to as far as is known."""
        if reference.by == "own":
            return HERE
        return self._known.get(reference, UNKNOWN)

    async def changes(self) -> AsyncIterator[tuple[NamespaceRef, Place | Absent]]:
        """Yield what each reference leads to, and later each change, of several the last. For one task."""
        while True:
            await self._has_changed.wait()
            self._has_changed = trio.Event()
            changed, self._changed = self._changed, {}
            for reference, what in changed.items():
                yield reference, what

    def open(self, place: Place) -> OpenNamespace:
        """Open a place. Blocks, for PATIENCE at most; for a worker thread.

        Raises NamespaceGoneError, and OSError where even HERE cannot be opened.
        """
        if place.is_own:
            return open_here()
        data, files = self._asked(pack_open(self._way(place), place))
        return opened(place, data, files)

    def write(self, place: Place, ifindex: int, device: str, settings: Sequence[Setting]) -> tuple[int, ...]:
        """Write sysctls of a device in another namespace; returns an errno for each, 0 for done. Blocks as `open`.

        Raises NamespaceGoneError.
        """
        request = Set(self._way(place), place, ifindex, device, tuple(settings))
        data, files = self._asked(pack_set(request))
        for fd in files:
            os.close(fd)
        try:
            answer = read_answer(data)
        except ProtocolError as error:
            answer = door_closed(error)
        if isinstance(answer, Written) and len(answer.numbers) == len(request.settings):
            return answer.numbers
        raise NamespaceGoneError(
            answer if isinstance(answer, Absent) else door_closed(ProtocolError("it has not written"))
        )

    def _way(self, place: Place) -> NamespaceRef:
        reference = self._ways.get(place)
        if reference is None:
            raise NamespaceGoneError(Absent("namespace-absent", f"nothing leads to namespace {place.nsid} now"))
        return reference

    def _asked(self, request: bytes) -> tuple[bytes, list[int]]:
        """Ask on a connection of its own, and return the answer and its files. Raises NamespaceGoneError."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
                door.settimeout(PATIENCE)
                door.connect(str(self._door))
                door.send(request)
                return received(door)
        except OSError as error:
            raise NamespaceGoneError(door_closed(error)) from error

    async def run(self) -> None:
        """Keep a connection to the doorkeeper while there is something to watch, until cancelled."""
        while True:
            await self._until_wanted()
            try:
                await self._converse()
            except (OSError, ProtocolError) as error:
                closed = door_closed(error)
                for reference in self._elsewhere():
                    self._note(reference, closed)
                self._find_ways()
                await trio.sleep(AGAIN)

    def _elsewhere(self) -> frozenset[NamespaceRef]:
        return frozenset(reference for reference in self._wanted if reference.by != "own")

    async def _until_wanted(self) -> None:
        while not self._elsewhere():
            await self._has_wanted.wait()
            self._has_wanted = trio.Event()

    async def _converse(self) -> None:
        """Watch until nothing is wanted any more, or the doorkeeper has ended. Raises OSError, ProtocolError."""
        self._has_answered, trouble = False, Trouble()
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            await door.connect(str(self._door))
            async with trio.open_nursery() as nursery:
                for task in (self._ask, self._hear):
                    nursery.start_soon(trouble.run, task, door, nursery.cancel_scope)
        # One that was killed may have left something unread, which is a reset and no end.
        if trouble.error and not (self._has_answered and isinstance(trouble.error, OSError)):
            raise trouble.error
        if self._elsewhere():
            if not self._has_answered:
                raise ProtocolError("it has closed the connection")
            await trio.sleep(SOON)

    async def _hear(self, door: trio.socket.SocketType) -> None:
        """Take in what the doorkeeper tells, until it has ended."""
        while data := await door.recv(LARGEST):
            self._take(read_answer(data))
            self._has_answered = True

    async def _ask(self, door: trio.socket.SocketType) -> None:
        """Say what is wanted, now and whenever it changes; with nothing left the conversation is over."""
        said: frozenset[NamespaceRef] = frozenset()
        while wanted := self._elsewhere():
            self._has_wanted = trio.Event()
            # What was not wanted for a moment is told anew, and bound to another process.
            again, self._dropped = wanted & self._dropped, frozenset()
            for one_set in (wanted - again, wanted) if again else (wanted,):
                if one_set != said:
                    said = one_set
                    for datagram in pack_watch(said, self._started):
                        await door.send(datagram)
            await self._has_wanted.wait()

    def _take(self, answer: object) -> None:
        if not isinstance(answer, Findings):
            raise ProtocolError("no findings")
        for reference, finding in answer.by_reference.items():
            if reference in self._wanted:
                self._found(reference, finding)
        self._find_ways()

    def _found(self, reference: NamespaceRef, finding: Finding) -> None:
        if isinstance(finding, Found):
            self._started[reference] = finding.started
            self._note(reference, finding.place)
        else:
            self._note(reference, finding)

    def _note(self, reference: NamespaceRef, what: Place | Absent) -> None:
        if self._known.get(reference) != what:
            self._known[reference] = self._changed[reference] = what
            self._has_changed.set()

    def _find_ways(self) -> None:
        """Note by which reference a place is entered; replaced as a whole, as another thread reads it."""
        ways = {what: reference for reference, what in self._known.items() if isinstance(what, Place)}
        self._ways = MappingProxyType(ways)
        self._numbered = {place.nsid: place for place in ways}


class Trouble:
    """What has ended a conversation: trio's nurseries of later releases wrap what is raised in them, others do not."""

    def __init__(self) -> None:
        self.error: OSError | ProtocolError | None = None

    async def run(
        self,
        task: Callable[[trio.socket.SocketType], Awaitable[None]],
        door: trio.socket.SocketType,
        done: trio.CancelScope,
    ) -> None:
        """Run one side of it; with its end the conversation is over."""
        try:
            await task(door)
        except (OSError, ProtocolError) as error:
            self.error = error
        done.cancel()
