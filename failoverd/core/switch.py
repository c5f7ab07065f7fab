"""Who carries: since when things are as they are, what the election makes of it, and the switch that follows."""

from __future__ import annotations

from dataclasses import replace

from failoverd.core.orders import why_not_vf
from failoverd.core.state import PairState, State
from failoverd.datapaths.base import standing
from failoverd.model.actions import Action, Peek, Send
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Judgement, Pair, Verdict
from failoverd.policy.election import Choice, Rule, Seen, Standing, elect

PAIRED = Judgement(Verdict.PAIRED, "")


def stand(state: State, pair: PairState, found: Pair) -> Standing | None:
    """How the pair stands, None while it has no master."""
    master = state.link(found.master)
    return standing(pair.datapath, master, state.link(found.vf), state.link(found.nic)) if master is not None else None


def why_not_here(state: State, found: Pair) -> str:
    """Why a NIC with the pair's MAC is in no pair, if one is here: what the missing slave is, or ""."""
    mine = (found.nic, found.vf, found.master)
    for link in state.links.values():
        judged = state.judgements.verdicts.get(link.ifindex, PAIRED)
        if judged.verdict is Verdict.REFUSED and link.perm_mac == found.mac and link.ifindex not in mine:
            return f"{link.name}: {judged.reason}"
    return ""


def _why_not_primary(state: State, pair: PairState, found: Pair, stands: Standing) -> str:
    if state.ending and not pair.datapath.survives:
        return "failoverd ends, and the kernel would not leave it by itself"
    if not found.vf:
        return why_not_here(state, found) or stands.bad_primary
    return stands.bad_primary or why_not_vf(pair, found, stands)


def take_time(state: State, pair: PairState, found: Pair, stands: Standing | None, now: float) -> None:
    """Note since when things are as they are, and end an undoing whose time is over."""
    master, vf = state.link(found.master), state.link(found.vf)
    fit = stands is not None and not stands.bad_primary and not stands.unlike
    losses = vf.carrier_losses if vf is not None else 0
    if losses != pair.losses:
        # It flapped faster than the kernel tells of it.
        pair.fit_since, pair.losses = None, losses
    if not fit or (stands is not None and stands.active == found.vf):
        pair.vf_wanted = 0
    if stands is not None and stands.active == found.vf and not any(order.down for order in pair.renames):
        pair.vf_back = 0
    pair.fit_since = (pair.fit_since if pair.fit_since is not None else now) if fit else None
    unlike = stands is not None and stands.unlike
    pair.unlike_since = (pair.unlike_since if pair.unlike_since is not None else now) if unlike else None
    if vf is None or master is None or not pair.datapath.holds(vf, master) or vf.carrier:
        pair.vf_wait = None
    elif pair.vf_wait is None:
        pair.vf_wait = now + state.config.join.carrier_wait
    if pair.undo_until is not None and now >= pair.undo_until:
        pair.undo_until, pair.undo_reason = None, ""
    nic = state.link(found.nic)
    is_slave = nic is not None and master is not None and pair.datapath.holds(nic, master)
    if is_slave or pair.goal(now) is Goal.RELEASED:
        state.held_on.pop(found.nic, None)
    if master is None and pair.goal(now) is Goal.JOINED:
        pair.joined = False


def switch(
    state: State, pair: PairState, found: Pair, stands: Standing | None, actions: list[Action], now: float
) -> float | None:
    """Ask the election, and let the chosen slave carry. Returns when to ask again."""
    master = state.link(found.master)
    if stands is None or master is None or pair.goal(now) is not Goal.JOINED:
        return None
    if pair.datapath.in_place and not pair.datapath.adopted and stands.active not in (found.nic, found.vf):
        return _ask_for(state, pair, actions, master, Choice(found.nic, "what carried is gone"), now)
    if not master.up:
        return None
    if pair.datapath.adopted:
        pair.election = "the kernel chooses"
        return None
    is_told = found.vf != 0 and pair.vf_wanted == found.vf
    is_back = found.vf != 0 and pair.vf_back == found.vf
    is_automatic = state.config.failback.automatic or is_told or is_back
    rule = Rule(0 if is_told else state.config.failback.hold_down, is_automatic)
    seen = Seen(pair.fit_since, pair.unlike_since)
    stands = replace(stands, bad_primary=_why_not_primary(state, pair, found, stands))
    choice = elect(stands, seen, rule, now)
    pair.election = choice.reason
    return _ask_for(state, pair, actions, master, choice, now)


def _ask_for(
    state: State, pair: PairState, actions: list[Action], master: Link, choice: Choice, now: float
) -> float | None:
    if choice.slave:
        requests = tuple(pair.datapath.switch(master, choice.slave))
        blocked = any(r in pair.refusals and now < pair.refusals[r].until for r in requests)
        if not blocked and pair.because != choice.reason and requests != pair.switching:
            pair.because, pair.switching = choice.reason, requests
            actions.append(Send(pair.mac, requests, f"{state.name(choice.slave)} carries: {choice.reason}"))
    return choice.at


def watch(state: State, pair: PairState, now: float) -> tuple[list[Action], float | None]:
    """Look at the carrier of a VF that carries or is about to, where the kernel tells late of it.

    Returns when to look again."""
    found = state.judgements.pairs.get(pair.mac, Pair(pair.mac))
    if not pair.datapath.polled or not found.vf:
        return [], None
    is_held_down = pair.fit_since is not None and now < pair.fit_since + state.config.failback.hold_down
    if state.active(found) != found.vf and not is_held_down:
        return [], None
    if now < pair.peek_at:
        return [], pair.peek_at
    pair.peek_at = now + state.config.tc.carrier_poll
    return [Peek(found.vf)], pair.peek_at
