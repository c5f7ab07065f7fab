"""Others have their hands on a pair that traffic control joins: on its devices, its filters, its qdiscs.

Whatever they do and whenever, at rest the traffic has a way, and what is theirs is left to them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import pytest
from everycut import cuts, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pairdriver import Driver
from test_core_histories import FOUR, SIX, Shape
from test_core_histories_tc import SHAPES, assert_joined, drive, nics, ours
from toykernel import MAC, ToyKernel, address, route

from failoverd.config.spec import Config
from failoverd.model.events import ReleaseAsked
from failoverd.model.links import Filter, Link
from failoverd.model.requests import (
    AddAddress,
    DropClsact,
    DropRedirect,
    Rename,
    SetAllMulticast,
    SetLinkLocal,
    SetMtu,
    SetUp,
)

NIC, VF = 2, 3
Hand = Callable[[ToyKernel], None]


def on(ifindex: int, act: Callable[[ToyKernel, Link], None]) -> Hand:
    """An act on this device, if it is there."""
    return lambda kernel: act(kernel, kernel.links[ifindex]) if ifindex in kernel.links else None


def replug(kernel: ToyKernel, link: Link) -> None:
    kernel.unplug(link.ifindex)
    kernel.plug("eth0", link.bus)


def flap(kernel: ToyKernel, link: Link) -> None:
    kernel.wire(link.ifindex, False)
    kernel.wire(link.ifindex, True)


def without_filters(kernel: ToyKernel, link: Link) -> None:
    kernel.by_others(*[DropRedirect(link.ifindex, hook) for hook in ("ingress", "egress")])


HANDS: dict[str, Hand] = {
    "vf-unplugged": on(VF, lambda kernel, vf: kernel.unplug(vf.ifindex)),
    "vf-replugged": on(VF, replug),
    "vf-carrier-lost": on(VF, lambda kernel, vf: kernel.wire(vf.ifindex, False)),
    "vf-flaps": on(VF, flap),
    "vf-down": on(VF, lambda kernel, vf: kernel.by_others(SetUp(vf.ifindex, up=False))),
    "vf-renamed": on(VF, lambda kernel, vf: kernel.by_others(Rename(vf.ifindex, "vf0"))),
    "vf-hears-no-multicast": on(VF, lambda kernel, vf: kernel.by_others(SetAllMulticast(vf.ifindex, on=False))),
    "vf-speaks-for-itself": on(VF, lambda kernel, vf: kernel.by_others(SetLinkLocal(vf.ifindex, on=True))),
    "vf-small": on(VF, lambda kernel, vf: kernel.by_others(SetMtu(vf.ifindex, 1300))),
    "master-large": on(NIC, lambda kernel, nic: kernel.by_others(SetMtu(nic.ifindex, 4000))),
    "vf-without-its-filter": on(VF, without_filters),
    "master-without-its-filter": on(NIC, without_filters),
    "vf-without-its-qdisc": on(VF, lambda kernel, vf: kernel.by_others(DropClsact(vf.ifindex))),
    "master-without-its-qdisc": on(NIC, lambda kernel, nic: kernel.by_others(DropClsact(nic.ifindex))),
    "master-carrier-lost": on(NIC, lambda kernel, nic: kernel.wire(nic.ifindex, False)),
}


def count(shape: Shape, way: str) -> int:
    driver = drive(shape, way)
    driver.settle()
    return driver.done


def with_hand(shape: Shape, way: str, hand: Hand, number: int) -> Driver:
    """A machine on which this happens after the step with the action of this number."""
    driver = drive(shape, way)
    driver.on_step = lambda done: hand(driver.kernel) if number in done else None
    return driver


def assert_way(driver: Driver) -> None:
    """The master's traffic goes out and comes in, or else the master itself could not, nor by anybody else."""
    nic, vf = nics(driver)
    assert driver.carries(nic) or not (nic.up and nic.carrier), (nic, vf, driver.state.pairs[MAC])
    assert driver.on(nic.name) >= driver.precious


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
@pytest.mark.parametrize("way", ["tc", "auto"])
def test_a_hand_at_any_moment_of_a_join(way: str, hand: Hand) -> None:
    for number in cuts(count(SHAPES["vf"], way)):
        driver = with_hand(SHAPES["vf"], way, hand, number)
        driver.settle()
        assert_way(driver)
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        assert not any(ours(link) for link in driver.kernel.links.values())
        assert_way(driver)


