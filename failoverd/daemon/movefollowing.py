"""The pairs that are in another network namespace, or on their way: each is followed by a task until it is at home.

A pair that is away is carried by its bond, which fails over by itself; what is plugged in here with its MAC is sent on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from pathlib import Path

import trio

from failoverd.core.health import suppression
from failoverd.core.state import State
from failoverd.daemon.ground import KernelGround
from failoverd.daemon.living import LivingThere, Told
from failoverd.daemon.movefile import said as said_of
from failoverd.daemon.movesurvey import WholeGround
from failoverd.daemon.moving import UNKNOWN, Moving
from failoverd.daemon.namespace_events import Ended, NamespaceEvents, Overrun
from failoverd.daemon.namespace_events import Told as Heard
from failoverd.daemon.namespaces import Namespaces
from failoverd.daemon.residing import Residing
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid, ResidenceSaid
from failoverd.model.places import HERE, Absent, Place
from failoverd.moves.items import Record, is_nic

log = logging.getLogger("failoverd")

FOUND_WITHIN = 20.0
"""Seconds for failoverd-netns to tell what a reference leads to; systemd may have to start it."""
REST = 0.05
"""Seconds between two looks, however much happens in a namespace."""
Tell = Callable[[AwaySaid | ResidenceSaid | Told], Awaitable[None]]


class Followed:
    """A pair that is elsewhere, or on its way."""

    def __init__(self, moving: Moving) -> None:
        self.moving = moving
        self.changed = trio.Event()
        """Set when there may be something to do."""
        self.rested = trio.Event()
        """Set when the present order has come to an end."""
        self.ended = trio.Event()
        """Set when the pair is at home."""
        self.nics: frozenset[int] = frozenset()
        """Its NICs in failoverd's own namespace."""
        self.orders: object = None
        """What was ordered for it."""

    def wake(self) -> None:
        """Have it looked at again."""
        self.changed.set()


class Following:
    """See the module. `tell` hands an event to the failover engine, whose state is `state`."""

    residing: Residing
    """Where masters are to be. Orders are its affair, and so are those of Moves, which sets it."""

    def __init__(self, doors: Namespaces, directory: Path, state: Callable[[], State], tell: Tell) -> None:
        self._doors, self._directory, self._state, self._tell = doors, directory, state, tell
        self._followed: dict[str, Followed] = {}
        self._asked: NamespaceRef | None = None
        """What an order asks for, which is watched before it is kept."""
        self._found = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, records: Iterable[Record], begun: Callable[[], None]) -> None:
        """Follow the pairs of these journals, and those of orders, until cancelled.

        `begun` is called when the journals' are followed: before that, no order knows where a pair is.
        """
        await self._in_thread(self.residing.load)
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._doors.run)
            self._nursery.start_soon(self._follow_references)
            self._nursery.start_soon(self._listen)
            for record in records:
                self._begin(record)
            begun()
            await self.residing.run()

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await trio.to_thread.run_sync(work)

    def stepped(self, state: State) -> None:
        """Note what the failover engine has seen of the NICs of pairs that are elsewhere."""
        self.residing.stepped(state)
        for mac, one in self._followed.items():
            nics = frozenset(link.ifindex for link in state.links.with_mac(mac) if is_nic(link, mac))
            pair = state.pairs.get(mac)
            orders = (pair.orders.drain, pair.carry.vf_wanted, *suppression(state, pair)) if pair is not None else None
            if (nics, orders) != (one.nics, one.orders):
                one.nics, one.orders = nics, orders
                one.wake()

    def record_of(self, mac: str) -> Record | None:
        """See Carrier."""
        one = self._followed.get(mac)
        return one.moving.record if one is not None else None

    def _ground(self, mac: str, ref: NamespaceRef) -> WholeGround:
        """Return the two namespaces of a move, the one that is not failoverd's by `ref`."""
        return KernelGround(mac, ref, self._doors, self._directory, self._said(mac))

    async def _known(self, ref: NamespaceRef) -> Place | Absent:
        """Return where a reference leads; failoverd-netns may have to be waited for, as after a start."""
        found = self._doors.now(ref)
        with trio.move_on_after(FOUND_WITHIN):
            while isinstance(found, Absent) and found.reason in UNKNOWN:
                await self._found.wait()
                found = self._doors.now(ref)
        return found

    def _watch(self) -> None:
        refs = {one.moving.record.ref for one in self._followed.values()} | self.residing.refs()
        self._doors.watch(frozenset(refs | ({self._asked} if self._asked is not None else set())))

    def _said(self, mac: str) -> Callable[[Record | None], Awaitable[None]]:
        async def said(record: Record | None) -> None:
            await self._tell(said_of(mac, record))

        return said

    def _begin(self, record: Record) -> Followed:
        """Follow a pair by this journal, in place of what was known of it."""
        assert self._nursery is not None
        one = self._followed.get(record.mac)
        if one is not None:
            one.moving.begin(record)
            one.rested = trio.Event()
            one.wake()
            return one
        mac = record.mac
        lives = LivingThere(self._state, self._tell)
        moving = Moving(record, self._ground(mac, record.ref), lives, lambda: self.residing.parks(mac))
        one = self._followed[mac] = Followed(moving)
        self._watch()
        self._nursery.start_soon(self._follow, record.mac, one)
        return one

    async def _follow(self, mac: str, one: Followed) -> None:
        """Take a move to its end, and keep together what has moved, until it is at home."""
        while mac in self._followed:
            one.changed = trio.Event()
            at = trio.current_time() + 1.0
            try:
                rested = await one.moving.go_on()
                at = rested.at
                if rested.why:
                    log.info("%s: %s", mac, rested.why)
                if rested.record is None:
                    del self._followed[mac]
                    self.residing.went(mac, one.moving.trouble)
                    one.rested.set()
                    one.ended.set()
                    return
                if rested.record.is_over or rested.record.is_parked:
                    one.rested.set()
                    self.residing.wake()
            except OSError as error:
                log.error("%s: the journal of a move cannot be written: %s", mac, error)
            await trio.sleep(REST)
            with trio.move_on_at(at):
                await one.changed.wait()

    async def _follow_references(self) -> None:
        async for _ in self._doors.changes():
            self._found.set()
            self._found = trio.Event()
            self.residing.wake()
            self._wake_all()

    async def _listen(self) -> None:
        """Look again when something happens in the namespaces that pairs have moved to."""
        with closing(NamespaceEvents(self._doors.place_of)) as heard:
            async for event in heard.events():
                match event:
                    case Heard(place, _) if place != HERE:
                        self._wake_all()
                    case Ended() | Overrun():
                        self._wake_all()

    def _wake_all(self) -> None:
        for one in self._followed.values():
            one.wake()
