"""What administrators order of a joined pair: that its VF does not carry, that it does, and other names.

    drain   the standby carries, as long as it can -> replug, undrain or its time ends it
    rename  the kernel is asked; where it refuses because the device is up (before 6.2), the other slave carries
            meanwhile, and one datagram takes the device down, renames it and brings it up

An order never leaves a pair worse than it was: where the other slave cannot carry, the order is refused, or, for a
drain, rests until it can. Renames of a pair are done one after the other, and only while the plan rests.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from failoverd.core.state import PairState, State
from failoverd.core.words import refusal_text
from failoverd.model.actions import Action, KeepDrain, Say, Send
from failoverd.model.events import Answered, DrainAsked, Order, RenameAsked, VfAsked
from failoverd.model.links import Link
from failoverd.model.orders import Renaming
from failoverd.model.pairs import Pair
from failoverd.model.requests import AddAltname, Rename, Request, SetUp
from failoverd.plan import names
from failoverd.policy.election import Standing
from failoverd.policy.holding import bridge_of

AWAY = 5.0
"""Seconds, beside the hold-down, for which both slaves are heard where the VF goes down for its name."""

DRAINED = "it is drained, until undrain or the next VF"


def take_order(state: State, pair: PairState, event: Order) -> list[Action]:
    """An administrator has ordered something."""
    match event:
        case DrainAsked(mac, drain):
            pair.drain, pair.vf_wanted = drain, 0
            text = f"{mac}: drained; {state.name(drain.vf)} is not to carry"
            return [KeepDrain(mac, drain), Say("info", text)]
        case RenameAsked(_, order):
            pair.renames.append(order)
            return []
        case VfAsked(_, vf):
            pair.vf_wanted = vf
            return end_drain(pair, "the VF was told to carry")
        case _:
            return end_drain(pair, "an administrator ended it")


def end_drain(pair: PairState, why: str) -> list[Action]:
    """Whoever is elected may carry again."""
    if pair.drain is None:
        return []
    pair.drain = None
    return [KeepDrain(pair.mac, None), Say("info", f"{pair.mac}: no longer drained: {why}")]


def hear(state: State, pair: PairState, now: float) -> list[Action]:
    """While the VF is left on purpose, what is still on its way to it, or to the standby when it comes back, is to be
    taken in: until the neighbours know another way. So is what somebody's doings on a slave draw there (`strays`). What
    a former daemon has left so ends, too."""
    if pair.heard_until is not None and now >= pair.heard_until:
        pair.heard_until = None
    master = state.link(state.judgements.pairs.get(pair.mac, Pair(pair.mac)).master)
    if master is None or master.bond is None:
        pair.hearing = None
        return []
    both = pair.drain is not None or pair.heard_until is not None
    # What a bridge has sent comes back by the other slave, and it would learn its own machines on the wrong side.
    both = both and not bridge_of(master, state.links)
    is_so = master.bond.hears_both if pair.hearing is None else pair.hearing
    requests = tuple(pair.datapath.hear(master, both)) if both != is_so else ()
    if any(request in pair.refusals and now < pair.refusals[request].until for request in requests):
        return []
    pair.hearing = both
    why = "take in what comes to either slave" if both else "take in only what comes to the slave that carries"
    return [Send(pair.mac, requests, why)] if requests else []


def due(state: State, pair: PairState, now: float) -> list[Action]:
    """End what is over: a drain whose VF was replugged, orders that had no turn in their time."""
    vf = state.judgements.pairs.get(pair.mac, Pair(pair.mac)).vf
    if pair.vf_wanted != vf:
        pair.vf_wanted = 0
    if pair.vf_back != vf:
        pair.vf_back = 0
    if pair.renames and pair.renames[0].over:
        pair.renames.pop(0)
    for order in [order for order in pair.renames if now >= order.until and not pair.renaming]:
        pair.renames.remove(order)
        order.refuse("TimedOut", f"{state.name(order.ifindex)} could not be renamed in time; the pair is {pair.state}")
    if pair.drain is not None and vf not in (0, pair.drain.vf):
        return end_drain(pair, "another VF was plugged in")
    if pair.drain is not None and pair.drain.until is not None and now >= pair.drain.until:
        return end_drain(pair, "its time is over")
    return []


def wakes(pair: PairState) -> list[float]:
    """When `due` has to be asked again."""
    times = [order.until for order in pair.renames if not order.wish]
    times += [pair.heard_until] if pair.heard_until is not None else []
    return [*times, pair.drain.until] if pair.drain is not None and pair.drain.until is not None else times


def why_not_vf(pair: PairState, found: Pair, stands: Standing) -> str:
    """Why the VF shall not carry although it can, or "". Never where the standby cannot either."""
    if stands.bad_standby:
        return ""
    if pair.renames and pair.renames[0].down and pair.renames[0].ifindex == found.vf:
        return "it is being renamed"
    return DRAINED if pair.drain is not None else ""


def rename(state: State, pair: PairState, found: Pair) -> list[Action]:
    """The next step of the first rename there is; the plan rests."""
    while pair.renames:
        order = pair.renames[0]
        link = state.link(order.ifindex)
        if link is None:
            order.refuse("NoSuchDevice", "it was unplugged before it could be renamed")
        elif link.name == order.name:
            order.over = True
        elif not (requests := _requests(state, pair, found, link, order)):
            return []
        elif not order.over:
            pair.sent = pair.renaming = tuple(requests)
            return [Send(pair.mac, pair.sent, f"rename {link.name} to {order.name}")]
        pair.renames.pop(0)
        if order.wish and order.refusal:
            return [Say("warning", f"{order.refusal[1]}; it is to be called {order.name}")]
    return []


def _requests(state: State, pair: PairState, found: Pair, link: Link, order: Renaming) -> Sequence[Request]:
    """What to ask of the kernel now. Nothing: another slave has to carry first, and the neighbours to know."""
    change = names.rename(link, order.name)
    if not order.down or not link.up:
        return change
    requests: list[Request] = [SetUp(link.ifindex, up=False), *change, SetUp(link.ifindex, up=True)]
    if link.ifindex == found.master:
        order.refuse("Busy", f"{link.name} is up, and this kernel (before 6.2) renames no master that is")
    elif state.active(found) == link.ifindex and _is_about_to_carry(state, pair, found):
        return []
    elif state.active(found) == link.ifindex and not can_other(state, found, link.ifindex):
        order.refuse("Busy", f"{link.name} carries the traffic, and the other slave cannot: it would be cut off")
    elif state.active(found) == link.ifindex or pair.announcing:
        return []
    return requests


def _is_about_to_carry(state: State, pair: PairState, found: Pair) -> bool:
    """Whether the standby carries only until the VF's hold-down is over."""
    is_going_back = state.config.failback.automatic or pair.vf_back == found.vf
    is_fit = bool(found.vf) and pair.fit_since is not None and is_going_back
    return is_fit and pair.drain is None and state.active(found) == found.nic


