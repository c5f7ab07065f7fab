"""VLANs that stand on the NIC before there is a master: joined and released, cut anywhere, they come along."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import Any

import pytest
from everycut import cuts, examples, share
from hypothesis import given, settings
from hypothesis import strategies as st
from pairdriver import Driver
from toykernel import MAC, ToyKernel, address, route

from failoverd.config.spec import Config, Master
from failoverd.kinds import Bridge, NewDevice, Vlan
from failoverd.model.events import ReleaseAsked
from failoverd.model.inet import Neighbour, Route, Setting
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import (
    AddAltname,
    CreateLink,
    DropAddress,
    Request,
    SetActive,
    SetAttribute,
    SetMtu,
    SetSysctl,
    SetUp,
)

TAGGED, TAGGED6 = "10.5.0.2/24", "2001:db8:5::2/64"


@dataclass(frozen=True)
class Shape:
    vf: bool = True
    wire: bool = True
    live_renames: bool = False


SHAPES = {
    "vf": Shape(),
    "new-kernel": Shape(live_renames=True),
    "no-vf": Shape(vf=False),
    "no-carrier": Shape(wire=False),
}

WHOLE = SHAPES["vf"]
"""The shape that is cut after each of its actions; the others are variants of it."""


def machine(shape: Shape) -> ToyKernel:
    """A NIC with two VLANs, of which one is down."""
    kernel = ToyKernel(live_renames=shape.live_renames)
    nic = kernel.plug("ens3", "virtio", up=True)
    kernel.do_all(address("10.0.0.2/24", nic), route("0.0.0.0/0", nic, "10.0.0.1"))
    for name, number in (("storage", 5), ("ens3.7", 7)):
        assert kernel.do((CreateLink(NewDevice(name, lower=nic), Vlan(number, egress=b"12345678")),)) == ((0, ""),)
    up = kernel.named("storage")
    assert up is not None
    kernel.by_others(SetUp(up.ifindex, up=True), AddAltname(up.ifindex, "storage-network"))
    kernel.do_all(
        address(TAGGED, up.ifindex), address(TAGGED6, up.ifindex), route("10.50.0.0/16", up.ifindex, "10.5.0.1")
    )
    kernel.do_all(route("2001:db8:50::/48", up.ifindex, "2001:db8:5::1", metric=1024))
    if shape.vf:
        kernel.plug("ens4", "pci", wire=shape.wire)
    kernel.news.clear()
    return kernel


def drive(shape: Shape, **accidents: Any) -> Driver:
    return Driver(machine(shape), Config(master=Master(create="always", datapath="bond")), **accidents)


def vlan(driver: Driver, name: str) -> Link:
    found = driver.kernel.named(name)
    assert found is not None, [link.name for link in driver.kernel.links.values()]
    return found


def assert_tagged(driver: Driver, lower: str) -> None:
    """The VLANs are on this device, as they were, and there are no others."""
    kernel = driver.kernel
    storage, seven = vlan(driver, "storage"), vlan(driver, "ens3.7")
    assert {link.name for link in kernel.links.values() if link.kind == "vlan"} == {storage.name, seven.name}
    assert {kernel.links[one.link].name for one in (storage, seven)} == {lower}
    infos = [one.info for one in (storage, seven) if isinstance(one.info, Vlan)]
    assert [(info.id, info.egress) for info in infos] == [(5, b"12345678"), (7, b"12345678")]
    assert (storage.up, seven.up) == (True, False)
    assert storage.altnames == {"storage-network"}
    assert driver.on("storage") == {TAGGED, TAGGED6, "10.50.0.0/16 via 10.5.0.1", "2001:db8:50::/48 via 2001:db8:5::1"}
    assert not driver.journals
    assert not driver.lost


def tell_all(driver: Driver) -> None:
    driver.settle()
    assert vlan(driver, "ens3").kind == "bond"
    assert_tagged(driver, "ens3")
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert vlan(driver, "ens3").bus == "virtio"
    assert_tagged(driver, "ens3")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_joined_and_released(shape: Shape) -> None:
    driver = drive(shape)
    tell_all(driver)
    assert not driver.said


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("accident", ["kill_at", "lose_at", "full_at"])
def test_with_one_accident_after_any_action(shape: Shape, accident: str) -> None:
    whole = drive(shape)
    tell_all(whole)
    for number in (cuts if shape == WHOLE else share)(whole.done):
        tell_all(drive(shape, **{accident: frozenset({number})}))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_killed_after_every_single_action_in_turn(shape: Shape) -> None:
    for period in (3, 4, 5, 7):
        tell_all(drive(shape, kill_at=frozenset(range(period, 200, period))))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINVAL, errno.ENODEV, errno.EEXIST])
def test_any_one_request_refused_once(shape: Shape, number: int) -> None:
    whole = drive(shape)
    tell_all(whole)
    is_whole = shape == WHOLE and number == errno.EBUSY
    for victim in (cuts if is_whole else share)(sum(map(len, whole.sent))):
        driver = drive(shape)
        count = iter(range(1_000_000))

        def refuse(request: Request, victim: int = victim, count: Any = count) -> int:
            return number if not isinstance(request, SetActive) and next(count) == victim else 0

        driver.kernel.refuse = refuse
        tell_all(driver)


def test_traffic_is_there_between_any_two_datagrams() -> None:
    driver = drive(SHAPES["vf"])

    def see(_number: int) -> None:
        assert driver.is_reachable(TAGGED)
        assert driver.is_reachable(TAGGED6)

    driver.on_action = see
    tell_all(driver)


numbers = st.frozensets(st.integers(0, 150), max_size=6)
twice = st.frozensets(st.integers(0, 150), max_size=2)


@settings(max_examples=examples(150))
@given(st.sampled_from(list(SHAPES.values())), numbers, numbers, numbers, twice, st.sampled_from([16, 22, 19, 1]))
def test_with_any_accidents(
    shape: Shape, kills: frozenset[int], losses: frozenset[int], full: frozenset[int], refused: frozenset[int], no: int
) -> None:
    driver = drive(shape, kill_at=kills, lose_at=losses, full_at=full)
    count = iter(range(1_000_000))

    def refuse(request: Request) -> int:
        return no if not isinstance(request, SetActive | DropAddress) and next(count) in refused else 0

    driver.kernel.refuse = refuse
    tell_all(driver)


def test_what_stands_on_a_vlan_keeps_the_nic_from_a_bond() -> None:
    driver = drive(SHAPES["vf"])
    kernel = driver.kernel
    storage = vlan(driver, "storage")
    kernel.put(Link(40, "mv0", "02:00:00:00:00:01", link=storage.ifindex, kind="macvlan"))
    driver.settle()
    assert vlan(driver, "ens3").bus == "virtio"
    assert "storage@ens3 stands on it" in driver.state.judgements.verdicts[storage.link].reason
    kernel.forget(40)
    driver.settle()
    assert_tagged(driver, "ens3")
    assert vlan(driver, "ens3").kind == "bond"


def test_a_vlan_in_a_vlan_keeps_the_nic_from_a_bond_and_comes_along_when_it_is_made_anew() -> None:
    """QinQ: the outer one is not plain. Nothing of it is touched until its owner has taken the inner one away."""
    driver = drive(SHAPES["vf"])
    kernel = driver.kernel
    storage = vlan(driver, "storage")
    kernel.put(Link(40, "inner", storage.mac, link=storage.ifindex, kind="vlan", info=Vlan(9)))
    driver.settle()
    assert vlan(driver, "ens3").bus == "virtio"
    assert (vlan(driver, "storage").ifindex, vlan(driver, "inner").link) == (storage.ifindex, storage.ifindex)
    assert "(it cannot come along: inner stands on it)" in driver.state.judgements.verdicts[storage.link].reason
    kernel.forget(40)
    driver.settle()
    assert_tagged(driver, "ens3")


def test_a_nic_in_a_bridge_stays_there_and_its_master_can_take_its_place() -> None:
    driver = drive(SHAPES["vf"])
    kernel = driver.kernel
    nic = vlan(driver, "ens3")
    kernel.put(Link(41, "br0", nic.mac, up=True, kind="bridge", info=Bridge()))
    kernel.put(replace(nic, master=41, slave_kind="bridge"))
    driver.settle()
    assert (vlan(driver, "ens3").bus, vlan(driver, "ens3").master) == ("virtio", 41)
    assert "it is a port of the bridge br0" in driver.state.judgements.verdicts[nic.ifindex].reason
    kernel.put(replace(vlan(driver, "ens3"), master=0, slave_kind=""))
    driver.settle()
    master = vlan(driver, "ens3")
    assert master.kind == "bond"
    kernel.put(replace(master, master=41, slave_kind="bridge"))
    driver.settle()
    assert (vlan(driver, "ens3").master, driver.state.pairs[MAC].joined) == (41, True)


def test_what_hangs_on_a_vlan_keeps_the_nic_from_a_bond() -> None:
    """A socket that is bound to a VLAN would be lost with it."""
    driver = drive(SHAPES["vf"])
    storage = vlan(driver, "storage").ifindex
    driver.kernel.hanging[storage] = "a UDP socket (port 7101) is bound to it"
    driver.settle()
    assert vlan(driver, "ens3").bus == "virtio"
    reason = driver.state.pairs[MAC].reason
    assert "of its storage, a UDP socket (port 7101) is bound to it and would be cut off" in reason
    assert_tagged(driver, "ens3")


NEIGHBOUR = Neighbour(0, 2, 0x80, 0, 1, ((1, b"\n\5\0\5"),))
BY_OBJECT = replace(route("10.9.0.0/16", 0), attrs=((1, b"\n\t\0\0"), (30, b"\1\0\0\0")))


@pytest.mark.parametrize(
    ("what", "why"),
    [(BY_OBJECT, "storage: a route through it uses a nexthop object"), (NEIGHBOUR, "storage has permanent neighbours")],
)
def test_configuration_that_cannot_come_along_keeps_the_nic_from_a_bond(what: Route | Neighbour, why: str) -> None:
    driver = drive(SHAPES["vf"])
    odd(driver, what)
    driver.settle()
    assert vlan(driver, "ens3").bus == "virtio"
    assert why in driver.state.pairs[MAC].reason
    assert not driver.journals


def odd(driver: Driver, what: Route | Neighbour) -> Inet:
    """Give the VLAN something that cannot be made anew. Returns what it had."""
    storage = vlan(driver, "storage").ifindex
    inet = driver.kernel.inet[storage]
    if isinstance(what, Route):
        more = replace(inet, routes=(*inet.routes, replace(what, ifindex=storage)))
    else:
        more = replace(inet, neighbours=(replace(what, ifindex=storage),))
    driver.kernel.inet[storage] = more
    return inet


def test_a_release_waits_for_what_it_cannot_give_back() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    inet = odd(driver, BY_OBJECT)
    driver.tell(ReleaseAsked(MAC))
    assert "storage: a route through it uses a nexthop object" in driver.state.pairs[MAC].reason
    driver.kernel.inet[vlan(driver, "storage").ifindex] = inet
    driver.settle(driver.now + 1000)
    driver.tell(ReleaseAsked(MAC))
    assert_tagged(driver, "ens3")


def no_vlans(request: Request) -> int:
    return errno.EINVAL if isinstance(request, CreateLink) and request.device.lower else 0


def test_a_vlan_that_the_kernel_does_not_make_on_a_bond_keeps_the_nic_from_it() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.refuse = no_vlans
    driver.settle()
    assert vlan(driver, "ens3").bus == "virtio"
    assert "EINVAL" in driver.state.pairs[MAC].reason
    assert_tagged(driver, "ens3")


def test_a_release_waits_until_the_kernel_makes_its_vlans() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    driver.kernel.refuse = no_vlans
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert vlan(driver, "ens3").kind == "bond"
    assert vlan(driver, "storage").up
    assert TAGGED in driver.on("storage")
    driver.kernel.refuse = lambda _request: 0
    driver.settle(driver.now + 1000)
    assert vlan(driver, "ens3").bus == "virtio"
    assert_tagged(driver, "ens3")


@pytest.mark.parametrize("accident", ["kill_at", "lose_at"])
def test_settings_come_along(accident: str) -> None:
    """Also those that were changed while the pair was joined."""
    for number in [-1, *cuts(60)]:
        driver = drive(SHAPES["vf"], **{accident: frozenset({number})})
        new_devices_have(driver, (("ipv6/accept_ra", "1"), ("alias", "")))
        storage = vlan(driver, "storage").ifindex
        driver.kernel.by_others(SetSysctl(storage, "ipv6/accept_ra", "0"), SetAttribute(storage, "alias", "disks"))
        driver.settle()
        found = vlan(driver, "storage").ifindex
        assert vlan(driver, "ens3").kind == "bond"
        assert dict(driver.kernel.inet[found].settings) == {"ipv6/accept_ra": "0", "alias": "disks"}
        driver.kernel.by_others(SetSysctl(found, "ipv6/accept_ra", "2"))
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        found = vlan(driver, "storage").ifindex
        assert vlan(driver, "ens3").bus == "virtio"
        assert dict(driver.kernel.inet[found].settings) == {"ipv6/accept_ra": "2", "alias": "disks"}


def new_devices_have(driver: Driver, given: tuple[Setting, ...]) -> None:
    def give(_number: int) -> None:
        for ifindex in driver.kernel.links:
            inet = driver.kernel.inet_of(ifindex)
            if not inet.settings:
                driver.kernel.inet[ifindex] = replace(inet, settings=given)

    driver.on_action = give
    give(0)


def test_settings_that_no_bond_can_have_keep_the_nic_from_it() -> None:
    driver = drive(SHAPES["vf"])
    new_devices_have(driver, (("ipv6/forwarding", "0"),))
    driver.kernel.by_others(SetSysctl(vlan(driver, "storage").ifindex, "ipv6/forwarding", "1"))
    driver.settle()
    assert vlan(driver, "ens3").bus == "virtio"
    assert "net.ipv6.conf.the VLANs of ens3.forwarding" in driver.state.pairs[MAC].reason
    assert_tagged(driver, "ens3")


def test_a_vlan_keeps_its_mtu_where_the_nic_has_another_one_meanwhile() -> None:
    """A slave that leaves its bond gets the MTU back that it had when it came, and no VLAN has more than its device."""
    driver = drive(SHAPES["vf"])
    driver.settle()
    storage = vlan(driver, "storage").ifindex
    driver.kernel.by_others(SetMtu(vlan(driver, "ens3").ifindex, 9000), SetMtu(storage, 8000))
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert (vlan(driver, "ens3").mtu, vlan(driver, "storage").mtu, vlan(driver, "ens3.7").mtu) == (9000, 8000, 1500)
    assert_tagged(driver, "ens3")


def test_auto_leaves_a_nic_with_vlans_what_it_is() -> None:
    """Joined by tc, it loses nothing, not even an ifindex."""
    driver = Driver(machine(SHAPES["vf"]), Config())
    before = vlan(driver, "storage").ifindex
    driver.settle(5)
    assert driver.state.pairs[MAC].datapath.name == "tc"
    assert vlan(driver, "storage").ifindex == before
    assert_tagged(driver, "ens3")
