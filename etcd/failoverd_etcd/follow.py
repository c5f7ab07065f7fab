"""Follow etcd: one connection after the other, to one endpoint after the other, each from a full read to its loss.

Waits are drawn at random, so that a thousand machines do not come back at one moment when etcd does.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from failoverd.config.spec import Etcd as Config
from failoverd_etcd.client import PATIENCE, Etcd, LostError, Secrets, Watch
from failoverd_etcd.contact import Contact
from failoverd_etcd.history import Next
from failoverd_etcd.keys import Keys
from failoverd_etcd.messages import PUT
from failoverd_etcd.messages import Messages as M  # noqa: N817
from failoverd_etcd.picture import Event, Pair, Picture

log = logging.getLogger("failoverd-etcd")

SILENCE = 10.0
"""Seconds without a message until etcd is asked whether it is there."""
ANSWER = 4.0
"""Seconds for its answer to that."""
REREAD = 600.0
"""Seconds until everything is read anew, a fifth more or less."""
WAITS = (1.0, 2.0)
"""Seconds between two tries: at the beginning, and at most. Each wait is between a tenth and all of that."""
SPREAD = (0.2, 2.0)
"""Seconds between a leader that is seen and the full read, drawn at random, so that not all who have waited for it read
at one moment. In 3.4 a read that comes before a new leader has committed anything is dropped, and stops all reads for
7 s (v3_server.go, linearizableReadLoop)."""
LOOK = 0.5
"""Seconds between two looks whether there is a leader."""
SETTLING = 0.2
"""Seconds between two questions how far a watch is."""
LONGEST_SETTLING = 10.0


class Follower:
    """Keeps a picture up to date. `changed` is called after each change of it, `told` when `contact` has changed;
    `connection` is there as long as it can be used."""

    def __init__(self, config: Config, keys: Keys, picture: Picture, changed: Callable[[], Awaitable[None]]) -> None:
        self._config, self._keys, self._picture, self._changed = config, keys, picture, changed
        self.told: Callable[[], None] = lambda: None
        self._at = random.randrange(len(config.endpoints))  # noqa: S311
        self.contact = Contact(since=time.time())
        self.connection: Etcd | None = None
        self._is_connected = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        wait = WAITS[0]
        said: dict[str, str] = {}
        while True:
            endpoint = self._config.endpoints[self._at % len(self._config.endpoints)]
            self.contact.endpoint = endpoint
            try:
                secrets = await asyncio.to_thread(Secrets.of, self._config)
                async with Etcd(endpoint, self._config, secrets) as etcd:
                    await self._wait_for_leader(etcd)
                    while True:
                        await self._follow(etcd)
            except LostError as error:
                lost = str(error)
            if self.contact.is_connected:
                wait = WAITS[0]
                said.clear()
            self._lost(f"{endpoint}: {lost}")
            # Of several members each is said once, however often they are tried in turn.
            if said.get(endpoint) != lost:
                log.warning("%s: %s; what is declared stays in force, and it is tried again", endpoint, lost)
                self.told()
            said[endpoint] = lost
            self._at += 1
            await asyncio.sleep(wait * random.uniform(0.1, 1))  # noqa: S311
            wait = min(wait * 1.5, WAITS[1])

    async def connected(self) -> Etcd:
        """Wait until there is a connection that can be used, and return it."""
        while (connection := self.connection) is None:
            self._is_connected = asyncio.Event()
            await self._is_connected.wait()
        return connection

    async def _wait_for_leader(self, etcd: Etcd) -> None:
        """Wait until a member knows a leader, and then a random time; without anything in force, the shortest one.

        Raises LostError.
        """
        end = time.monotonic() + PATIENCE
        while not (await etcd.call("Maintenance/Status", M.StatusRequest(), M.StatusResponse)).leader:
            if time.monotonic() > end:
                raise LostError("it has no leader", is_answer=True)
            await asyncio.sleep(LOOK)
        shortest, longest = SPREAD
        await asyncio.sleep(random.uniform(shortest, longest if self._picture.history.revision else shortest))  # noqa: S311

    def _lost(self, trouble: str) -> None:
        if self.contact.is_connected or not self.contact.trouble:
            self.contact.since = time.time()
        self.contact.is_connected, self.contact.trouble = False, trouble
        self.connection = None

    def _is_there(self, etcd: Etcd) -> None:
        if not self.contact.is_connected:
            log.info("%s: connected, at revision %d", etcd.endpoint, self._picture.history.revision)
            self.contact.since = time.time()
            self.contact.is_connected, self.contact.trouble = True, ""
            self.connection = etcd
            self._is_connected.set()
            self.told()

    async def _follow(self, etcd: Etcd) -> None:
        """Read all, and watch from there, until it is time to read anew. Raises LostError."""
        links, picture = self._keys.links, self._picture
        revision, term, found = await etcd.read(links)
        held = set(picture.history.held)
        picture.read(revision, term, [_pair(kv, links) for kv in found], time.time())
        await self._changed()
        until = time.monotonic() + REREAD * random.uniform(0.8, 1.2)  # noqa: S311
        following = Next.REWATCH
        while following is Next.REWATCH:
            async with etcd.watch(links, picture.history.start) as watch:
                following = await self._watch(etcd, watch, until)
            await self._changed()
        if new := set(picture.history.held) - held:
            log.warning("etcd's history was lost, and these are missing without a deletion: %s", ", ".join(sorted(new)))

    async def _watch(self, etcd: Etcd, watch: Watch, until: float) -> Next:
        """Take what the watch tells. Raises LostError."""
        picture = self._picture
        asked = 0.0
        settle_by = time.monotonic() + LONGEST_SETTLING
        while time.monotonic() < until:
            is_settling = picture.history.pending is not None
            if not is_settling:
                self._is_there(etcd)
            elif time.monotonic() > settle_by:
                raise LostError("the watch does not come to where the read was")
            message = await watch.receive(SETTLING if is_settling else ANSWER if asked else SILENCE)
            if message is None:
                if asked and not is_settling:
                    raise LostError("it does not answer any more")
                asked = time.monotonic()
                await watch.ask()
                continue
            asked = 0.0
            following = self._take(message)
            if not watch.has_more:
                await self._changed()
            if following is not Next.FOLLOW:
                return following
        return Next.REREAD

    def _take(self, message: Any) -> Next:
        """Take one message of the watch. Raises LostError."""
        picture, now = self._picture, time.time()
        if message.canceled:
            if message.compact_revision:
                return picture.compacted(now)
            raise LostError(f"it has ended the watch: {message.cancel_reason or 'without a reason'}", is_answer=True)
        if message.events:
            links = self._keys.links
            return picture.events([_event(event, links) for event in message.events], now)
        if not message.created:
            picture.told(message.header.revision, now)
        return Next.FOLLOW


def _pair(kv: Any, links: str) -> Pair:
    return Pair(kv.key.decode(errors="backslashreplace")[len(links) :], kv.create_revision, kv.mod_revision, kv.value)


def _event(event: Any, links: str) -> Event:
    kv, before = event.kv, event.prev_kv
    was = (before.create_revision, before.mod_revision) if before.mod_revision else None
    pair = _pair(kv, links)
    return Event(pair.name, kv.mod_revision, pair if event.type == PUT else None, was)
