"""The pair as an owner of work: what its events and the times that have come lead to."""

from __future__ import annotations

from collections.abc import Collection

from failoverd.core import away, conditions, crowding, health, paths
from failoverd.core.adopt import adopt, release
from failoverd.core.advance import advance
from failoverd.core.failovers import next_signal, noticed, overdue
from failoverd.core.kernel_answers import answered
from failoverd.core.matching import drop_if_over
from failoverd.core.orders import due, hear, take_order, wakes_of_orders
from failoverd.core.slave_guard import wakes_to_undo
from failoverd.core.state import PairState, State
from failoverd.core.switch import watch
from failoverd.core.udev_marks import next_try, not_marked, with_marks
from failoverd.model.actions import Action
from failoverd.model.events import (
    AboutPair,
    AdoptAsked,
    Announced,
    Answered,
    AwaySaid,
    InetSeen,
    ModeSeen,
    NotMarked,
    NotSaved,
    PathsSeen,
    ReleaseAsked,
    ResidenceSaid,
    ThereSeen,
    ToOwner,
)
from failoverd.model.owners import PairOf


def take(state: State, owner: PairOf, event: ToOwner | AboutPair, now: float) -> list[Action]:
    """Take in an event about a pair, also about one that is not known yet."""
    pair = state.pair(owner.mac)
    match event:
        case Answered():
            return answered(state, pair, event, now)
        case InetSeen(_, inet, hanging):
            crowding.seen(pair, hanging, now)
            if not crowding.was_a_check(pair, inet):
                pair.work.looked()
                pair.move.seen(inet)
                pair.obstacles.seen(hanging)
            return []
        case NotMarked(_, why):
            return not_marked(state, pair, why, now)
        case NotSaved():
            pair.move.not_saved()
            pair.work.unsent(now + state.config.join.retry)
            return []
        case ReleaseAsked() | AdoptAsked() | AwaySaid() | ThereSeen() | ResidenceSaid():
            return _placed(state, pair, event, now)
        case PathsSeen():
            return paths.seen(state, pair, event)
        case Announced() | ModeSeen():
            _done(pair, event)
            return []
        case _:
            return take_order(state, pair, event)


def _placed(
    state: State, pair: PairState, event: ReleaseAsked | AdoptAsked | AwaySaid | ThereSeen | ResidenceSaid, now: float
) -> list[Action]:
    """Take in whether failoverd joins the pair at all, and in which namespace it is, or is to be."""
    match event:
        case ThereSeen():
            return away.seen(pair, event, now)
        case ResidenceSaid():
            pair.residing.is_to_be(event)
            return []
        case ReleaseAsked():
            return release(state, pair)
        case AdoptAsked():
            return adopt(state, pair)
        case _:
            return away.take(state, pair, event)


def _done(pair: PairState, event: Announced | ModeSeen) -> None:
    """Take in the end of a job in the background."""
    if isinstance(event, Announced):
        pair.heard.announced(event.done)
    else:
        conditions.seen(pair, event)


def look_at(state: State, owners: Collection[PairOf], now: float) -> list[Action]:
    """Take these pairs further. What each says of the past comes before what any of them does next."""
    known = [state.pairs[mac] for mac in sorted(owner.mac for owner in owners) if mac in state.pairs]
    pairs = [pair for pair in known if not pair.away]
    actions: list[Action] = []
    for pair in known:
        if pair.away:
            actions += away.look_at(state, pair, now)
    for pair in pairs:
        actions += [*noticed(state, pair, now), *due(state, pair, now), *hear(state, pair, now)]
    for pair in pairs:
        actions += overdue(pair, now)
    for pair in pairs:
        actions += _look_at(state, pair, now)
    return actions


def _look_at(state: State, pair: PairState, now: float) -> list[Action]:
    """Take one pair further, and note when it wants to be looked at again."""
    signal = next_signal(pair)
    aside = [*conditions.judge(state, pair, now), *health.count(state, pair, now)]
    paths.forget(state, pair)
    done, wake = advance(state, pair, now)
    actions = with_marks(state, pair, done, now)
    peeks, again = watch(state, pair, now)
    wakes = (
        signal,
        wake,
        next_try(pair, now),
        again,
        health.reuse_at(state, pair),
        conditions.wake_at(state, pair, now),
    )
    times = [*wakes_of_orders(pair), *wakes_to_undo(pair, now)]
    times += [at for at in wakes if at is not None]
    pair.move.seen({})
    pair.obstacles.seen({})
    state.times.note(pair.work.owner, min(times, default=None))
    drop_if_over(state, pair.mac)
    return [*actions, *peeks, *aside, *paths.probe(state, pair), *conditions.ask(state, pair)]
