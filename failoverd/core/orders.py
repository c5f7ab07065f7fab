"""The administrator's orders for a joined pair: drain, undrain, switch, rename.

    drain   the standby carries, as long as it can -> replug, undrain or its time ends it
    rename  the kernel is asked; where it refuses because the device is up (before 6.2), the other slave carries
            meanwhile, and one datagram takes the device down, renames it and brings it up

An order never leaves a pair worse than it was: where the other slave cannot carry, the order is refused, or, for a
drain, waits until it can. Renames of a pair are done one after the other, and only while the plan rests.

A drain is a wish about the slave that carries, and gives way: a drained VF carries all the same when the standby fails.
It is kept in a file below /run, so that a restart in the middle of a migration does not move the traffic back.
Switching to the standby is a drain without a time. failoverd announces the new way of a drain itself, even over a bond,
which does so too, but maybe only at its next tick. A failed announcement is tried again for a minute; after that the
drain reports it.

While a bond is drained, and around a VF's rename, it accepts frames on either slave (all_slaves_active). Otherwise it
would drop frames that reach the slave it has left, and one or two are on their way there until the neighbours know the
new way.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, assert_never

from failoverd.core.health import reset
from failoverd.dataclass import dataclass
from failoverd.kinds import Bond
from failoverd.kinds.bond import HEARING
from failoverd.model.actions import Action, KeepDrain, Say
from failoverd.model.events import (
    Answered,
    DampingResetAsked,
    DrainAsked,
    Order,
    RenameAsked,
    UndrainAsked,
    VfAsked,
)
from failoverd.model.links import Link
from failoverd.model.orders import Drain, Renaming
from failoverd.model.owners import Part
from failoverd.model.pairs import Pair
from failoverd.model.requests import AddAltname, Rename, Request, SetUp
from failoverd.plan import names
from failoverd.policy.election import Standing
from failoverd.policy.stacking import bridge_of

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

AWAY = 5.0
"""Seconds, on top of the hold-down, for which both slaves are heard when the VF goes down for its name."""

DRAINED = "it is drained, until undrain or the next VF"


@dataclass(slots=True)
class Orders:
    """The administrator's orders for a pair."""

    drain: Drain | None = None
    renames: list[Renaming] = field(default_factory=list)
    """In their order. They are carried out one after the other."""

    def add(self, order: Renaming) -> None:
        """Queue a rename behind the others."""
        self.renames.append(order)


@dataclass(slots=True)
class Heard:
    """The hearing of both slaves, while the network learns another way."""

    until: float | None = None
    """The time until which both slaves are heard: a rename, a stray address."""
    hearing: bool | None = None
    """Whether failoverd has asked the kernel for it; None before."""
    announcing: int = 0
    """The number of announcements under way."""
    unheard: bool = False
    """Whether the last announcement failed."""

    def announce(self) -> None:
        """An announcement is under way."""
        self.announcing += 1

    def announced(self, done: bool) -> None:
        """An announcement is over; `done` says whether the neighbours were told in the end."""
        self.announcing -= 1
        self.unheard = not done

    def unknown(self) -> None:
        """The request to the kernel was refused, or its answer is lost: the kernel's own report counts."""
        self.hearing = None

    def hear_until(self, at: float) -> None:
        """Hear both slaves until this moment, or longer if that is set already."""
        self.until = max(self.until or 0.0, at)


def take_order(state: State, pair: PairState, event: Order) -> list[Action]:
    """Take in an administrator's order."""
    match event:
        case DrainAsked(mac, drain):
            pair.orders.drain = drain
            pair.carry.want(0)
            there = pair.residing.there
            name = there.name(drain.vf) if there is not None else state.name(drain.vf)
            text = f"{mac}: drained; {name} is not to carry"
            return [KeepDrain(mac, drain), Say("info", text)]
        case RenameAsked(_, order):
            pair.orders.add(order)
            return []
        case DampingResetAsked():
            return reset(pair)
        case VfAsked(_, vf):
            pair.carry.want(vf)
            return end_drain(pair, "the VF was told to carry")
        case UndrainAsked():
            return end_drain(pair, "an administrator ended it")
        case _:
            assert_never(event)


def end_drain(pair: PairState, why: str) -> list[Action]:
    """End a drain: the elected slave may carry again."""
    if pair.orders.drain is None:
        return []
    pair.orders.drain = None
    return [KeepDrain(pair.mac, None), Say("info", f"{pair.mac}: no longer drained: {why}")]


def hear(state: State, pair: PairState, now: float) -> list[Action]:
    """During a planned switch, have the bond accept frames on both slaves until the neighbours have learned the way.

    Likewise after another program's address on a slave has drawn traffic there (Guard.strays). A setting that an
    earlier run of failoverd has left is taken back; one that another program has made is left alone."""
    if pair.heard.until is not None and now >= pair.heard.until:
        pair.heard.until = None
    master = state.link(state.judgements.pair(pair.mac).master)
    if master is None or not isinstance(master.info, Bond):
        pair.heard.hearing = None
        return []
    both = pair.orders.drain is not None or pair.heard.until is not None
    # A bridge's own frames would come back by the other slave, and it would learn its own machines on the wrong side.
    both = both and not bridge_of(master, state.links)
    is_ours = master.info.hears_both and master.info.lp_interval == HEARING
    is_so = is_ours if pair.heard.hearing is None else pair.heard.hearing
    requests = tuple(pair.datapath.hear(master, both)) if both != is_so else ()
    if pair.work.is_blocked(requests, now):
        return []
    pair.heard.hearing = both
    why = "take in what comes to either slave" if both else "take in only what comes to the slave that carries"
    return [pair.work.send(Part.HEAR, requests, why)] if requests else []


