"""What every request knows of itself: whom it is about, and how it and its refusals are said."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from everyrequest import EVERY
from toykernel import MAC, address, route

from failoverd.kinds import Bond, Bridge, Macvlan, NewDevice, VethPair, Vlan
from failoverd.kinds.macvlan import BRIDGE
from failoverd.model.inet import Address, Label, Neighbour, Rule
from failoverd.model.links import Qdisc
from failoverd.model.places import HERE, Place
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddLabel,
    AddNeighbour,
    AddQdisc,
    AddRedirect,
    AddRoute,
    AddRule,
    ChangeLink,
    CreateLink,
    DeleteLink,
    DeleteMarked,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    DropRoute,
    DropRule,
    HearAll,
    MoveLink,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetAttribute,
    SetLinkLocal,
    SetMac,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetSysctl,
    SetUp,
    TryMaster,
)

NAMES = {2: "ens3", 3: "ens4", 9: "fo"}
ENTRY = Neighbour(9, 2, 0x80, 0, 1, ((1, b"\n\0\0\5"),))
RULE = Rule(2, 99, 254, 1, iif="ens3")
LABEL = Label(9, bytes(16), 32, 99)
WORDS: list[tuple[Request, str, set[int]]] = [
    (
        CreateLink(NewDevice("fo", MAC, 1500), Bond(miimon=100)),
        f"create bond fo with MAC {MAC}, MTU 1500, miimon 100 ms",
        set(),
    ),
    (CreateLink(NewDevice("v0"), VethPair(NewDevice("v1"))), "create veth v0 with peer v1", set()),
    (CreateLink(NewDevice("v0", lower=2), Vlan(7)), "create vlan v0 on ens3 with VLAN 7", {2}),
    (CreateLink(NewDevice("br0"), Bridge()), "create bridge br0", set()),
    (CreateLink(NewDevice("br0"), Bridge(stp=True)), "create bridge br0 with STP", set()),
    (CreateLink(NewDevice("v0"), VethPair(NewDevice("v1", place=HERE))), "create veth v0 with peer v1 here", set()),
    (
        CreateLink(NewDevice("v0"), VethPair(NewDevice("v1", place=Place(7)))),
        "create veth v0 with peer v1 in network namespace 7",
        set(),
    ),
    (
        CreateLink(NewDevice("ens3.7", lower=2, place=Place(7)), Vlan(7)),
        "create vlan ens3.7 on ens3 in network namespace 7 with VLAN 7",
        {2},
    ),
    (ChangeLink(9, Macvlan(BRIDGE)), "change fo to mode bridge", {9}),
    (ChangeLink(9, Bridge()), "change fo", {9}),
    (DeleteLink(9), "delete fo", {9}),
    (DeleteMarked("mark"), "delete the device with the alternative name mark", set()),
    (MoveLink(3, Place(7)), "move ens4 to network namespace 7", {3}),
    (MoveLink(3, HERE, name="eth1"), "move ens4 to failoverd's network namespace as eth1", {3}),
    (SetMac(3, MAC), f"set the MAC of ens4 to {MAC}", {3}),
    (SetUp(2, up=True), "set ens3 up", {2}),
    (SetUp(2, up=False), "set ens3 down", {2}),
    (SetMtu(2, 9000), "set the MTU of ens3 to 9000", {2}),
    (Rename(2, "ens3nsby"), "rename ens3 to ens3nsby", {2}),
    (SetMaster(3, 9), "enslave ens4 to fo", {3, 9}),
    (SetMaster(3, 0), "free ens4", {3}),
    (TryMaster(3, 9), "see whether the kernel would enslave ens4 to fo", {3, 9}),
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
    (SetPromiscuous(3, on=True), "let ens4 take in every frame, not only its own", {3}),
    (SetPromiscuous(3, on=False), "no longer let ens4 take in every frame, not only its own", {3}),
    (SetLinkLocal(3, on=True), "let the kernel make a link-local address for ens4", {3}),
    (SetLinkLocal(3, on=False), "do not let the kernel make a link-local address for ens4", {3}),
    (AddClsact(3), "add a clsact qdisc to ens4", {3}),
    (AddQdisc(3, Qdisc("fq", 0x10000)), "give ens4 the qdisc fq", {3}),
    (DropClsact(3), "drop the clsact qdisc of ens4", {3}),
    (AddRedirect(3, "ingress", 2), "redirect the ingress of ens4 to that of ens3", {2, 3}),
    (DropRedirect(3, "ingress"), "drop the redirection on the ingress of ens4", {3}),
    (AddNeighbour(ENTRY), "add the permanent neighbour 10.0.0.5 to fo", {9}),
    (AddNeighbour(replace(ENTRY, flags=8)), "add the proxy entry for 10.0.0.5 to fo", {9}),
    (AddLabel(LABEL), "add the address label 99 of ::/32 for fo", {9}),
    (AddRule(RULE), "add the policy rule 99", set()),
    (DropRule(replace(RULE, family=10)), "drop the policy rule 99 (IPv6)", set()),
    (SetSysctl(9, "ipv6/accept_ra", "2"), "set net.ipv6.conf.fo.accept_ra to 2", {9}),
    (SetAttribute(9, "alias", ""), "set the alias of fo to nothing", {9}),
]


@pytest.mark.parametrize(("request_", "words", "about"), WORDS)
def test_every_request_in_words(request_: Request, words: str, about: set[int]) -> None:
    assert request_.describe(NAMES.__getitem__) == words
    assert request_.devices == about


def test_no_request_was_forgotten() -> None:
    assert {type(row[0]) for row in WORDS} == EVERY


@pytest.mark.parametrize(
    ("number", "text", "words"),
    [
        (errno.EBUSY, "", "set ens3 up failed: EBUSY; another program holds it"),
        (errno.EPERM, "no", "set ens3 up failed: EPERM (no); failoverd needs CAP_NET_ADMIN"),
        (errno.EIO, "", "set ens3 up failed: EIO; see the kernel's log (dmesg)"),
        (4711, "", "set ens3 up failed: 4711; see the kernel's log (dmesg)"),
        (errno.EINVAL, "", "set ens3 up failed: EINVAL; the driver refuses the master's settings"),
    ],
)
def test_a_refusal_says_what_who_why_and_what_next(number: int, text: str, words: str) -> None:
    assert SetUp(2, up=True).refused(number, text, NAMES.__getitem__).startswith(words)


def test_the_nics_limits_are_blamed_only_where_a_nic_may_have_some() -> None:
    words = [
        one.refused(errno.EINVAL, "", NAMES.__getitem__) for one in (SetMaster(2, 9), SetMac(2, "02:00:00:00:00:01"))
    ]
    assert "refuses the master's settings" in words[0]
    assert words[1].endswith("failed: EINVAL; see the kernel's log (dmesg)")


def test_what_is_there_already_is_no_question_of_names() -> None:
    there = AddRoute(route("::/0", 9, "fe80::1")).refused(errno.EEXIST, "", NAMES.__getitem__)
    assert there.endswith("there is one like it; compare with ip address and ip route")
    assert AddAddress(address("10.0.0.2/24", 9)).advice(errno.EEXIST) == AddRoute(route("::/0", 9)).advice(errno.EEXIST)
    assert AddRule(RULE).advice(errno.EEXIST) == "there is one like it; compare with ip rule"
    assert "CAP_NET_ADMIN" in AddRule(RULE).advice(errno.EPERM)
    assert "CAP_NET_ADMIN" in AddAddress(address("10.0.0.2/24", 9)).advice(errno.EPERM)
    closed = SetSysctl(9, "ipv6/accept_ra", "2").refused(errno.EROFS, "", NAMES.__getitem__)
    assert closed.startswith("set net.ipv6.conf.fo.accept_ra to 2 failed: EROFS; failoverd has to be able to write")
    assert "the name is taken" in Rename(2, "x").refused(errno.EEXIST, "", NAMES.__getitem__)
    held = TryMaster(3, 9).refused(errno.EBUSY, "no", NAMES.__getitem__)
    assert held.startswith("the kernel would not enslave it: EBUSY (no); look for a macvlan")


def test_addresses_and_routes() -> None:
    assert str(address("10.0.0.2/24", 2)) == "10.0.0.2/24"
    assert str(Address(2, 7, 8, 0, 0, b"\1\2\3")) == "010203/8"
    assert str(route("0.0.0.0/0", 2, "10.0.0.1", table=100)) == "default (table 100)"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (SetUp(2, up=True), "ens3 was set up again; if it is down, look for a network manager that has it"),
        (AddAltname(9, "a"), "add the alternative name a to fo was done, and is undone again; look for"),
        (DropAddress(address("10.0.0.2/24", 2)), "10.0.0.2/24 was taken off ens3; if it comes back, look for a DHCP"),
        (DropRoute(route("10.1.0.0/16", 3)), "10.1.0.0/16 (table 254) was taken off ens4; if it comes back, look for"),
    ],
)
def test_what_was_done_and_is_not_left_so(request_: Request, words: str) -> None:
    assert request_.undone(NAMES.__getitem__).startswith(words)
