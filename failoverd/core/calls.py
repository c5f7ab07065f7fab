"""The table of calls: everything that a running failoverd can be asked to do.

The control socket, the command line and D-Bus derive from it, so that a call does the same in all of them, and is
refused with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from failoverd.core import ordercalls
from failoverd.core.call_answers import Answer, CallError, pair_of, words_for
from failoverd.core.state import State
from failoverd.core.status import nics, status
from failoverd.dataclass import dataclass
from failoverd.model.events import AdoptAsked, ReleaseAsked


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    `summary` says in a line what it does. `takes` are the names of its arguments, with "?" behind optional ones.
    `changes` says whether it changes anything, which requires root. `run` carries it out: state, arguments, the
    engine's clock in seconds.
    """

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
    if why := pair.datapath.order_refusal(arguments[0], is_release=True):
        raise CallError(why, "JoinedByKernel")
    if pair.held:
        text = f"{arguments[0]} is released already; failoverctl adopt {arguments[0]} joins it again"
        raise CallError(text, "AlreadyReleased")
    return Answer({"mac": pair.mac}, (ReleaseAsked(pair.mac),))


def _adopt(state: State, arguments: Sequence[str], _now: float) -> Answer:
    """The NICs of a released pair may be away. Its release is forgotten all the same, by its MAC."""
    known = state.pairs.get(arguments[0].lower())
    pair = known if known is not None and known.held else pair_of(state, arguments[0])
    return Answer({"mac": pair.mac}, (AdoptAsked(pair.mac),))


def _elsewhere(_state: State, _arguments: Sequence[str], _now: float) -> Answer:
    raise CallError("the daemon does this beside its engine")


CALLS: Mapping[str, Call] = {
    "status": Call("the masters, their slaves and which one carries the traffic", (), changes=False, run=_status),
    "explain": Call("what was made of every NIC, and why", ("nic?",), changes=False, run=_explain),
    "release": Call("give a pair's devices back as they were before", ("nic",), changes=True, run=_release),
    "adopt": Call("join a pair now, also one that was released", ("nic",), changes=True, run=_adopt),
    "drain": Call("take the traffic off the VF", ("nic", "seconds?"), changes=True, run=ordercalls.drain),
    "undrain": Call("let the VF carry again", ("nic",), changes=True, run=ordercalls.undrain),
    "reset-damping": Call("forget how often the VF has failed", ("nic",), changes=True, run=ordercalls.reset_damping),
    "switch": Call("let this slave carry", ("nic", "slave"), changes=True, run=ordercalls.switch),
    "rename": Call("give a device of a pair another name", ("nic", "name"), changes=True, run=ordercalls.rename),
    "reload": Call("read the configuration anew", (), changes=True, run=_elsewhere),
    "links": Call("the declared links", ("name?", "generation?"), changes=False, run=_elsewhere),
    "links-resync": Call("look at declared links again", ("name?",), changes=True, run=_elsewhere),
    "links-release": Call("let go of a declared link", ("name",), changes=True, run=_elsewhere),
    "move": Call(
        "move a master into another network namespace, or home",
        ("master", "namespace?"),
        changes=True,
        run=_elsewhere,
    ),
    # It changes nothing, but says what is in other network namespaces, which is not every user's to know.
    "move-plan": Call("what a move would do", ("master", "namespace?"), changes=True, run=_elsewhere),
    "links-stats": Call("the counters of declared links", ("name?",), changes=False, run=_elsewhere),
    "attach": Call("make a link for a pod", ("name", "document"), changes=True, run=_elsewhere),
    "detach": Call("remove a pod's link", ("name",), changes=True, run=_elsewhere),
}


def check(name: str, arguments: Sequence[str]) -> None:
    """Check the name of a call and the number of its arguments. Raises CallError."""
    call = CALLS.get(name)
    if call is None:
        raise CallError(f"there is no call {name!r}; there are {', '.join(CALLS)}")
    least = sum(not word.endswith("?") for word in call.takes)
    if not least <= len(arguments) <= len(call.takes):
        takes = " ".join(call.takes) or "no argument"
        raise CallError(f"{name} takes {takes}; given were {len(arguments)}", "BadArgument")
