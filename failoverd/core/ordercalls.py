"""The calls that order something of a joined pair, and answer when it is done: drain, undrain, switch, rename.

An order is answered when it is done, not when it is accepted: after a drain, the caller pulls the VF. The answer is
made before anything is done. `done` is asked after each step, and sees the state as the kernel made it. Nothing polls.
"""

from __future__ import annotations

from collections.abc import Sequence

from failoverd.config.patterns import is_kept
from failoverd.core import livingcalls
from failoverd.core.call_answers import Answer, CallError, Joined, joined, words_for
from failoverd.core.document import Document
from failoverd.core.paths import stand
from failoverd.core.state import PairState, State
from failoverd.model.events import DampingResetAsked, DrainAsked, RenameAsked, UndrainAsked, VfAsked
from failoverd.model.orders import Drain, Renaming
from failoverd.model.owners import Part
from failoverd.policy.naming import invalid_name_reason
from failoverd.policy.wanted import holder

DRAIN = 600.0
"""Seconds after which a drain ends by itself, unless ordered otherwise: a migration may never come."""
LONGEST_DRAIN = 1e6
PATIENCE = 8.0
"""Seconds within which a call that waits has to complete."""


def drain(state: State, arguments: Sequence[str], now: float) -> Answer:
    """Move the traffic to the standby, ready for the VF to be unplugged."""
    seconds = _seconds(arguments[1]) if len(arguments) > 1 and arguments[1] else DRAIN
    if (there := livingcalls.living(state, arguments[0])) is not None:
        return livingcalls.leave_vf(there, now + seconds if seconds else None)
    return _leave_vf(state, joined(state, arguments[0]), now + seconds if seconds else None)


def undrain(state: State, arguments: Sequence[str], _now: float) -> Answer:
    """End a drain. The VF carries again by the usual rules."""
    if (there := livingcalls.living(state, arguments[0])) is not None:
        pair, name = there.pair, there.there.master.name
        if pair.orders.drain is None:
            raise CallError(f"{name} is not drained", "NotDrained")
        return Answer({"mac": pair.mac, "master": name}, (UndrainAsked(pair.mac),))
    one = joined(state, arguments[0])
    if one.pair.orders.drain is None:
        raise CallError(f"{one.master.name} is not drained", "NotDrained")
    return Answer({"mac": one.pair.mac, "master": one.master.name}, (UndrainAsked(one.pair.mac),))


def reset_damping(state: State, arguments: Sequence[str], _now: float) -> Answer:
    """Clear the VF's flap penalty, so that it carries again by the usual rules."""
    if (there := livingcalls.living(state, arguments[0])) is not None:
        return _anew(there.pair, there.there.master.name)
    one = joined(state, arguments[0])
    return _anew(one.pair, one.master.name)


def _anew(pair: PairState, name: str) -> Answer:
    document = {"mac": pair.mac, "master": name, "was_suppressed": pair.health.damping.suppressed}
    return Answer(document, (DampingResetAsked(pair.mac),))


def switch(state: State, arguments: Sequence[str], _now: float) -> Answer:
    """Move the traffic to this slave. For the standby that is a drain without an end of its own."""
    if (there := livingcalls.living(state, arguments[0])) is not None:
        return livingcalls.switch_to(there, arguments[1])
    one = joined(state, arguments[0])
    found, mac = one.found, one.pair.mac
    slaves = [i for i in (found.vf, found.nic) if i and arguments[1] in words_for(state, i)]
    if len(slaves) != 1:
        names = " and ".join(state.name(i) for i in (found.vf, found.nic) if i)
        text = f"{arguments[1]!r} is not one slave of {one.master.name}; it has {names}"
        raise CallError(text, "NoSuchSlave")
    if slaves == [found.nic]:
        return _leave_vf(state, one, None)
    stands = one.stands
    if bad := stands.bad_primary or stands.mtu_mismatch:
        raise CallError(f"{state.name(found.vf)} cannot carry: {bad}", "Unfit")

    def is_done(state: State) -> bool:
        if one.pair.work.unsure:
            return False
        if state.active(found) == found.vf and not one.pair.work.has(Part.CARRY):
            return True
        if one.pair.carry.vf_wanted != found.vf:
            raise CallError("the VF cannot carry any more; failoverctl status tells why", "Unfit")
        return False

    document = {"mac": mac, "master": one.master.name, "active": state.name(found.vf)}
    return Answer(document, (VfAsked(mac, found.vf),), is_done)


def rename(state: State, arguments: Sequence[str], now: float) -> Answer:
    """Give a device of the pair another name, up or not."""
    one = joined(state, arguments[0], adopted=True)
    found, new = one.found, arguments[1]
    members = [i for i in (found.master, found.vf, found.nic) if i and arguments[0] in words_for(state, i)]
    named = [i for i in members if arguments[0] == state.name(i)] or members
    if len(set(named)) != 1:
        raise CallError(f"{arguments[0]!r} is more than one device; name one of them", "NoSuchDevice")
    link = state.links[named[0]]
    if why := invalid_name_reason(new) or ("failoverd keeps such names for itself" if is_kept(new) else ""):
        raise CallError(f"{link.name} cannot be called {new!r}: {why}", "InvalidName")
    other = holder(new, state.links)
    if other is not None and other is not link:
        raise CallError(f"{link.name} cannot be called {new!r}: it is a name of {other.name} already", "NameTaken")
    order = Renaming(link.ifindex, new, now + PATIENCE)

    def is_done(_state: State) -> bool:
        if order.refusal:
            raise CallError(order.refusal[1], order.refusal[0])
        return order.over

    document = {"ifindex": link.ifindex, "old_name": link.name, "new_name": new}
    return Answer(document, (RenameAsked(one.pair.mac, order),), is_done)


def _leave_vf(state: State, one: Joined, until: float | None) -> Answer:
    """Move the traffic to the standby, and wait until it carries and the neighbours know.

    Without a VF there is nothing to order, but a loss may have just happened, so the call waits all the same. A drain
    whose VF is gone stays, with its end.
    """
    pair, found = one.pair, one.found
    if one.stands.bad_standby:
        raise CallError(f"the standby of {one.master.name} cannot carry: {one.stands.bad_standby}", "NoStandby")
    document: Document = {"mac": pair.mac, "master": one.master.name, "active": state.name(found.nic)}

    def is_done(state: State) -> bool:
        stands = stand(state, pair, found)
        if found.vf and pair.orders.drain is None:
            raise CallError("the drain was ended before the traffic was moved; see the log", "NotDrained")
        if stands is None or stands.bad_standby:
            raise CallError("the standby cannot carry any more; failoverctl status tells why", "NoStandby")
        if stands.active != found.nic or pair.heard.announcing or pair.work.has(Part.CARRY) or pair.work.unsure:
            # A switch that was asked for before the order may still be on its way, or events about it were lost.
            return False
        if pair.heard.unheard:
            text = f"{state.name(found.nic)} carries, but the neighbours could not be told, see the log; keep the VF"
            raise CallError(f"{text}, and try undrain and drain again", "Failed")
        return True

    order = Drain(found.vf, until) if found.vf else pair.orders.drain
    document |= {"drained": order is not None, "drain_ends": order.until if order else None}
    events = (DrainAsked(pair.mac, order),) if order and found.vf else ()
    return Answer(document, events, is_done)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_DRAIN:
        raise CallError(f"{text!r} is no number of seconds from 0 to {LONGEST_DRAIN:g}", "BadArgument")
    return seconds
