"""Masters that are in pods. An attachment of kind `pair` says where one is to be, the journal of a move where it is.

Each attachment is followed by a task: it orders the move, waits for the pod's end or for its detachment, and brings the
master home. The attachment is forgotten when that is done, and not before: so a restart in the middle goes on. A move
that fails is not tried again, as its ADD has failed, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

import trio

from failoverd.config.links.attachments import Attachment, Attachments, status_of
from failoverd.core.call_answers import CallError
from failoverd.core.state import State
from failoverd.model.declared import NamespaceRef
from failoverd.model.linkstatus import LinkState, LinkStatus

log = logging.getLogger("failoverd")

SHOWN = 10.0
"""Seconds for which a failure is shown: failoverd-cni asks for it, and then the attachment is forgotten."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds until the next try to bring a master home; doubled each time."""


class Mover(Protocol):
    """Carries out moves (daemon/moveorders.py)."""

    async def into(self, mac: str, ref: NamespaceRef, device: str, owner: str) -> None:
        """Move a pair into a network namespace, where its master is called `device`. Raises CallError."""

    async def recall(self, mac: str, ref: NamespaceRef) -> None:
        """Bring a pair home from there. Raises CallError."""


class Followed:
    """One master that is in a pod, or on its way."""

    def __init__(self, one: Attachment) -> None:
        self.one = one
        self.is_going = trio.Event()
        """Set when it is to be detached."""
        self.is_home = trio.Event()
        """Set when the master was in the pod, and is no more."""
        self.say(LinkState.MAKING, "the master is on its way into the pod")

    def say(self, state: LinkState, detail: str = "") -> None:
        """Note how far it is."""
        self.state, self.detail, self.since = state, detail, time.time()

    def status(self, name: str) -> LinkStatus:
        """Return the status as clients see it."""
        return status_of(name, self.one, self.state, self.detail, self.since)


class PodPairs:
    """See the module. `forget` forgets an attachment for good."""

    def __init__(self, mover: Mover, forget: Callable[[str], Awaitable[None]]) -> None:
        self._mover, self._forget = mover, forget
        self._pairs: Mapping[str, Attachment] = {}
        self._going: Collection[str] = ()
        self._ordered = set[str]()
        self._followed: dict[str, Followed] = {}
        self._away = frozenset[str]()
        self._changed = trio.Event()

    def order(self, name: str) -> None:
        """Note that this attachment is new: its master is to be moved. One of an earlier run is moved no more."""
        self._ordered.add(name)

    def declare(self, attachments: Attachments, going: Collection[str], state: State) -> None:
        """Take in all attachments, the names of those that are to be detached, and where masters are."""
        self._pairs = {name: one for name, one in attachments.items() if one.is_pair}
        self._going = going
        self.stepped(state)
        self._changed.set()

    def rows(self) -> list[LinkStatus]:
        """Return the status of each that is followed."""
        return [one.status(name) for name, one in self._followed.items()]

    def stepped(self, state: State) -> None:
        """The failover engine has made a step."""
        if self._pairs:
            self._away = frozenset(mac for mac, pair in state.pairs.items() if pair.away)
            self._look()

    async def run(self) -> None:
        """Follow all of them until cancelled."""
        self._followed.clear()
        async with trio.open_nursery() as nursery:
            while True:
                for name, one in self._pairs.items():
                    if name not in self._followed:
                        self._followed[name] = Followed(one)
                        nursery.start_soon(self._follow, name, self._followed[name])
                for name in self._followed.keys() & set(self._going):
                    self._followed[name].is_going.set()
                await self._changed.wait()
                self._changed = trio.Event()

    def _look(self) -> None:
        for followed in self._followed.values():
            if followed.state is LinkState.READY and followed.one.master not in self._away:
                followed.is_home.set()

    async def _follow(self, name: str, followed: Followed) -> None:
        one = followed.one
        if name in self._ordered or one.master in self._away:
            self._ordered.discard(name)
            await self._enter(name, followed)
        if followed.state is LinkState.READY:
            self._look()
            await _either(followed.is_going, followed.is_home)
        elif followed.state is LinkState.FAILED:
            with trio.move_on_after(SHOWN):
                await followed.is_going.wait()
        await self._leave(name, followed)
        await self._forget(name)
        del self._followed[name]
        self._changed.set()

    async def _enter(self, name: str, followed: Followed) -> None:
        """Have the master moved into the pod."""
        one = followed.one
        while True:
            try:
                await self._mover.into(one.master, one.end.namespace, one.end.device, name)
                followed.say(LinkState.READY)
                return
            except CallError as error:
                if error.kind != "TimedOut":
                    log.error("%s was not moved into the pod %s: %s", one.master, one.pod, error)
                    followed.say(LinkState.FAILED, str(error))
                    return

    async def _leave(self, name: str, followed: Followed) -> None:
        """Have the master brought home."""
        one, wait = followed.one, FIRST_WAIT
        followed.say(LinkState.REMOVING, "the master is on its way home")
        while True:
            try:
                await self._mover.recall(one.master, one.end.namespace)
                return
            except CallError as error:
                log.error("%s is still in the pod %s: %s; tried again", name, one.pod, error)
                followed.say(LinkState.REMOVING, str(error))
            await trio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)


async def _either(one: trio.Event, other: trio.Event) -> None:
    """Wait for one of two events."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait, one)
        nursery.start_soon(wait, other)
