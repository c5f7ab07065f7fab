"""Turns: each client has a bound, and who changes something is not kept out by who reads."""

from __future__ import annotations

import pytest

from failoverd.bus.dispatch import Asked
from failoverd.bus.faces import BusError, Method
from failoverd.bus.turns import CALLS, CALLS_OF_ONE, Turns


def asked(sender: str, changes: bool = False) -> Asked:
    return Asked("/a", "org.example.A", Method("Do", "Do.", changes=changes), [], sender)


def test_a_client_has_its_bound_and_others_have_theirs() -> None:
    turns = Turns()
    for _ in range(CALLS_OF_ONE):
        turns.begin(asked(":1"))
    with pytest.raises(BusError, match=r"Do at /a: .* try again") as refused:
        turns.begin(asked(":1"))
    assert refused.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
    turns.begin(asked(":2"))
    turns.end(asked(":1"))
    turns.begin(asked(":1"))


def test_many_readers_do_not_keep_out_who_changes_something() -> None:
    turns = Turns()
    for number in range(CALLS):
        turns.begin(asked(f":{number}"))
    with pytest.raises(BusError):
        turns.begin(asked(":new"))
    turns.begin(asked(":new", changes=True))


def test_nothing_is_kept_of_clients_that_have_gone() -> None:
    turns = Turns()
    for number in range(100):
        turns.begin(asked(f":{number}"))
        turns.end(asked(f":{number}"))
    assert not turns._taken
