"""The table of calls: everything that can be asked of a running failoverd. The control socket, the command line and
D-Bus derive from it, so that what a call does, and the words with which it is refused, are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from failoverd.core import ordercalls
from failoverd.core.answers import Answer, CallError, pair_of, words_for
from failoverd.core.state import State
from failoverd.core.status import nics, status
from failoverd.model.events import AdoptAsked, ReleaseAsked


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it does in a line, the names of its arguments ("?" behind those that may be left out), whether it
    changes anything (root's alone), and its doing: state, arguments, the engine's clock in seconds."""

    summary: str
    takes: tuple[str, ...]
    changes: bool
    run: Callable[[State, Sequence[str], float], Answer]


def _status(state: State, _arguments: Sequence[str], _now: float) -> Answer:
    return Answer(status(state))


def _explain(state: State, arguments: Sequence[str], _now: float) -> Answer:
    rows, nic = nics(state), arguments[0] if arguments else ""
    if nic:
        rows = [row for row in rows if nic in words_for(state, row["ifindex"])]
        if not rows:
            text = f"there is no device {nic!r} here; failoverctl explain lists those there are"
            raise CallError(text, "NoSuchDevice")
    return Answer({"nics": rows})


def _release(state: State, arguments: Sequence[str], _now: float) -> Answer:
    pair = pair_of(state, arguments[0])
    if pair.datapath.adopted:
        text = f"{arguments[0]} was joined by the kernel itself (net_failover), which lets nobody take it apart"
        raise CallError(text, "JoinedByKernel")
    if pair.held:
        text = f"{arguments[0]} is released already; failoverctl adopt {arguments[0]} joins it again"
        raise CallError(text, "AlreadyReleased")
    return Answer({"mac": pair.mac}, (ReleaseAsked(pair.mac),))


def _adopt(state: State, arguments: Sequence[str], _now: float) -> Answer:
    """A released pair may be away: its release is forgotten all the same, by its MAC."""
    known = state.pairs.get(arguments[0].lower())
    pair = known if known is not None and known.held else pair_of(state, arguments[0])
    return Answer({"mac": pair.mac}, (AdoptAsked(pair.mac),))


def _reload(_state: State, _arguments: Sequence[str], _now: float) -> Answer:
    raise CallError("the configuration is read by the daemon, not by its engine")


CALLS: Mapping[str, Call] = {
    "status": Call("the masters, their slaves and who carries the traffic", (), changes=False, run=_status),
    "explain": Call("what was made of every NIC, and why", ("nic?",), changes=False, run=_explain),
    "release": Call("give a pair's devices back as they were before", ("nic",), changes=True, run=_release),
    "adopt": Call("join a pair now, also one that was released", ("nic",), changes=True, run=_adopt),
    "drain": Call("take the traffic off the VF", ("nic", "seconds?"), changes=True, run=ordercalls.drain),
    "undrain": Call("let the VF carry again", ("nic",), changes=True, run=ordercalls.undrain),
    "switch": Call("let this slave carry", ("nic", "slave"), changes=True, run=ordercalls.switch),
    "rename": Call("give a device of a pair another name", ("nic", "name"), changes=True, run=ordercalls.rename),
    "reload": Call("read the configuration anew", (), changes=True, run=_reload),
}


def check(name: str, arguments: Sequence[str]) -> None:
    """Raises CallError where there is no such call, or it does not take that many arguments."""
    call = CALLS.get(name)
    if call is None:
        raise CallError(f"there is no call {name!r}; there are {', '.join(CALLS)}")
    least = sum(not word.endswith("?") for word in call.takes)
    if not least <= len(arguments) <= len(call.takes):
        takes = " ".join(call.takes) or "no argument"
        raise CallError(f"{name} takes {takes}; given were {len(arguments)}", "BadArgument")
