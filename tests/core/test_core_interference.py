"""The world does not hold still: a VF, a NIC or a stranger's hand, at any moment of a join and of a release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from everycut import cuts, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pairdriver import Driver
from test_core_histories import FOUR, SHAPES, SIX, Shape, assert_joined, assert_released, drive
from toykernel import MAC, ToyKernel, address

from failoverd.kinds import Bond
from failoverd.model.events import ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import AddAddress, DeleteLink, Rename, SetMaster, SetUp

Hand = Callable[[Driver], None]
NEW = "10.7.7.7/24"


def nic_of(kernel: ToyKernel, bus: str) -> Link | None:
    return next((link for link in kernel.links.values() if link.bus == bus), None)


def at(bus: str, act: Callable[[Driver, Link], None]) -> Hand:
    """An act on the NIC of this bus, if it is there."""

    def hand(driver: Driver) -> None:
        link = nic_of(driver.kernel, bus)
        if link is not None:
            act(driver, link)

    return hand


def unplug(driver: Driver, link: Link) -> None:
    """What nobody has written down yet goes with the NIC; nobody can help that."""
    driver.kernel.unplug(link.ifindex)
    driver.precious &= driver.configured() | driver.written(begun=True)


def replug(driver: Driver, link: Link) -> None:
    unplug(driver, link)
    driver.kernel.plug("eth0", link.bus)


def set_down(driver: Driver, link: Link) -> None:
    """Whoever takes a device down takes its IPv6 addresses and its routes."""
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.precious &= driver.configured() | driver.written(begun=True)


VF_HANDS = {
    "unplugged": at("pci", unplug),
    "replugged": at("pci", replug),
    "carrier-lost": at("pci", lambda driver, vf: driver.kernel.wire(vf.ifindex, False)),
    "renamed": at("pci", lambda driver, vf: driver.kernel.by_others(Rename(vf.ifindex, "vf0"))),
}


@pytest.mark.parametrize("hand", VF_HANDS.values(), ids=VF_HANDS)
@pytest.mark.parametrize("name", ["vf", "new-kernel", "no-carrier"])
def test_the_vf_at_any_moment_of_a_join(name: str, hand: Hand) -> None:
    for number in cuts(count(SHAPES[name])):
        driver = with_hand(SHAPES[name], hand, number)
        driver.settle()
        master = driver.kernel.named("ens3")
        assert master is not None
        assert isinstance(master.info, Bond)
        assert driver.on("ens3") == driver.precious
        assert driver.is_reachable(FOUR)
        assert driver.is_reachable(SIX)
        assert not driver.journals
        nic = nic_of(driver.kernel, "virtio")
        assert nic is not None
        assert nic.master == master.ifindex


@pytest.mark.parametrize("hand", VF_HANDS.values(), ids=VF_HANDS)
def test_the_vf_at_any_moment_of_a_release(hand: Hand) -> None:
    joined = drive(SHAPES["vf"])
    joined.settle()
    first = joined.done
    joined.tell(ReleaseAsked(MAC))
    for number in cuts(first, joined.done):
        driver = with_hand(SHAPES["vf"], hand, number)
        driver.settle()
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        assert_released(driver)


def second_vf(driver: Driver) -> None:
    driver.kernel.plug("ens5", "pci")


def test_a_second_vf_at_any_moment_of_a_join_and_a_release() -> None:
    """Before the first is in, both are refused, and nothing is joined; afterwards the first one stays."""
    whole = drive(SHAPES["vf"])
    whole.settle()
    first = whole.done
    whole.tell(ReleaseAsked(MAC))
    for number in cuts(whole.done):
        driver = with_hand(SHAPES["vf"], second_vf, number)
        driver.settle()
        assert driver.on("ens3") >= driver.precious
        assert driver.is_reachable(FOUR)
        assert not driver.journals
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        if number >= first or driver.memory == {MAC: "released"}:
            assert_released(driver)


@pytest.mark.parametrize("act", [unplug, replug, set_down])
def test_the_nic_at_any_moment_of_a_join(act: Callable[[Driver, Link], None]) -> None:
    """What is on the master or in the journal by then is not lost; if the NIC comes back, it is taken in."""
    for number in cuts(count(SHAPES["vf"])):
        driver = with_hand(SHAPES["vf"], at("virtio", act), number)
        driver.settle()
        everywhere = driver.configured() | driver.written()
        assert everywhere >= driver.precious
        if act is not unplug:
            assert not driver.journals
            assert driver.on("ens3") | driver.on("eth0") >= driver.precious


@pytest.mark.parametrize("act", [unplug, replug, set_down])
def test_the_nic_at_any_moment_of_a_release(act: Callable[[Driver, Link], None]) -> None:
    whole = drive(SHAPES["vf"])
    whole.settle()
    first = whole.done
    whole.tell(ReleaseAsked(MAC))
    for number in cuts(first, whole.done):
        driver = with_hand(SHAPES["vf"], at("virtio", act), number)
        driver.settle()
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        assert driver.configured() | driver.written() >= driver.precious
        if act is replug and driver.journals:
            raise AssertionError("the journal is never dropped")


def test_a_nic_that_went_in_the_middle_of_a_release_gets_everything_back_when_it_returns() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    number = driver.done

    def go(done: int) -> None:
        journal = driver.journals.get(MAC)
        nic = nic_of(driver.kernel, "virtio")
        if done > number and journal is not None and journal.cut and nic is not None:
            driver.kernel.unplug(nic.ifindex)

    driver.on_action = go
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert driver.journals
    assert driver.state.pairs[MAC].state == "releasing"
    driver.on_action = lambda _number: None
    back = driver.kernel.plug("eth0", "virtio")
    driver.tell()
    driver.settle(driver.now + 1000)
    driver.kernel.links[back] = replace(driver.kernel.links[back])
    assert_released(driver)


def by_name(driver: Driver) -> None:
    """A DHCP client gets a further address for the device of this name, whoever has the name now."""
    link = driver.kernel.named("ens3")
    if link is not None:
        driver.kernel.by_others(AddAddress(address(NEW, link.ifindex)))
        driver.precious |= {NEW}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_address_that_comes_at_any_moment_is_not_lost(shape: Shape) -> None:
    whole = drive(shape)
    whole.settle()
    first = whole.done
    whole.tell(ReleaseAsked(MAC))
    for number in cuts(whole.done):
        driver = with_hand(shape, by_name, number)
        driver.lose_at = frozenset()
        driver.settle()
        if number < first:
            assert_joined(driver)
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        assert NEW in driver.on("ens3")


def test_an_address_that_came_while_the_daemon_was_dead_is_not_lost() -> None:
    """The journal says what was there when it was written, and that may be long ago."""
    whole = drive(SHAPES["vf"])
    whole.settle()
    for number in cuts(whole.done):
        driver = drive(SHAPES["vf"], kill_at=frozenset({number}))
        driver.on_action = hand_at(driver, by_name, number)
        driver.settle()
        assert_joined(driver)
        assert NEW in driver.on("ens3")


def test_an_address_that_came_while_the_daemon_was_dead_in_a_release_is_not_lost() -> None:
    whole = drive(SHAPES["vf"])
    whole.settle()
    first = whole.done
    whole.tell(ReleaseAsked(MAC))
    for number in cuts(first, whole.done):
        driver = drive(SHAPES["vf"], kill_at=frozenset({number}))
        driver.on_action = hand_at(driver, by_name, number)
        driver.settle()
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
        assert_released(driver)
        assert NEW in driver.on("ens3")


def test_a_master_that_is_taken_away_is_made_again_under_its_name() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    master = driver.kernel.named("ens3")
    assert master is not None
    driver.kernel.by_others(DeleteLink(master.ifindex))
    driver.precious = frozenset()
    driver.settle(driver.now + 1000)
    again = driver.kernel.named("ens3")
    assert again is not None
    assert again.ifindex != master.ifindex
    assert driver.kernel.named("ens3nsby") == nic_of(driver.kernel, "virtio")
    assert [type(signal).__name__ for signal in driver.signals].count("Joined") == 2


def test_a_master_that_is_taken_away_in_the_middle_of_the_move_is_made_again() -> None:
    for number in cuts(count(SHAPES["vf"])):

        def take_away(driver: Driver) -> None:
            bonds = [link.ifindex for link in driver.kernel.links.values() if link.kind == "bond"]
            driver.kernel.by_others(*map(DeleteLink, bonds))
            driver.precious &= driver.configured() | driver.written(begun=True)

        driver = with_hand(SHAPES["vf"], take_away, number)
        driver.settle()
        assert driver.on("ens3") >= driver.precious
        master = driver.kernel.named("ens3")
        assert master is not None
        assert isinstance(master.info, Bond)


@pytest.mark.parametrize("bus", ["virtio", "pci"])
def test_a_slave_that_somebody_puts_elsewhere_is_let_go_and_taken_back(bus: str) -> None:
    for number in cuts(count(SHAPES["vf"])):
        driver = drive(SHAPES["vf"])
        kernel = driver.kernel
        kernel.links[90] = Link(90, "br0", kind="bridge")

        def steal(done: range, number: int = number, driver: Driver = driver) -> None:
            kernel, link = driver.kernel, nic_of(driver.kernel, bus)
            assert link is not None
            if number in done and link.master != 90:
                kernel.by_others(SetMaster(link.ifindex, 0), SetUp(link.ifindex, up=False))
                kernel.put(replace(kernel.links[link.ifindex], master=90))
                driver.precious &= driver.configured() | driver.written(begun=True)

        driver.on_step = steal
        driver.settle()
        assert driver.configured() | driver.written() >= driver.precious
        link = nic_of(kernel, bus)
        assert link is not None
        kernel.put(replace(kernel.links[link.ifindex], master=0))
        driver.settle(driver.now + 1000)
        assert driver.on("ens3") >= driver.precious
        assert not driver.journals


def test_a_vlan_on_the_master_keeps_it_from_being_released() -> None:
    driver = drive(SHAPES["vf"])
    driver.settle()
    master = driver.kernel.named("ens3")
    assert master is not None
    driver.kernel.put(Link(99, "ens3.7", kind="vlan", link=master.ifindex))
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert driver.kernel.named("ens3") == master
    assert "ens3.7@ens3 is on top of ens3" in driver.state.pairs[MAC].reason
    driver.kernel.forget(99)
    driver.settle(driver.now + 1000)
    assert_released(driver)


def test_who_undoes_an_address_again_and_again_is_named_and_given_way() -> None:
    driver = drive(SHAPES["vf"])
    victim = AddAddress(address(FOUR, 4, 0, "ens3"))

    def undo(_number: int) -> None:
        master = driver.kernel.named("ens3")
        if master is not None and isinstance(master.info, Bond) and FOUR in driver.on("ens3"):
            inet = driver.kernel.inet[master.ifindex]
            kept = tuple(a for a in inet.addresses if a.local != victim.address.local)
            driver.kernel.inet[master.ifindex] = replace(inet, addresses=kept)
            driver.precious -= {FOUR}

    driver.on_action = undo
    driver.settle()
    assert not driver.journals
    assert [line for line in driver.said if "given up after 3 tries: add 10.0.0.2/24 to ens3 was done" in line]
    driver.settle(24 * 3600.0)
    tries = [what for batch in driver.sent for what in batch if isinstance(what, AddAddress)]
    assert 24 < sum(what.address.local == victim.address.local for what in tries) < 50, "ever more rarely, then hourly"
    driver.on_action = lambda _number: None
    driver.settle(driver.now + 2 * 3600.0)
    assert driver.state.pairs[MAC].state == "accelerated"
    assert FOUR in driver.on("ens3")
    assert not driver.state.pairs[MAC].work.refusals


def test_a_name_that_somebody_takes_in_the_middle_is_not_fought_for() -> None:
    """The NIC stays without its name, but not without its addresses."""
    for number in cuts(count(SHAPES["vf"])):

        def take(driver: Driver) -> None:
            nic = driver.kernel.named("ens3")
            if nic is not None and nic.bus == "virtio":
                driver.kernel.set_up(nic.ifindex, False)
                driver.kernel.by_others(Rename(nic.ifindex, "mine"), SetUp(nic.ifindex, up=True))
                driver.kernel.put(Link(99, "ens3", kind="dummy"))
                driver.precious &= driver.configured() | driver.written(begun=True)

        driver = with_hand(SHAPES["vf"], take, number)
        driver.settle()
        assert driver.configured() | driver.written() >= driver.precious
        assert driver.is_reachable(FOUR)


HANDS = [*VF_HANDS.values(), by_name, second_vf, at("virtio", replug), at("pci", set_down)]
moments = st.dictionaries(st.integers(0, 60), st.sampled_from(HANDS), max_size=5)
numbers = st.frozensets(st.integers(0, 80), max_size=4)


@settings(max_examples=examples(150))
@given(st.sampled_from(list(SHAPES.values())), moments, numbers, numbers, st.booleans())
def test_anything_at_any_moment(
    shape: Shape, hands: dict[int, Hand], kills: frozenset[int], losses: frozenset[int], back: bool
) -> None:
    driver = drive(shape, kill_at=kills, lose_at=losses)

    def on_step(done: range) -> None:
        for number in done:
            if number in hands:
                hands[number](driver)

    driver.on_step = on_step
    driver.settle()
    if back:
        driver.tell(ReleaseAsked(MAC))
        driver.settle(driver.now + 1000)
    assert not [journal for journal in driver.journals.values() if journal.cut], "a move was never finished"
    assert driver.configured() >= driver.precious


def count(shape: Shape) -> int:
    """How many actions an undisturbed join takes."""
    driver = drive(shape)
    driver.settle()
    return driver.done


def hand_at(driver: Driver, hand: Hand, number: int) -> Callable[[int], None]:
    """For on_action: this happens right after the action with this number."""
    return lambda done: hand(driver) if done == number else None


def with_hand(shape: Shape, hand: Hand, number: int) -> Driver:
    """A machine on which this happens after the step with the action of this number."""
    driver = drive(shape)
    driver.on_step = lambda done: hand(driver) if number in done else None
    return driver
