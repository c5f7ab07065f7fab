"""failoverd on D-Bus: the engine's state as objects, its signals as signals, and the calls that change something.

    engine: on_step, on_signal --> a mark, a queue --> this task, a moment later --> objects, differences --> the bus

The engine only leaves a mark: nothing is computed while it works, and if the bus is slow or absent, many marks are
still one mark. After a short pause this task makes the status document, compares it with the last one sent, and sends
the difference, so a burst of steps costs one comparison. A client that reads in the meantime gets the present state:
every call begins with that comparison if there was a step. Signals of events wait in a bounded queue; what does not fit
is dropped and counted. The objects cannot miss anything: they wait for the bus, and then the difference is sent.

The bus's policy, in org.failoverd1.conf, says which user may make which call: every user may read; changing requires
root, or a group if that file says so. failoverd has no check of its own, as administrators know that one file. The bus
denies what no file allows; failoverd logs the caller of each change. If there is no such file (pip, a container), the
bus denies the name: that is one line in the log, and one request for the name a minute.

The modules are loaded after READY, in a thread: that takes 50 ms here and a second on a slow CPU, and a boot must not
wait for it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import trio

from failoverd.bus.dispatch import Asked
from failoverd.bus.interfaces import BusError
from failoverd.bus.rate_limit import RateLimit
from failoverd.bus.service import Service
from failoverd.bus.tree import Tree
from failoverd.core.call_answers import CallError
from failoverd.core.document import Document
from failoverd.core.state import State
from failoverd.core.status import masters
from failoverd.daemon.control import Ask, Serve, no_inventory
from failoverd.daemon.dbus.calls import DOINGS
from failoverd.daemon.dbus.interfaces import ERROR, INTERFACES, INVENTORY, LINK, NAME, ROOT
from failoverd.daemon.dbus.links import LinkObjects, answer
from failoverd.daemon.dbus.objects import messages, objects, words
from failoverd.daemon.fanout import moment_of
from failoverd.daemon.speeds import Speeds
from failoverd.model.signals import LinkEvent, Moment, Signal

log = logging.getLogger("failoverd")

PAUSE = 0.1
"""Seconds between a step and the difference it causes on the bus: the length of a burst."""
SHORT_PAUSE = 0.02
"""The same after an event that has a signal of its own."""
AGAIN = 10.0
"""Seconds until a new start after a bug in failoverd broke this task."""
EVENTS = 1000
"""Other signals for which there is room beyond LINK_EVENTS, however many links there are."""
LINK_EVENTS = 3000
"""Signals that may wait in front of one about a declared link: more than a thousand pairs have ends."""


class Presence:
    """failoverd on the bus; see the module. Give `stepped` and `signalled` to the engine's Ports, and run `run` beside
    it."""

    def __init__(
        self,
        serve: Serve,
        speeds: Speeds | None = None,
        ask: Ask = no_inventory,
        link_names: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._serve, self._ask = serve, ask
        self._links = LinkObjects(link_names)
        self._speeds = speeds or Speeds()
        self._state: State | None = None
        self._is_new = False
        self._woken = trio.Event()
        self._hurried = trio.Event()
        self._events: deque[tuple[object, Signal, Moment]] = deque()
        self._document: Document = {"masters": []}
        self.lost = 0
        self._lost_before = 0
        self._complaints = RateLimit()
        self.service = Service(NAME, Tree(ROOT, INTERFACES), self._carry_out, self._refresh)

    def stepped(self, state: State) -> None:
        """The engine has made a step."""
        self._state, self._is_new = state, True
        self._woken.set()

    def signalled(self, signal: Signal) -> None:
        """The kernel confirmed something. Events from a time without this connection to the bus are not sent later."""
        if not self.service.is_connected:
            return
        if len(self._events) >= (LINK_EVENTS if isinstance(signal, LinkEvent) else LINK_EVENTS + EVENTS):
            self.lost += 1
            return
        self._events.append((self.service.connection, signal, moment_of(signal)))
        self._woken.set()
        self._hurried.set()

    async def run(self) -> None:
        """Be on the bus whenever there is one, until cancelled. An exception here must not end the failing over."""
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
        """Send the signals whose objects clients know already. Later ones follow the next comparison."""
        for _ in range(len(self._events)):
            hearers, signal, moment = self._events.popleft()
            if hearers is not self.service.connection:
                continue
            for message in messages(signal, moment):
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
        """Bring the objects up to the state, and tell clients the difference."""
        if self._state is None:
            return
        are_new, is_more = self._links.follow()
        if is_more:
            self._woken.set()
        if not (self._is_new or are_new):
            return
        if self._is_new:
            self._document = masters(self._state)
        found = {**objects(self._document, {"speed": self._speeds.of}), **self._links.objects}
        for message in self.service.tree.replace(found):
            self.service.emit(message)
        self._is_new = False

    async def _carry_out(self, asked: Asked, uid: int | None) -> list[Any] | bytes:
        try:
            if asked.interface == INVENTORY.name:
                return await self._tell_inventory(asked)
            if asked.interface == LINK.name:
                found = await answer(asked, self._links.by_path[asked.path], self._serve)
                self._note(asked, uid)
                return found
            doing = DOINGS[asked.method.name]
            document = await self._serve(doing.call, *doing.arguments(asked))
        except CallError as error:
            raise BusError(
                f"{ERROR}.{error.kind}", f"{asked.method.name} at {asked.path}: {words(str(error))}"
            ) from error
        self._note(asked, uid)
        return doing.answer(document)

    def _note(self, asked: Asked, uid: int | None) -> None:
        """Log a change and its caller."""
        if asked.method.changes:
            who = "a client that has gone" if uid is None else f"uid {uid}"
            log.info("%s of %s: done, for %s on D-Bus", asked.method.name, asked.path, who)

    async def _tell_inventory(self, asked: Asked) -> list[Any] | bytes:
        # Loaded by the first question, as the inventory is.
        from failoverd.daemon.dbus.inventory import answer

        return await answer(asked, self._ask)
