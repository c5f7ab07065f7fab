"""What can be asked of a running failoverd, and how it says no."""

from __future__ import annotations

import pytest

from failoverd.config.spec import Config
from failoverd.core.call_answers import Answer, CallError
from failoverd.core.calls import CALLS
from failoverd.core.matching import rejudge
from failoverd.core.state import PairState, State
from failoverd.core.status import nics, status
from failoverd.kinds import Bond
from failoverd.model.events import AdoptAsked, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.policy.naming import mark

MAC = "52:54:00:aa:bb:cc"
LATER = "52:54:00:aa:bb:dd"
LINKS = (
    Link(2, "ens3nsby", MAC, MAC, master=9, bus="virtio", driver="virtio_net"),
    Link(3, "ens4", "02:00:00:00:00:04", MAC, master=9, bus="pci", driver="mlx5_core", altnames=frozenset({"enp2s0"})),
    Link(9, "ens3", MAC, kind="bond", info=Bond(mode=1), altnames=frozenset({mark(MAC), "enp1s0"})),
    Link(5, "ens7", LATER, LATER, bus="virtio", driver="virtio_net"),
    Link(6, "usb0", "02:00:00:00:00:06", "02:00:00:00:00:06", bus="usb"),
)


def machine() -> State:
    """A joined pair, a NIC that is alone, and a NIC that is in no pair."""
    state = State(Config(), links=LinkTable(LINKS), synced=True)
    rejudge(state)
    return state


def ask(state: State, call: str, *arguments: str) -> Answer:
    return CALLS[call].run(state, arguments, 0.0)


def names(state: State, argument: str) -> list[str]:
    answer = ask(state, "explain", argument)
    assert answer.events == ()
    return [row["name"] for row in answer.document["nics"]]


def test_what_changes_nothing() -> None:
    assert {name for name, call in CALLS.items() if not call.changes} == {
        "status",
        "explain",
        "links",
        "links-stats",
    }
    assert all(call.summary for call in CALLS.values())


def test_status_is_the_status_document() -> None:
    state = machine()
    assert ask(state, "status").document == status(state)


def test_explain_tells_of_every_nic_or_of_one() -> None:
    state = machine()
    assert ask(state, "explain").document == ask(state, "explain", "").document == {"nics": nics(state)}
    for argument in ("ens4", "enp2s0", "02:00:00:00:00:04", "3"):
        assert names(state, argument) == ["ens4"]
    assert names(state, MAC) == ["ens3nsby", "ens4", "ens3"]


def test_explain_of_what_is_not_here() -> None:
    with pytest.raises(CallError, match="there is no device 'ens9' here; failoverctl explain lists those there are"):
        ask(machine(), "explain", "ens9")


@pytest.mark.parametrize(
    "argument", ["ens3", "enp1s0", mark(MAC), "ens3nsby", "ens4", "enp2s0", "02:00:00:00:00:04", MAC, "9", "2", "3"]
)
def test_a_pair_goes_by_every_name_of_its_devices(argument: str) -> None:
    answer = ask(machine(), "release", argument)
    assert (answer.document, answer.events) == ({"mac": MAC}, (ReleaseAsked(MAC),))
    answer = ask(machine(), "adopt", argument)
    assert (answer.document, answer.events) == ({"mac": MAC}, (AdoptAsked(MAC),))


def test_the_right_one_of_several_pairs() -> None:
    answer = ask(machine(), "adopt", "ens7")
    assert (answer.document, answer.events) == ({"mac": LATER}, (AdoptAsked(LATER),))


def test_what_is_released_is_not_released_again_but_can_be_adopted() -> None:
    state = machine()
    state.pairs[MAC].held = True
    with pytest.raises(CallError, match="ens3 is released already; failoverctl adopt ens3 joins it again"):
        ask(state, "release", "ens3")
    answer = ask(state, "adopt", "ens3")
    assert (answer.document, answer.events) == ({"mac": MAC}, (AdoptAsked(MAC),))


@pytest.mark.parametrize("argument", ["52:54:00:aa:bb:ee", "52:54:00:AA:BB:EE"])
def test_the_release_of_a_pair_that_is_not_here_can_be_forgotten(argument: str) -> None:
    state = machine()
    gone = "52:54:00:aa:bb:ee"
    state.pairs[gone] = PairState(gone, held=True)
    answer = ask(state, "adopt", argument)
    assert (answer.document, answer.events) == ({"mac": gone}, (AdoptAsked(gone),))
    with pytest.raises(CallError, match="belongs to no pair"):
        ask(state, "release", argument)
    state.pairs[gone].held = False
    with pytest.raises(CallError, match="belongs to no pair"):
        ask(state, "adopt", argument)


@pytest.mark.parametrize("name", ["release", "adopt"])
def test_a_call_that_changes_something_wants_to_know_of_what(name: str) -> None:
    state = machine()
    with pytest.raises(CallError, match="name the master, one of its slaves, or their MAC"):
        ask(state, name, "")
    for stranger in ("usb0", "ens9", "0"):
        with pytest.raises(CallError, match=f"'{stranger}' belongs to no pair; failoverctl explain says why"):
            ask(state, name, stranger)
