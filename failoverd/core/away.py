"""A pair that is in another network namespace, or on its way there or back (failoverd/moves).

What is seen of it here is left alone: half of a move looks like a pair that has lost a NIC, or its master. When it is
at home again it is looked at as a start does, as its devices may be others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failoverd.core.failovers import Failovers, noticed_there, settle_signal
from failoverd.core.health import begin_anew, count_there, reuse_at
from failoverd.core.matching import drop_if_over, rejudge
from failoverd.core.orders import end_drain
from failoverd.model.actions import Action
from failoverd.model.events import AwaySaid, ThereSeen

if TYPE_CHECKING:
    from failoverd.core.state import PairState, State

AWAY, PARKED = "away", "parked"


def note(pair: PairState, event: AwaySaid) -> None:
    """Note where a pair is, for what shows it."""
    pair.away, pair.away_name = event.why, event.name
    pair.residing.is_now(event)
    if event.why:
        pair.told(PARKED if event.is_parked else AWAY, event.why)


def take(state: State, pair: PairState, event: AwaySaid) -> list[Action]:
    """Take in that a pair has left, or that it is at home again."""
    was_away = bool(pair.away)
    note(pair, event)
    if event.why:
        if was_away:
            return []
        pair.parts()
        pair.guard.released()
        pair.work.forget_refusals()
        return [*settle_signal(pair, ""), *end_drain(pair, "the pair moves into another network namespace")]
    ended = end_drain(pair, "the pair has come home")
    pair.told("alone", "")
    pair.failovers = Failovers(count=pair.failovers.count)
    begin_anew(pair)
    rejudge(state, {pair.mac})
    drop_if_over(state, pair.mac)
    return ended


def seen(pair: PairState, event: ThereSeen, now: float) -> list[Action]:
    """Take in what was seen of it in another namespace."""
    if pair.state != AWAY:
        return []
    if pair.residing.there is None:
        begin_anew(pair)
    actions = noticed_there(pair, event.there, now)
    pair.residing.is_seen(event)
    pair.told(AWAY, f"{pair.away}; {event.there.text}")
    return actions


def look_at(state: State, pair: PairState, now: float) -> list[Action]:
    """Count the flaps of a VF that is there, and note when a suppression ends."""
    there = pair.residing.there
    actions = count_there(state, pair, there, now) if there is not None else []
    state.times.note(pair.work.owner, reuse_at(state, pair) if there is not None else None)
    return actions
