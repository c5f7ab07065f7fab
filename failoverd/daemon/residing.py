"""Where masters are to be, and that they come there: by [master.NAME] of the configuration, and by orders that last.

One task looks again whenever something has changed that may matter: the configuration, what references lead to, a pair
that was joined, a move that is over. What was refused is tried again, later and later. Orders are files beside the
journals of moves, so that a restart knows them; a reboot ends them, as it ends every namespace.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from failoverd.core.call_answers import CallError
from failoverd.core.state import PairState, State
from failoverd.daemon.moving import SPENT
from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import ResidenceSaid
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.residence import NOWHERE, PARK, Residence, Residences
from failoverd.moves.items import Record
from failoverd.moves.residing import Go, Order, Wish, decide, holds, residence_of, wish

log = logging.getLogger("failoverd")

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds between two moves of a master, or two tries, that nobody has ordered; doubled each time, until it has been
quiet for a while."""
QUIET = 2 * LONGEST_WAIT


class Carrier(Protocol):
    """What carries out moves."""

    def record_of(self, mac: str) -> Record | None:
        """Return the journal of a pair that is elsewhere, or on its way; None for one that is at home."""

    def leads_to(self, ref: NamespaceRef) -> Place | Absent:
        """Return what a reference leads to as far as is known."""

    def want(self) -> None:
        """Note that what `wanted_refs` returns has changed."""

    async def carry(self, mac: str, to: NamespaceRef | None) -> None:
        """Begin to move a master by the configuration's key, or by an order that has waited. Raises CallError where
        something keeps it."""

    async def by_key(self, mac: str) -> None:
        """Note that no order keeps this master where it is. Raises OSError."""


class Orders(Protocol):
    """What keeps orders over a restart."""

    def load(self) -> dict[str, Order]:
        """Return the orders by the MACs of pairs; blocks. One that cannot be read is logged and not taken."""

    def keep(self, mac: str, order: Order | None) -> None:
        """Keep an order, or none. Raises OSError."""


@dataclass(slots=True)
class Pace:
    """When a master may be moved next without an order."""

    wait: float = FIRST_WAIT
    last: float = -math.inf
    not_before: float = -math.inf
    refused: str = ""
    """Why the last try came to nothing."""

    def begin(self, now: float) -> None:
        """Note a try."""
        self.wait = FIRST_WAIT if now > self.last + QUIET else min(2 * self.wait, LONGEST_WAIT)
        self.last, self.not_before = now, now + self.wait


