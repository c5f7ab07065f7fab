"""What a move would do, device by device, and what keeps a master where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from failoverd.kinds import Bond, Bridge, Dummy, Macvlan, Vlan, Vrf
from failoverd.kinds.bridge import BridgeRest
from failoverd.kinds.macvlan import SOURCE
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Address, Hop, Label, Neighbour, Route, Rule
from failoverd.model.links import Link, Qdisc, Tc
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Inet
from failoverd.model.requests import ChangeLink, CreateLink
from failoverd.moves.clones import creations
from failoverd.moves.items import Item, Record, Seen, Toward, described
from failoverd.moves.rules import FR_ACT_GOTO, FR_ACT_TO_TBL, asked_tables, copied
from failoverd.moves.survey import Row, refusal, survey
from failoverd.plan.inet_sets import RTA_NH_ID
from failoverd.policy.naming import mark

MAC = "52:54:00:fa:11:01"
MASTER = Link(10, "ens3", MAC, kind="bond", info=Bond(active=4), altnames=frozenset({mark(MAC), "wan"}), up=True)
NIC = Link(3, "ens3nsby", MAC, MAC, master=10, bus="virtio", parent="virtio0")
VF = Link(4, "ens4", MAC, MAC, master=10, bus="pci", parent="0000:02:00.0")
VLAN = Link(11, "ens3.5", MAC, kind="vlan", info=Vlan(5), link=10, mtu=1400)
BOX = Link(12, "macsec0", MAC, kind="macsec", link=10)
VRF = Link(13, "vrf0", kind="vrf", info=Vrf(10))
BRIDGE = Link(20, "br0", kind="bridge", info=Bridge())
NOBODY = LinkTable()


def route(
    table: int = 254, protocol: int = 4, hops: tuple[Hop, ...] = (), attrs: tuple[tuple[int, bytes], ...] = ()
) -> Route:
    return Route(10, 2, 24, 0, 0, table, protocol, 0, 1, 0, attrs, hops)


def address(valid: int = 0xFFFFFFFF) -> Address:
    return Address(10, 2, 24, 0, 0x80, bytes(4), valid=valid)


QDISCS = {10: Qdisc("fq", 0x10000), 4: Qdisc("pfifo", 0x10000)}


def rows(
    *links: Link,
    inet: Inet | None = None,
    there: LinkTable = NOBODY,
    thing: str = "",
    odd: Mapping[int, str] | None = None,
) -> tuple[Row, ...]:
    seen = Seen(LinkTable((MASTER, NIC, VF)), {10: inet or Inet()}, qdiscs=QDISCS, odd_ports=odd or {})
    for link in links:
        seen.links[link.ifindex] = link
    return survey(MAC, seen, Seen(there, {}), {10: thing}, is_homeward=False)


def test_each_device_has_a_row() -> None:
    inet = Inet(
        (address(), address(60), address(60)),
        (route(), route(100), route(7), route(protocol=2)),
        (Neighbour(10, 2, 0x80, 0, 0),),
        (Label(10, bytes(16), 64, 9), Label(10, bytes(16), 48, 9)),
    )
    found = rows(VLAN, replace(MASTER, promiscuity=1), replace(NIC, tc=Tc(root="htb")), inet=inet)
    takes = ("3 addresses", "3 routes", "1 permanent neighbour", "2 address labels", "the qdisc fq", "MTU 1500")
    leaves = (
        "what renews 2 addresses that expire: a DHCP client, router advertisements",
        "a capture on it, or another program that takes in every frame",
    )
    assert found == (
        Row("ens3", "bond", "cloned", "", takes, leaves),
        Row("ens3.5", "vlan", "cloned", "", ("MTU 1400",)),
        Row("ens3nsby", "hardware", "moved", "", (), ("its qdisc htb",)),
        Row("ens4", "hardware", "moved", "", ("the qdisc pfifo",)),
    )
    assert refusal(found) == ""


OTHERS = 99


def rule(priority: int, table: int = 254, iif: str = "", oif: str = "", action: int = FR_ACT_TO_TBL) -> Rule:
    return Rule(2, priority, table, action, iif, oif)


AT_HOME = (
    rule(1, iif="ens3"),
    rule(2, iif="lo", oif="ens3.5"),
    rule(3, 100),
    rule(3, 101),
    rule(4, iif="ens3", oif="eth7"),
    rule(5, 0, oif="ens3", action=FR_ACT_GOTO),
    rule(6, 102),
    rule(7, 103),
    rule(8, 104, oif="ens3"),
    rule(9, iif="lo"),
    rule(10, 105),
    rule(11, 106, oif="ens3"),
    rule(12, 107, iif="ens3.5"),
    rule(32766),
)
USERS = {
    (2, 100): frozenset({10}),
    (2, 101): frozenset({11}),
    (2, 102): frozenset({10, OTHERS}),
    (2, 103): frozenset({11, 1}),
    (2, 105): frozenset({OTHERS}),
    (10, 107): frozenset({OTHERS}),
}


def ruled(there: Seen, *, is_homeward: bool = False) -> tuple[Row, ...]:
    seen = Seen(LinkTable((MASTER, VLAN)), {}, AT_HOME, users=USERS)
    return survey(MAC, seen, there, {}, is_homeward=is_homeward)


def test_rules_that_mean_the_same_there_go_along_and_the_others_are_said() -> None:
    there = Seen(NOBODY, {}, (rule(11, 106, oif="ens3"),), users={(2, 104): frozenset({3})})
    master, vlan = ruled(there)
    assert master.takes == ("2 policy rules", "MTU 1500")
    assert master.leaves == (
        "the policy rule 4 (it names eth7, too)",
        "the policy rule 5 (it leads to another rule)",
        "the policy rule 6 (its table 102 has routes of others, too)",
        "the policy rule 8 (there are routes of others in table 104 there)",
    )
    assert vlan.takes == ("3 policy rules", "MTU 1400")
    assert vlan.leaves == ("the policy rule 7 (its table 103 has routes that lead to no device, too)",)
    seen = Seen(LinkTable((MASTER, VLAN)), {}, AT_HOME, users=USERS)
    assert [one.priority for one in copied((MASTER, VLAN), seen, there)] == [1, 2, 3, 3, 12]


def test_rules_that_were_made_there_stay_there() -> None:
    master, vlan = ruled(Seen(NOBODY, {}, AT_HOME[:2]), is_homeward=True)
    assert master.leaves == ("the policy rules 3, 4, 5, 6, 8, 11 (made there)",)
    assert vlan.takes == ("MTU 1400",)


def test_the_tables_that_have_to_be_looked_at() -> None:
    rules = (
        rule(1),
        rule(2, 100),
        rule(3, 0, oif="ens3", action=FR_ACT_GOTO),
        Rule(10, 4, 255, FR_ACT_TO_TBL),
        rule(1000, 0),
    )
    assert asked_tables(Seen(NOBODY, {}, (*rules, rule(1000, 0)))) == {(2, 100)}
    assert asked_tables(Seen(NOBODY, {}), Seen(LinkTable((VRF,)), {})) == {(2, 10), (10, 10)}


def test_what_a_bridge_takes_in_is_no_capture() -> None:
    port = replace(VLAN, master=20, promiscuity=1)
    above = replace(VLAN, ifindex=21, name="br0.7", link=20, promiscuity=1, promiscuous=True)
    found = rows(BRIDGE, replace(MASTER, promiscuity=1), port, above, replace(BRIDGE, promiscuity=1))
    assert [row.leaves for row in found] == [()] * 6
    captured = "a capture on it, or another program that takes in every frame"
    assert rows(BRIDGE, replace(port, promiscuity=2))[1].leaves == (captured,)


def test_of_a_vrf_it_is_said_what_its_table_loses() -> None:
    def told(there: Seen, users: frozenset[int]) -> Row:
        links = LinkTable((replace(MASTER, master=13), VRF, VLAN))
        seen = Seen(links, {}, users={(2, 10): users})
        return survey(MAC, seen, there, {}, is_homeward=False)[2]

    nothing = Seen(NOBODY, {})
    assert told(nothing, frozenset({10, 11})) == Row("vrf0", "vrf", "cloned", "", ("MTU 1500",), ())
    assert told(nothing, frozenset({0, OTHERS})).leaves == (
        "the routes in table 10 that lead to no device",
        "the routes of others in table 10",
    )
    taken = told(Seen(NOBODY, {}, users={(10, 10): frozenset({3})}), frozenset())
    assert taken.why == "there are routes of others in table 10 there, which would be in vrf0"


def test_one_of_each_is_said_as_one() -> None:
    (master, *_) = rows(inet=Inet((address(60),), (route(100),)))
    assert master.takes == ("1 address", "1 route", "the qdisc fq", "MTU 1500")
    assert master.leaves == ("what renews an address that expires: a DHCP client, router advertisements",)


def test_where_there_is_no_master_there_is_nothing_to_be_said() -> None:
    assert survey(MAC, Seen(LinkTable((NIC, VF)), {}), Seen(NOBODY, {}), {}, is_homeward=False) == ()
    dummy = replace(MASTER, kind="dummy", info=Dummy())
    assert survey(MAC, Seen(LinkTable((dummy,)), {}), Seen(NOBODY, {}), {}, is_homeward=False) == ()


IN_BRIDGE = replace(MASTER, master=20)
OTHER = Hop(9, 0, 1)
NEXTHOP = "a route through it uses a nexthop object (ip nexthop), which failoverd cannot move"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (rows(BOX), "macsec0 stands on it and is a macsec, which cannot be cloned yet; take it away first"),
        (
            rows(Link(20, "ovs", kind="openvswitch"), IN_BRIDGE),
            "ens3 is in the openvswitch ovs, which cannot be cloned yet; take it out first",
        ),
        (
            rows(BRIDGE, IN_BRIDGE, Link(21, "v0", kind="veth", master=20)),
            "v0 is in the bridge br0, too, and is a veth, which would end with the other namespace; take it away first",
        ),
        (
            rows(BRIDGE, IN_BRIDGE, Link(21, "eth7", master=20)),
            "eth7 is in the bridge br0, too, and is a NIC, which stays; take it away first",
        ),
        (
            rows(BRIDGE, IN_BRIDGE, Link(21, "bond7", kind="bond", info=Bond(), master=20)),
            "bond7 is in the bridge br0, too, and is a bond, which is a master of its own; take it away first",
        ),
        (
            rows(BRIDGE, IN_BRIDGE, Link(21, "eth7.5", kind="vlan", info=Vlan(5), link=9, master=20)),
            "eth7.5 stands on another device, which stays; take it out first",
        ),
        (
            rows(BRIDGE, IN_BRIDGE, Link(21, "x.5", kind="vlan", info=Vlan(5), link=22, master=20), Link(22, "x")),
            "x.5 stands on x, which stays; take it out first",
        ),
        (
            rows(BRIDGE, IN_BRIDGE, odd={20: "the VLANs of its ports cannot be cloned yet"}),
            "br0: the VLANs of its ports cannot be cloned yet; take it out first",
        ),
        (
            rows(replace(MASTER, master=99)),
            "ens3 is in another device, which cannot be cloned yet; take it out first",
        ),
        (
            rows(replace(VLAN, altnames=frozenset({"failoverd-link-0badcafe-storage"}))),
            "ens3.5 is a declared link's, which is made on the master at home; withdraw that first",
        ),
        (rows(replace(VLAN, xdp=True)), "an XDP program is attached to ens3.5, and would be lost; detach it first"),
        (
            rows(replace(MASTER, tc=Tc("clsact"))),
            "ens3 has a clsact qdisc, whose filters cannot be cloned; take it away first (tc qdisc del)",
        ),
        (
            rows(replace(VLAN, tc=Tc(root="htb"))),
            "the qdisc htb of ens3.5 cannot be cloned; take it away first (tc qdisc del)",
        ),
        (
            rows(replace(VLAN, name="mv0", kind="macvlan", info=Macvlan(SOURCE))),
            "mv0 is a macvlan in source mode, whose list of MACs cannot be read; take it away first",
        ),
        (
            rows(inet=Inet(routes=(route(attrs=((RTA_NH_ID, bytes(4)),)),))),
            f"ens3: {NEXTHOP}; take that route away or write it without the object",
        ),
        (
            rows(inet=Inet(routes=(route(hops=(replace(OTHER, ifindex=10), OTHER)),))),
            "the route to default (table 254) goes through ens3 and other devices; take it away first",
        ),
        (
            rows(thing="a container's macvlan stands on it"),
            "ens3: a container's macvlan stands on it and would be cut off; take it away first",
        ),
        (
            rows(there=LinkTable((Link(5, "wan", kind="dummy"),))),
            "the name wan is taken there by a dummy (ifindex 5); rename one of them",
        ),
        (
            rows(there=LinkTable((Link(5, "ens4"),))),
            "the name ens4 is taken there by a NIC (ifindex 5); rename one of them",
        ),
    ],
)
def test_what_keeps_it_is_said(found: tuple[Row, ...], why: str) -> None:
    assert refusal(found) == why
    assert [row.how for row in found if row.why] == [""]


def test_a_route_of_several_hops_through_it_alone_goes_along() -> None:
    hops = (Hop(10, 0, 1), Hop(10, 0, 2))
    assert refusal(rows(inet=Inet(routes=(route(hops=hops),)))) == ""


def test_what_cannot_be_cloned_is_never_described() -> None:
    seen = Seen(LinkTable((MASTER, BOX)), {})
    with pytest.raises(ValueError, match="macsec0 is of no kind"):
        described(seen, MASTER)


def test_a_bridges_other_options_are_given_to_its_clone_behind_its_creation() -> None:
    items = (Item("ens3", Bond(), MAC, 1500, True), Item("br0", Bridge(), MAC, 1500, True, rest=b"\1\2"))
    record = Record(MAC, NamespaceRef("name", "web"), Toward.AWAY, items, ())
    asked = list(creations(record, {}, ()))
    made = next(one.device.ifindex for one in asked if isinstance(one, CreateLink) and one.device.name == "br0")
    assert ChangeLink(made, BridgeRest(b"\1\2")) in asked
    assert sum(isinstance(one, ChangeLink) for one in asked) == 1
