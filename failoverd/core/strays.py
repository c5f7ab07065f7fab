"""What somebody else does to a slave: gives it an address or a default route, sets it down, puts it into another
master. It is undone, and said.

A slave needs no IP configuration; its master has it. Where another program takes a slave for the machine's NIC and runs
a DHCP client on it, answers leave by the wrong device, and whatever looks for "the" NIC's address finds two. What the
kernel makes by itself it makes on no slave (net/ipv6/addrconf.c, addrconf_notify, looks at IFF_SLAVE), so an address on
one is always somebody's doing. The traffic does not notice when it goes: it takes the master's addresses and routes.

But an address makes its device speak: duplicate address detection, reports of multicast groups when it comes and when
it goes, a DHCP client's questions. A switch learns from each frame where the MAC is, and sends the pair's traffic to
the slave that does not carry, until the one that does says something. So for HEARD seconds what comes there is taken
in. The kernel waits for two ticks before its first report (net/ipv6/mcast.c, mld_mod_work), so that one is met, too.

A slave that is down is no way out for the traffic. It is set up again, but not before GRACE is over: who renames a
NIC on a kernel before 6.2 sets it down first, and wants to do the rest himself.

Nobody is fought for ever. What is done again at once is undone twice more, each time later, and then left as it is,
with its reason in `explain`, until FORGIVEN seconds have passed: then there may have been another cause.

The conversation tells of a new address on any NIC; what else is there is looked up, and looked at again after it was
dropped, as a network manager adds its routes behind its addresses. Not listened to are routes: without an address they
are of no use to anybody. A slave that gets another master is let go there after GRACE, and joined as any NIC is; the
other slave carries meanwhile. Who wants to have it for good has three tries to say so, or `failoverctl release`.
"""

from __future__ import annotations

from failoverd.core.state import HOPELESS, PairState, State
from failoverd.core.words import address_text
from failoverd.model.actions import Action, FetchInet, Say, Send
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Pair
from failoverd.model.requests import DropAddress, DropRoute, Request, SetMaster, SetUp
from failoverd.plan import moving

GRACE = 2.0
"""Seconds a slave may be down, or somebody else's."""
HEARD = 5.0
"""Seconds for which both slaves are heard: reports are repeated within a second, solicitations sent after up to one."""
FORGIVEN = 300.0
"""Seconds after which a fight counts as over."""
MANY = 32
"""Different addresses and routes that are taken off one slave before it is left with what comes next."""


def given(state: State, ifindex: int, now: float) -> None:
    """A NIC has got an address. If it is a slave, it is to be looked at."""
    for found in state.judgements.pairs.values():
        if _is_slave(state, found, ifindex):
            pair = state.pairs[found.mac]
            pair.strays.add(ifindex)
            pair.heard_until = max(pair.heard_until or 0.0, now + HEARD)
            _forgive(pair, now)


def set_up_or_down(state: State, link: Link, now: float) -> None:
    """A device has been set up or down. If it is a slave, it is not to stay down."""
    for found in state.judgements.pairs.values():
        pair = state.pairs[found.mac]
        if link.up:
            pair.lowered.pop(link.ifindex, None)
        elif _is_slave(state, found, link.ifindex):
            pair.lowered[link.ifindex] = now
            _forgive(pair, now)


def moved(state: State, link: Link, now: float) -> list[Action]:
    """A device has another master than before, or none. A slave of ours is not to stay somebody else's.

    One that has none is taken in by the plan at once. That it was taken out is only known when it is in again: the
    kernel takes a slave out as well that is being unplugged.
    """
    for mac, pair in state.pairs.items():
        if link.ifindex not in pair.slaves or pair.goal(now) is Goal.RELEASED:
            continue
        master = state.judgements.pairs.get(mac, Pair(mac)).master
        if link.master != (0 if pair.datapath.in_place else master):
            pair.taken.setdefault(link.ifindex, now)
            _forgive(pair, now)
        elif pair.taken.pop(link.ifindex, None) is not None:
            said = f"{link.name}: it is a slave of {state.name(master)} again; somebody had taken it out"
            return [Say("warning", said)]
    return []


def suspect(state: State) -> None:
    """Events were lost, or are from before our time: any slave may have got something."""
    for found in state.judgements.pairs.values():
        slaves = [ifindex for ifindex in (found.nic, found.vf) if _is_slave(state, found, ifindex)]
        state.pairs[found.mac].strays.update(slaves)