class Residing:
    """See the module. `store` keeps the orders, `tell` hands an event to the failover engine."""

    def __init__(
        self,
        store: Orders,
        state: Callable[[], State],
        tell: Callable[[ResidenceSaid], Awaitable[None]],
        carrier: Carrier,
    ) -> None:
        self._store, self._state, self._tell, self._carrier = store, state, tell, carrier
        self._orders: dict[str, Order] = {}
        self._residences: Residences = NOWHERE
        self._paces: dict[str, Pace] = {}
        self._said: dict[str, ResidenceSaid] = {}
        self._seen: object = None
        self._changed = trio.Event()

    def load(self) -> None:
        """Take in the orders that are kept; blocks."""
        self._orders = self._store.load()

    def configure(self, residences: Residences) -> None:
        """Take in the [master.NAME] of a configuration; also of the first one."""
        if residences != self._residences:
            self._residences = residences
            self._paces.clear()
        self.wake()

    def wake(self) -> None:
        """Have all looked at again."""
        self._changed.set()

    def stepped(self, state: State) -> None:
        """The failover engine has made a step: look again if a pair that is to be elsewhere has changed."""
        if not (self._residences or self._orders):
            return
        seen = [
            (mac, pair.joined, pair.away, pair.held, pair.datapath.name, obstacle_of(pair), self._names(state, pair))
            for mac, pair in state.pairs.items()
        ]
        if seen != self._seen:
            self._seen = seen
            self.wake()

    def residence(self, mac: str) -> Residence:
        """Return what the configuration says of a pair's master."""
        state, record = self._state(), self._carrier.record_of(mac)
        names = record.names if record is not None else ()
        if record is None and (pair := state.pairs.get(mac)) is not None:
            names = self._names(state, pair)
        return residence_of(self._residences, mac, names)

    def parks(self, mac: str) -> bool:
        """Return whether a master waits for its namespace without a device when that ends; one that is in a pod, by an
        attachment, never does."""
        record = self._carrier.record_of(mac)
        is_meant = mac in self._orders or (record is not None and record.is_by_key)
        return is_meant and self.residence(mac).when_gone == PARK

    def wish(self, mac: str) -> Wish:
        """Return where a master is to be."""
        key = self.residence(mac).namespace
        return wish(holds(self._orders.get(mac), key, self._carrier.record_of(mac)), key)

    def refs(self) -> set[NamespaceRef]:
        """Return the namespaces that masters are to be in."""
        return {to for mac in self._macs() if (to := self.wish(mac).to) is not None}

    def order(self, mac: str, to: NamespaceRef | None) -> Order | None:
        """Keep an order, and return the one before. It holds until the configuration's key changes. Raises OSError."""
        key, before = self.residence(mac).namespace, self._orders.get(mac)
        is_same = key.is_like(to) if key is not None else to is None
        self.keep(mac, None if is_same else Order(to, key))
        self._paces.pop(mac, None)
        return before

    def keep(self, mac: str, order: Order | None) -> None:
        """Keep an order on disk, or none. Raises OSError."""
        self._store.keep(mac, order)
        if order is None:
            self._orders.pop(mac, None)
        else:
            self._orders[mac] = order
        self.wake()

    def went(self, mac: str, trouble: str) -> None:
        """Note that a pair has come home, and why if its move was turned back: the next move that nobody orders waits a
        little."""
        pace = self._paces.setdefault(mac, Pace())
        pace.begin(trio.current_time())
        pace.refused = trouble
        self.wake()

    async def run(self) -> None:
        """Look after all masters until cancelled."""
        while True:
            self._changed = trio.Event()
            self._carrier.want()
            at = math.inf
            for mac in sorted(self._macs()):
                try:
                    at = min(at, await self._look(mac))
                except OSError as error:
                    log.error("%s: what is kept of an order cannot be written: %s", mac, error)
                    at = min(at, trio.current_time() + LONGEST_WAIT)
            with trio.move_on_at(at):
                await self._changed.wait()

    def _macs(self) -> set[str]:
        return {*self._state().pairs, *self._orders}

    async def _look(self, mac: str) -> float:
        """Look at one master; returns when to look again in any case. Raises OSError."""
        record = self._carrier.record_of(mac)
        key = self.residence(mac).namespace
        order = self._orders.get(mac)
        if order is not None and holds(order, key, record) is None:
            log.info("%s: the configuration has changed, and the order to move it holds no more", mac)
            # First, as without the order it would be there by one that was lost.
            await self._carrier.by_key(mac)
            self.keep(mac, None)
        wanted = self.wish(mac)
        place = self._carrier.leads_to(wanted.to) if wanted.to is not None else HERE
        if isinstance(place, Absent) and place.reason in SPENT and mac in self._orders:
            log.info("%s: %s; the order to move it there holds no more", mac, place.detail)
            self.keep(mac, None)
            wanted = self.wish(mac)
        what = decide(wanted.to, record, place, self._obstacle(mac))
        if not isinstance(what, Go):
            await self._say(mac, wanted, what.pending)
            return math.inf
        pace = self._paces.setdefault(mac, Pace())
        if (now := trio.current_time()) < pace.not_before:
            await self._say(mac, wanted, pace.refused or "it has moved a moment ago")
            return pace.not_before
        pace.begin(now)
        pace.refused = ""
        try:
            await self._carrier.carry(mac, what.to)
        except CallError as refused:
            log.warning("%s: %s; tried again", mac, refused)
            pace.refused = str(refused)
            await self._say(mac, wanted, pace.refused)
            return pace.not_before
        return math.inf

    def _obstacle(self, mac: str) -> str:
        pair = self._state().pairs.get(mac)
        return obstacle_of(pair) if pair is not None else "it is no pair here"

    @staticmethod
    def _names(state: State, pair: PairState) -> tuple[str, ...]:
        """Return the names of a master at home: of its device, or of the NIC that it will be called like."""
        found = state.judgements.pair(pair.mac)
        link = state.link(found.master) or state.link(found.nic)
        return (link.name, *sorted(link.altnames)) if link is not None else ()

    async def _say(self, mac: str, wanted: Wish, pending: str) -> None:
        """Tell the failover engine, which shows it."""
        said = ResidenceSaid(mac, wanted.to.word if wanted.to is not None else "", wanted.by, pending)
        if said == self._said.get(mac, ResidenceSaid(mac, "", "", "")):
            return
        before = self._said.get(mac)
        if pending and (before is None or pending != before.pending):
            log.info("%s: it is to be in %s, and waits: %s", mac, wanted.to or "failoverd's own namespace", pending)
        self._said[mac] = said
        await self._tell(said)


def obstacle_of(pair: PairState) -> str:
    """Return why a move of a pair that is at home cannot begin, or ""."""
    if not pair.joined or pair.held:
        return f"it is not joined but {pair.state}"
    if why := pair.datapath.clone_obstacle():
        return why
    return "another change is under way" if pair.move.journal is not None or pair.orders.renames else ""
