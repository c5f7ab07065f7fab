"""Undoing other programs' changes to slaves (core/slave_guard.py): each change is undone, and logged.

A slave's own address makes its device speak: duplicate address detection, reports of multicast groups when it comes
and when it goes, a DHCP client's requests. A switch learns from each frame where the MAC is, and sends the pair's
traffic to the slave that does not carry, until the one that carries sends something. So the guard has frames on both
slaves accepted meanwhile. The traffic does not notice the removal: it takes the master's addresses and routes.

The conversation reports a new address on any NIC. Everything else there is looked up, and looked at again after it was
dropped, as a network manager adds its routes after its addresses. Routes are not listened to: without an address they
are of no use.

A slave that is down is no way out for the traffic, and is set up again. A slave that gets another master is released
there, and joined as any NIC is; the other slave carries meanwhile. To keep the slave in its new master, another program
has to put it there three times, or the administrator uses `failoverctl release`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from failoverd.core.slave_guard import GRACE, still_down, still_suspect
from failoverd.model.actions import Action, FetchInet, Say
from failoverd.model.owners import Part
from failoverd.model.pairs import Inet, Pair
from failoverd.model.requests import DropAddress, DropRoute, Request, SetMaster, SetUp
from failoverd.plan import inet_sets, transfer

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

MANY = 32
"""Different addresses and routes that are removed from one slave before later ones are left on it."""


def undo(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Take the next step toward slaves that are as they should be. Nothing else is under way for the pair."""
    undone = lift(state, pair, found, now) or _take_back(state, pair, found, now) or _take_off(state, pair, found, now)
    return undone or _let_go(state, pair, found, now)


def lift(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Set a slave up again that has been down for long enough. Nothing else is under way for the pair."""
    for ifindex in still_down(state, pair, found, now):
        request, name = SetUp(ifindex, up=True), state.name(ifindex)
        if pair.work.is_blocked([request], now):
            continue
        pair.guard.lifted(ifindex)
        if not pair.work.is_hopeless(request):
            said = f"{name}: another program has set it down, a slave of {state.name(found.master)}; it is set up again"
            return [pair.work.send(Part.GUARD, [request], f"set {name} up again"), Say("warning", said)]
    return []


def _take_back(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    for ifindex, since in pair.guard.taken.items():
        link, request = state.links[ifindex], SetMaster(ifindex, 0)
        is_blocked = pair.work.is_hopeless(request) or pair.work.is_blocked([request], now)
        if not link.master or now < since + GRACE or is_blocked:
            continue
        above, master = state.name(link.master), state.name(found.master)
        said = (
            f"{link.name}: another program has put it into {above}, a slave of {master}; it is taken back. Look for "
            f"what manages {above}"
        )
        return [pair.work.send(Part.GUARD, [request], f"take {link.name} back"), Say("warning", said)]
    return []


def _take_off(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    waiting = {_ifindex(request) for request in pair.work.blocked(now)}
    suspects = sorted(still_suspect(state, pair, found) - waiting)
    if any(ifindex not in pair.move.inet for ifindex in suspects):
        pair.work.look()
        return [FetchInet(pair.work.owner, tuple(suspects))]
    todo: list[Request] = []
    for ifindex in suspects:
        tried = sum(_ifindex(request) == ifindex for request in pair.work.refusals)
        wanted = [request for request in _all_of(pair.move.inet[ifindex]) if not pair.work.is_hopeless(request)]
        wanted = [request for request in wanted if tried < MANY or request in pair.work.refusals]
        todo += wanted
        if not wanted:
            pair.guard.cleaned(ifindex)
    if not todo:
        return []
    names = ", ".join(state.name(ifindex) for ifindex in suspects if ifindex in pair.guard.strays)
    what = ", ".join(f"{request.address}" for request in todo if isinstance(request, DropAddress))
    warning = (
        f"{names}: another program has given it {what or 'routes'}, and a slave of {state.name(found.master)} has "
        f"nothing of its own; it is taken away. Look for a DHCP client or a network manager that has {names}"
    )
    why = f"take off {names} what another program has given it"
    return [pair.work.send(Part.GUARD, todo, why), Say("warning", warning)]


def _let_go(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Release a slave whose permanent MAC is another pair's by now (its host has changed it), for that pair to have.

    It does not carry any more.
    """
    master = state.link(found.master)
    if master is None or not pair.datapath.master_of_slaves(master.ifindex):
        return []
    for link in (state.links[ifindex] for ifindex in state.judgements.misplaced):
        request = SetMaster(link.ifindex, 0)
        is_free = link.master == master.ifindex and link.ifindex != state.active(found)
        if not is_free or pair.work.is_blocked([request], now):
            continue
        why = f"let go of {link.name}, whose permanent MAC is {link.perm_mac} now"
        return [pair.work.send(Part.MOVE, [request], why)]
    return []


def entering(state: State, pair: PairState, found: Pair, requests: Sequence[Request]) -> list[Action]:
    """Log the configuration that a NIC loses when it is enslaved by a master in use: no device has it afterwards."""
    slaves = [request.ifindex for request in requests if isinstance(request, SetMaster) and request.master]
    drops = [request.address for request in requests if isinstance(request, DropAddress)]
    had = ", ".join(f"{address}" for address in drops if address.ifindex in slaves)
    if pair.move.journal is not None or not had:
        return []
    names = ", ".join(map(state.name, slaves))
    master = state.name(found.master)
    return [Say("warning", f"{names}: it had {had}, and a slave of {master} has nothing of its own; it is taken away")]


def _all_of(inet: Inet) -> list[Request]:
    """IPv4 routes go with the last address; IPv6 ones stay, and some would be preferred to the master's."""
    routes: list[Request] = [DropRoute(route) for route in inet.routes if inet_sets.is_own_route6(route)]
    return [*routes, *transfer.drop_all(inet), *transfer.drop_links_local(inet)]


def _ifindex(request: Request) -> int:
    match request:
        case DropAddress(address):
            return address.ifindex
        case DropRoute(route):
            return route.ifindex
        case _:
            return 0
