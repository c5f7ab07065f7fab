"""Moves of masters into other network namespaces: the orders, and what keeps one from being begun.

Nothing of this is loaded before the first order, or a start with a journal (daemon/moveorders.py). The failover engine
knows of it by one event: a pair is away, and what is seen of it here is not to be put right. Pairs that are away are
followed in movefollowing.py, and what a move would do is found in movesurvey.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import trio

from failoverd.core.call_answers import CallError, joined, pair_of
from failoverd.core.state import State
from failoverd.daemon.movefile import at_home, called
from failoverd.daemon.movefollowing import Followed, Following, Tell
from failoverd.daemon.movesurvey import Document, Hanging, Way, shown, surveyed
from failoverd.daemon.moving import UNKNOWN, GoneError
from failoverd.daemon.namespaces import Namespaces
from failoverd.daemon.residing import Orders, Residing, obstacle_of
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import DeleteMarked
from failoverd.model.residence import Residences
from failoverd.moves.items import Record, Toward
from failoverd.moves.residing import BY_KEY, Order
from failoverd.moves.survey import Row, refusal
from failoverd.policy.naming import mark

log = logging.getLogger("failoverd")

ORDERED_WITHIN = 60.0
"""Seconds for an order to come to an end. It goes on behind that."""


Apart = Callable[[str, str], AbstractAsyncContextManager[None]]
"""Given a pair's MAC and the attachment that orders the move, or "": nothing else is attached to the pair while this is
open. Entering raises CallError where something is."""


class Moves(Following):
    """See the module. `tell` hands an event to the failover engine, whose state is `state`."""

    def __init__(
        self,
        doors: Namespaces,
        directory: Path,
        state: Callable[[], State],
        tell: Tell,
        hanging: Hanging,
        apart: Apart,
        orders: Orders,
    ) -> None:
        super().__init__(doors, directory, state, tell)
        self._hanging, self._apart = hanging, apart
        self.residing = Residing(orders, state, tell, self)
        self._one_order = trio.Lock()

    def configure(self, residences: Residences) -> None:
        """Take in the [master.NAME] of a configuration."""
        self.residing.configure(residences)
        self._wake_all()

    async def dry_run(self, word: str, ref: NamespaceRef | None) -> Document:
        """Return what a move would do: into this namespace, or with None home. Raises CallError."""
        async with self._one_order:
            mac, there = self._asked_for(word, ref)
            place = await self._place(there)
            rows, _ = await self._surveyed(Way(mac, there, place, ref is None))
        return {
            "mac": mac,
            "namespace": called(ref) if ref is not None else "",
            "pending": place.detail if isinstance(place, Absent) else "",
            "refused": refusal(rows),
            "devices": list(map(shown, rows)),
        }

    async def move(self, word: str, ref: NamespaceRef | None) -> Document:
        """Move a master into this namespace, or with None home; or as soon as the namespace is there. The order holds
        until the configuration says something else. Raises CallError where it was refused or turned back, or is not
        over in time."""
        async with self._one_order:
            mac, there = self._asked_for(word, ref)
            place = await self._place(there) if self._is_to_go(mac, ref) else HERE
            name = self._name(mac)
            document = {"mac": mac, "master": name, "namespace": called(ref) if ref is not None else "", "pending": ""}
            try:
                before = self.residing.order(mac, ref)
            except OSError as error:
                raise CallError(f"the order cannot be kept: {error}") from error
            if not self._is_to_go(mac, ref):
                return document
            if isinstance(place, Absent) and ref is not None:
                return document | {"pending": place.detail}
            try:
                is_by_key = self.residing.wish(mac).by == BY_KEY
                one = await self._started(Way(mac, there, place, ref is None), is_by_key=is_by_key)
            except CallError:
                self._restore(mac, before)
                raise
        return document | await self._ended(one, mac, ref, before)

    async def _ended(self, one: Followed, mac: str, ref: NamespaceRef | None, before: Order | None) -> Document:
        """Wait for the end of an ordered move. Raises CallError."""
        await self._is_over(one)
        name = at_home(one.moving.record)
        if (trouble := one.moving.trouble) or one.moving.gone_home != (ref is None):
            self._restore(mac, before)
            raise CallError(f"{name} was not moved: {trouble or 'the namespace is gone'}")
        return {"master": name}

    async def into(self, mac: str, ref: NamespaceRef, device: str, owner: str) -> None:
        """Move a pair into a pod, or wait until it is there if it is on its way. Raises CallError where it was refused
        or turned back, or is not over in time. An order that has waited is none any more."""
        one = self._followed.get(mac)
        if one is None or one.moving.record.ref != ref:
            async with self._one_order:
                there = self._asked_for(mac, ref)[1]
                place = await self._place(there)
                if isinstance(place, Absent):
                    raise CallError(
                        f"the network namespace {called(ref)} is not there ({place.reason}): {place.detail}"
                    )
                one = await self._started(Way(mac, there, place, False, device, owner), is_by_key=False)
                self._restore(mac, None)
        await self._is_over(one)
        if one.moving.trouble or one.moving.gone_home:
            raise CallError(f"{mac} came home again: {one.moving.trouble or 'the namespace is gone'}")

    async def recall(self, mac: str, ref: NamespaceRef) -> None:
        """Bring a pair home from this namespace as it was when it left, whatever was done to it there. One that is not
        there is no error. Raises CallError where it is not at home in time.

        Without the clone it is as where a namespace ends: what stood at home is made from the journal. So it is enough
        to delete the clone, and a restart in the middle goes on likewise.
        """
        one = self._followed.get(mac)
        if one is None or one.moving.record.ref != ref:
            return
        await self._is_over(one)
        place = await self._known(ref)
        if one.moving.record.is_over and isinstance(place, Place):
            try:
                for number, text in await self._ground(mac, ref).send(place, place, (DeleteMarked(mark(mac)),)):
                    if number and number not in DeleteMarked.harmless:
                        raise CallError(f"{one.moving.record.master.name} cannot be deleted there: {text or number}")
            except GoneError as error:
                log.info("%s: %s", mac, error)
        one.wake()
        with trio.move_on_after(ORDERED_WITHIN):
            await one.ended.wait()
        if not one.ended.is_set():
            raise CallError(f"{at_home(one.moving.record)} is on its way home", "TimedOut")

    async def _is_over(self, one: Followed) -> None:
        """Wait for an order's end. Raises CallError."""
        with trio.move_on_after(ORDERED_WITHIN):
            await one.rested.wait()
        if not one.rested.is_set():
            name = at_home(one.moving.record)
            raise CallError(f"the move of {name} was begun, and goes on; failoverctl status tells how far", "TimedOut")

    def _restore(self, mac: str, before: Order | None) -> None:
        """Have the order that held before in force again."""
        try:
            self.residing.keep(mac, before)
        except OSError as error:
            log.error("%s: the order cannot be taken back: %s", mac, error)

    async def carry(self, mac: str, to: NamespaceRef | None) -> None:
        """See Carrier."""
        async with self._one_order:
            record, place = self.record_of(mac), self._doors.now(to) if to is not None else HERE
            ref = record.ref if record is not None else to
            if ref is None or isinstance(place, Absent) or not self._is_to_go(mac, to):
                return
            if to is not None and obstacle_of(self._state().pairs[mac]):
                return
            place = place if to is not None else self._doors.now(ref)
            await self._started(Way(mac, ref, place, to is None), is_by_key=self.residing.wish(mac).by == BY_KEY)

    def leads_to(self, ref: NamespaceRef) -> Place | Absent:
        """See Carrier."""
        return self._doors.now(ref)

    def want(self) -> None:
        """See Carrier."""
        self._watch()

    async def by_key(self, mac: str) -> None:
        """See Carrier."""
        one = self._followed.get(mac)
        if one is not None and not one.moving.record.is_by_key:
            await one.moving.note(replace(one.moving.record, is_by_key=True))

    def _is_to_go(self, mac: str, ref: NamespaceRef | None) -> bool:
        """Return whether a pair is not where an order would have it."""
        record = self.record_of(mac)
        return ref is not None if record is None else not record.ref.is_like(ref)

    def _name(self, mac: str) -> str:
        record, state = self.record_of(mac), self._state()
        return at_home(record) if record is not None else state.name(state.judgements.pair(mac).master)

    def _asked_for(self, word: str, ref: NamespaceRef | None) -> tuple[str, NamespaceRef]:
        """Return the pair of an order, and the namespace that is not failoverd's. Raises CallError."""
        state = self._state()
        if (mac := pair_away(state, word)) is not None:
            one = self._followed.get(mac)
            if one is None or not (one.moving.record.is_over or one.moving.record.is_parked):
                raise CallError(f"{word} is on its way; failoverctl status tells how far", "Busy")
            if ref is not None and not one.moving.record.ref.is_like(ref):
                raise CallError(f"{word} cannot be moved: {state.pairs[mac].away}", "Busy")
            return mac, one.moving.record.ref
        if ref is None:
            pair = pair_of(state, word)
            if (to := self.residing.wish(pair.mac).to) is None:
                raise CallError(f"{word!r} is at home; failoverctl status tells", "NoSuchPair")
            return pair.mac, to
        one_joined = joined(state, word)
        if why := obstacle_of(one_joined.pair):
            raise CallError(f"{one_joined.master.name} cannot be moved: {why}", "Busy")
        return one_joined.pair.mac, ref

    async def _place(self, ref: NamespaceRef) -> Place | Absent:
        """Return where a reference leads, which is watched from now on. Raises CallError."""
        self._asked = ref
        self._watch()
        found = await self._known(ref)
        if isinstance(found, Absent) and found.reason in UNKNOWN:
            raise CallError(f"it is not known where the network namespace {called(ref)} is: {found.detail}")
        if found == HERE:
            raise CallError(f"{called(ref)} is the network namespace that failoverd runs in")
        return found

    async def _surveyed(self, way: Way) -> tuple[tuple[Row, ...], Record]:
        """Return what a move would do, and its journal. Raises CallError."""
        return await surveyed(way, self._ground(way.mac, way.ref), self.record_of(way.mac), self._hanging)

    async def _started(self, way: Way, *, is_by_key: bool) -> Followed:
        """Begin a move that nothing keeps. Raises CallError."""
        parked = self.record_of(way.mac)
        if parked is not None and parked.is_parked:
            record = replace(parked, toward=Toward.HOME, items=parked.home, is_parked=False)
        else:
            rows, record = await self._surveyed(way)
            if why := refusal(rows):
                raise CallError(f"{rows[0].device} stays where it is: {why}")
        record = replace(record, is_by_key=is_by_key)
        try:
            async with self._apart(way.mac, way.owner):
                await self._ground(way.mac, way.ref).keep(record)
        except OSError as error:
            raise CallError(f"the journal of the move cannot be written: {error}") from error
        return self._begin(record)


def pair_away(state: State, word: str) -> str | None:
    """Return the MAC of the pair that is elsewhere and that a word names, None for none."""
    for mac, pair in state.pairs.items():
        if pair.away and word.lower() in (mac, pair.away_name.lower()):
            return mac
    return None
