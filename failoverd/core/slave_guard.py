"""Undoing other programs' changes to slaves: an address, a default route, a slave set down or put into another master.

Each is undone, and logged. Marks for udev (core/udev_marks.py) prevent such changes; the guard repairs those that the
marks did not prevent.

A slave needs no IP configuration; its master has it. Where another program takes a slave for the machine's NIC and runs
a DHCP client on it, answers leave by the wrong device, and a program that looks for "the" NIC's address finds two. The
kernel makes no configuration by itself on a slave (net/ipv6/addrconf.c, addrconf_notify, looks at IFF_SLAVE), so an
address on one is always another program's or a user's. The traffic does not notice its removal: it takes the master's
addresses and routes.

But an address makes its device speak: duplicate address detection, reports of multicast groups when it comes and when
it goes, a DHCP client's requests. A switch learns from each frame where the MAC is, and sends the pair's traffic to the
slave that does not carry, until the one that carries sends something. So for HEARD seconds frames on both slaves are
accepted. The kernel waits for two ticks before its first report (net/ipv6/mcast.c, mld_mod_work), so this is in time
for that report, too.

A slave that is down is no way out for the traffic. It is set up again, but not before GRACE is over: a program that
renames a NIC on a kernel before 6.2 sets it down first, and sets it up itself.

No fight lasts for ever. A change that is repeated at once is undone twice more, each time later, and then left as it
is, with its reason in `explain`, until FORGIVEN seconds have passed: by then another cause is likely.

The conversation reports a new address on any NIC. Everything else there is looked up, and looked at again after it was
dropped, as a network manager adds its routes after its addresses. Routes are not listened to: without an address they
are of no use. A slave that gets another master is released there after GRACE, and joined as any NIC is; the other slave
carries meanwhile. To keep the slave in its new master, another program has to put it there three times, or the
administrator uses `failoverctl release`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, FetchInet, Say
from failoverd.model.links import Link
from failoverd.model.owners import Part
from failoverd.model.pairs import Goal, Inet, Pair
from failoverd.model.requests import DropAddress, DropRoute, Request, SetMaster, SetUp
from failoverd.plan import inet_sets, transfer

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

GRACE = 2.0
"""Seconds a slave may be down, or in another master."""
HEARD = 5.0
"""Seconds for which both slaves are heard: reports are repeated within a second, solicitations sent after up to one."""
FORGIVEN = 300.0
"""Seconds after which a fight with another program counts as over."""
MANY = 32
"""Different addresses and routes that are removed from one slave before later ones are left on it."""


@dataclass(slots=True)
class Guard:
    """Other programs' changes to the slaves of a pair."""

    strays: set[int] = field(default_factory=set)
    """Slaves that may have got a configuration of their own."""
    lowered: dict[int, float] = field(default_factory=dict)
    """Slaves that are down, and since when."""
    slaves: set[int] = field(default_factory=set)
    """The pair's slaves when it last rested."""
    taken: dict[int, float] = field(default_factory=dict)
    """Slaves that have another master, and since when."""

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone."""
        self.slaves.discard(ifindex)
        self.taken.pop(ifindex, None)

    def released(self) -> None:
        """The pair is taken apart."""
        self.slaves.clear()
        self.taken.clear()

    def rests(self, held: set[int]) -> None:
        """The pair rests with these slaves."""
        self.slaves = held | self.taken.keys()


def given(state: State, ifindex: int, now: float) -> None:
    """A NIC has got an address. If it is a slave, have it looked at."""
    found = state.pair_with(ifindex)
    if found is not None and _is_slave(state, found, ifindex):
        pair = state.pairs[found.mac]
        pair.guard.strays.add(ifindex)
        pair.heard.hear_until(now + HEARD)
        _forgive(pair, now)
        state.concerned.add(pair.work.owner)


def set_up_or_down(state: State, link: Link, now: float) -> None:
    """A device has been set up or down. If it is a slave, it must not stay down."""
    found = state.pair_with(link.ifindex)
    if found is None:
        return
    pair = state.pairs[found.mac]
    if link.up:
        pair.guard.lowered.pop(link.ifindex, None)
    elif _is_slave(state, found, link.ifindex):
        pair.guard.lowered[link.ifindex] = now
        _forgive(pair, now)


def moved(state: State, link: Link, now: float) -> list[Action]:
    """A device has another master than before, or none. A pair's slave must not stay in another master.

    The plan enslaves a released slave at once. Its removal is only confirmed when it is in again: the kernel also
    releases a slave that is being unplugged.
    """
    for mac, pair in state.pairs_about(link.ifindex):
        if link.ifindex not in pair.guard.slaves or pair.goal(now) is Goal.RELEASED:
            continue
        master = state.judgements.pair(mac).master
        if link.master != pair.datapath.master_of_slaves(master):
            pair.guard.taken.setdefault(link.ifindex, now)
            _forgive(pair, now)
        elif pair.guard.taken.pop(link.ifindex, None) is not None:
            said = f"{link.name}: it is a slave of {state.name(master)} again; another program had taken it out"
            return [Say("warning", said)]
    return []


def suspect(state: State) -> None:
    """Suspect every slave of a stray configuration: events were lost, or are from before failoverd's start."""
    for found in state.judgements.pairs.values():
        slaves = [ifindex for ifindex in (found.nic, found.vf) if _is_slave(state, found, ifindex)]
        state.pairs[found.mac].guard.strays.update(slaves)


