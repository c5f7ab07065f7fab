"""Orders for a pair that lives in another network namespace: what is asked for, and when they are answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_away import GONE, joined
from toykernel import MAC

from failoverd.config.spec import Damping
from failoverd.core.call_answers import Answer, CallError, pair_of
from failoverd.core.calls import CALLS
from failoverd.core.health import suppression
from failoverd.core.inputs import Configured
from failoverd.core.signal_facts import sentence
from failoverd.core.status import status
from failoverd.kinds import Bond
from failoverd.model.events import AwaySaid, DrainAsked, ThereSeen, UndrainAsked, VfAsked
from failoverd.model.links import Link
from failoverd.model.orders import Drain
from failoverd.model.pairs import There
from failoverd.model.signals import FailedOver

NIC = Link(3, "ens3nsby", MAC, MAC, master=10)
VF = Link(4, "ens4", MAC, MAC, master=10, altnames=frozenset({"fast"}))
MASTER = Link(10, "ens3", MAC, kind="bond", info=Bond(active=4), mtu=9000, up=True)
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


def test_a_failover_there_is_signalled_with_its_namespace_and_its_reason() -> None:
    driver = away()
    for there in (
        replace(ON_STANDBY, because="the VF cannot carry: it has no carrier"),
        replace(THERE, because="the VF has been steady"),
        replace(ON_STANDBY, vf=None, because="the VF cannot carry: it is unplugged"),
        replace(ON_STANDBY, vf=None, active=0, because="no slave can carry"),
        ON_STANDBY,
        replace(ON_STANDBY, text="nothing else"),
    ):
        driver.tell(ThereSeen(MAC, there))
    found = [one for one in driver.signals if isinstance(one, FailedOver) and one.namespace]
    assert {(one.master, one.namespace, one.mac, one.silence) for one in found} == {("ens3", "web", MAC, 0.0)}
    assert [(one.old, one.new, one.role, one.reason) for one in found] == [
        ("ens4", "ens3nsby", "standby", "the VF cannot carry: it has no carrier"),
        ("ens3nsby", "ens4", "primary", "the VF has been steady"),
        ("ens4", "ens3nsby", "standby", "it was unplugged"),
        ("ens3nsby", "", "", "no slave can carry"),
        ("", "ens3nsby", "standby", "no slave could carry before"),
    ]
    (shown,) = status(driver.state)["masters"]
    assert (shown["last_failover"]["to"], shown["last_failover"]["namespace"]) == ("ens3nsby", "web")
    assert sentence(found[0]).startswith("ens3: traffic moved from ens4 to ens3nsby in the network namespace web: ")
    assert "no slave carries any more in the network namespace web" in sentence(found[3])


def flap(driver: Driver, times: int) -> None:
    """The VF loses its carrier there and gets it back, as often."""
    for number in range(times):
        lost = replace(VF, carrier=False, carrier_losses=number + 1)
        driver.tell(ThereSeen(MAC, replace(ON_STANDBY, vf=lost, bad_primary="it has no carrier")))
        driver.tell(ThereSeen(MAC, replace(ON_STANDBY, vf=replace(lost, carrier=True))))


def test_a_vf_that_flaps_there_is_suppressed_for_a_while() -> None:
    driver = away()
    pair = driver.state.pairs[MAC]
    flap(driver, 6)
    assert (pair.health.flaps, suppression(driver.state, pair)) == (6, ("", False))
    flap(driver, 1)
    assert driver.damping[MAC].suppressed, "it is kept for the next run"
    assert suppression(driver.state, pair)[0].startswith("it flaps, and is suppressed")
    (shown,) = status(driver.state)["masters"]
    assert (shown["flaps"], shown["suppressed"]) == (7, True)
    assert "ens3: the VF is not to carry: it flaps" in driver.said[-1]
    driver.settle(driver.now + 1000)
    assert suppression(driver.state, pair) == ("", False)
    assert driver.said[-1] == "ens3: the VF has been steady, and may carry again"


def test_the_penalty_is_cleared_by_an_order() -> None:
    driver = away()
    flap(driver, 7)
    answer = ask(driver, "reset-damping", "ens3")
    assert answer.document == {"mac": MAC, "master": "ens3", "was_suppressed": True}
    driver.tell(*answer.events)
    assert not driver.state.pairs[MAC].health.damping.suppressed


def test_what_happens_to_the_vf_on_the_way_or_while_it_is_drained_is_no_flap() -> None:
    driver = away(None)
    pair = driver.state.pairs[MAC]
    driver.tell(ThereSeen(MAC, replace(ON_STANDBY, vf=None, bad_primary="it is unplugged")))
    driver.tell(ThereSeen(MAC, THERE))
    driver.tell(DrainAsked(MAC, Drain(4, None)))
    flap(driver, 7)
    assert pair.health.flaps == 0
    driver.tell(UndrainAsked(MAC), ThereSeen(MAC, replace(THERE, mtu_mismatch="its MTU is 1400")))
    assert pair.health.flaps == 0
    driver.tell(AwaySaid(MAC, "ens3", "it is on its way home", "web"), ThereSeen(MAC, ON_STANDBY))
    assert pair.health.flaps == 0


def test_flaps_are_not_counted_where_that_is_switched_off() -> None:
    driver = away()
    driver.tell(Configured(replace(driver.config, damping=Damping(enabled=False))))
    flap(driver, 9)
    assert (driver.state.pairs[MAC].health.flaps, driver.state.pairs[MAC].health.damping.suppressed) == (0, False)


def test_a_suppression_there_ends_when_damping_is_switched_off() -> None:
    driver = away()
    flap(driver, 7)
    pair = driver.state.pairs[MAC]
    assert suppression(driver.state, pair)[0]
    driver.tell(Configured(replace(driver.config, damping=Damping(enabled=False))), ThereSeen(MAC, THERE))
    assert suppression(driver.state, pair) == ("", False)


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