def can_other(state: State, found: Pair, slave: int) -> bool:
    """Whether the other slave is about to carry: the VF is left at once; the other way has its hold-down."""
    standby = state.link(found.nic)
    is_fit = standby is not None and standby.up and standby.carrier and standby.mii_up
    return slave == found.vf and is_fit


def renamed(state: State, pair: PairState, event: Answered, now: float) -> list[Action]:
    """The kernel has answered the batch of a rename."""
    pair.renaming = ()
    if event.answers is None or not pair.renames or not any(isinstance(r, Rename) for r in event.requests):
        return []
    order = pair.renames[0]
    actions: list[Action] = []
    for request, (number, text) in zip(event.requests, event.answers, strict=True):
        if not number or (isinstance(request, AddAltname) and number == errno.EEXIST):
            order.over = order.over or isinstance(request, Rename)
            continue
        words = refusal_text(request, number, text, state.name)
        if isinstance(request, Rename) and number == errno.EBUSY and not order.down:
            order.down = True
            found = state.judgements.pairs.get(pair.mac, Pair(pair.mac))
            if can_other(state, found, order.ifindex):
                pair.heard_until = max(pair.heard_until or 0.0, now + state.config.failback.hold_down + AWAY)
                pair.vf_back = found.vf if state.active(found) == found.vf else pair.vf_back
            continue
        order.refuse("NameTaken" if number == errno.EEXIST else "Failed", words)
        actions.append(Say("error" if isinstance(request, SetUp) else "warning", words))
    return actions