@pytest.mark.parametrize("hand", HANDS.values(), ids=HANDS)
def test_a_hand_while_the_daemon_is_dead(hand: Hand) -> None:
    """Nobody removes the master's filter meanwhile; the next daemon does, before anything else."""
    driver = drive(SHAPES["vf"])
    driver.settle()
    hand(driver.kernel)
    driver.start()
    driver.settle(driver.now + 1000)
    assert_way(driver)


MENDED = ["vf-flaps", "vf-hears-no-multicast", "vf-speaks-for-itself", "vf-small", "vf-without-its-filter"]
MENDED += ["master-without-its-filter", "vf-without-its-qdisc", "master-without-its-qdisc", "vf-renamed"]


@pytest.mark.parametrize("name", MENDED)
def test_what_others_undo_is_put_right(name: str) -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    HANDS[name](driver.kernel)
    driver.settle(driver.now + 1000)
    assert_joined(driver)


def test_a_vf_that_cannot_be_as_large_as_the_master_is_left() -> None:
    driver = drive(Shape(vf=False))
    driver.kernel.plug("ens4", "pci", max_mtu=2000)
    driver.settle()
    driver.kernel.by_others(SetMtu(NIC, 4000))
    driver.settle(driver.now + 50)
    assert driver.state.pairs[MAC].state == "on-standby"
    words = "its MTU is 1500 and the master's 4000, and its driver takes 2000 at most"
    assert driver.state.pairs[MAC].reason == f"the VF cannot carry: {words}"
    assert SetMtu(3, 4000) not in {request for batch in driver.sent for request in batch}
    assert_way(driver)
    driver.kernel.by_others(SetMtu(NIC, 1500))
    driver.settle(driver.now + 50)
    assert driver.state.pairs[MAC].state == "accelerated"


def test_what_the_kernel_refuses_again_and_again_is_asked_for_ever_more_rarely() -> None:
    """A driver that does not say what it takes. Each try is a line in the log."""
    driver = drive(SHAPES["vf"])
    driver.kernel.by_others(SetMtu(NIC, 4000))
    driver.kernel.news.clear()
    driver.start()
    driver.kernel.refuse = lambda request: errno.EINVAL if isinstance(request, SetMtu) else 0
    driver.settle(3600)
    assert 10 < sum(SetMtu(VF, 4000) in batch for batch in driver.sent) < 25
    assert len(driver.said) < 25


CONFLICTS: dict[str, tuple[Hand, Hand, str]] = {
    "egress of the master": (
        lambda kernel: kernel.filter_by_others(NIC, "egress"),
        lambda kernel: without_foreign(kernel, NIC),
        "ens3 has a bpf filter on its egress that traffic would pass by",
    ),
    "beside ours": (
        lambda kernel: kernel.filter_by_others(NIC, "egress", "u32", 64_023),
        lambda kernel: without_foreign(kernel, NIC),
        "ens3 has a u32 filter on its egress that traffic would pass by",
    ),
    "ingress of the vf": (
        lambda kernel: kernel.filter_by_others(VF, "ingress", "flower"),
        lambda kernel: without_foreign(kernel, VF),
        "ens4 has a flower filter on its ingress that traffic would pass by",
    ),
    "root qdisc": (
        lambda kernel: kernel.put_tc(NIC, replace(kernel.links[NIC].tc, root="fq")),
        lambda kernel: kernel.put_tc(NIC, replace(kernel.links[NIC].tc, root="")),
        "ens3 has a fq qdisc that traffic would pass by",
    ),
    "xdp": (
        lambda kernel: kernel.put(replace(kernel.links[NIC], xdp=True)),
        lambda kernel: kernel.put(replace(kernel.links[NIC], xdp=False)),
        "ens3 has an XDP program that traffic would pass by",
    ),
    "mac": (
        lambda kernel: kernel.put(replace(kernel.links[VF], mac="02:00:00:00:00:01")),
        lambda kernel: kernel.put(replace(kernel.links[VF], mac=MAC)),
        f"its MAC is 02:00:00:00:00:01 and that of ens3 {MAC}",
    ),
}


