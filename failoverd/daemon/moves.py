"""Moves of masters into other network namespaces: orders, and the pairs that are elsewhere, each followed by a task.

Nothing of this is loaded before the first order, or a start with a journal (daemon/moveorders.py). The failover engine
knows of it by one event: a pair is away, and what is seen of it here is not to be put right. A pair that is away is
carried by its bond, which fails over by itself; what is plugged in here with its MAC is sent on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import trio

from failoverd.core.call_answers import CallError, joined, pair_of
from failoverd.core.state import State
from failoverd.daemon.ground import KernelGround
from failoverd.daemon.living import LivingThere, Told
from failoverd.daemon.movefile import at_home, called
from failoverd.daemon.movefile import said as said_of
from failoverd.daemon.moving import UNKNOWN, GoneError, Ground, Moving
from failoverd.daemon.namespace_events import Ended, NamespaceEvents, Overrun
from failoverd.daemon.namespace_events import Told as Heard
from failoverd.daemon.namespaces import Namespaces
from failoverd.daemon.residing import Orders, Residing, obstacle_of
from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid, ResidenceSaid
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import DeleteMarked
from failoverd.model.residence import Residences
from failoverd.moves.items import Record, Seen, Toward, described, is_nic, nics_of, standing
from failoverd.moves.residing import BY_KEY, Order
from failoverd.moves.rules import Table, asked_tables, copied
from failoverd.moves.survey import Row, refusal, survey
from failoverd.policy.naming import mark

log = logging.getLogger("failoverd")

FOUND_WITHIN = 20.0
"""Seconds for failoverd-netns to tell what a reference leads to; systemd may have to start it."""
ORDERED_WITHIN = 60.0
"""Seconds for an order to come to an end. It goes on behind that."""
REST = 0.05
"""Seconds between two looks, however much happens in a namespace."""
Document = dict[str, Any]
Hanging = Callable[[int], Awaitable[str]]
"""Describes what hangs on a device and no device here shows, "" for nothing."""


Apart = Callable[[str, str], AbstractAsyncContextManager[None]]
"""Given a pair's MAC and the attachment that orders the move, or "": nothing else is attached to the pair while this is
open. Entering raises CallError where something is."""


class WholeGround(Ground, Protocol):
    """Both namespaces, also as a survey has to know them."""

    async def look_at_tables(self, place: Place, seen: Seen, tables: Iterable[Table]) -> Seen:
        """Return what was seen together with who has routes in the tables that rules lead to. Raises GoneError."""


@dataclass(frozen=True, slots=True)
class Way:
    """A move that is asked for."""

    mac: str
    ref: NamespaceRef
    """The namespace that is not failoverd's."""
    place: Place | Absent
    """What that leads to."""
    is_homeward: bool
    device: str = ""
    """What the master is called there, "" for as it is."""
    owner: str = ""
    """The attachment that wants it so, "" for none."""


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


