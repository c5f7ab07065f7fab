"""Other programs' changes to slaves: an address, a default route, a slave set down or put into another master.

The guard keeps in mind what has changed, and core/slave_repairs.py undoes it. Marks for udev (core/udev_marks.py)
prevent such changes; the guard is for those that the marks did not prevent.

A slave needs no IP configuration; its master has it. Where another program takes a slave for the machine's NIC and runs
a DHCP client on it, answers leave by the wrong device, and a program that looks for "the" NIC's address finds two. The
kernel makes no configuration by itself on a slave (net/ipv6/addrconf.c, addrconf_notify, looks at IFF_SLAVE), so an
address on one is always another program's or a user's.

For HEARD seconds after an address came, frames on both slaves are accepted. The kernel waits for two ticks before its
first report (net/ipv6/mcast.c, mld_mod_work), so this is in time for that report, too.

A slave is not set up again, nor taken back from another master, before GRACE is over: a program that renames a NIC on a
kernel before 6.2 sets it down first, and sets it up itself.

No fight lasts for ever. A change that is repeated at once is undone twice more, each time later, and then left as it
is, with its reason in `explain`, until FORGIVEN seconds have passed: by then another cause is likely.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, Say
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Pair
from failoverd.model.requests import DropAddress, DropRoute, Request, SetMaster, SetUp

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

GRACE = 2.0
"""Seconds a slave may be down, or in another master."""
HEARD = 5.0
"""Seconds for which both slaves are heard: reports are repeated within a second, solicitations sent after up to one."""
FORGIVEN = 300.0
"""Seconds after which a fight with another program counts as over."""


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

    def lifted(self, ifindex: int) -> None:
        """A slave is set up again, or left down for good."""
        del self.lowered[ifindex]

    def cleaned(self, ifindex: int) -> None:
        """A slave has nothing of its own any more, or what is left on it."""
        self.strays.discard(ifindex)

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
        state.attention.concern(pair.work.owner)


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


def still_down(state: State, pair: PairState, found: Pair, now: float) -> list[int]:
    """Return the slaves that have been down for GRACE. One that is down without a message of it is so from now on."""
    guard, master = pair.guard, state.link(found.master)
    if master is None or pair.datapath.has_closed_slaves(master):
        # The kernel closes the slaves with their master, and opens them with it.
        guard.lowered.clear()
        return []
    guard.lowered = {i: since for i, since in guard.lowered.items() if _is_slave(state, found, i)}
    for ifindex in (found.nic, found.vf):
        # It was set down unseen, or the kernel has not brought it up when it was joined.
        is_down = _is_slave(state, found, ifindex) and not state.links[ifindex].up
        if is_down and not pair.work.is_hopeless(SetUp(ifindex, up=True)):
            guard.lowered.setdefault(ifindex, now)
    return [ifindex for ifindex, since in guard.lowered.items() if now >= since + GRACE]


def still_suspect(state: State, pair: PairState, found: Pair) -> set[int]:
    """Return the slaves that may have a configuration of their own; what is no slave any more is no suspect."""
    pair.guard.strays = {ifindex for ifindex in pair.guard.strays if _is_slave(state, found, ifindex)}
    return pair.guard.strays


def wakes_to_undo(pair: PairState, now: float) -> list[float]:
    """Return when a slave will have been down, or in another master, for long enough."""
    times = (*pair.guard.lowered.values(), *pair.guard.taken.values())
    return [since + GRACE for since in times if since + GRACE > now]


def _forgive(pair: PairState, now: float) -> None:
    for request, refusal in list(pair.work.refusals.items()):
        if is_undoing(request) and now >= refusal.until + FORGIVEN:
            pair.work.done(request)


def is_undoing(request: Request) -> bool:
    """Whether this request undoes another program's change to a slave, and so is no reason why a NIC does not carry."""
    is_freeing = isinstance(request, SetMaster) and not request.master
    return is_freeing or isinstance(request, DropAddress | DropRoute | SetUp)


def _is_slave(state: State, found: Pair, ifindex: int) -> bool:
    link, master = state.link(ifindex), state.link(found.master)
    if link is None or master is None or ifindex not in (found.nic, found.vf) or ifindex == found.master:
        return False
    return state.pairs[found.mac].datapath.holds(link, master)