def undo(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    """The next step toward slaves that are as they should be. Nothing else is under way for the pair."""
    return _lift(state, pair, found, now) or _take_back(state, pair, found, now) or _take_off(state, pair, found, now)


def wakes_to_undo(pair: PairState, now: float) -> list[float]:
    """When a slave will have been down, or somebody else's, for long enough."""
    times = (*pair.lowered.values(), *pair.taken.values())
    return [since + GRACE for since in times if since + GRACE > now]


def _forgive(pair: PairState, now: float) -> None:
    for request, refusal in list(pair.refusals.items()):
        if is_undoing(request) and now >= refusal.until + FORGIVEN:
            del pair.refusals[request]


def is_undoing(request: Request) -> bool:
    """Whether this is what undoes somebody's doings on a slave: not why a NIC does not carry."""
    is_freeing = isinstance(request, SetMaster) and not request.master
    return is_freeing or isinstance(request, DropAddress | DropRoute | SetUp)


def _lift(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    pair.lowered = {i: since for i, since in pair.lowered.items() if _is_slave(state, found, i)}
    for ifindex in (found.nic, found.vf):
        # It was set down unseen, or the kernel has not brought it up as it was joined.
        is_down = _is_slave(state, found, ifindex) and not state.links[ifindex].up
        if is_down and not _is_hopeless(pair, SetUp(ifindex, up=True)):
            pair.lowered.setdefault(ifindex, now)
    for ifindex, since in list(pair.lowered.items()):
        request, name = SetUp(ifindex, up=True), state.name(ifindex)
        refusal = pair.refusals.get(request)
        if now < since + GRACE or (refusal is not None and now < refusal.until):
            continue
        del pair.lowered[ifindex]
        if not _is_hopeless(pair, request):
            pair.sent = pair.undoing = (request,)
            said = f"{name}: somebody has set it down, a slave of {state.name(found.master)}; it is set up again"
            return [Send(pair.mac, pair.sent, f"set {name} up again"), Say("warning", said)]
    return []


def _take_back(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    for ifindex, since in pair.taken.items():
        link, request = state.links[ifindex], SetMaster(ifindex, 0)
        refusal = pair.refusals.get(request)
        is_blocked = _is_hopeless(pair, request) or (refusal is not None and now < refusal.until)
        if not link.master or now < since + GRACE or is_blocked:
            continue
        pair.sent = pair.undoing = (request,)
        said = (
            f"{link.name}: somebody has put it into {state.name(link.master)}, a slave of {state.name(found.master)}; "
            f"it is taken back. Look for what manages {state.name(link.master)}"
        )
        return [Send(pair.mac, pair.sent, f"take {link.name} back"), Say("warning", said)]
    return []


def _take_off(state: State, pair: PairState, found: Pair, now: float) -> list[Action]:
    pair.strays = {ifindex for ifindex in pair.strays if _is_slave(state, found, ifindex)}
    waiting = {_ifindex(request) for request, refusal in pair.refusals.items() if now < refusal.until}
    suspects = sorted(pair.strays - waiting)
    if any(ifindex not in pair.inet for ifindex in suspects):
        pair.looking = True
        return [FetchInet(pair.mac, tuple(suspects))]
    todo: list[Request] = []
    for ifindex in suspects:
        tried = sum(_ifindex(request) == ifindex for request in pair.refusals)
        wanted = [request for request in _all_of(pair.inet[ifindex]) if not _is_hopeless(pair, request)]
        wanted = [request for request in wanted if tried < MANY or request in pair.refusals]
        todo += wanted
        if not wanted:
            pair.strays.discard(ifindex)
    if not todo:
        return []
    pair.sent = pair.undoing = tuple(todo)
    names = ", ".join(state.name(ifindex) for ifindex in suspects if ifindex in pair.strays)
    what = ", ".join(address_text(request.address) for request in todo if isinstance(request, DropAddress))
    warning = (
        f"{names}: somebody has given it {what or 'routes'}, and a slave of {state.name(found.master)} has nothing of "
        f"its own; it is taken away. Look for a DHCP client or a network manager that has {names}"
    )
    return [Send(pair.mac, pair.sent, f"take off {names} what somebody has given it"), Say("warning", warning)]


def _all_of(inet: Inet) -> list[Request]:
    """IPv4 routes go with the last address; IPv6 ones stay, and some would be preferred to the master's."""
    routes: list[Request] = [DropRoute(route) for route in inet.routes if moving.is_own_route6(route)]
    return [*routes, *moving.drop_all(inet), *moving.drop_links_local(inet)]


def _is_slave(state: State, found: Pair, ifindex: int) -> bool:
    link, master = state.link(ifindex), state.link(found.master)
    if link is None or master is None or ifindex not in (found.nic, found.vf) or ifindex == found.master:
        return False
    return state.pairs[found.mac].datapath.holds(link, master)


def _is_hopeless(pair: PairState, request: Request) -> bool:
    return request in pair.refusals and pair.refusals[request].times >= HOPELESS


def _ifindex(request: Request) -> int:
    match request:
        case DropAddress(address):
            return address.ifindex
        case DropRoute(route):
            return route.ifindex
        case _:
            return 0
