"""What a set of references leads to, and every change of it.

What can tell of a change marks the references it may be about: inotify and the table of mounts for names and paths,
pidfds, the runtimes' events, the kernel's word that a number is free again. A reference that is marked is looked at
anew, from the beginning: nothing is concluded from an event. Where nothing tells (a process that leaves a namespace for
another one) the clock marks it.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

import trio

from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent
from failoverd.netns.choosing import choose
from failoverd.netns.containers import Wanted, parse
from failoverd.netns.folders import Folders, Mounts
from failoverd.netns.kernel import create_named
from failoverd.netns.numbers import Numbers
from failoverd.netns.processes import AbsentError, Process
from failoverd.netns.protocol import Finding, Found, Started
from failoverd.netns.references import file_of, open_of_process, open_path, path_of, pid_of
from failoverd.netns.runtimes import Runtimes

QUICK, QUICK_FOR = 0.05, 2.0
"""Seconds between two looks at a process that is new, and how long it is that: a container's process is in its
machine's namespace for its first milliseconds."""
SLOW = 1.0
"""Seconds between two looks at what nothing tells of."""
ANYWAY = 10.0
"""Seconds between two looks at everything else, in case that an event was lost."""
PAUSE = 0.005
"""Seconds between two rounds."""
Source = Callable[[], Awaitable[None]]
Send = Callable[[Mapping[NamespaceRef, Finding]], Awaitable[None]]


@dataclass(slots=True)
class Watched:
    """A reference, and what is known of it."""

    reference: NamespaceRef
    started: int
    """The start time of the process it is bound to, 0 before it is."""

    process: Process | None = None
    witness: trio.CancelScope | None = None
    quick_until: float = 0.0
    look_at: float = 0.0
    """When it is to be looked at again, by trio's clock."""

    told: Finding | None = None


