"""What is lost, the status and the calls, in words for people."""

from __future__ import annotations

import errno
import json

import pytest
from pairdriver import Driver
from test_core_histories import SHAPES, drive
from toykernel import MAC, address, route

from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.core.reasons import lost_text
from failoverd.core.state import State
from failoverd.core.status import nics, status
from failoverd.model.events import AdoptAsked, LinkGone, LinkSeen, ReleaseAsked
from failoverd.model.inet import Label, Neighbour
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAltname

ENTRY = Neighbour(9, 2, 0x80, 0, 1, ((1, b"\n\0\0\5"),))
LABEL = Label(9, bytes(16), 32, 99)


def test_what_is_lost() -> None:
    lost = Inet((address("10.0.0.2/24", 9),), (route("10.1.0.0/16", 9),), (ENTRY,), (LABEL,))
    told = lost_text(lost, "ens3")
    assert told.startswith("ens3 has lost 10.0.0.2/24, the route to 10.1.0.0/16 (table 254), the permanent neighbour")
    assert "the address label 99 of ::/32; failoverd keeps it" in told
    assert lost_text(Inet(), "ens3") == ""


# The status document


@pytest.fixture(name="driver")
def _driver() -> Driver:
    driver = drive(SHAPES["vf"])
    driver.settle()
    return driver


def test_the_status_of_a_pair_at_work(driver: Driver) -> None:
    driver.kernel.links[1] = Link(1, "lo", kind="")
    driver.tell(LinkSeen(driver.kernel.links[1]))
    document = status(driver.state)
    json.dumps(document)
    [master] = document["masters"]
    assert (master["name"], master["mac"], master["datapath"]) == ("ens3", MAC, "bond")
    assert (master["state"], master["active"], master["mtu"]) == ("accelerated", "ens4", 1400)
    assert master["primary"]["name"] == "ens4"
    assert master["primary"]["fit"]
    assert master["standby"]["name"] == "ens3nsby"
    assert master["failovers"] == 0
    assert master["last_failover"] is None
    assert [row["name"] for row in document["nics"]] == ["ens3nsby", "ens4", "ens3"]


def test_the_status_after_a_failover_and_without_a_vf(driver: Driver) -> None:
    driver.kernel.unplug(3)
    driver.tell()
    driver.settle(driver.now + 1)
    [master] = status(driver.state)["masters"]
    assert master["primary"] is None
    assert master["last_failover"] == {
        "from": "ens4",
        "from_ifindex": 3,
        "to": "ens3nsby",
        "to_ifindex": 2,
        "to_role": "standby",
        "reason": "it was unplugged",
        "silence_seconds": 0.0,
        "namespace": None,
        "monotonic": 0.0,
    }


def test_a_released_pair_is_shown_under_its_nic(driver: Driver) -> None:
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    [master] = status(driver.state)["masters"]
    assert (master["name"], master["state"], master["ifindex"]) == ("ens3", "released", 0)
    assert master["active"] is master["primary"] is None
    rows = {row["name"]: row["reason"] for row in nics(driver.state)}
    assert rows["ens3"].endswith("released by an administrator; failoverctl adopt joins it again")


def test_a_pair_of_one_without_a_master_is_not_shown_and_a_failing_one_says_why() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.refuse = lambda request: errno.EOPNOTSUPP if isinstance(request, AddAltname) else 0
    driver.tell()
    driver.settle(5)
    [master] = status(driver.state)["masters"]
    assert master["state"] == "degraded"
    assert master["name"] == "ens3"
    reasons = [row["reason"] for row in nics(driver.state) if row["name"] == "ens3"]
    assert "could not be marked" in reasons[0]
    alone = drive(SHAPES["no-vf"])
    alone.state = State(alone.config.__class__())
    alone.tell()
    assert status(alone.state)["masters"] == []


def test_a_master_under_its_passing_name_is_shown_under_its_nics() -> None:
    driver = drive(SHAPES["no-carrier"])
    driver.tell()
    [master] = status(driver.state)["masters"]
    assert (master["name"], master["state"], master["reason"]) == ("ens3", "joining", "the VF has no carrier yet")


def test_a_pair_whose_devices_are_all_gone(driver: Driver) -> None:
    driver.state.pairs[MAC].state = "releasing"
    for ifindex in list(driver.state.links):
        del driver.state.links[ifindex]
    [master] = status(driver.state)["masters"]
    assert master["name"] == ""
    assert master["mtu"] == 0
    assert nics(driver.state) == []


# The calls


def test_status_and_explain(driver: Driver) -> None:
    answer = CALLS["status"].run(driver.state, (), 0.0)
    document, events = answer.document, answer.events
    assert document["masters"]
    assert events == ()
    every = CALLS["explain"].run(driver.state, (), 0.0).document
    assert len(every["nics"]) == 3
    one = CALLS["explain"].run(driver.state, ("ens4",), 0.0).document
    assert [row["name"] for row in one["nics"]] == ["ens4"]
    with pytest.raises(CallError, match="there is no device 'eth9' here"):
        CALLS["explain"].run(driver.state, ("eth9",), 0.0)


@pytest.mark.parametrize("word", ["ens3", "ens3nsby", "ens4", "enp1s0", MAC, "2"])
def test_a_pair_can_be_named_by_any_of_its_words(driver: Driver, word: str) -> None:
    answer = CALLS["release"].run(driver.state, (word,), 0.0)
    document, events = answer.document, answer.events
    assert document == {"mac": MAC}
    assert events == (ReleaseAsked(MAC),)
    assert CALLS["adopt"].run(driver.state, (word,), 0.0).events == (AdoptAsked(MAC),)


@pytest.mark.parametrize(("word", "why"), [("", "name the master"), ("eth9", "'eth9' belongs to no pair")])
def test_what_is_no_pair(driver: Driver, word: str, why: str) -> None:
    with pytest.raises(CallError, match=why):
        CALLS["release"].run(driver.state, (word,), 0.0)


def test_what_is_released_is_not_released_again(driver: Driver) -> None:
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    with pytest.raises(CallError, match="ens3 is released already; failoverctl adopt ens3 joins it again"):
        CALLS["release"].run(driver.state, ("ens3",), 0.0)


def test_a_device_that_is_gone_is_no_word_for_anything(driver: Driver) -> None:
    driver.tell(LinkGone(3))
    with pytest.raises(CallError):
        CALLS["explain"].run(driver.state, ("ens4",), 0.0)
