"""A pair is joined part by part; here it is stopped between any two of them, or meets what somebody has set up before.

In the end either all of it is there or nothing of it, and what was others' is as it was.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from everycut import cuts
from pairdriver import Driver
from test_core_histories import FOUR, SIX, Shape
from test_core_histories_tc import QUIET, SHAPES, assert_joined, assert_released, drive, nics, ours
from toykernel import MAC, address, route

from failoverd.config.spec import Config, Master
from failoverd.model.events import AdoptAsked, ReleaseAsked
from failoverd.model.links import Tc
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import DropClsact, Rename, SetUp

NIC, VF = 2, 3


@pytest.mark.parametrize("name", ["vf", "vf-own", "no-carrier", "vf-only"])
def test_a_release_at_any_moment_of_a_join_leaves_nothing(name: str) -> None:
    whole = drive(SHAPES[name])
    whole.settle()
    for number in cuts(whole.done):
        driver = drive(SHAPES[name])

        def ask(done: range, driver: Driver = driver, number: int = number) -> None:
            if number in done:
                driver.events.append(ReleaseAsked(MAC))

        driver.on_step = ask
        driver.settle(driver.now + 1000)
        nic, vf = nics(driver)
        assert vf is not None
        assert driver.configured() >= driver.precious
        assert driver.state.pairs[MAC].state == "released"
        for link in (nic, vf):
            assert link.tc == Tc()
            assert not [name for name in link.altnames if name.startswith("failoverd")]
        assert (vf.all_multicast, vf.link_local) == (False, True)


def test_an_adoption_at_any_moment_of_a_release_joins_it_again() -> None:
    joined = drive(SHAPES["vf"])
    joined.settle()
    first = joined.done
    joined.tell(ReleaseAsked(MAC))
    joined.settle(joined.now + 10)
    for number in cuts(first, joined.done):
        driver = drive(SHAPES["vf"])
        driver.settle()

        def ask(done: range, driver: Driver = driver, number: int = number) -> None:
            if number in done:
                driver.events.append(AdoptAsked(MAC))

        driver.on_step = ask
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        assert_joined(driver)


def test_a_vf_in_use_is_not_taken_while_the_master_could_hear_nothing() -> None:
    """What the VF receives would be redirected to a device without carrier, and dropped."""
    driver = drive(SHAPES["vf-only"])
    driver.kernel.wire(NIC, False)
    driver.settle()
    assert driver.is_reachable("10.9.0.4/24")
    driver.kernel.wire(NIC, True)
    driver.settle(driver.now + 1000)
    assert driver.is_reachable("10.9.0.4/24")
    assert ours(driver.kernel.links[VF]) == {("ingress", NIC)}


def test_what_a_router_gave_the_vf_does_not_stay_on_it() -> None:
    """A default route through the VF would go on sending by it when it has no carrier any more."""
    driver = drive(Shape(vf_up=True))
    inet = driver.kernel.inet[VF]
    given = route("::/0", VF, "fe80::1", protocol=9, metric=100)
    own = address("2001:db8:9::4/64", VF)
    driver.kernel.inet[VF] = replace(inet, addresses=(*inet.addresses, own), routes=(*inet.routes, given))
    beside = driver.kernel.inet[NIC]
    on_link = route("fe80::/64", NIC, protocol=2)
    driver.kernel.inet[NIC] = replace(beside, routes=(*beside.routes, on_link))
    driver.settle()
    assert driver.state.pairs[MAC].state == "accelerated"
    assert driver.kernel.inet[VF].routes == ()
    assert driver.kernel.inet[VF].addresses == ()


@pytest.mark.parametrize("up", [True, False])
def test_a_second_daemon_finds_a_vf_that_is_half_joined(up: bool) -> None:
    """Its user took it down or up meanwhile."""
    whole = drive(SHAPES["vf"])
    whole.settle()
    for number in cuts(whole.done):
        driver = drive(SHAPES["vf"], kill_at=frozenset({number}))

        def hand(done: int, driver: Driver = driver, number: int = number, up: bool = up) -> None:
            joined = ours(driver.kernel.links[VF])
            if done == number and not joined:
                driver.kernel.by_others(SetUp(VF, up=up))

        driver.on_action = hand
        driver.settle()
        assert_joined(driver)


def test_a_qdisc_we_put_in_the_place_of_anothers_is_ours() -> None:
    driver = drive(SHAPES["vf"], foreign=True)
    driver.settle()
    driver.kernel.by_others(DropClsact(NIC))
    driver.settle(driver.now + 100)
    assert driver.state.pairs[MAC].state == "accelerated"
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.kernel.links[NIC].tc == Tc()


def test_an_empty_qdisc_that_was_there_before_us_stays() -> None:
    """Its owner may be about to put filters on it."""
    driver = drive(SHAPES["vf"])
    for ifindex in (NIC, VF):
        driver.kernel.put_tc(ifindex, Tc("clsact"))
    driver.settle()
    assert driver.state.pairs[MAC].state == "accelerated"
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert [driver.kernel.links[ifindex].tc for ifindex in (NIC, VF)] == [Tc("clsact"), Tc("clsact")]


def test_what_an_administrator_had_set_on_the_vf_is_given_back() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.links[VF] = replace(driver.kernel.links[VF], mtu=1400)
    driver.kernel.links[NIC] = replace(driver.kernel.links[NIC], mtu=1400)
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.kernel.links[VF].mtu == 1400
    assert_released(driver, up=True, foreign=False)


def test_a_master_that_goes_leaves_a_vf_that_can_be_used() -> None:
    """Nobody is there to be released: what failoverd had set on it is taken back all the same."""
    driver = drive(SHAPES["vf"])
    driver.settle()
    driver.kernel.unplug(NIC)
    driver.precious = frozenset()
    driver.settle(driver.now + 100)
    back = driver.kernel.plug("ens3", "virtio", up=True)
    driver.settle(driver.now + 100)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    for ifindex in (back, VF):
        link = driver.kernel.links[ifindex]
        assert (link.tc, link.all_multicast, link.link_local) == (Tc(), False, True)
        assert not link.altnames


@pytest.mark.parametrize("datapath", ["bond", "auto"])
def test_a_pair_that_was_released_is_joined_as_the_configuration_says_by_then(datapath: str) -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    driver.config = Config(master=Master(create="always", datapath=datapath))
    driver.start()
    driver.tell(AdoptAsked(MAC))
    driver.settle(driver.now + 1000)
    assert driver.state.pairs[MAC].datapath.name == "bond"
    assert driver.state.pairs[MAC].state == "accelerated"
    assert driver.is_reachable(FOUR)
    assert driver.is_reachable(SIX)


def test_two_vfs_of_which_one_is_joined_do_not_change_places() -> None:
    kernel_with = drive(SHAPES["vf"])
    kernel_with.settle()
    second = kernel_with.kernel.plug("ens5", "pci")
    kernel_with.start()
    kernel_with.settle(kernel_with.now + 10)
    assert kernel_with.state.judgements.pairs[MAC].vf == VF
    kernel_with.kernel.unplug(VF)
    kernel_with.settle(kernel_with.now + 10)
    assert kernel_with.state.judgements.pairs[MAC].vf == second
    assert kernel_with.state.pairs[MAC].state == "accelerated"


@pytest.mark.parametrize("vf", [True, False])
@pytest.mark.parametrize("toward", [Goal.JOINED, Goal.RELEASED])
def test_what_a_bond_had_begun_to_move_is_given_back(vf: bool, toward: Goal) -> None:
    """Its journal holds addresses that are nowhere else, and the configuration says tc by now."""
    kernel = drive(Shape(vf=vf)).kernel
    kernel.by_others(SetUp(NIC, up=False))
    kernel.by_others(Rename(NIC, "ens3nsby"))
    kernel.inet[NIC] = Inet()
    moved = Inet((address(FOUR, 9),))
    journals = {MAC: Journal(MAC, toward, "ens3", True, 1400, ("enp1s0",), inet=moved, cut=True)}
    driver = Driver(kernel, Config(master=Master(datapath="tc"), tc=QUIET), journals=journals)
    driver.settle()
    assert FOUR in driver.on("ens3")
    assert driver.is_reachable(FOUR)
    assert not driver.journals