class Moves:
    """See the module. `tell` hands an event to the failover engine, whose state is `state`."""

    def __init__(
        self,
        doors: Namespaces,
        directory: Path,
        state: Callable[[], State],
        tell: Callable[[AwaySaid | ResidenceSaid | Told], Awaitable[None]],
        hanging: Hanging,
        apart: Apart,
        orders: Orders,
    ) -> None:
        self._doors, self._directory, self._state = doors, directory, state
        self._tell, self._hanging, self._apart = tell, hanging, apart
        self._followed: dict[str, Followed] = {}
        self._asked: NamespaceRef | None = None
        """What an order asks for, which is watched before it is kept."""
        self.residing = Residing(orders, state, tell, self)
        self._found = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._one_order = trio.Lock()

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

    def configure(self, residences: Residences) -> None:
        """Take in the [master.NAME] of a configuration."""
        self.residing.configure(residences)
        self._wake_all()

    def stepped(self, state: State) -> None:
        """Note what the failover engine has seen of the NICs of pairs that are elsewhere."""
        self.residing.stepped(state)
        for mac, one in self._followed.items():
            nics = frozenset(link.ifindex for link in state.links.with_mac(mac) if is_nic(link, mac))
            pair = state.pairs.get(mac)
            orders = (pair.orders.drain, pair.carry.vf_wanted) if pair is not None else None
            if (nics, orders) != (one.nics, one.orders):
                one.nics, one.orders = nics, orders
                one.wake()

    async def dry_run(self, word: str, ref: NamespaceRef | None) -> Document:
        """Return what a move would do: into this namespace, or with None home. Raises CallError."""
        async with self._one_order:
            mac, there = self._asked_for(word, ref)
            place = await self._place(there)
            rows, _ = await self._survey(Way(mac, there, place, ref is None))
        return {
            "mac": mac,
            "namespace": called(ref) if ref is not None else "",
            "pending": place.detail if isinstance(place, Absent) else "",
            "refused": refusal(rows),
            "devices": list(map(_row, rows)),
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

    def record_of(self, mac: str) -> Record | None:
        """See Carrier."""
        one = self._followed.get(mac)
        return one.moving.record if one is not None else None

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

    def _ground(self, mac: str, ref: NamespaceRef) -> WholeGround:
        """Return the two namespaces of a move, the one that is not failoverd's by `ref`."""
        return KernelGround(mac, ref, self._doors, self._directory, self._said(mac))

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

    async def _started(self, way: Way, *, is_by_key: bool) -> Followed:
        """Begin a move that nothing keeps. Raises CallError."""
        parked = self.record_of(way.mac)
        if parked is not None and parked.is_parked:
            record = replace(parked, toward=Toward.HOME, items=parked.home, is_parked=False)
        else:
            rows, record = await self._survey(way)
            if why := refusal(rows):
                raise CallError(f"{rows[0].device} stays where it is: {why}")
        record = replace(record, is_by_key=is_by_key)
        try:
            async with self._apart(way.mac, way.owner):
                await self._ground(way.mac, way.ref).keep(record)
        except OSError as error:
            raise CallError(f"the journal of the move cannot be written: {error}") from error
        return self._begin(record)

    async def _survey(self, way: Way) -> tuple[tuple[Row, ...], Record]:
        """Return what a move would do, and its journal. Raises CallError."""
        mac, place, ground = way.mac, way.place, self._ground(way.mac, way.ref)
        try:
            here = await ground.look(HERE)
            there = await ground.look(place) if isinstance(place, Place) else Seen(LinkTable(), {})
            tables = asked_tables(here, there)
            here = await ground.look_at_tables(HERE, here, tables)
            if isinstance(place, Place):
                there = await ground.look_at_tables(place, there, tables)
        except GoneError as error:
            raise CallError(str(error)) from error
        origin, target = (there, here) if way.is_homeward else (here, there)
        master = origin.master(mac)
        if master is None:
            raise CallError(f"the master of {mac} is not there", "NotJoined")
        things = {} if way.is_homeward else {master.ifindex: await self._hanging(master.ifindex)}
        known, device = self.record_of(mac), way.device
        home, rules = (known.home, known.rules) if known is not None else ((), ())
        if known is None and not device:
            # A pod has rules of its own.
            rules = copied(standing(master, origin.links), origin, target)
        if way.is_homeward and home and known is not None and known.master.name != home[0].name:
            device = home[0].name
        if device and device != master.name:
            home = home or described(origin, master)
            origin, master = _under(origin, master.ifindex, device)
        rows = survey(mac, origin, target, things, is_homeward=way.is_homeward)
        if refusal(rows):
            return rows, Record(mac, way.ref, Toward.AWAY, (), ())
        toward = Toward.HOME if way.is_homeward else Toward.AWAY
        items, nics = described(origin, master), nics_of(origin, mac, master)
        return rows, Record(mac, way.ref, toward, items, nics, home, rules=rules)

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


def _under(seen: Seen, ifindex: int, name: str) -> tuple[Seen, Link]:
    """Return a namespace as if this device of it had another name, and the device."""
    link = seen.links[ifindex]
    renamed = replace(link, name=name, altnames=link.altnames - {name})
    return replace(seen, links=LinkTable({**seen.links, ifindex: renamed}.values())), renamed


def pair_away(state: State, word: str) -> str | None:
    """Return the MAC of the pair that is elsewhere and that a word names, None for none."""
    for mac, pair in state.pairs.items():
        if pair.away and word.lower() in (mac, pair.away_name.lower()):
            return mac
    return None


def _row(row: Row) -> Document:
    return {
        "device": row.device,
        "kind": row.kind,
        "how": row.how or "refused",
        "why": row.why,
        "takes": list(row.takes),
        "leaves": list(row.leaves),
    }
