"""Orders for a pair that lives in another network namespace: what is asked for, and when they are answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_away import GONE, joined
from toykernel import MAC

from failoverd.core.call_answers import Answer, CallError, pair_of
from failoverd.core.calls import CALLS
from failoverd.core.status import status
from failoverd.kinds import Bond
from failoverd.model.events import AwaySaid, DrainAsked, ThereSeen, UndrainAsked, VfAsked
from failoverd.model.links import Link
from failoverd.model.orders import Drain
from failoverd.model.pairs import There

NIC = Link(3, "ens3nsby", MAC, MAC, master=10)
VF = Link(4, "ens4", MAC, MAC, master=10, altnames=frozenset({"fast"}))
MASTER = Link(10, "ens3", MAC, kind="bond", info=Bond(active=4), mtu=9000)
THERE = There(MASTER, NIC, VF, 4, "", "", is_told=True, text="ens4 carries there; the VF carries")
ON_STANDBY = replace(THERE, active=3)


def away(there: There | None = THERE) -> Driver:
    driver = joined()
    driver.tell(GONE)
    driver.tell(AwaySaid(MAC, "ens3", "it is there", "web"))
    if there is not None:
        driver.tell(ThereSeen(MAC, there))
    return driver


def ask(driver: Driver, call: str, *arguments: str) -> Answer:
    return CALLS[call].run(driver.state, arguments, driver.now)


def test_what_was_seen_there_is_shown() -> None:
    driver = away()
    (shown,) = status(driver.state)["masters"]
    assert (shown["active"], shown["mtu"], shown["primary"]) == ("ens4", 9000, None)
    assert shown["reason"] == "it is there; ens4 carries there; the VF carries"
    driver.tell(ThereSeen(MAC, replace(THERE, active=0)))
    assert status(driver.state)["masters"][0]["active"] is None
    driver.tell(AwaySaid(MAC, "ens3", "it is parked", "web", is_parked=True))
    driver.tell(ThereSeen(MAC, THERE))
    (shown,) = status(driver.state)["masters"]
    assert (shown["reason"], driver.state.pairs[MAC].residing.there) == ("it is parked", None)


@pytest.mark.parametrize("word", [MAC, "ens3", "ens4", "fast"])
def test_a_drain_is_done_when_the_standby_carries_and_the_neighbours_know(word: str) -> None:
    driver = away()
    answer = ask(driver, "drain", word, "60")
    order = Drain(4, driver.now + 60)
    assert answer.events == (DrainAsked(MAC, order),)
    assert (answer.document["active"], answer.document["drain_ends"]) == ("ens3nsby", order.until)
    driver.tell(*answer.events)
    assert not answer.done(driver.state)
    driver.tell(ThereSeen(MAC, replace(ON_STANDBY, is_told=False)))
    assert not answer.done(driver.state)
    driver.tell(ThereSeen(MAC, ON_STANDBY))
    assert answer.done(driver.state)
    undo = ask(driver, "undrain", word)
    assert undo.events == (UndrainAsked(MAC),)
    driver.tell(*undo.events)
    with pytest.raises(CallError, match="the drain was ended before"):
        answer.done(driver.state)
    with pytest.raises(CallError, match="ens3 is not drained"):
        ask(driver, "undrain", word)


def test_a_drain_without_a_vf_or_a_standby() -> None:
    driver = away(replace(ON_STANDBY, vf=None))
    answer = ask(driver, "drain", MAC, "0")
    assert (answer.events, answer.document["drained"], answer.done(driver.state)) == ((), False, True)
    for bad in (replace(THERE, vf=None, nic=None), replace(THERE, vf=None, bad_standby="it is down")):
        driver.tell(ThereSeen(MAC, bad))
        with pytest.raises(CallError, match="the standby of ens3 cannot carry"):
            ask(driver, "drain", MAC)
        with pytest.raises(CallError, match="the standby cannot carry any more"):
            answer.done(driver.state)
    driver.tell(AwaySaid(MAC, "ens3", "it is on its way", "web"))
    with pytest.raises(CallError, match="the pair has moved meanwhile; it is away"):
        answer.done(driver.state)


def test_a_switch() -> None:
    driver = away(ON_STANDBY)
    assert ask(driver, "switch", MAC, "ens3nsby").events == (DrainAsked(MAC, Drain(4, None)),)
    answer = ask(driver, "switch", MAC, "4")
    assert answer.events == (VfAsked(MAC, 4),)
    driver.tell(*answer.events)
    assert not answer.done(driver.state)
    driver.tell(ThereSeen(MAC, THERE))
    assert answer.done(driver.state)
    driver.tell(ThereSeen(MAC, ON_STANDBY))
    driver.tell(VfAsked(MAC, 0))
    with pytest.raises(CallError, match="the VF cannot carry any more"):
        answer.done(driver.state)
    driver.tell(ThereSeen(MAC, replace(ON_STANDBY, bad_primary="it has no carrier")))
    with pytest.raises(CallError, match="ens4 cannot carry: it has no carrier"):
        ask(driver, "switch", MAC, "fast")
    with pytest.raises(CallError, match="'eth9' is not one slave of ens3; it has ens4 and ens3nsby"):
        ask(driver, "switch", MAC, "eth9")


@pytest.mark.parametrize("call", ["release", "adopt", "drain", "undrain", "reset-damping"])
def test_on_its_way_every_order_is_refused(call: str) -> None:
    driver = away(None)
    with pytest.raises(CallError, match="is not joined but away, and this cannot be done there: it is there"):
        ask(driver, call, "ens3")


def test_a_name_at_home_is_not_meant_for_one_that_is_elsewhere() -> None:
    driver = away()
    assert pair_of(joined().state, "ens4").mac == MAC
    with pytest.raises(CallError, match="belongs to no pair"):
        pair_of(driver.state, "eth7")
