"""The table of calls: everything that can be asked of a running failoverd. The control socket, the command line and
D-Bus derive from it, so that what a call does, and the words with which it is refused, are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from failoverd.core.state import PairState, State
from failoverd.core.status import Document, nics, status
from failoverd.model.events import AdoptAsked, Event, ReleaseAsked
from failoverd.model.pairs import Pair


class CallError(Exception):
    """The call cannot be done; the text says why and what to do, `kind` is one word for programs."""

    def __init__(self, text: str, kind: str = "Failed") -> None:
        super().__init__(text)
        self.kind = kind


Answer = tuple[Document, Sequence[Event]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it does in a line, whether it changes anything (root's alone), and its doing."""

    summary: str
    changes: bool
    run: Callable[[State, str], Answer]


def _status(state: State, _argument: str) -> Answer:
    return status(state), ()


def _explain(state: State, argument: str) -> Answer:
    rows = nics(state)
    if argument:
        rows = [row for row in rows if argument in _words_for(state, row["ifindex"])]
        if not rows:
            text = f"there is no device {argument!r} here; failoverctl explain lists those there are"
            raise CallError(text, "NoSuchDevice")
    return {"nics": rows}, ()


def _release(state: State, argument: str) -> Answer:
    pair = _pair(state, argument)
    if pair.datapath.adopted:
        text = f"{argument} was joined by the kernel itself (net_failover), which lets nobody take it apart"
        raise CallError(text, "JoinedByKernel")
    if pair.held:
        text = f"{argument} is released already; failoverctl adopt {argument} joins it again"
        raise CallError(text, "AlreadyReleased")
    return {"mac": pair.mac}, (ReleaseAsked(pair.mac),)


def _adopt(state: State, argument: str) -> Answer:
    pair = _pair(state, argument)
    return {"mac": pair.mac}, (AdoptAsked(pair.mac),)


CALLS: Mapping[str, Call] = {
    "status": Call("the masters, their slaves and who carries the traffic", changes=False, run=_status),
    "explain": Call("what was made of every NIC, and why", changes=False, run=_explain),
    "release": Call("give a pair's devices back as they were before", changes=True, run=_release),
    "adopt": Call("join a pair now, also one that was released", changes=True, run=_adopt),
}


def _words_for(state: State, ifindex: int) -> set[str]:
    link = state.link(ifindex)
    if link is None:
        return set()
    return {link.name, *link.altnames, link.mac, link.perm_mac, str(ifindex)}


def _pair(state: State, argument: str) -> PairState:
    """The pair somebody means by a device's name, alternative name, MAC or ifindex."""
    if not argument:
        raise CallError("name the master, one of its slaves, or their MAC", "NoSuchPair")
    for mac, found in state.judgements.pairs.items():
        if argument in _all_words(state, mac, found):
            return state.pairs[mac]
    raise CallError(f"{argument!r} belongs to no pair; failoverctl explain says why", "NoSuchPair")


def _all_words(state: State, mac: str, found: Pair) -> set[str]:
    members = (found.master, found.nic, found.vf)
    return {mac}.union(*(_words_for(state, ifindex) for ifindex in members))
