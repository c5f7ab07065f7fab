"""Follows the container runtimes of this machine: Docker and Podman by their API, and control groups without one.

A runtime's events are followed first and its containers listed then, so that none is missed between the two; after a
connection that has ended both are done anew. What an event says is not believed but asked: the container it names is
looked up, and so its end is `die` or whatever else, and never `stop` alone.

The sockets of these runtimes are as good as root, so no other process of failoverd's talks to them. Nothing is sent to
them but questions. The runtimes that speak CRI alone (containerd, CRI-O) are not asked, as their protocol is gRPC: this
process has root's capabilities, and every library in it has them, too. Their containers are found by their control
groups, by id and by environment, also where another runtime answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import trio

from failoverd.netns.containers import (
    BY_GROUP,
    Container,
    Wanted,
    group_of,
    is_meant,
    read_container,
    read_event,
    read_list,
)
from failoverd.netns.http import LONGEST, Body, HttpError, Lines, NotFoundError, document, request
from failoverd.netns.processes import PROC, AbsentError, Process, start_time

SOCKETS = ("/run/docker.sock", "/run/podman/podman.sock")
PATIENCE = 5.0
"""Seconds for an answer."""
SOON, AGAIN = 0.1, 1.0
"""Seconds until the next try when a stream of events has ended, and when there was none."""
SETTLED = 1.0
"""Seconds to the second list: a runtime may subscribe a client a moment after it has answered it."""
ANYWAY = 30.0
"""Seconds between later lists, in case that an event was lost."""
GROUPS = 2.0
"""Seconds between two looks at control groups, of which nothing tells."""
CHUNK = 65536
NOT_YET = "not asked yet"
Tell = Callable[[], None]


class Runtime:
    """One runtime's running containers, kept up to date; `tell` is called when they have changed."""

    def __init__(self, path: str, tell: Tell) -> None:
        self.path = path
        self.containers: dict[str, Container] = {}
        self.trouble = NOT_YET
        """Why it does not answer, "" while it does. What was known of its containers is kept: they may live on."""
        self._tell = tell

    async def run(self) -> None:
        """Follow it until cancelled."""
        while True:
            was_there = False
            try:
                async with await trio.open_unix_socket(self.path) as events:
                    await events.send_all(request("/events", {"type": ["container"]}))
                    await self._list(anew=True)
                    was_there = True
                    await self._follow(events)
            except (OSError, trio.BrokenResourceError, trio.TooSlowError, HttpError, ValueError) as error:
                self._note_trouble(_words(error))
            await trio.sleep(SOON if was_there else AGAIN)

    def _note_trouble(self, why: str) -> None:
        if why != self.trouble:
            self.trouble = why
            self._tell()

    async def _follow(self, events: trio.SocketStream) -> None:
        """Look at what events name, until they end. Raises OSError, HttpError, ValueError."""
        self._note_trouble("")
        body, lines, next_list = Body(), Lines(), trio.current_time() + SETTLED
        while True:
            data = None
            with trio.move_on_at(next_list):
                data = await events.receive_some(CHUNK)
            if data is None:
                await self._list(anew=False)
                next_list = trio.current_time() + ANYWAY
                continue
            for event in lines.feed(body.feed(bytes(data))):
                if known := read_event(event):
                    await self._look_at(known)
            if body.is_complete or not data:
                raise HttpError("its stream of events has ended")

    async def _list(self, *, anew: bool) -> None:
        """Look at containers that are new, or have another process; at all, where nothing was heard for a while."""
        running: dict[str, Container] = {}
        for known in read_list(await self._get("/containers/json")):
            before = self.containers.get(known)
            container = before if _lives(before) and not anew else await self._container(known)
            if container:
                running[known] = container
        # All at once: what the first of them alone is meant by may be ambiguous.
        self.containers = running
        self._tell()

    async def _look_at(self, known: str) -> None:
        container = await self._container(known)
        if container:
            self.containers[known] = container
        else:
            self.containers.pop(known, None)
        self._tell()

    async def _container(self, known: str) -> Container | None:
        """Return the container, if it runs. It is asked for twice: the pid of the first answer may be reused by now."""
        try:
            first = read_container(await self._get(f"/containers/{known}/json"))
            if not first:
                return None
            process = Process(first.pid)
        except (NotFoundError, AbsentError):
            return None
        try:
            second = read_container(await self._get(f"/containers/{known}/json"))
        except NotFoundError:
            return None
        finally:
            process.close()
        return replace(second, started=process.started) if second and second.pid == first.pid else None

    async def _get(self, path: str) -> object:
        """Return a document. Raises OSError, HttpError, trio.TooSlowError."""
        body, parts, size = Body(), [], 0
        with trio.fail_after(PATIENCE):
            async with await trio.open_unix_socket(self.path) as stream:
                await stream.send_all(request(path))
                while not body.is_complete:
                    parts.append(body.feed(bytes(await stream.receive_some(CHUNK))))
                    size += len(parts[-1])
                    if size > LONGEST:
                        raise HttpError("an endless document")
        return document(b"".join(parts))


