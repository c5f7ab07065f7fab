"""The same orders for a pair that lives in another network namespace: drain, undrain, switch (daemon/living.py has them
carried out there). They are answered when it is so, as at home; the bond itself tells the neighbours.
"""

from __future__ import annotations

from failoverd.core.call_answers import Answer, CallError, elsewhere
from failoverd.core.document import Document
from failoverd.core.state import PairState, State
from failoverd.dataclass import dataclass
from failoverd.model.events import DrainAsked, VfAsked
from failoverd.model.orders import Drain
from failoverd.model.pairs import There


@dataclass(frozen=True, slots=True)
class LivingPair:
    """A pair that lives in another network namespace."""

    pair: PairState
    there: There


def living(state: State, argument: str) -> LivingPair | None:
    """Return the pair that the argument names, if that lives in another network namespace now."""
    pair = elsewhere(state, argument)
    return LivingPair(pair, pair.residing.there) if pair is not None and pair.residing.there is not None else None


def leave_vf(one: LivingPair, until: float | None) -> Answer:
    """Move the traffic to the standby in another network namespace. The bond announces the new way by itself."""
    pair, there = one.pair, one.there
    if there.nic is None or there.bad_standby:
        raise CallError(f"the standby of {there.master.name} cannot carry: {there.bad_standby}", "NoStandby")
    order = Drain(there.vf.ifindex, until) if there.vf is not None else pair.orders.drain

    def is_done(_state: State) -> bool:
        now = _still_there(pair)
        if now.vf is not None and pair.orders.drain is None:
            raise CallError("the drain was ended before the traffic was moved; see the log", "NotDrained")
        if now.nic is None or now.bad_standby:
            raise CallError("the standby cannot carry any more; failoverctl status tells why", "NoStandby")
        return now.active == now.nic.ifindex and now.is_told

    document: Document = {"mac": pair.mac, "master": there.master.name, "active": there.nic.name}
    document |= {"drained": order is not None, "drain_ends": order.until if order else None}
    events = (DrainAsked(pair.mac, order),) if order and there.vf is not None else ()
    return Answer(document, events, is_done)


def switch_to(one: LivingPair, word: str) -> Answer:
    pair, there = one.pair, one.there
    slaves = [link for link in (there.vf, there.nic) if link is not None]
    named = [link for link in slaves if word in (link.name, str(link.ifindex), *link.altnames)]
    if len(named) != 1:
        names = " and ".join(link.name for link in slaves)
        raise CallError(f"{word!r} is not one slave of {there.master.name}; it has {names}", "NoSuchSlave")
    (slave,) = named
    if slave is there.nic:
        return leave_vf(one, None)
    if there.unfit:
        raise CallError(f"{slave.name} cannot carry: {there.unfit}", "Unfit")

    def is_done(_state: State) -> bool:
        now = _still_there(pair)
        if now.active == slave.ifindex:
            return True
        if pair.carry.vf_wanted != slave.ifindex:
            raise CallError("the VF cannot carry any more; failoverctl status tells why", "Unfit")
        return False

    document: Document = {"mac": pair.mac, "master": there.master.name, "active": slave.name}
    return Answer(document, (VfAsked(pair.mac, slave.ifindex),), is_done)


def _still_there(pair: PairState) -> There:
    if (there := pair.residing.there) is None:
        raise CallError(f"the pair has moved meanwhile; it is {pair.state}", "NotJoined")
    return there
