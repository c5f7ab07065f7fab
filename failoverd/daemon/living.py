"""Who carries while a pair is elsewhere: between the loop of its move, and the failover engine that has its orders."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from failoverd.core.health import suppression
from failoverd.core.state import State
from failoverd.model.events import ThereSeen, UndrainAsked, VfAsked
from failoverd.model.links import Link
from failoverd.model.pairs import There
from failoverd.model.requests import Request
from failoverd.moves.items import Seen
from failoverd.moves.living import Living, Orders

Told = ThereSeen | UndrainAsked | VfAsked


class LivingThere:
    """See Lives in moving.py. The engine owns the orders, and is told what was seen."""

    def __init__(self, state: Callable[[], State], tell: Callable[[Told], Awaitable[None]]) -> None:
        self._state, self._tell = state, tell
        self._living = Living(self._is_vf, lambda: state().config.failback)
        self._said: There | None = None

    async def look(self, mac: str, master: Link, seen: Seen) -> tuple[int, tuple[Request, ...], float]:
        """See Lives."""
        chosen = self._living.look(mac, master, seen, self._orders(mac), trio.current_time())
        if chosen.there != self._said:
            self._said = chosen.there
            await self._tell(ThereSeen(mac, chosen.there))
        if chosen.over:
            await self._tell(UndrainAsked(mac))
        vf, wanted = chosen.there.vf, self._orders(mac).wanted
        if wanted and (vf is None or vf.ifindex != wanted or chosen.there.active == wanted or chosen.there.unfit):
            await self._tell(VfAsked(mac, 0))
        return chosen.slave, chosen.hear, math.inf if chosen.at is None else chosen.at

    def _is_vf(self, link: Link) -> bool:
        return link.bus not in self._state().config.pairing.paravirtual_buses

    def _orders(self, mac: str) -> Orders:
        pair = self._state().pairs.get(mac)
        if pair is None:
            return Orders()
        return Orders(pair.orders.drain, pair.carry.vf_wanted, *suppression(self._state(), pair))
