"""failoverd on D-Bus: the engine's state as objects, its signals as signals, and the calls that change something.

    engine: on_step, on_signal --> a mark, a queue --> this task, a moment later --> objects, differences --> the bus

The engine only leaves a mark: nothing is computed while it works, and where the bus is slow or not there the marks
stay one mark. After a short pause this task makes the status document, compares it with what clients were told, and
sends the difference; so a burst of steps costs one comparison. Who reads in the meantime gets what is true by then:
every call begins with that comparison, if there was a step. Signals that tell of an event wait in a queue that has a
bound; what does not fit is dropped and counted. The objects cannot miss anything: they wait for the bus, and then the
difference is sent.

Who may call what is the bus's policy, in org.failoverd1.conf: reading is everybody's, changing is root's, and a group's
if that file says so. The bus denies what no file allows. failoverd adds who it was to its log.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from typing import Any

import trio
from dbus_next import Message

from failoverd.bus.dispatch import Asked
from failoverd.bus.faces import BusError, signature
from failoverd.bus.seldom import Seldom
from failoverd.bus.service import Service
from failoverd.bus.tree import Tree
from failoverd.core.answers import CallError
from failoverd.core.state import State
from failoverd.core.status import Document, status
from failoverd.daemon.control import Serve
from failoverd.daemon.dbuscalls import DOINGS
from failoverd.daemon.dbusfaces import ERROR, FACES, MANAGER, MASTER, NAME, ROOT, SLAVE
from failoverd.daemon.dbusobjects import (
    NOTHING,
    master_path,
    objects,
    slave_path,
    usec,
    words,
)
from failoverd.daemon.speeds import Speeds
from failoverd.model.signals import FailedOver, LinkRenamed, Signal

log = logging.getLogger("failoverd")

PAUSE = 0.1
"""Seconds between a step and what is told of it: so long do bursts last."""
SHORT_PAUSE = 0.02
"""The same where something happened that has a signal of its own."""
AGAIN = 10.0
"""Seconds until it is begun anew after a mistake of our own."""
EVENTS = 1000
"""Signals that may wait for the bus."""


class Presence:
    """See the module. Give `stepped` and `signalled` to the engine's Outside, and run `run` beside it."""

    def __init__(self, serve: Serve, speeds: Speeds | None = None) -> None:
        self._serve = serve
        self._speeds = speeds or Speeds()
        self._state: State | None = None
        self._is_new = False
        self._woken = trio.Event()
        self._hurried = trio.Event()
        self._events: deque[tuple[object, Signal, str]] = deque()
        self._document: Document = {"masters": []}
        self.lost = 0
        self._lost_before = 0
        self._complaints = Seldom()
        self.service = Service(NAME, Tree(ROOT, FACES), self._carry_out, self._refresh)

    def stepped(self, state: State) -> None:
        """The engine has made a step."""
        self._state, self._is_new = state, True
        self._woken.set()

    def signalled(self, signal: Signal) -> None:
        """The kernel confirmed something. Nobody is told later of what happened while there was no bus, or another."""
        if not self.service.is_connected or not isinstance(signal, FailedOver | LinkRenamed):
            return
        if len(self._events) >= EVENTS:
            self.lost += 1
            return
        self._events.append((self.service.connection, signal, self._master_of(signal)))
        self._woken.set()
        self._hurried.set()

    async def run(self) -> None:
        """Be on the bus whenever there is one, until cancelled. What breaks here may not end the failing over."""
        while True:
            try:
                await self._live()
            except Exception:
                log.exception("D-Bus broke down and is begun anew in %g s; traffic has no part in it", AGAIN)
                self._events.clear()
                await trio.sleep(AGAIN)
                self._woken.set()

    async def _live(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.service.run)
            while True:
                await self._woken.wait()
                with trio.move_on_after(PAUSE):
                    await self._hurried.wait()
                    await trio.sleep(SHORT_PAUSE)
                await self.service.room()
                self._woken, self._hurried = trio.Event(), trio.Event()
                self._refresh()
                await self._tell_events()
                await self._look_at_speeds()

    async def _tell_events(self) -> None:
        """Those whose objects are told of. What happens meanwhile has its turn after the next comparison."""
        for _ in range(len(self._events)):
            hearers, signal, master = self._events.popleft()
            if hearers is not self.service.connection:
                continue
            for message in _messages(signal, master):
                self.service.emit(message)
            await trio.lowlevel.checkpoint()
            await self.service.room()
        if self.lost > self._lost_before:
            lost, self._lost_before = self.lost - self._lost_before, self.lost
            self._complaints.warn("D-Bus: %d signals were dropped, as the bus does not take them", lost)

    async def _look_at_speeds(self) -> None:
        before = [self._speeds.of(ifindex) for ifindex in self._ifindexes()]
        await self._speeds.look(self._document)
        if before != [self._speeds.of(ifindex) for ifindex in self._ifindexes()]:
            self._is_new = True
            self._woken.set()

    def _ifindexes(self) -> list[int]:
        masters = self._document["masters"]
        return [master[role]["ifindex"] for master in masters for role in ("primary", "standby") if master[role]]

    def _refresh(self) -> None:
        """Bring the objects up to the state, and tell clients what is different."""
        if self._state is None or not self._is_new:
            return
        self._document = status(self._state)
        for message in self.service.tree.replace(objects(self._document, self._speeds.of)):
            self.service.emit(message)
        self._is_new = False

    def _master_of(self, signal: Signal) -> str:
        if isinstance(signal, FailedOver):
            return master_path(signal.mac)
        if self._state is None or not isinstance(signal, LinkRenamed):
            return NOTHING
        pairs = self._state.judgements.pairs.values()
        macs = [pair.mac for pair in pairs if signal.ifindex in (pair.master, pair.nic, pair.vf)]
        return master_path(macs[0]) if macs else NOTHING

    async def _carry_out(self, asked: Asked, uid: int | None) -> list[Any]:
        doing = DOINGS[asked.method.name]
        try:
            document = await self._serve(doing.call, *doing.arguments(asked))
        except CallError as error:
            raise BusError(
                f"{ERROR}.{error.kind}", f"{asked.method.name} at {asked.path}: {words(str(error))}"
            ) from error
        if asked.method.changes:
            who = "somebody who has gone" if uid is None else f"uid {uid}"
            log.info("%s of %s: done, for %s on D-Bus", asked.method.name, asked.path, who)
        return doing.answer(document)


def _messages(signal: Signal, master: str) -> Iterator[Message]:
    """What clients are told of this; who was joined or released they see in the objects."""
    if isinstance(signal, FailedOver):
        paths = [slave_path(signal.old_ifindex), slave_path(signal.new_ifindex)]
        yield _signal(
            master, MASTER, "FailedOver", [*paths, words(signal.reason), usec(signal.at), usec(signal.silence)]
        )
    elif isinstance(signal, LinkRenamed):
        names = [words(signal.old), words(signal.new)]
        yield _signal(ROOT, MANAGER, "LinkRenamed", [signal.ifindex, *names, signal.was_up, master, signal.role])
        if signal.role != "master":
            yield _signal(slave_path(signal.ifindex), SLAVE, "Renamed", names)


def _signal(path: str, face: Any, name: str, body: list[Any]) -> Message:
    return Message.new_signal(path, face.name, name, signature(face.signal(name).args), body)
