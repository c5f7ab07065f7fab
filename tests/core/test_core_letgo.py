"""A paravirtual NIC that has given its name away stays down until whoever managed it has let go of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pairdriver import Driver
from test_core_histories import FOUR, SHAPES, Shape, assert_joined, drive, tell_all
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Join
from failoverd.core.step import step
from failoverd.model.actions import AskLetGo
from failoverd.model.events import LetGo, LinkSeen, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import Rename

NIC, VF = 2, 3
LONGEST = 5 * Join().udev_wait


def held_on(shape: Shape = SHAPES["vf"]) -> Driver:
    """A pair whose master has its name and its addresses, and whose NIC somebody holds on to."""
    driver = drive(shape, held_on=True)
    driver.tell()
    return driver


def nic(driver: Driver) -> Link:
    return driver.kernel.links[NIC]


def test_the_standby_waits_alone_and_down_while_the_vf_carries() -> None:
    driver = held_on()
    assert (nic(driver).name, nic(driver).up, nic(driver).master) == ("ens3nsby", False, 0)
    assert driver.on("ens3") >= driver.precious
    assert driver.is_reachable(FOUR)
    pair = driver.state.pairs[MAC]
    assert (pair.state, pair.reason) == ("joining", "who managed ens3nsby has not let go of it yet")
    driver.tell(LetGo(NIC))
    driver.settle()
    assert_joined(driver)
    assert driver.now < LONGEST


def test_nobody_is_waited_for_for_ever() -> None:
    driver = held_on()
    asked = driver.now
    driver.settle()
    assert_joined(driver)
    assert asked + LONGEST <= driver.now < asked + LONGEST + 1


@pytest.mark.parametrize("loss", [lambda kernel: kernel.wire(VF, False), lambda kernel: kernel.unplug(VF)])
def test_a_vf_that_cannot_carry_any_more_needs_its_standby_at_once(loss: Callable[[ToyKernel], None]) -> None:
    driver = held_on()
    assert nic(driver).master == 0
    loss(driver.kernel)
    driver.tell()
    assert nic(driver).master
    assert driver.is_reachable(FOUR)


@pytest.mark.parametrize("name", ["no-carrier", "no-vf", "vf-own"])
def test_a_nic_that_has_to_carry_is_enslaved_as_it_gives_its_name_away(name: str) -> None:
    """Whatever the reason for which there is no VF that could do it meanwhile."""
    driver = held_on(SHAPES[name])
    driver.settle(driver.now + Join().carrier_wait + 0.1)
    assert nic(driver).name == "ens3nsby"
    assert nic(driver).master
    assert driver.is_reachable(FOUR)


def test_a_daemon_that_starts_anew_meanwhile_waits_for_nobody() -> None:
    """It did not see the rename; udev's word of it may have come before."""
    driver = held_on()
    driver.start()
    driver.settle()
    assert_joined(driver)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_with_one_accident_while_somebody_holds_on(shape: Shape) -> None:
    whole = drive(shape, held_on=True)
    tell_all(whole)
    for accident in ("kill_at", "lose_at", "full_at"):
        for number in range(whole.done):
            tell_all(drive(shape, held_on=True, **{accident: frozenset({number})}))


def test_one_that_is_gone_is_held_on_to_by_nobody() -> None:
    driver = held_on()
    driver.kernel.unplug(NIC)
    driver.settle()
    assert not driver.state.held_on
    driver.tell(LetGo(NIC))
    assert not driver.state.held_on


def test_a_name_from_somebody_else_is_no_handover() -> None:
    driver = drive(SHAPES["new-kernel"], held_on=True)
    driver.settle()
    driver.kernel.by_others(Rename(NIC, "other"))
    [seen] = [event for event in driver.kernel.news if isinstance(event, LinkSeen)]
    assert not [action for action in step(driver.state, seen, driver.now) if isinstance(action, AskLetGo)]
    assert nic(driver).name == "other"
    assert not driver.state.held_on


def test_a_release_asks_for_it_of_nobody() -> None:
    """The NIC gets its own name back, by which it is to be managed."""
    driver = drive(SHAPES["vf"], held_on=True)
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert nic(driver).name == "ens3"
    assert not driver.state.held_on