class Runtimes:
    """All runtimes of this machine; `tell` is called when what they know has changed."""

    def __init__(self, paths: Collection[str], tell: Tell) -> None:
        self._runtimes = [Runtime(path, tell) for path in paths]
        self._groups: dict[str, Container] = {}
        self._by_groups: frozenset[Wanted] = frozenset()
        self._settled_at = math.inf
        self._tell = tell

    def want(self, wanted: Collection[Wanted]) -> None:
        """Say which references are watched: control groups are looked at for those of which no runtime knows."""
        self._by_groups = frozenset(one for one in wanted if one.by in BY_GROUP)

    async def run(self) -> None:
        """Follow all of them until cancelled."""
        self._settled_at = trio.current_time() + SETTLED
        async with trio.open_nursery() as nursery:
            for runtime in self._runtimes:
                nursery.start_soon(runtime.run)
            while True:
                before, needed = self._groups, not self._answer() or any(map(self._is_unknown, self._by_groups))
                self._groups = by_groups() if needed else {}
                if self._groups != before:
                    self._tell()
                await trio.sleep(GROUPS)

    def _is_unknown(self, wanted: Wanted) -> bool:
        """Whether no runtime knows of what a reference means: a machine, or a container of CRI's."""
        return not any(is_meant(wanted, one) for runtime in self._runtimes for one in runtime.containers.values())

    def _answer(self) -> bool:
        """Return whether any of them does."""
        return any(not runtime.trouble for runtime in self._runtimes)

    def meant(self, wanted: Wanted) -> list[Container]:
        """Return the running containers that a reference means. Raises AbsentError until all runtimes were asked.

        One that does not answer is not waited for longer than others take.
        """
        is_settled = all(runtime.trouble != NOT_YET for runtime in self._runtimes)
        if not is_settled and trio.current_time() < self._settled_at:
            raise AbsentError("runtime-unreachable", "the container runtimes have not been asked yet")
        known: dict[str, Container] = dict(self._groups)
        for runtime in self._runtimes:
            known.update(runtime.containers)
        return [container for container in known.values() if is_meant(wanted, container)]

    def why_none(self, wanted: Wanted) -> AbsentError:
        """Return why a reference means none."""
        text = f"no running container has {wanted.by} {wanted.key}{'=' if wanted.key else ''}{wanted.value}"
        if wanted.by == "machine" or self._answer():
            return AbsentError("container-absent", f"{text}; taken as soon as one has")
        troubles = "; ".join(f"{runtime.path}: {runtime.trouble}" for runtime in self._runtimes)
        hint = "" if wanted.by in BY_GROUP else "; a container of containerd's or CRI-O's is found by id: or env:"
        text = f"no container runtime answers: {troubles or 'none is configured'}{hint}"
        return AbsentError("runtime-unreachable", text)


def by_groups(proc: Path = PROC) -> dict[str, Container]:
    """Return the containers and machines that control groups tell of: their ids, and one process of each."""
    found: dict[str, Container] = {}
    for container in _processes(proc):
        before = found.get(container.id)
        if not before or container.started < before.started:
            found[container.id] = container
    return found


def _processes(proc: Path) -> Iterator[Container]:
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            known, machine = group_of((folder / "cgroup").read_text(errors="replace"))
            if known or machine:
                started = start_time((folder / "stat").read_bytes())
                environment = (folder / "environ").read_bytes().decode(errors="surrogateescape").split("\0")
                name = f"machine:{machine}"
                names = (name,) if machine else ()
                yield Container(known or name, int(folder.name), started, names, environment=tuple(environment))
        except (OSError, ValueError, LookupError):
            continue


def _lives(container: Container | None) -> bool:
    if not container:
        return False
    try:
        Process(container.pid, container.started).close()
    except AbsentError:
        return False
    return True


def _words(error: Exception) -> str:
    if isinstance(error, trio.TooSlowError):
        return f"no answer within {PATIENCE:g} s"
    return getattr(error, "strerror", None) or str(error) or "the connection has broken"
