"""The common parts of the calls: how arguments name a device, the form of an answer, and the errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from failoverd.core.document import Document
from failoverd.core.paths import stand
from failoverd.core.state import PairState, State
from failoverd.dataclass import dataclass
from failoverd.model.events import Event
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.election import Standing


class CallError(Exception):
    """The call cannot be done. The text says why and what to do; `kind` is one word for programs."""

    def __init__(self, text: str, kind: str = "Failed") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call, and the events that carry it out.

    If the answer has to wait until the kernel has confirmed something, `done` says whether it has; it is asked with the
    state after each step. It raises CallError when the call will not complete any more.
    """

    document: Document
    events: Sequence[Event] = ()
    done: Callable[[State], bool] = lambda _state: True


@dataclass(frozen=True, slots=True)
class Joined:
    """A joined pair and its standing."""

    pair: PairState
    found: Pair
    master: Link
    stands: Standing


def joined(state: State, argument: str, adopted: bool = False) -> Joined:
    """Return the joined pair that the argument names. Raises CallError.

    A pair that the kernel has joined is returned only with `adopted`.
    """
    pair = pair_of(state, argument)
    found = state.judgements.pairs[pair.mac]
    master = state.link(found.master)
    if not adopted and (why := pair.datapath.order_refusal(argument, is_release=False)):
        raise CallError(why, "JoinedByKernel")
    stands = stand(state, pair, found)
    if master is None or stands is None or not pair.joined:
        raise CallError(f"{argument} is not joined but {pair.state}; failoverctl explain says why", "NotJoined")
    return Joined(pair, found, master, stands)


def words_for(state: State, ifindex: int) -> set[str]:
    """Return every word by which a user may name this device."""
    link = state.link(ifindex)
    if link is None:
        return set()
    return {link.name, *link.altnames, link.mac, link.perm_mac, str(ifindex)}


def pair_of(state: State, argument: str) -> PairState:
    """Return the pair that the argument names, by a device's name, alternative name, MAC or ifindex.

    Raises CallError.
    """
    if not argument:
        raise CallError("name the master, one of its slaves, or their MAC", "NoSuchPair")
    pair = _at_home(state, argument)
    if pair is not None and not pair.away:
        return pair
    if (gone := pair or elsewhere(state, argument)) is not None:
        text = f"{argument} is not joined but {gone.state}, and this cannot be done there: {gone.away}"
        raise CallError(text, "NotJoined")
    raise CallError(f"{argument!r} belongs to no pair; failoverctl explain says why", "NoSuchPair")


def words_for_master(state: State, argument: str) -> set[str]:
    """Return every word for the master of the pair that the argument names, also of one that is away; none where it
    names none."""
    away = [
        pair for pair in state.pairs.values() if pair.away and argument.lower() in (pair.mac, pair.away_name.lower())
    ]
    if away:
        return {away[0].mac, away[0].away_name}
    try:
        mac = pair_of(state, argument).mac
    except CallError:
        return set()
    return {mac} | words_for(state, state.judgements.pairs[mac].master)


def macs_of_masters(state: State) -> dict[str, str]:
    """Return the MAC of each master at home, by every word for it."""
    pairs = state.judgements.pairs.items()
    return {word: mac for mac, found in pairs if found.master for word in (mac, *words_for(state, found.master))}


def whereabouts(state: State, argument: str) -> str:
    """Return where the pair is that the argument names, in words, if it is away; otherwise ""."""
    return next((state.pairs[word].away for word in words_for_master(state, argument) if word in state.pairs), "")


def elsewhere(state: State, argument: str) -> PairState | None:
    """Return the pair in another network namespace, or on its way, that the argument names; a name at home is not
    meant for one there."""
    at_home = _at_home(state, argument)
    if at_home is not None and not at_home.away:
        return None
    for mac, pair in state.pairs.items():
        words = pair.residing.there.words() if pair.residing.there is not None else set()
        if pair.away and (argument.lower() == mac or argument in {pair.away_name, *words}):
            return pair
    return None


def _at_home(state: State, argument: str) -> PairState | None:
    if (mac := argument.lower()) in state.judgements.pairs:
        # Another pair's NIC may bear this MAC at present.
        return state.pairs[mac]
    pairs = state.judgements.pairs.items()
    return next((state.pairs[mac] for mac, found in pairs if argument in _all_words(state, mac, found)), None)


def _all_words(state: State, mac: str, found: Pair) -> set[str]:
    members = (found.master, found.nic, found.vf)
    return {mac}.union(*(words_for(state, ifindex) for ifindex in members))
