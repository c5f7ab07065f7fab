"""What the calls share: how a device is meant, how an answer looks, and how a call says no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from failoverd.core.state import PairState, State
from failoverd.core.status import Document
from failoverd.core.switch import stand
from failoverd.model.events import Event
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.election import Standing


class CallError(Exception):
    """The call cannot be done; the text says why and what to do, `kind` is one word for programs."""

    def __init__(self, text: str, kind: str = "Failed") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, and the events that make it so.

    Where the answer has to wait until the kernel has confirmed something, `done` tells whether it has, seeing the
    state after each step. It raises CallError when it will not come true any more.
    """

    document: Document
    events: Sequence[Event] = ()
    done: Callable[[State], bool] = lambda _state: True


@dataclass(frozen=True, slots=True)
class Joined:
    """A pair that is joined, and how it stands."""

    pair: PairState
    found: Pair
    master: Link
    stands: Standing


def joined(state: State, argument: str, adopted: bool = False) -> Joined:
    """The joined pair somebody means; one the kernel has joined only with `adopted`. Raises CallError."""
    pair = pair_of(state, argument)
    found = state.judgements.pairs[pair.mac]
    master = state.link(found.master)
    if pair.datapath.adopted and not adopted:
        text = f"{argument} was joined by the kernel itself (net_failover), which alone chooses who carries"
        raise CallError(text, "JoinedByKernel")
    stands = stand(state, pair, found)
    if master is None or stands is None or not pair.joined:
        raise CallError(f"{argument} is not joined but {pair.state}; failoverctl explain says why", "NotJoined")
    return Joined(pair, found, master, stands)


def words_for(state: State, ifindex: int) -> set[str]:
    """Everything by which somebody may mean this device."""
    link = state.link(ifindex)
    if link is None:
        return set()
    return {link.name, *link.altnames, link.mac, link.perm_mac, str(ifindex)}


def pair_of(state: State, argument: str) -> PairState:
    """The pair somebody means by a device's name, alternative name, MAC or ifindex. Raises CallError."""
    if not argument:
        raise CallError("name the master, one of its slaves, or their MAC", "NoSuchPair")
    for mac, found in state.judgements.pairs.items():
        if argument in _all_words(state, mac, found):
            return state.pairs[mac]
    raise CallError(f"{argument!r} belongs to no pair; failoverctl explain says why", "NoSuchPair")


def _all_words(state: State, mac: str, found: Pair) -> set[str]:
    members = (found.master, found.nic, found.vf)
    return {mac}.union(*(words_for(state, ifindex) for ifindex in members))