def without_foreign(kernel: ToyKernel, ifindex: int) -> None:
    tc = kernel.links[ifindex].tc
    kernel.put_tc(ifindex, replace(tc, filters=frozenset(f for f in tc.filters if f.ours)))


def foreign(driver: Driver) -> list[Filter]:
    return [f for link in driver.kernel.links.values() for f in link.tc.filters if not f.ours]


@pytest.mark.parametrize("name", CONFLICTS)
def test_a_conflict_is_stood_back_from_and_comes_to_an_end(name: str) -> None:
    """The master carries, the VF is let go, nothing of the other program is touched; and back when it is over."""
    begin, end, words = CONFLICTS[name]
    driver = drive(SHAPES["vf"])
    driver.settle()
    begin(driver.kernel)
    theirs = foreign(driver)
    driver.settle(driver.now + 1000)
    assert foreign(driver) == theirs
    assert driver.state.pairs[MAC].reason == f"the VF cannot carry: {words}"
    assert not any(ours(link) for link in driver.kernel.links.values())
    assert_way(driver)
    end(driver.kernel)
    driver.settle(driver.now + 1000)
    assert driver.state.pairs[MAC].state == "accelerated"
    assert_way(driver)


@pytest.mark.parametrize("name", CONFLICTS)
def test_a_conflict_that_is_there_first_keeps_the_vf_out(name: str) -> None:
    begin, end, words = CONFLICTS[name]
    driver = drive(SHAPES["vf"])
    begin(driver.kernel)
    driver.settle()
    assert driver.state.pairs[MAC].reason == f"the VF cannot carry: {words}"
    assert not any(ours(link) for link in driver.kernel.links.values())
    end(driver.kernel)
    driver.settle(driver.now + 1000)
    assert driver.state.pairs[MAC].state == "accelerated"


def test_an_ingress_qdisc_on_the_master_is_in_the_way_and_one_on_the_vf_is_not() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.put_tc(NIC, replace(driver.kernel.links[NIC].tc, slot="ingress"))
    driver.settle()
    assert "ens3 has an ingress qdisc where clsact would have to be" in driver.state.pairs[MAC].reason
    driver = drive(SHAPES["vf"])
    driver.kernel.put_tc(VF, replace(driver.kernel.links[VF].tc, slot="ingress"))
    driver.settle()
    assert driver.state.pairs[MAC].state == "accelerated"
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert driver.kernel.links[VF].tc.slot == "ingress"


def plug_a_second(kernel: ToyKernel) -> None:
    kernel.plug("ens5", "pci")


def test_a_second_vf_at_any_moment_never_cuts_the_machine_off() -> None:
    """Pairing refuses both while none is joined, and who is joined stays so."""
    for number in cuts(count(SHAPES["vf"], "tc")):
        driver = with_hand(SHAPES["vf"], "tc", plug_a_second, number)
        driver.settle()
        assert driver.is_reachable(FOUR)
        assert driver.is_reachable(SIX)
        driver.kernel.unplug(VF)
        driver.settle(driver.now + 1000)
        assert driver.is_reachable(FOUR), driver.kernel.links


