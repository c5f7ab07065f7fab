"""The orders to adopt and to release a pair: whether failoverd joins it at all."""

from __future__ import annotations

from failoverd.core import configurers
from failoverd.core.boot_names import forget_name
from failoverd.core.matching import rejudge
from failoverd.core.orders import end_drain
from failoverd.core.state import PairState, State
from failoverd.model.actions import Action, Remember


def adopt(state: State, pair: PairState) -> list[Action]:
    """Join the pair from now on. Refused requests and known obstacles are tried anew."""
    pair.held = False
    pair.move.try_anew()
    pair.obstacles.ask_anew()
    pair.work.forget_refusals()
    state.remembered.add(pair.mac)
    if not pair.joined:
        configurers.forget(state, state.judgements.pair(pair.mac).nic)
    rejudge(state, {pair.mac})
    return [Remember(pair.mac, "joined")]


def release(state: State, pair: PairState) -> list[Action]:
    """Take the pair apart, and leave it so, even after a restart."""
    pair.held = True
    state.remembered.discard(pair.mac)
    rejudge(state, {pair.mac})
    forgotten = [Remember(pair.mac, "released"), *forget_name(state, pair)]
    return [*forgotten, *end_drain(pair, "the pair is released")]
