"""The slave that carries: since when the VF is fit, the election's decision, and the switch that follows.

The switch comes before the plan in every step (core/advance.py). So a start after a kill removes a filter that leads
nowhere before it does anything else.

For a device in no bond, the kernel reports a lost carrier up to a second late (net/core/link_watch.c). So a VF that
carries is polled every `[tc] carrier_poll` (`watch`). So is one in its hold-down, where the kernel's own count of its
carrier losses restarts the hold-down.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from failoverd.core.orders import vf_refusal
from failoverd.dataclass import dataclass
from failoverd.model.actions import Action, Peek
from failoverd.model.links import Link
from failoverd.model.owners import Part
from failoverd.model.pairs import Goal, Judgement, Pair, Verdict
from failoverd.policy.election import Elected, Rule, Seen, Standing
from failoverd.policy.health import suppressed_reason

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

PAIRED = Judgement(Verdict.PAIRED, "")


@dataclass(slots=True)
class Carry:
    """The state of the election and the switch. Orders set `vf_wanted` and `vf_back`."""

    fit_since: float | None = None
    """The time since when the VF could carry; None while it cannot."""
    losses: int = 0
    """The number of the VF's carrier losses when it was last seen."""
    mtu_mismatch_since: float | None = None
    """The time since when the VF's MTU differs from the master's."""
    vf_wait: float | None = None
    """The time until which a join waits for the VF's carrier."""
    because: str = ""
    """The reason of the switch that was last asked for."""
    election: str = ""
    """The election's last result, in words."""
    vf_wanted: int = 0
    """The ifindex of a VF that is ordered to carry without having been steady."""
    vf_back: int = 0
    """The ifindex of a VF that carried until it had to go down for its name: it carries again even where that is left
    to the administrator.
    """
    peek_at: float = 0.0
    """When the VF's carrier is looked at next."""

    def take_reason(self) -> str:
        """Return and clear the reason of the switch that was last asked for, and is over."""
        reason, self.because = self.because, ""
        return reason

    def switched_in_vain(self) -> None:
        """The switch was refused, or its answer is lost: the next one may be asked for with the same reason."""
        self.because = ""

    def want(self, vf: int) -> None:
        """Let this VF carry at once, as ordered; 0 for none."""
        self.vf_wanted = vf

    def go_back_to(self, vf: int) -> None:
        """Let this VF carry again when it is up with its name."""
        self.vf_back = vf

    def void_orders(self, vf: int) -> None:
        """Void the orders for any other VF than this one."""
        self.vf_wanted = self.vf_wanted if self.vf_wanted == vf else 0
        self.vf_back = self.vf_back if self.vf_back == vf else 0


def missing_slave_reason(state: State, found: Pair) -> str:
    """Return why a NIC with the pair's MAC is in no pair, if one is here and should be the missing slave, or ""."""
    mine = (found.nic, found.vf, found.master)
    for link in state.links.with_mac(found.mac):
        judged = state.judgements.verdicts.get(link.ifindex, PAIRED)
        if judged.verdict is Verdict.REFUSED and link.perm_mac == found.mac and link.ifindex not in mine:
            return f"{link.name}: {judged.reason}"
    return ""


def _primary_refusal(state: State, pair: PairState, found: Pair, stands: Standing) -> str:
    if state.ending and (why := pair.datapath.vf_refusal_at_end()):
        return why
    if not found.vf:
        return missing_slave_reason(state, found) or stands.bad_primary
    return stands.bad_primary or vf_refusal(pair, found, stands)


def _damped(state: State, pair: PairState, stands: Standing) -> str:
    """Return why a fit VF shall not carry because of its flaps, or "".

    A VF that carries for want of a standby goes on until it flaps again, for the standby may flap as well.
    """
    carries = stands.primary is not None and stands.active == stands.primary.ifindex
    if stands.bad_standby or (carries and not pair.health.shunned):
        return ""
    return suppressed_reason(pair.health.damping, state.config.damping)


