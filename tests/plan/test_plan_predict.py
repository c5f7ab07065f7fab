"""What is foretold of a request: what the kernel does, what it says no to, and what it tells."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from everyrequest import EVERY
from toykernel import MAC, address, route

from failoverd.kinds import Bond, Bridge, Ipvlan, Macvlan, NewDevice, Veth, VethPair, Vlan, Vrf
from failoverd.kinds.bond import HEARING
from failoverd.kinds.bridge import BridgeRest
from failoverd.model.events import AddressSeen, Event, LinkGone, LinkSeen
from failoverd.model.inet import Label, Neighbour, Rule
from failoverd.model.links import Filter, Link, Qdisc, Tc
from failoverd.model.pairs import Inet
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
from failoverd.plan.gateways import RTNH_F_ONLINK
from failoverd.plan.predict import PREDICTIONS, predict
from failoverd.plan.predict.machine import Machine, machine_of
from failoverd.plan.predict.tc import HANDLE, PREFERENCE

NIC = Link(2, "ens3", MAC, MAC, up=True, carrier=True, link_local=True)
VF = Link(3, "ens4", MAC, MAC, mtu=9000, max_mtu=9000)
BOND = Link(9, "fo", MAC, kind="bond", mtu=1400, info=Bond(mode=1), up=True)
BRIDGE = Link(8, "br0", kind="bridge", info=Bridge())
OTHER = address("10.0.0.3/24", 2)
FOUR, SIX, OWN = address("10.0.0.2/24", 2), address("2001:db8::2/64", 2), address("fe80::5054:ff:fefa:1101/64", 2)
NET, NET6 = route("10.0.0.0/24", 2, protocol=2), route("2001:db8::/64", 2, protocol=2)
DEFAULT = route("0.0.0.0/0", 2, "10.0.0.1")
RED = Place(7)
OTHER_MAC = "02:00:00:00:00:01"
OURS = Filter("egress", PREFERENCE, HANDLE, "u32", 3, ours=True)
THEIRS = Filter("egress", 1, 1, "bpf")
ENTRY, LABEL = Neighbour(2, 2, 0x80, 0, 1), Label(2, bytes(16), 32, 99)


def machine(*links: Link, live_renames: bool = False) -> Machine:
    return machine_of(links, {}, live_renames)


def done(there: Machine, *requests: Request) -> list[Event]:
    """Have the kernel do all of it; what it tells."""
    there.news.clear()
    assert [predict(there, request) for request in requests] == [0] * len(requests)
    return there.news


def test_every_kind_of_request_has_its_prediction() -> None:
    assert set(PREDICTIONS) == EVERY


GONE: list[Request] = [
    *(kind(2) for kind in (AddClsact, DeleteLink, DropClsact)),
    *(kind(2, on=True) for kind in (HearAll, SetAllMulticast, SetLinkLocal, SetPromiscuous)),
    *(kind(2, "name") for kind in (AddAltname, DropAltname, Rename)),
    *(kind(2, 9) for kind in (SetActive, SetMaster, SetMtu, TryMaster)),
    *(kind(2, "alias", "x") for kind in (SetAttribute, SetSysctl)),
    *(kind(FOUR) for kind in (AddAddress, DropAddress)),
    *(AddLabel(LABEL), AddNeighbour(ENTRY), AddRoute(DEFAULT), SetUp(2, up=True)),
    AddQdisc(2, Qdisc("fq", 0)),
    *(AddRedirect(2, "egress", 3), DropRedirect(2, "egress")),
    *(ChangeLink(2, Ipvlan()), DeleteMarked("mark"), MoveLink(2, RED), SetMac(2, OTHER_MAC)),
]


@pytest.mark.parametrize("request_", GONE)
def test_of_a_device_that_is_gone_nothing_can_be_asked(request_: Request) -> None:
    there = machine()
    assert predict(there, request_) == errno.ENODEV
    assert not there.news
    assert {type(request) for request in GONE} == EVERY - {AddRule, CreateLink, DropRoute, DropRule}


# Devices


@pytest.mark.parametrize(
    ("request_", "after"),
    [
        (SetUp(2, up=False), replace(NIC, up=False, carrier=False)),
        (SetMtu(2, 9000), replace(NIC, mtu=9000)),
        (SetMac(2, OTHER_MAC), replace(NIC, mac=OTHER_MAC)),
        (AddAltname(2, "enp1s0"), replace(NIC, altnames=frozenset({"enp1s0"}))),
        (SetAllMulticast(2, on=True), replace(NIC, all_multicast=True)),
        (SetPromiscuous(2, on=True), replace(NIC, promiscuous=True, promiscuity=1)),
        (SetLinkLocal(2, on=False), replace(NIC, link_local=False)),
        (AddClsact(2), replace(NIC, tc=Tc("clsact"))),
    ],
)
def test_a_device_is_changed_and_told_of_once(request_: Request, after: Link) -> None:
    there = machine(NIC, VF)
    assert done(there, request_) == [LinkSeen(after)]
    assert there.links == {2: after, 3: VF}


def test_options_are_changed_in_place_on_a_device_of_the_same_kind() -> None:
    there = machine(NIC, BOND)
    assert predict(there, ChangeLink(2, Bridge(stp=True))) == errno.EOPNOTSUPP
    done(there, CreateLink(NewDevice("br0", ifindex=12), Bridge()), ChangeLink(12, BridgeRest(b"")))
    assert there.links[12].info == Bridge()
    done(there, ChangeLink(12, Bridge(stp=True)))
    assert there.links[12].info == Bridge(stp=True)


def test_a_mac_is_that_of_one_station_and_an_ipvlan_has_its_lower_devices() -> None:
    there = machine(NIC, replace(BOND, info=Bond(mode=1, fail_over_mac=1)))
    for mac in ("01:00:00:00:00:01", "00:00:00:00:00:00"):
        assert predict(there, SetMac(2, mac)) == errno.EADDRNOTAVAIL
    done(there, CreateLink(NewDevice("iv0", lower=2), Ipvlan()), SetMac(2, OTHER_MAC), SetMac(9, OTHER_MAC))
    assert [link.mac for link in there.links.values()] == [OTHER_MAC, MAC, OTHER_MAC]
    assert predict(there, SetMac(10, MAC)) == errno.EOPNOTSUPP


def test_what_is_so_already_is_not_told() -> None:
    assert done(machine(NIC), SetUp(2, up=True), SetMtu(2, 1500), SetPromiscuous(2, on=False)) == []


def test_a_nic_has_the_carrier_of_its_wire() -> None:
    """One that is up without a link has none when it is up again; of one that is down it is not known."""
    there = machine(replace(NIC, carrier=False), VF)
    done(there, SetUp(2, up=False), SetUp(2, up=True), SetUp(3, up=True))
    assert [there.links[i].carrier for i in (2, 3)] == [False, True]


def test_a_name_that_is_taken_and_one_that_is_nobodys() -> None:
    there = machine(replace(NIC, altnames=frozenset({"lan"})), VF)
    for request, number in (
        (Rename(3, "ens3"), errno.EEXIST),
        (Rename(3, "lan"), errno.EEXIST),
        (AddAltname(3, "ens3"), errno.EEXIST),
        (DropAltname(3, "nobodys"), errno.ENOENT),
        (DropAltname(3, "lan"), errno.EINVAL),
        (Rename(2, "other"), errno.EBUSY),
    ):
        assert predict(there, request) == number
    done(there, DropAltname(2, "lan"), Rename(3, "lan"), Rename(3, "lan"))
    assert there.links[3].name == "lan"
    newer = machine(NIC, live_renames=True)
    done(newer, Rename(2, "other"))
    assert newer.links[2].name == "other"


def test_labels_follow_the_name() -> None:
    there = machine(replace(NIC, up=False))
    done(there, AddAddress(address("10.0.0.2/24", 2, label="ens3")), AddAddress(address("10.0.0.3/24", 2)))
    done(there, Rename(2, "fo"))
    assert [dict(a.attrs).get(3) for a in there.inet[2].addresses] == [b"fo", None]


def test_a_masters_mtu_is_its_slaves_and_not_more_than_they_take() -> None:
    slave = replace(VF, master=9, up=True, carrier=True)
    there = machine(BOND, replace(slave, mtu=1400))
    assert predict(there, SetMtu(9, 9001)) == errno.EINVAL
    assert done(there, SetMtu(9, 9000)) == [LinkSeen(slave), LinkSeen(replace(BOND, mtu=9000))]


# Masters


def test_a_bond_opens_what_it_takes_and_the_first_slave_carries() -> None:
    there = machine(replace(NIC, up=False), VF, BOND)
    done(there, SetMaster(3, 9))
    taken = replace(VF, master=9, slave_kind="bond", up=True, carrier=True, mtu=1400)
    assert there.links[3] == taken
    assert there.links[9] == replace(BOND, info=Bond(mode=1, active=3), carrier=True)
    done(there, SetMaster(2, 9), SetMaster(2, 9))
    assert there.links[9].info == Bond(mode=1, active=3)
    assert done(there, SetActive(9, 3)) == []
    done(there, SetActive(9, 2), HearAll(9, on=True))
    assert there.links[9].info == Bond(mode=1, active=2, hears_both=True, lp_interval=HEARING)


def test_what_a_bond_lets_go_is_closed_and_has_its_mtu_back() -> None:
    there = machine(VF, replace(NIC, up=False), BOND)
    done(there, SetMaster(3, 9), SetMaster(2, 9), SetMaster(3, 0))
    assert there.links[3] == VF
    assert there.links[9].info == Bond(mode=1, active=2)
    found = machine(replace(NIC, master=9, mtu=1400), replace(VF, master=9), BOND)
    done(found, AddAddress(replace(SIX, ifindex=3)), SetMaster(2, 0), SetMaster(3, 0))
    assert (found.links[2].up, found.links[2].mtu) == (False, 1400), "what it was before is not known"
    assert found.inet[3].addresses == (replace(SIX, ifindex=3),), "it was down before, and loses nothing"


def test_a_bridge_takes_what_is_up_and_leaves_it_so() -> None:
    there = machine(NIC, BRIDGE)
    done(there, SetMaster(2, 8))
    assert there.links[2] == replace(NIC, master=8, slave_kind="bridge")
    done(there, SetMaster(2, 0))
    assert there.links[2] == NIC


def test_a_master_that_is_left_for_another_is_left_whatever_becomes_of_the_rest() -> None:
    there = machine(NIC, BRIDGE)
    done(there, SetMaster(2, 8))
    assert predict(there, SetMaster(2, 77)) == errno.EINVAL
    assert there.links[2].master == 0


def test_who_cannot_be_a_slave_or_the_active_one() -> None:
    there = machine(NIC, VF, BOND, replace(BRIDGE, ifindex=7), Link(5, "eth7", max_mtu=1300))
    there.busy.add(3)
    for request, number in (
        (SetMaster(2, 9), errno.EPERM),
        (SetMaster(9, 9), errno.EPERM),
        (TryMaster(2, 9), errno.EPERM),
        (TryMaster(3, 9), errno.EBUSY),
        (SetMaster(5, 9), errno.EINVAL),
        (SetMaster(5, 77), errno.EINVAL),
        (SetMaster(5, 2), errno.EOPNOTSUPP),
        (SetActive(9, 2), errno.EINVAL),
        (SetActive(9, 77), errno.ENODEV),
        (HearAll(2, True), errno.EOPNOTSUPP),
    ):
        assert predict(there, request) == number
    there.wires[5] = False
    done(there, SetMtu(9, 1300), SetMaster(5, 9))
    assert predict(there, SetActive(9, 5)) == errno.EINVAL


def test_a_slave_that_is_set_down_does_not_carry_any_more() -> None:
    there = machine(replace(NIC, up=False), VF, BOND)
    done(there, SetMaster(3, 9), SetMaster(2, 9), SetUp(3, up=False))
    assert there.links[9].info == Bond(mode=1, active=2)
    done(there, SetUp(2, up=False))
    assert (there.links[9].info, there.links[9].carrier) == (Bond(mode=1), False)
    done(there, SetUp(3, up=True))
    assert (there.links[9].info, there.links[9].carrier) == (Bond(mode=1, active=3), True)
    assert not there.inet[3].addresses, "a slave makes no address for itself"


def test_nobody_looks_at_the_slaves_of_a_bond_that_is_down() -> None:
    there = machine(replace(NIC, up=False), VF, replace(BOND, up=False))
    done(there, SetMaster(3, 9), SetUp(3, up=False))
    assert (there.links[9].info, there.links[3].mii_up) == (Bond(mode=1, active=3), True)
    done(there, SetUp(9, up=True))
    assert (there.links[9].info, there.links[3].mii_up) == (Bond(mode=1), False)


def test_a_deleted_bond_lets_its_slaves_go_and_takes_along_what_stands_on_it() -> None:
    vlan = Link(10, "fo.7", kind="vlan", link=9, info=Vlan(7))
    there = machine(replace(NIC, up=False), VF, BOND, vlan, Link(11, "fo.7.8", kind="vlan", link=10), Link(5, "eth7"))
    done(there, SetMaster(3, 9), SetMaster(2, 9))
    told = done(there, DeleteLink(9))
    assert [event.ifindex for event in told if isinstance(event, LinkGone)] == [9, 10, 11]
    assert there.links == {2: replace(NIC, up=False, carrier=False), 3: VF, 5: Link(5, "eth7")}


def test_hardware_cannot_be_deleted() -> None:
    assert predict(machine(NIC), DeleteLink(2)) == errno.EOPNOTSUPP


def test_a_device_is_deleted_by_its_mark_and_no_other() -> None:
    there = machine(NIC, replace(BRIDGE, altnames=frozenset({"mark"})))
    done(there, DeleteMarked("mark"))
    assert set(there.links) == {2}
    assert predict(there, DeleteMarked("mark")) == errno.ENODEV


def test_a_device_that_moves_is_gone_here_and_its_other_end_knows_where_it_is() -> None:
    there = machine(NIC, BOND, Link(1, "lo", hardware=772))
    done(there, CreateLink(NewDevice("v0"), VethPair(NewDevice("v1"))), SetUp(11, up=True), SetUp(10, up=True))
    done(there, AddAddress(replace(FOUR, ifindex=10)), MoveLink(10, HERE))
    assert there.inet_of(10).addresses
    assert LinkGone(10) in done(there, MoveLink(10, RED, 77))
    v0 = there.links[11]
    assert (v0.info, v0.link, v0.up, 10 in there.inet) == (Veth(77, 7), 0, True, False)
    done(there, CreateLink(NewDevice("v2"), VethPair(NewDevice("v3"))), MoveLink(12, RED), MoveLink(13, RED))
    assert set(there.links) == {1, 2, 9, 11}
    for ifindex in (1, 9):
        assert predict(there, MoveLink(ifindex, RED)) == errno.EINVAL
    done(there, MoveLink(2, RED))


# New devices


def test_a_bond_gets_the_next_ifindex() -> None:
    options = Bond(mode=1, miimon=100, fail_over_mac=1, lp_interval=7)
    create = CreateLink(NewDevice("fo", MAC, 1400), options)
    there = machine(NIC, VF)
    made = Link(4, "fo", MAC, mtu=1400, max_mtu=65535, kind="bond", info=options, link_local=True)
    assert done(there, create) == [LinkSeen(made)]
    assert predict(there, create) == errno.EEXIST
    done(there, DeleteLink(4), create)
    assert there.named("fo") == replace(made, ifindex=5)
    there.bonding = False
    assert predict(there, CreateLink(NewDevice("other"), options)) == errno.EOPNOTSUPP
    assert machine().last == 0


def test_a_pair_of_veths() -> None:
    there = machine(NIC)
    far = NewDevice("v1", mtu=1300, ifindex=5)
    done(there, CreateLink(NewDevice("v0", mtu=1400, ifindex=4), VethPair(far)))
    v0, v1 = there.links[4], there.links[5]
    assert (v0.name, v0.mtu, v0.kind, v0.link, v0.info) == ("v0", 1400, "veth", 5, Veth(5))
    assert (v1.name, v1.mtu, v1.kind, v1.link, v1.info) == ("v1", 1300, "veth", 4, Veth(4))
    done(there, SetUp(4, up=True))
    assert not there.links[4].carrier
    done(there, SetUp(5, up=True))
    assert [there.links[i].carrier for i in (4, 5)] == [True, True]
    done(there, SetUp(4, up=False))
    assert [there.links[i].carrier for i in (4, 5)] == [False, False]
    assert [event.ifindex for event in done(there, DeleteLink(5)) if isinstance(event, LinkGone)] == [5, 4]


def test_a_veth_whose_other_end_is_elsewhere_goes_alone() -> None:
    there = machine(replace(NIC, ifindex=5), Link(4, "v0", kind="veth", up=True, carrier=True, info=Veth(5, 1)))
    done(there, SetUp(4, up=False), SetUp(4, up=True))
    assert there.links[4].carrier
    done(there, DeleteLink(4))
    assert set(there.links) == {5}


def test_which_ifindexes_are_given_to_veths() -> None:
    there = machine(NIC, Link(4, "eth7"))
    there.last = 3
    done(there, CreateLink(NewDevice("v0"), VethPair(NewDevice("v1", ifindex=77))))
    assert [there.links[i].name for i in (5, 6)] == ["v1", "v0"]
    for near, far, number in (
        (NewDevice("v2", ifindex=2), NewDevice("v3"), errno.EEXIST),
        (NewDevice("v2", ifindex=7), NewDevice("v3", ifindex=2), errno.EBUSY),
        (NewDevice("v2"), NewDevice("v2"), errno.EEXIST),
        (NewDevice("v2"), NewDevice("v1"), errno.EEXIST),
        (NewDevice("v1"), NewDevice("v3"), errno.EEXIST),
    ):
        assert predict(there, CreateLink(near, VethPair(far))) == number
    assert there.named("v2") is None


def test_of_a_pair_this_namespace_has_the_end_that_is_created_in_it() -> None:
    there = machine(NIC)
    done(there, CreateLink(NewDevice("v0", ifindex=4), VethPair(NewDevice("v0", ifindex=2, place=RED))))
    done(there, CreateLink(NewDevice("v1"), VethPair(NewDevice("v1", place=RED))))
    done(there, CreateLink(NewDevice("ens3", ifindex=2, place=RED), VethPair(NewDevice("v2", ifindex=9, place=HERE))))
    assert {i: (x.name, x.link, x.info) for i, x in there.links.items() if i != 2} == {
        4: ("v0", 0, Veth(2, 7)),
        3: ("v1", 0, Veth(0, 7)),
        9: ("v2", 0, Veth(2, 7)),
    }
    assert predict(there, CreateLink(NewDevice("v0"), VethPair(NewDevice("v3", place=RED)))) == errno.EEXIST


def test_a_single_device_that_is_created_elsewhere_is_not_here() -> None:
    there = machine(NIC)
    done(there, CreateLink(NewDevice("ens3", ifindex=2, lower=2, place=RED), Vlan(7)))
    done(there, CreateLink(NewDevice("ens3", lower=2, place=RED), Macvlan(4)))
    assert there.links == {2: NIC}
    assert predict(there, CreateLink(NewDevice("ens3", lower=3, place=RED), Vlan(7))) == errno.ENODEV


def test_a_vlan_is_as_what_it_stands_on() -> None:
    there = machine(NIC)
    done(there, CreateLink(NewDevice("ens3.7", lower=2), Vlan(7)))
    made = there.links[3]
    assert (made.mac, made.mtu, made.link, made.kind, made.info) == (MAC, 1500, 2, "vlan", Vlan(7))
    assert predict(there, CreateLink(NewDevice("other", lower=2), Vlan(7))) == errno.EEXIST
    assert predict(there, CreateLink(NewDevice("other", lower=77), Vlan(7))) == errno.ENODEV
    done(there, CreateLink(NewDevice("ens3.8", "02:00:00:00:00:01", 1400, 50, 2), Vlan(8)))
    assert (there.links[50].mac, there.links[50].mtu) == ("02:00:00:00:00:01", 1400)


def test_a_macvlan_has_the_mtu_of_what_it_stands_on_and_an_ipvlan_its_mac_too() -> None:
    there = machine(NIC)
    done(there, CreateLink(NewDevice("mv0", lower=2), Macvlan(4)))
    assert (there.links[3].mac, there.links[3].mtu, there.links[3].link) == ("", 1500, 2)
    done(there, CreateLink(NewDevice("mv1", "02:00:00:00:00:01", 1400, lower=3), Macvlan(4)))
    assert (there.links[4].mac, there.links[4].mtu, there.links[4].link) == ("02:00:00:00:00:01", 1400, 2)
    done(there, CreateLink(NewDevice("iv0", "02:00:00:00:00:01", lower=2), Ipvlan()))
    assert (there.links[5].mac, there.links[5].link, there.links[5].info) == (MAC, 2, Ipvlan())
    assert predict(there, CreateLink(NewDevice("mv2", mtu=1501, lower=2), Macvlan())) == errno.EINVAL
    assert predict(there, CreateLink(NewDevice("mv2", lower=77), Macvlan())) == errno.ENODEV


def test_a_vrf_has_a_table() -> None:
    there = machine(NIC)
    done(there, CreateLink(NewDevice("red"), Vrf(10)))
    assert (there.links[3].kind, there.links[3].mtu, there.links[3].info) == ("vrf", 65575, Vrf(10))
    assert predict(there, CreateLink(NewDevice("blue"), Vrf())) == errno.EINVAL


# Addresses and routes


def test_an_address_brings_the_route_to_its_network_and_takes_it_along() -> None:
    there = machine(NIC)
    assert done(there, AddAddress(FOUR), AddAddress(SIX)) == [AddressSeen(2), AddressSeen(2)]
    assert there.look((2, 3)) == {2: Inet((FOUR, SIX), (NET, NET6)), 3: Inet()}
    done(there, AddRoute(DEFAULT), AddAddress(OTHER), DropAddress(OTHER))
    assert set(there.inet[2].routes) == {NET, NET6, DEFAULT}
    done(there, AddAddress(OTHER), DropAddress(FOUR))
    assert there.inet[2] == Inet((SIX,), (NET6,)), "the other one goes along, and with the last one all routes"


def test_routes_of_ipv4_do_not_go_with_an_address_of_ipv6() -> None:
    there = machine(NIC)
    plain = route("10.2.0.0/16", 2)
    done(there, AddRoute(plain), AddAddress(SIX), DropAddress(SIX))
    assert there.inet[2].routes == (plain,)


def test_an_address_is_promoted_where_it_is_wanted_so() -> None:
    there = machine(NIC)
    promote = SetSysctl(2, "ipv4/promote_secondaries", "1")
    done(there, promote, AddAddress(FOUR), AddAddress(OTHER), AddRoute(DEFAULT), DropAddress(FOUR))
    assert (there.inet[2].addresses, set(there.inet[2].routes)) == ((OTHER,), {NET, DEFAULT})


def test_an_address_without_a_route_of_its_own() -> None:
    there = machine(NIC)
    done(there, AddAddress(address("10.0.0.2/24", 2, flags=0x200)))
    assert there.inet[2].routes == ()


def test_an_address_that_is_there_and_one_that_is_not() -> None:
    there = machine(NIC)
    labelled = address("10.0.0.2/24", 2, label="ens3")
    done(there, AddAddress(labelled), AddAddress(SIX), AddAddress(address("10.0.0.2/25", 2)))
    for request, number in (
        (AddAddress(FOUR), errno.EEXIST),
        (AddAddress(address("2001:db8::2/128", 2)), errno.EEXIST),
        (DropAddress(address("10.0.0.9/24", 2)), errno.EADDRNOTAVAIL),
        (DropAddress(address("10.0.0.2/24", 2, label="other")), errno.EADDRNOTAVAIL),
    ):
        assert predict(there, request) == number
    done(there, DropAddress(FOUR), DropAddress(SIX))


def test_what_goes_and_comes_with_a_device_that_is_set_down_and_up() -> None:
    there = machine(NIC)
    done(there, AddAddress(FOUR), AddAddress(SIX), AddRoute(DEFAULT), AddNeighbour(ENTRY), AddLabel(LABEL))
    done(there, SetSysctl(2, "ipv6/accept_ra", "2"), SetUp(2, up=False))
    assert there.inet[2] == Inet((FOUR,), labels=(LABEL,), settings=(("ipv6/accept_ra", "2"),))
    done(there, SetUp(2, up=True))
    assert there.inet[2].addresses == (FOUR, OWN)
    assert set(there.inet[2].routes) == {NET, route("fe80::/64", 2, protocol=2)}


@pytest.mark.parametrize("link", [replace(NIC, link_local=False), replace(NIC, mac="")])
def test_a_device_that_makes_no_address_for_itself(link: Link) -> None:
    there = machine(link)
    done(there, SetUp(2, up=False), SetUp(2, up=True))
    assert there.inet[2].addresses == ()


def test_a_link_local_address_is_made_where_there_is_none() -> None:
    there = machine(replace(NIC, up=False))
    done(there, AddAddress(address("fe80::7/64", 2)), SetUp(2, up=True))
    assert there.inet[2].addresses == (address("fe80::7/64", 2),)


def test_a_route_needs_a_device_that_is_up_and_a_gateway_on_its_link() -> None:
    there = machine(NIC, VF)
    onlink = replace(DEFAULT, flags=RTNH_F_ONLINK)
    assert predict(there, AddRoute(route("10.1.0.0/16", 3))) == errno.ENETDOWN
    assert predict(there, AddRoute(DEFAULT)) == errno.ENETUNREACH
    done(there, AddRoute(onlink), AddRoute(route("::/0", 2, "fe80::1")), AddRoute(route("10.1.0.0/16", 2)))
    done(there, AddAddress(FOUR), AddRoute(DEFAULT))
    assert predict(there, AddRoute(route("10.2.0.0/16", 2, "10.9.0.1"))) == errno.ENETUNREACH


def test_a_route_that_is_there() -> None:
    """IPv4 has several to a place, IPv6 one at a metric, whatever the device."""
    there = machine(NIC, replace(VF, up=True))
    done(there, AddRoute(route("10.1.0.0/16", 2)), AddRoute(route("10.1.0.0/16", 3)))
    done(there, AddRoute(route("2001:db8:1::/64", 2, metric=7)), AddRoute(route("2001:db8:1::/64", 3, metric=8)))
    for request, number in (
        (AddRoute(route("10.1.0.0/16", 2)), errno.EEXIST),
        (AddRoute(route("2001:db8:1::/64", 3, metric=7)), errno.EEXIST),
        (DropRoute(route("10.1.0.0/16", 2, table=100)), errno.ESRCH),
    ):
        assert predict(there, request) == number
    done(there, AddRoute(route("2001:db8:1::/64", 3, metric=7, table=100)), DropRoute(route("10.1.0.0/16", 2)))
    assert there.inet[2].routes == (route("2001:db8:1::/64", 2, metric=7),)


def test_settings_neighbours_and_labels_are_the_devices_configuration() -> None:
    there = machine(NIC)
    changes = (SetSysctl(2, "ipv6/accept_ra", "2"), SetAttribute(2, "group", "5"), SetAttribute(2, "group", "7"))
    assert done(there, AddNeighbour(ENTRY), AddLabel(LABEL), *changes) == []
    settings = (("ipv6/accept_ra", "2"), ("group", "7"))
    assert there.look((2,)) == {2: Inet(neighbours=(ENTRY,), labels=(LABEL,), settings=settings)}
    assert predict(there, AddNeighbour(ENTRY)) == predict(there, AddLabel(replace(LABEL, label=7))) == errno.EEXIST


def test_policy_rules_are_the_namespaces() -> None:
    there, rule = machine(NIC), Rule(2, 99, 254, 1, iif="ens3")
    assert done(there, AddRule(rule)) == []
    assert there.rules == [rule]
    assert predict(there, AddRule(rule)) == errno.EEXIST
    assert done(there, DropRule(rule)) == []
    assert (there.rules, predict(there, DropRule(rule))) == ([], errno.ENOENT)


# Traffic control


def test_a_redirection_is_where_failoverd_has_its_place() -> None:
    there = machine(replace(NIC, tc=Tc("clsact", "", frozenset({THEIRS}))), VF)
    done(there, AddRedirect(2, "egress", 3), AddRedirect(2, "ingress", 3))
    assert there.links[2].tc.filters == {THEIRS, OURS, replace(OURS, hook="ingress")}
    done(there, DropRedirect(2, "egress", HANDLE), DropRedirect(2, "ingress"))
    assert there.links[2].tc.filters == {THEIRS}
    done(there, DropClsact(2))
    assert there.links[2].tc == Tc()


def test_a_root_qdisc_takes_the_place_of_the_present_one() -> None:
    there = machine(NIC)
    done(there, AddClsact(2), AddQdisc(2, Qdisc("fq", 0x10000)))
    assert there.links[2].tc == Tc("clsact", "fq")


def test_a_redirection_leads_nowhere_when_its_target_is_gone() -> None:
    there = machine(replace(NIC, tc=Tc("clsact", "", frozenset({OURS}))), replace(VF, kind="dummy"))
    done(there, DeleteLink(3))
    assert there.links[2].tc.filters == {replace(OURS, redirect=0)}


@pytest.mark.parametrize(
    ("tc", "request_", "number"),
    [
        (Tc("ingress"), AddClsact(2), errno.EEXIST),
        (Tc(), DropClsact(2), errno.ENOENT),
        (Tc("ingress"), DropClsact(2), errno.EINVAL),
        (Tc(), AddRedirect(2, "egress", 3), errno.EINVAL),
        (Tc("ingress"), AddRedirect(2, "egress", 3), errno.EINVAL),
        (Tc("ingress"), AddRedirect(2, "ingress", 3), 0),
        (Tc("clsact"), AddRedirect(2, "egress", 77), errno.ENODEV),
        (Tc("clsact", "", frozenset({replace(OURS, kind="bpf")})), AddRedirect(2, "egress", 3), errno.EINVAL),
        (Tc("clsact", "", frozenset({OURS})), AddRedirect(2, "egress", 3), errno.ENOSPC),
        (Tc("clsact"), DropRedirect(2, "egress"), errno.ENOENT),
        (Tc(), DropRedirect(2, "egress"), errno.EINVAL),
        (Tc("clsact", "", frozenset({OURS})), DropRedirect(2, "egress", 5), errno.ENOENT),
    ],
)
def test_what_traffic_control_says(tc: Tc, request_: Request, number: int) -> None:
    assert predict(machine(replace(NIC, tc=tc), VF), request_) == number
