"""Requests, refusals, the status and the calls, in words for people."""

from __future__ import annotations

import errno
import json
from typing import get_args

import pytest
from pairdriver import Driver
from test_core_histories import SHAPES, drive
from toykernel import MAC, address, route

from failoverd.core.answers import CallError
from failoverd.core.calls import CALLS
from failoverd.core.state import State
from failoverd.core.status import nics, status
from failoverd.core.words import address_text, describe, devices, refusal_text, route_text
from failoverd.model.events import AdoptAsked, LinkGone, LinkSeen, ReleaseAsked
from failoverd.model.inet import Address
from failoverd.model.links import Link
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddRedirect,
    AddRoute,
    CreateBond,
    DeleteLink,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    DropRoute,
    HearAll,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetLinkLocal,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
)

NAMES = {2: "ens3", 3: "ens4", 9: "fo"}
WORDS: list[tuple[Request, str, set[int]]] = [
    (CreateBond("fo", MAC, 1500, 100, 1), f"create bond fo with MAC {MAC}, MTU 1500, miimon 100 ms", set()),
    (DeleteLink(9), "delete fo", {9}),
    (SetUp(2, up=True), "set ens3 up", {2}),
    (SetUp(2, up=False), "set ens3 down", {2}),
    (SetMtu(2, 9000), "set the MTU of ens3 to 9000", {2}),
    (Rename(2, "ens3nsby"), "rename ens3 to ens3nsby", {2}),
    (SetMaster(3, 9), "enslave ens4 to fo", {3, 9}),
    (SetMaster(3, 0), "free ens4", {3}),
    (SetActive(9, 3), "make ens4 the active slave of fo", {3, 9}),
    (AddAltname(9, "a"), "add the alternative name a to fo", {9}),
    (DropAltname(9, "a"), "drop the alternative name a of fo", {9}),
    (AddAddress(address("10.0.0.2/24", 9)), "add 10.0.0.2/24 to fo", {9}),
    (DropAddress(address("2001:db8::2/64", 2)), "drop 2001:db8::2/64 from ens3", {2}),
    (AddRoute(route("10.1.0.0/16", 9)), "add the route to 10.1.0.0/16 (table 254) through fo", {9}),
    (DropRoute(route("10.1.0.0/16", 3)), "drop the route to 10.1.0.0/16 (table 254) through ens4", {3}),
    (HearAll(9, on=True), "let fo take in what comes to the slave that does not carry", {9}),
    (HearAll(9, on=False), "no longer let fo take in what comes to the slave that does not carry", {9}),
    (SetAllMulticast(3, on=True), "let ens4 take in all multicast", {3}),
    (SetAllMulticast(3, on=False), "no longer let ens4 take in all multicast", {3}),
    (SetPromiscuous(3, on=True), "let ens4 take in every frame, whoever it is for", {3}),
    (SetPromiscuous(3, on=False), "no longer let ens4 take in every frame, whoever it is for", {3}),
    (SetLinkLocal(3, on=True), "let the kernel make a link-local address for ens4", {3}),
    (SetLinkLocal(3, on=False), "do not let the kernel make a link-local address for ens4", {3}),
    (AddClsact(3), "add a clsact qdisc to ens4", {3}),
    (DropClsact(3), "drop the clsact qdisc of ens4", {3}),
    (AddRedirect(3, "ingress", 2), "redirect the ingress of ens4 to that of ens3", {2, 3}),
    (DropRedirect(3, "ingress"), "drop the redirection on the ingress of ens4", {3}),
]


@pytest.mark.parametrize(("request_", "words", "about"), WORDS)
def test_every_request_in_words(request_: Request, words: str, about: set[int]) -> None:
    assert describe(request_, NAMES.__getitem__) == words
    assert devices(request_) == about


def test_no_request_was_forgotten() -> None:
    assert {type(row[0]) for row in WORDS} == set(get_args(Request))


@pytest.mark.parametrize(
    ("number", "text", "words"),
    [
        (errno.EBUSY, "", "set ens3 up failed: EBUSY; another program holds it"),
        (errno.EPERM, "no", "set ens3 up failed: EPERM (no); failoverd needs CAP_NET_ADMIN"),
        (errno.EIO, "", "set ens3 up failed: EIO; see the kernel's log (dmesg)"),
        (4711, "", "set ens3 up failed: 4711; see the kernel's log (dmesg)"),
        (0, "", "ens3 was set up again; if it is down, look for a network manager that has it"),
    ],
)
def test_a_refusal_says_what_who_why_and_what_next(number: int, text: str, words: str) -> None:
    assert refusal_text(SetUp(2, up=True), number, text, NAMES.__getitem__).startswith(words)


def test_what_is_there_already_is_no_question_of_names() -> None:
    there = refusal_text(AddRoute(route("::/0", 9, "fe80::1")), errno.EEXIST, "", NAMES.__getitem__)
    assert there.endswith("there is one like it; compare with ip address and ip route")
    assert "the name is taken" in refusal_text(Rename(2, "x"), errno.EEXIST, "", NAMES.__getitem__)


def test_addresses_and_routes() -> None:
    assert address_text(address("10.0.0.2/24", 2)) == "10.0.0.2/24"
    assert address_text(Address(2, 7, 8, 0, 0, b"\1\2\3")) == "010203/8"
    assert route_text(route("0.0.0.0/0", 2, "10.0.0.1", table=100)) == "default (table 100)"


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
        "to": "ens3nsby",
        "reason": "it was unplugged",
        "monotonic": 0.0,
        "silence": 0.0,
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
        driver.state.links.pop(ifindex)
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


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (AddAltname(9, "a"), "add the alternative name a to fo was done, and is undone again; look for"),
        (DropAddress(address("10.0.0.2/24", 2)), "10.0.0.2/24 was taken off ens3; if it comes back, look for a DHCP"),
        (DropRoute(route("10.1.0.0/16", 3)), "10.1.0.0/16 (table 254) was taken off ens4; if it comes back, look for"),
    ],
)
def test_what_was_done_and_is_not_left_so(request_: Request, words: str) -> None:
    assert refusal_text(request_, 0, "", NAMES.__getitem__).startswith(words)