def update_timers(state: State, pair: PairState, found: Pair, stands: Standing | None, now: float) -> None:
    """Update everything that depends on time: since when the VF is fit, the waits, and an undo whose time is over."""
    master, vf = state.link(found.master), state.link(found.vf)
    fit = stands is not None and not stands.bad_primary and not stands.mtu_mismatch
    losses = vf.carrier_losses if vf is not None else 0
    if losses != pair.carry.losses:
        # The VF flapped faster than the kernel reports it.
        pair.carry.fit_since, pair.carry.losses = None, losses
    if not fit or (stands is not None and stands.active == found.vf and not pair.work.has(Part.CARRY)):
        pair.carry.vf_wanted = 0
    if stands is not None and stands.active == found.vf and not any(order.down for order in pair.orders.renames):
        pair.carry.vf_back = 0
    pair.carry.fit_since = _since(pair.carry.fit_since, fit, now)
    pair.carry.mtu_mismatch_since = _since(
        pair.carry.mtu_mismatch_since, stands is not None and bool(stands.mtu_mismatch), now
    )
    if vf is None or master is None or not pair.datapath.holds(vf, master) or vf.carrier:
        pair.carry.vf_wait = None
    elif pair.carry.vf_wait is None:
        pair.carry.vf_wait = now + state.config.join.carrier_wait
    if pair.move.undo_until is not None and now >= pair.move.undo_until:
        pair.move.try_anew()
    nic = state.link(found.nic)
    is_slave = nic is not None and master is not None and pair.datapath.holds(nic, master)
    if is_slave or pair.goal(now) is Goal.RELEASED:
        state.arrivals.enslaved(found.nic)
    if master is None and pair.goal(now) is Goal.JOINED:
        pair.parts()


def _since(known: float | None, is_so: bool, now: float) -> float | None:
    """Return since when something is so, None while it is not."""
    if not is_so:
        return None
    return now if known is None else known


def switch(
    state: State, pair: PairState, found: Pair, stands: Standing | None, actions: list[Action], now: float
) -> float | None:
    """Ask the election, and let the chosen slave carry. Returns when to ask again."""
    master = state.link(found.master)
    if stands is None or master is None or pair.goal(now) is not Goal.JOINED:
        return None
    if pair.datapath.is_way_lost(stands.active, found):
        return _ask_for(state, pair, actions, master, Elected(found.nic, "what carried is gone"), now)
    if not master.up:
        return None
    is_told = found.vf != 0 and pair.carry.vf_wanted == found.vf
    is_back = found.vf != 0 and pair.carry.vf_back == found.vf
    is_automatic = state.config.failback.automatic or is_told or is_back
    rule = Rule(0 if is_told else state.config.failback.hold_down, is_automatic)
    seen = Seen(pair.carry.fit_since, pair.carry.mtu_mismatch_since)
    bad_primary = _primary_refusal(state, pair, found, stands)
    if not is_told and not is_back:
        bad_primary = bad_primary or _damped(state, pair, stands)
    stands = replace(stands, bad_primary=bad_primary)
    choice = pair.datapath.elect(stands, seen, rule, now)
    pair.carry.election = choice.reason
    return _ask_for(state, pair, actions, master, choice, now)


def _ask_for(
    state: State, pair: PairState, actions: list[Action], master: Link, choice: Elected, now: float
) -> float | None:
    if choice.slave:
        requests = tuple(pair.datapath.switch(master, choice.slave))
        is_asked = pair.carry.because == choice.reason or requests == pair.work.newest(Part.CARRY)
        if not is_asked and not pair.work.is_blocked(requests, now):
            pair.carry.because = choice.reason
            why = f"{state.name(choice.slave)} carries: {choice.reason}"
            actions.append(pair.work.send(Part.CARRY, requests, why))
    return choice.at


def watch(state: State, pair: PairState, now: float) -> tuple[list[Action], float | None]:
    """Poll the carrier of a VF that carries or is about to, where the kernel reports its loss late.

    Returns when to look again.
    """
    found = state.judgements.pair(pair.mac)
    vf = pair.datapath.to_poll(found.vf)
    if not vf:
        return [], None
    is_held_down = pair.carry.fit_since is not None and now < pair.carry.fit_since + state.config.failback.hold_down
    if state.active(found) != vf and not is_held_down:
        return [], None
    if now < pair.carry.peek_at:
        return [], pair.carry.peek_at
    pair.carry.peek_at = now + state.config.tc.carrier_poll
    return [Peek(vf)], pair.carry.peek_at