def undo(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Take the next step toward slaves that are as they should be. Nothing else is under way for the pair."""
    undone = lift(state, pair, found, now) or _take_back(state, pair, found, now) or _take_off(state, pair, found, now)
    return undone or _let_go(state, pair, found, now)


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


def wakes_to_undo(pair: PairState, now: float) -> list[float]:
    """Return when a slave will have been down, or in another master, for long enough."""
    times = (*pair.guard.lowered.values(), *pair.guard.taken.values())
    return [since + GRACE for since in times if since + GRACE > now]


def _forgive(pair: PairState, now: float) -> None:
    for request, refusal in list(pair.work.refusals.items()):
        if is_undoing(request) and now >= refusal.until + FORGIVEN:
            del pair.work.refusals[request]


def is_undoing(request: Request) -> bool:
    """Whether this request undoes another program's change to a slave, and so is no reason why a NIC does not carry."""
    is_freeing = isinstance(request, SetMaster) and not request.master
    return is_freeing or isinstance(request, DropAddress | DropRoute | SetUp)


def lift(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """Set a slave up again that has been down for long enough. Nothing else is under way for the pair."""
    if pair.datapath.closes_slaves() and not state.links[found.master].up:
        # The kernel closes the slaves with their master, and opens them with it.
        pair.guard.lowered.clear()
        return []
    pair.guard.lowered = {i: since for i, since in pair.guard.lowered.items() if _is_slave(state, found, i)}
    for ifindex in (found.nic, found.vf):
        # It was set down unseen, or the kernel has not brought it up when it was joined.
        is_down = _is_slave(state, found, ifindex) and not state.links[ifindex].up
        if is_down and not pair.work.is_hopeless(SetUp(ifindex, up=True)):
            pair.guard.lowered.setdefault(ifindex, now)
    for ifindex, since in list(pair.guard.lowered.items()):
        request, name = SetUp(ifindex, up=True), state.name(ifindex)
        if now < since + GRACE or pair.work.is_blocked([request], now):
            continue
        del pair.guard.lowered[ifindex]
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


def _take_off(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    pair.guard.strays = {ifindex for ifindex in pair.guard.strays if _is_slave(state, found, ifindex)}
    waiting = {_ifindex(request) for request in pair.work.blocked(now)}
    suspects = sorted(pair.guard.strays - waiting)
    if any(ifindex not in pair.move.inet for ifindex in suspects):
        pair.work.looking = True
        return [FetchInet(pair.work.owner, tuple(suspects))]
    todo: list[Request] = []
    for ifindex in suspects:
        tried = sum(_ifindex(request) == ifindex for request in pair.work.refusals)
        wanted = [request for request in _all_of(pair.move.inet[ifindex]) if not pair.work.is_hopeless(request)]
        wanted = [request for request in wanted if tried < MANY or request in pair.work.refusals]
        todo += wanted
        if not wanted:
            pair.guard.strays.discard(ifindex)
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


def _all_of(inet: Inet) -> list[Request]:
    """IPv4 routes go with the last address; IPv6 ones stay, and some would be preferred to the master's."""
    routes: list[Request] = [DropRoute(route) for route in inet.routes if inet_sets.is_own_route6(route)]
    return [*routes, *transfer.drop_all(inet), *transfer.drop_links_local(inet)]


def _is_slave(state: State, found: Pair, ifindex: int) -> bool:
    link, master = state.link(ifindex), state.link(found.master)
    if link is None or master is None or ifindex not in (found.nic, found.vf) or ifindex == found.master:
        return False
    return state.pairs[found.mac].datapath.holds(link, master)


def _ifindex(request: Request) -> int:
    match request:
        case DropAddress(address):
            return address.ifindex
        case DropRoute(route):
            return route.ifindex
        case _:
            return 0