def due(state: State, pair: PairState, now: float) -> list[Action]:
    """End what is over: a drain whose VF was replugged, orders that had no turn in their time."""
    vf = state.judgements.pair(pair.mac).vf
    pair.carry.void_orders(vf)
    if pair.orders.renames and pair.orders.renames[0].over:
        pair.orders.renames.pop(0)
    for order in [order for order in pair.orders.renames if now >= order.until and not pair.work.has(Part.NAMES)]:
        pair.orders.renames.remove(order)
        order.refuse("TimedOut", f"{state.name(order.ifindex)} could not be renamed in time; the pair is {pair.state}")
    if pair.orders.drain is not None and vf not in (0, pair.orders.drain.vf):
        return [*end_drain(pair, "another VF was plugged in"), *reset(pair)]
    if pair.orders.drain is not None and pair.orders.drain.until is not None and now >= pair.orders.drain.until:
        return end_drain(pair, "its time is over")
    return []


def wakes_of_orders(pair: PairState) -> list[float]:
    """Return the times when `due` has to be asked again."""
    times = [order.until for order in pair.orders.renames if not order.wish]
    times += [pair.heard.until] if pair.heard.until is not None else []
    drain = pair.orders.drain
    return [*times, drain.until] if drain is not None and drain.until is not None else times


def vf_refusal(pair: PairState, found: Pair, stands: Standing) -> str:
    """Return why the VF shall not carry although it can, or "". Never where the standby cannot either."""
    if stands.bad_standby:
        return ""
    if pair.orders.renames and pair.orders.renames[0].down and pair.orders.renames[0].ifindex == found.vf:
        return "it is being renamed"
    return DRAINED if pair.orders.drain is not None else ""


def rename(state: State, pair: PairState, found: Pair) -> list[Action]:
    """Take the next step of the first rename. The plan rests."""
    while pair.orders.renames:
        order = pair.orders.renames[0]
        link = state.link(order.ifindex)
        if link is None:
            order.refuse("NoSuchDevice", "it was unplugged before it could be renamed")
        elif link.name == order.name:
            order.over = True
        elif not (requests := _requests(state, pair, found, link, order)):
            return []
        elif not order.over:
            return [pair.work.send(Part.NAMES, requests, f"rename {link.name} to {order.name}")]
        pair.orders.renames.pop(0)
        if order.wish and order.refusal:
            return [Say("warning", f"{order.refusal[1]}; it is to be called {order.name}")]
    return []


def _requests(state: State, pair: PairState, found: Pair, link: Link, order: Renaming) -> Sequence[Request]:
    """Return the requests to send now. None: another slave has to carry first, and the neighbours have to know."""
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
    elif state.active(found) == link.ifindex or pair.heard.announcing:
        return []
    return requests


def _is_about_to_carry(state: State, pair: PairState, found: Pair) -> bool:
    """Whether the standby carries only until the VF's hold-down is over."""
    is_going_back = state.config.failback.automatic or pair.carry.vf_back == found.vf
    is_fit = bool(found.vf) and pair.carry.fit_since is not None and is_going_back
    return is_fit and pair.orders.drain is None and state.active(found) == found.nic


def can_other(state: State, found: Pair, slave: int) -> bool:
    """Whether the other slave is about to carry: the VF is left at once; the other way has its hold-down."""
    standby = state.link(found.nic)
    is_fit = standby is not None and standby.up and standby.carrier and standby.mii_up
    return slave == found.vf and is_fit


def renamed(state: State, pair: PairState, event: Answered, now: float) -> list[Action]:
    """Take in the kernel's answers to a rename."""
    if event.answers is None or not pair.orders.renames or not any(isinstance(r, Rename) for r in event.requests):
        return []
    order = pair.orders.renames[0]
    actions: list[Action] = []
    for request, (number, text) in zip(event.requests, event.answers, strict=True):
        if not number or (isinstance(request, AddAltname) and number == errno.EEXIST):
            order.over = order.over or isinstance(request, Rename)
            continue
        words = request.refused(number, text, state.name)
        if isinstance(request, Rename) and number == errno.EBUSY and not order.down:
            order.down = True
            found = state.judgements.pair(pair.mac)
            if can_other(state, found, order.ifindex):
                pair.heard.hear_until(now + state.config.failback.hold_down + AWAY)
                if state.active(found) == found.vf:
                    pair.carry.go_back_to(found.vf)
            continue
        order.refuse("NameTaken" if number == errno.EEXIST else "Failed", words)
        actions.append(Say("error" if isinstance(request, SetUp) else "warning", words))
    return actions
