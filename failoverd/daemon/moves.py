"""Moves of masters into other network namespaces: orders, and the pairs that are elsewhere, each followed by a task.

Nothing of this is loaded before the first order, or a start with a journal (daemon/moveorders.py). The failover engine
knows of it by one event: a pair is away, and what is seen of it here is not to be put right. A pair that is away is
carried by its bond, which fails over by itself; what is plugged in here with its MAC is sent on.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from failoverd.core.call_answers import CallError, joined, pair_of
from failoverd.core.state import State
from failoverd.daemon.ground import KernelGround
from failoverd.daemon.movefile import at_home, called, where
from failoverd.daemon.moving import UNKNOWN, GoneError, Moving
from failoverd.daemon.namespace_events import Ended, NamespaceEvents, Overrun, Told
from failoverd.daemon.namespaces import Namespaces
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import DeleteMarked
from failoverd.moves.items import Record, Seen, Toward, described, is_nic, nics_of, standing
from failoverd.moves.rules import copied
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
        tell: Callable[[AwaySaid], Awaitable[None]],
        hanging: Hanging,
        apart: Apart,
    ) -> None:
        self._doors, self._directory, self._state = doors, directory, state
        self._tell, self._hanging, self._apart = tell, hanging, apart
        self._followed: dict[str, Followed] = {}

        self._found = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._one_order = trio.Lock()

    async def run(self, records: Iterable[Record], begun: Callable[[], None]) -> None:
        """Follow the pairs of these journals, and those of orders, until cancelled.

        `begun` is called when the journals' are followed: before that, no order knows where a pair is.
        """
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._doors.run)
            self._nursery.start_soon(self._follow_references)
            self._nursery.start_soon(self._listen)
            for record in records:
                self._begin(record)
            begun()
            await trio.sleep_forever()

    def stepped(self, state: State) -> None:
        """Note what the failover engine has seen of the NICs of pairs that are elsewhere."""
        for mac, one in self._followed.items():
            nics = frozenset(link.ifindex for link in state.links.with_mac(mac) if is_nic(link, mac))
            if nics != one.nics:
                one.nics = nics
                one.wake()

    async def dry_run(self, word: str, ref: NamespaceRef | None) -> Document:
        """Return what a move would do: into this namespace, or with None home. Raises CallError."""
        async with self._one_order:
            ground, place, mac = await self._ground(word, ref)
            rows, _ = await self._survey(mac, ground, place, is_homeward=ref is None)
        return {
            "mac": mac,
            "namespace": called(ref) if ref is not None else "",
            "refused": refusal(rows),
            "devices": list(map(_row, rows)),
        }

    async def move(self, word: str, ref: NamespaceRef | None, device: str = "", owner: str = "") -> Document:
        """Move a master into this namespace, or with None home. Raises CallError where it was refused or turned back,
        or is not over in time.

        There it is called `device`, if that is given. `owner` is the attachment that wants it so, "" for none.
        """
        async with self._one_order:
            ground, place, mac = await self._ground(word, ref)
            rows, record = await self._survey(mac, ground, place, is_homeward=ref is None, device=device)
            if why := refusal(rows):
                raise CallError(f"{rows[0].device} stays where it is: {why}")
            try:
                async with self._apart(mac, owner):
                    await ground.keep(record)
            except OSError as error:
                raise CallError(f"the journal of the move cannot be written: {error}") from error
            one = self._begin(record)
        await self._is_over(one)
        name = at_home(record)
        if (trouble := one.moving.trouble) or one.moving.gone_home != (ref is None):
            raise CallError(f"{name} was not moved: {trouble or 'the namespace is gone'}")
        return {"mac": mac, "master": name, "namespace": called(ref) if ref is not None else ""}

    async def into(self, mac: str, ref: NamespaceRef, device: str, owner: str) -> None:
        """Move a pair into a pod, or wait until it is there if it is on its way. Raises CallError as `move` does."""
        one = self._followed.get(mac)
        if one is None or one.moving.record.ref != ref:
            await self.move(mac, ref, device, owner)
            return
        await self._is_over(one)
        if one.moving.gone_home:
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
        place = self._doors.now(ref)
        if one.moving.record.is_over and isinstance(place, Place):
            ground = KernelGround(mac, ref, self._doors, self._directory, self._said(mac))
            try:
                for number, text in await ground.send(place, place, (DeleteMarked(mark(mac)),)):
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

    async def _ground(self, word: str, ref: NamespaceRef | None) -> tuple[KernelGround, Place, str]:
        """Return the two namespaces of a move, the one that is not failoverd's, and the pair. Raises CallError."""
        if ref is None:
            pair = pair_away(self._state(), word)
            one = self._followed.get(pair)
            if one is None or not one.moving.record.is_over:
                raise CallError(f"{word} is on its way; failoverctl status tells how far", "Busy")
            mac, ref = pair, one.moving.record.ref
        else:
            pair_state = pair_of_word(self._state(), word)
            one_joined = joined(self._state(), word)
            if not pair_state.datapath.makes_bond:
                why = f"its datapath is {pair_state.datapath.name}, and only a bond can be cloned"
                raise CallError(f"{one_joined.master.name} cannot be moved: {why}")
            if pair_state.move.journal is not None or pair_state.orders.renames:
                raise CallError(f"{one_joined.master.name} has another change under way; try again", "Busy")
            mac = pair_state.mac
        place = await self._place(ref)
        return KernelGround(mac, ref, self._doors, self._directory, self._said(mac)), place, mac

    async def _place(self, ref: NamespaceRef) -> Place:
        """Return where a reference leads, which is watched from now on. Raises CallError."""
        self._watch(ref)
        found = self._doors.now(ref)
        with trio.move_on_after(FOUND_WITHIN):
            while isinstance(found, Absent) and found.reason in UNKNOWN:
                await self._found.wait()
                found = self._doors.now(ref)
        if isinstance(found, Absent):
            raise CallError(f"the network namespace {called(ref)} is not there ({found.reason}): {found.detail}")
        if found == HERE:
            raise CallError(f"{called(ref)} is the network namespace that failoverd runs in")
        return found

    def _watch(self, *refs: NamespaceRef) -> None:
        known = {one.moving.record.ref for one in self._followed.values()}
        self._doors.watch(known | set(refs))

    async def _survey(
        self, mac: str, ground: KernelGround, place: Place, *, is_homeward: bool, device: str = ""
    ) -> tuple[tuple[Row, ...], Record]:
        """Return what a move would do, and its journal. `device` is the master's name where it leads, "" for the one
        that it has. Raises CallError."""
        try:
            here, there = [await ground.look_at_tables(at, await ground.look(at)) for at in (HERE, place)]
        except GoneError as error:
            raise CallError(str(error)) from error
        origin, target = (there, here) if is_homeward else (here, there)
        master = origin.master(mac)
        if master is None:
            raise CallError(f"the master of {mac} is not there", "NotJoined")
        things = {} if is_homeward else {master.ifindex: await self._hanging(master.ifindex)}
        known = self._followed.get(mac)
        home, rules = (known.moving.record.home, known.moving.record.rules) if known is not None else ((), ())
        if known is None and not device:
            # A pod has rules of its own.
            rules = copied(standing(master, origin.links), origin, target)
        if is_homeward and home and known is not None and known.moving.record.master.name != home[0].name:
            device = home[0].name
        if device and device != master.name:
            home = home or described(origin, master)
            origin, master = _under(origin, master.ifindex, device)
        rows = survey(mac, origin, target, things, is_homeward=is_homeward)
        if refusal(rows):
            return rows, Record(mac, NamespaceRef(), Toward.AWAY, (), ())
        toward = Toward.HOME if is_homeward else Toward.AWAY
        items, nics = described(origin, master), nics_of(origin, mac, master)
        return rows, Record(mac, ground.ref, toward, items, nics, home, rules=rules)

    def _said(self, mac: str) -> Callable[[Record | None], Awaitable[None]]:
        async def said(record: Record | None) -> None:
            name, why = (at_home(record), where(record)) if record is not None else ("", "")
            await self._tell(AwaySaid(mac, name, why))

        return said

    def _is_vf(self, link: Link) -> bool:
        return link.bus not in self._state().config.pairing.paravirtual_buses

    def _hold_down(self) -> float:
        rule = self._state().config.failback
        return rule.hold_down if rule.automatic else math.inf

    def _begin(self, record: Record) -> Followed:
        """Follow a pair by this journal, in place of what was known of it."""
        assert self._nursery is not None
        one = self._followed.get(record.mac)
        if one is not None:
            one.moving.begin(record)
            one.rested = trio.Event()
            one.wake()
            return one
        ground = KernelGround(record.mac, record.ref, self._doors, self._directory, self._said(record.mac))
        one = self._followed[record.mac] = Followed(Moving(record, ground, self._is_vf, self._hold_down))
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
                    self._watch()
                    one.rested.set()
                    one.ended.set()
                    return
                if rested.record.is_over:
                    one.rested.set()
            except OSError as error:
                log.error("%s: the journal of a move cannot be written: %s", mac, error)
            await trio.sleep(REST)
            with trio.move_on_at(at):
                await one.changed.wait()

    async def _follow_references(self) -> None:
        async for _ in self._doors.changes():
            self._found.set()
            self._found = trio.Event()
            self._wake_all()

    async def _listen(self) -> None:
        """Look again when something happens in the namespaces that pairs have moved to."""
        with closing(NamespaceEvents(self._doors.place_of)) as heard:
            async for event in heard.events():
                match event:
                    case Told(place, _) if place != HERE:
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


def pair_of_word(state: State, word: str) -> Any:
    """Return the pair that a word names, which is at home. Raises CallError."""
    pair = pair_of(state, word)
    if pair.away:
        raise CallError(f"{word} cannot be moved: {pair.away}", "Busy")
    return pair


def pair_away(state: State, word: str) -> str:
    """Return the MAC of the pair that is elsewhere and that a word names. Raises CallError."""
    for mac, pair in state.pairs.items():
        if pair.away and word.lower() in (mac, pair.away_name.lower()):
            return mac
    raise CallError(f"{word!r} is at home, or is no pair; failoverctl status tells", "NoSuchPair")


def _row(row: Row) -> Document:
    return {
        "device": row.device,
        "kind": row.kind,
        "how": row.how or "refused",
        "why": row.why,
        "takes": list(row.takes),
        "leaves": list(row.leaves),
    }
