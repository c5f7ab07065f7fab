"""Who carries: since when things are as they are, what the election makes of it, and the switch that follows."""

from __future__ import annotations

from failoverd.core.state import PairState, State
from failoverd.model.actions import Action, Send
from failoverd.model.pairs import Goal, Pair
from failoverd.policy.election import Rule, Seen, elect, is_unlike, why_unfit


def take_time(state: State, pair: PairState, found: Pair, now: float) -> None:
    """Note since when things are as they are, and end an undoing whose time is over."""
    master, vf = state.link(found.master), state.link(found.vf)
    fit = master is not None and vf is not None and not why_unfit(vf, master) and not is_unlike(vf, master)
    pair.fit_since = (pair.fit_since if pair.fit_since is not None else now) if fit else None
    unlike = master is not None and is_unlike(vf, master)
    pair.unlike_since = (pair.unlike_since if pair.unlike_since is not None else now) if unlike else None
    if vf is None or master is None or vf.master != master.ifindex or vf.carrier:
        pair.vf_wait = None
    elif pair.vf_wait is None:
        pair.vf_wait = now + state.config.join.carrier_wait
    if pair.undo_until is not None and now >= pair.undo_until:
        pair.undo_until, pair.undo_reason = None, ""
    if master is None and pair.goal(now) is Goal.JOINED:
        pair.joined = False


def switch(state: State, pair: PairState, found: Pair, actions: list[Action], now: float) -> float | None:
    """Ask the election, and let the chosen slave carry. Returns when to ask again."""
    master = state.link(found.master)
    if master is None or pair.goal(now) is not Goal.JOINED or not master.up:
        return None
    rule = Rule(state.config.failback.hold_down, state.config.failback.automatic)
    seen = Seen(pair.fit_since, pair.unlike_since)
    choice = elect(master, state.link(found.vf), state.link(found.nic), seen, rule, now)
    pair.election = choice.reason
    if choice.slave:
        requests = tuple(state.datapath.switch(master, choice.slave))
        blocked = any(r in pair.refusals and now < pair.refusals[r].until for r in requests)
        if not blocked and pair.because != choice.reason:
            pair.because = choice.reason
            actions.append(Send(pair.mac, requests, f"{state.name(choice.slave)} carries: {choice.reason}"))
    return choice.at
