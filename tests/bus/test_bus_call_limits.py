"""Calls under way: each client has a bound, and so have all together."""

from __future__ import annotations

import pytest

from failoverd.bus.call_limits import CALLS, CALLS_OF_ONE, CallLimits
from failoverd.bus.dispatch import Asked
from failoverd.bus.interfaces import BusError, Method


def asked(sender: str) -> Asked:
    return Asked("/a", "org.example.A", Method("Do", "Do.", changes=True), [], sender)


def test_a_client_has_its_bound_and_others_have_theirs() -> None:
    limits = CallLimits()
    for _ in range(CALLS_OF_ONE):
        limits.begin(asked(":1"))
    with pytest.raises(BusError, match=r"Do at /a: .* try again") as refused:
        limits.begin(asked(":1"))
    assert refused.value.name == "org.freedesktop.DBus.Error.LimitsExceeded"
    limits.begin(asked(":2"))
    limits.end(asked(":1"))
    limits.begin(asked(":1"))


def test_all_together_have_a_bound() -> None:
    limits = CallLimits()
    for number in range(CALLS):
        limits.begin(asked(f":{number}"))
    with pytest.raises(BusError, match=f"{CALLS} calls are under way"):
        limits.begin(asked(":new"))


def test_nothing_is_kept_of_clients_that_have_gone() -> None:
    limits = CallLimits()
    for number in range(100):
        limits.begin(asked(f":{number}"))
        limits.end(asked(f":{number}"))
    assert limits.count == 0
    assert not limits._taken