class Watching:
    """The watched set of one client. Nothing of it is shared with another one. `close` closes its files.

    `sockets` are those of the container runtimes, which are asked while a reference to a container is watched.
    """

    def __init__(self, send: Send, sockets: Collection[str]) -> None:
        self._send = send
        self._runtimes = Runtimes(sockets, self._touch_containers)
        self._watched: dict[NamespaceRef, Watched] = {}
        self._wake = trio.Event()
        self._numbers = Numbers(self._gone)
        try:
            self._folders = Folders(self._touch_files)
        except BaseException:
            self._numbers.close()
            raise
        self._nursery: trio.Nursery | None = None
        self._mounts = Mounts(self._touch_files)
        self._listening: dict[Source, trio.CancelScope] = {}

    def close(self) -> None:
        """Close all files."""
        self.want((), {})
        self._folders.close()
        self._numbers.close()

    def want(self, references: Collection[NamespaceRef], started: Started) -> None:
        """Watch these, and no others."""
        for reference in [one for one in self._watched if one not in references]:
            self._let_go(self._watched.pop(reference))
        for reference in references:
            if reference not in self._watched:
                self._watched[reference] = Watched(reference, started.get(reference, 0))
        self._folders.want({path.parent for path in map(file_of, self._watched) if path})
        self._runtimes.want([wanted for wanted in map(_container, self._watched) if wanted is not None])
        self._wake.set()

    async def run(self) -> None:
        """Tell what has changed, until cancelled. Raises what `send` raises."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._folders.run)
            nursery.start_soon(self._hear)
            try:
                while True:
                    self._listen(self._mounts.run, any(map(file_of, self._watched)))
                    self._listen(self._runtimes.run, any(one.by == "container" for one in self._watched))
                    changed = self._look()
                    if changed:
                        await self._send(changed)
                    with trio.move_on_at(self._next()):
                        await self._wake.wait()
                    await trio.sleep(PAUSE)
                    self._wake = trio.Event()
            finally:
                self._nursery = None
                nursery.cancel_scope.cancel()

    def _next(self) -> float:
        return min((one.look_at for one in self._watched.values()), default=math.inf)

    def _look(self) -> dict[NamespaceRef, Finding]:
        """Look at everything that is due, and return what has changed."""
        now = trio.current_time()
        changed: dict[NamespaceRef, Finding] = {}
        for one in [one for one in self._watched.values() if one.look_at <= now]:
            one.look_at = now + ANYWAY
            what = self._what(one, now)
            if what != one.told:
                changed[one.reference] = one.told = what
        return changed

    def _what(self, one: Watched, now: float) -> Finding:
        try:
            fd = self._open(one, now)
        except AbsentError as error:
            return error.absent
        try:
            return Found(self._numbers.place(fd), one.started)
        except OSError as error:
            why = "the kernel is older than 5.14" if error.errno == errno.ENOPROTOOPT else error.strerror
            one.look_at = now + SLOW
            return Absent("namespace-absent", f"the namespace of {one.reference} cannot be used: {why}")
        finally:
            os.close(fd)

    def _open(self, one: Watched, now: float) -> int:
        reference = one.reference
        if reference.by == "container":
            return self._open_container(one, now)
        path = path_of(reference)
        if pid := pid_of(reference):
            self._bind(one, pid, now)
            assert one.process is not None
            return open_of_process(one.process, path)
        if reference.by == "path":
            one.look_at = now + SLOW
        if reference.create and reference.by == "name" and not os.path.lexists(path):
            try:
                create_named(path)
            except OSError as error:
                one.look_at = now + SLOW
                raise AbsentError("namespace-absent", f"{path} cannot be made: {error.strerror}") from error
        return open_path(path)

    def _bind(self, one: Watched, pid: int, now: float) -> None:
        """Bind a reference to the process with this pid, or see that it is the same still. Raises AbsentError."""
        if one.process and one.process.has_ended():
            self._let_go(one)
        if not one.process:
            one.look_at = now + SLOW
            one.process = Process(pid, one.started)
            one.started = one.process.started
            one.quick_until = now + QUICK_FOR
            self._watch_process(one)
        one.look_at = now + (QUICK if now < one.quick_until else SLOW)

    def _open_container(self, one: Watched, now: float) -> int:
        """Open the namespace of the container that a reference is bound to, or bind it to one. Raises AbsentError."""
        if one.process and one.process.has_ended():
            self._let_go(one)
        if not one.process:
            try:
                wanted = parse(one.reference.value)
            except ValueError as error:
                raise AbsentError("container-absent", str(error)) from error
            one.process = choose(self._runtimes, wanted)
            one.started = one.process.started
            one.quick_until = now + QUICK_FOR
            self._watch_process(one)
        one.look_at = now + (QUICK if now < one.quick_until else SLOW)
        return open_of_process(one.process)

    def bound_process(self, reference: NamespaceRef) -> tuple[int, int] | None:
        """Return the pid and the start time of the process that a reference is bound to."""
        one = self._watched.get(reference)
        return (one.process.pid, one.process.started) if one and one.process else None

    def _watch_process(self, one: Watched) -> None:
        assert one.process is not None
        if self._nursery:
            one.witness = trio.CancelScope()
            self._nursery.start_soon(self._await_end, one.process.pidfd, one.witness, one.reference)

    async def _await_end(self, pidfd: int, scope: trio.CancelScope, reference: NamespaceRef) -> None:
        with scope, contextlib.suppress(trio.ClosedResourceError):
            await trio.lowlevel.wait_readable(pidfd)
            self.touch([reference])

    def _let_go(self, one: Watched) -> None:
        if one.witness:
            one.witness.cancel()
        if one.process:
            trio.lowlevel.notify_closing(one.process.pidfd)
            one.process.close()
        one.process = one.witness = None

    def touch(self, references: Iterable[NamespaceRef]) -> None:
        """Have these looked at again."""
        for reference in references:
            if reference in self._watched:
                self._watched[reference].look_at = -math.inf
        self._wake.set()

    def _touch_files(self) -> None:
        self.touch([one for one in self._watched if file_of(one)])

    def _touch_containers(self) -> None:
        self.touch([one for one in self._watched if one.by == "container"])

    def _gone(self, nsid: int | None) -> None:
        """Look at what has led to this number, or at everything."""
        self.touch([reference for reference, one in self._watched.items() if nsid is None or _nsid(one.told) == nsid])

    async def _hear(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._numbers.hearing)
            self._numbers.hear()

    def _listen(self, source: Source, is_wanted: bool) -> None:
        """Run a source of changes while there is something that it may tell of, and at no other time."""
        if is_wanted and source not in self._listening and self._nursery:
            scope = self._listening[source] = trio.CancelScope()
            self._nursery.start_soon(_run, source, scope)
        elif not is_wanted and source in self._listening:
            self._listening.pop(source).cancel()


async def _run(source: Source, scope: trio.CancelScope) -> None:
    with scope:
        await source()


def _nsid(told: Finding | None) -> int | None:
    return told.place.nsid if isinstance(told, Found) else None


def _container(reference: NamespaceRef) -> Wanted | None:
    """Return the container that a reference means, None for other references, and for one that means none."""
    try:
        return parse(reference.value) if reference.by == "container" else None
    except ValueError:
        return None
