"""The orders to adopt and to release a pair: whether failoverd joins it at all."""

from __future__ import annotations

from failoverd.core.matching import rejudge
from failoverd.core.orders import end_drain
from failoverd.core.state import PairState, State
from failoverd.model.actions import Action


def adopt(state: State, pair: PairState) -> list[Action]:
    """Join the pair from now on. Refused requests and known obstacles are tried anew."""
    pair.held = False
    pair.move.try_anew()
    pair.obstacles.ask_anew()
    pair.work.forget_refusals()
    remember = state.memory.join(pair.mac)
    if not pair.joined:
        state.bonding.forget([state.judgements.pair(pair.mac).nic])
    rejudge(state, {pair.mac})
    return remember


def release(state: State, pair: PairState) -> list[Action]:
    """Take the pair apart, and leave it so, even after a restart."""
    pair.held = True
    remember = state.memory.release(pair.mac)
    rejudge(state, {pair.mac})
    return [*remember, *end_drain(pair, "the pair is released")]