def test_a_vlan_on_the_master_is_still_led_after_a_restart() -> None:
    """Under `auto` a new daemon does not know yet that this kernel has no bonding, and a bond could not have the VLAN:
    but what is joined already has to be looked after all the same."""
    driver = drive(SHAPES["vf"], "auto")
    driver.settle()
    driver.kernel.put(Link(99, "ens3.7", MAC, kind="vlan", link=NIC))
    driver.settle(driver.now + 10)
    driver.start()
    driver.settle(driver.now + 10)
    assert driver.state.pairs[MAC].state == "accelerated"
    driver.kernel.unplug(VF)
    driver.settle(driver.now + 10)
    assert_way(driver)


def test_a_vf_with_ipv6_routes_of_its_own_keeps_them_and_is_not_joined() -> None:
    """The kernel has one IPv6 route to a place at a metric, whatever the device: it cannot be on the master first."""
    driver = drive(SHAPES["vf-own"])
    driver.kernel.inet[VF] = replace(
        driver.kernel.inet[VF], routes=(*driver.kernel.inet[VF].routes, route("2001:db8:77::/48", VF, "2001:db8:9::1"))
    )
    driver.precious = driver.configured()
    driver.settle()
    assert driver.configured() >= driver.precious
    assert "IPv6 routes of its own" in driver.state.pairs[MAC].reason
    driver.kernel.inet[VF] = replace(driver.kernel.inet[VF], routes=())
    driver.settle(driver.now + 400)


def test_a_master_that_comes_back_as_another_device_gets_its_vf_again() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    driver.kernel.unplug(NIC)
    driver.precious = frozenset()
    driver.settle(driver.now + 10)
    back = driver.kernel.plug("ens3", "virtio", up=True)
    driver.settle(driver.now + 10)
    assert ours(driver.kernel.links[VF]) == {("ingress", back)}
    assert driver.carries(driver.kernel.links[back])
    assert driver.state.pairs[MAC].state == "accelerated"


def test_what_is_joined_by_tc_stays_so_when_the_configuration_says_bond() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    driver.config = Config()
    driver.start()
    driver.settle(driver.now + 10)
    assert driver.state.pairs[MAC].datapath.name == "tc"
    assert driver.state.pairs[MAC].state == "accelerated"
    assert len(driver.kernel.links) == 2


def test_a_dhcp_client_may_go_on_with_the_master() -> None:
    for number in cuts(count(SHAPES["vf"], "tc")):
        hand = on(NIC, lambda kernel, nic: kernel.by_others(AddAddress(address("10.7.7.7/24", nic.ifindex))))
        driver = with_hand(SHAPES["vf"], "tc", hand, number)
        driver.settle()
        assert "10.7.7.7/24" in driver.on("ens3")


def test_what_leads_nowhere_is_taken_away_also_where_nobody_else_can_carry() -> None:
    """The master's carrier may come back while nobody is there to lead the traffic to it."""
    driver = drive(SHAPES["vf"])
    driver.settle()
    driver.kernel.wire(NIC, False)
    driver.kernel.unplug(VF)
    driver.settle(driver.now + 10)
    assert not ours(driver.kernel.links[NIC])


moments = st.dictionaries(st.integers(0, 60), st.sampled_from(sorted(HANDS)), max_size=5)
numbers = st.frozensets(st.integers(0, 60), max_size=4)


@settings(max_examples=examples(150))
@given(st.sampled_from(["vf", "vf-up", "no-carrier"]), st.sampled_from(["tc", "auto"]), moments, numbers, numbers)
def test_anything_at_any_moment(
    name: str, way: str, hands: dict[int, str], kills: frozenset[int], losses: frozenset[int]
) -> None:
    driver = drive(SHAPES[name], way, kill_at=kills, lose_at=losses)

    def act(done: range) -> None:
        for number in done:
            if number in hands:
                HANDS[hands[number]](driver.kernel)

    driver.on_step = act
    driver.settle()
    assert_way(driver)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert_way(driver)
    assert not any(ours(link) for link in driver.kernel.links.values())
