"""A pair that is in another network namespace: what is seen of it here is left alone, until it is at home again."""

from __future__ import annotations

import pytest
from pairdriver import Driver
from test_core_histories import SHAPES, assert_joined, drive
from toykernel import MAC

from failoverd.core.call_answers import CallError, macs_of_masters, whereabouts, words_for_master
from failoverd.core.calls import CALLS
from failoverd.core.inputs import Recalled
from failoverd.core.state import State
from failoverd.core.status import status
from failoverd.core.step import step
from failoverd.model.events import AwaySaid, DrainAsked, ResidenceSaid
from failoverd.model.orders import Drain
from failoverd.model.requests import SetMaster
from failoverd.model.signals import FailedOver, Joined

NIC, VF = 2, 3
GONE = AwaySaid(MAC, "ens3", "it is on its way")


def joined() -> Driver:
    driver = drive(SHAPES["vf"])
    driver.settle()
    assert_joined(driver)
    return driver


def test_what_happens_to_it_here_is_left_alone() -> None:
    driver = joined()
    driver.tell(GONE)
    sent, signals = len(driver.sent), len(driver.signals)
    driver.kernel.do((SetMaster(NIC, 0), SetMaster(VF, 0)))
    driver.settle()
    assert len(driver.sent) == sent
    assert not [one for one in driver.signals[signals:] if isinstance(one, FailedOver)]
    (shown,) = status(driver.state)["masters"]
    assert (shown["name"], shown["state"], shown["reason"]) == ("ens3", "away", "it is on its way")
    with pytest.raises(CallError, match="is not joined but away"):
        CALLS["drain"].run(driver.state, [MAC], driver.now)


def test_a_drain_ends_when_it_leaves() -> None:
    driver = joined()
    driver.tell(DrainAsked(MAC, Drain(VF, None)))
    assert driver.drains
    driver.tell(GONE)
    assert not driver.drains
    driver.tell(AwaySaid(MAC, "ens3", "it is there"))
    (shown,) = status(driver.state)["masters"]
    assert shown["reason"] == "it is there"


def test_at_home_again_it_is_as_after_a_start_and_nothing_counts_as_a_flap() -> None:
    driver = joined()
    driver.tell(GONE)
    driver.kernel.do((SetMaster(NIC, 0), SetMaster(VF, 0)))
    driver.tell()
    signals = len(driver.signals)
    driver.tell(AwaySaid(MAC, "", ""))
    driver.settle()
    assert_joined(driver)
    assert any(isinstance(one, Joined) for one in driver.signals[signals:])
    (shown,) = status(driver.state)["masters"]
    assert (shown["state"], shown["flaps"]) == ("accelerated", 0)


def test_a_start_knows_it_before_it_sees_anything() -> None:
    state = State(joined().config)
    step(state, Recalled(away={MAC: AwaySaid(MAC, "ens3", "it is there", "web")}), 0.0)
    (shown,) = status(state)["masters"]
    assert (shown["name"], shown["state"], shown["reason"]) == ("ens3", "away", "it is there")
    assert shown["namespace"] == "web"


def test_where_it_is_to_be_is_shown_and_explained() -> None:
    driver = joined()
    driver.tell(ResidenceSaid(MAC, "web", "configuration", "it is not there"))
    (shown,) = status(driver.state)["masters"]
    assert (shown["state"], shown["namespace"], shown["wanted_namespace"]) == ("accelerated", "", "web")
    assert (shown["wanted_by"], shown["move_pending"]) == ("configuration", "it is not there")
    why = "it is to be moved into the network namespace web by the configuration, and waits: it is not there"
    assert any(why in row["reason"] for row in status(driver.state)["nics"])
    driver.tell(ResidenceSaid(MAC, "", "order", "another move is on its way"))
    assert any("to be moved home by an order, and waits" in row["reason"] for row in status(driver.state)["nics"])
    driver.tell(ResidenceSaid(MAC, "", "", ""))
    assert not any("to be moved" in row["reason"] for row in status(driver.state)["nics"])


def test_one_that_is_parked_has_a_state_of_its_own_and_is_left_alone() -> None:
    driver = joined()
    driver.tell(GONE)
    driver.tell(AwaySaid(MAC, "ens3", "it is parked", "web", is_parked=True))
    sent = len(driver.sent)
    driver.kernel.do((SetMaster(NIC, 0), SetMaster(VF, 0)))
    driver.settle()
    (shown,) = status(driver.state)["masters"]
    assert (shown["state"], shown["namespace"], len(driver.sent)) == ("parked", "web", sent)


def test_a_master_has_words_at_home_and_elsewhere() -> None:
    driver = joined()
    at_home = words_for_master(driver.state, "ens4")
    assert {MAC, "ens3"} <= at_home
    assert "ens4" not in at_home
    assert words_for_master(driver.state, "ens9") == set()
    assert whereabouts(driver.state, "ens3") == ""
    assert macs_of_masters(driver.state) == dict.fromkeys(at_home, MAC)
    driver.tell(GONE)
    for word in (MAC.upper(), "ens3"):
        assert words_for_master(driver.state, word) == {MAC, "ens3"}
        assert whereabouts(driver.state, word) == "it is on its way"
    assert whereabouts(driver.state, "ens9") == ""
