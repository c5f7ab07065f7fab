"""A paravirtual NIC that has given its name away stays down until whoever managed it has let go of it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from everycut import cuts
from pairdriver import Driver
from test_core_histories import (
    FOUR,
    SHAPES,
    Shape,
    assert_joined,
    assert_released,
    drive,
    machine,
    refusing,
    tell_all,
)
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Join, Master
from failoverd.core.step import step
from failoverd.model.actions import AskLetGo
from failoverd.model.events import Ending, LetGo, LinkSeen, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Journal
from failoverd.model.requests import Rename, SetUp
from failoverd.model.signals import FailedOver
from failoverd.plan.join import GLANCE

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
    """The pair is joined by then: its signals are told, its orders taken."""
    driver = held_on()
    assert (nic(driver).name, nic(driver).up, nic(driver).master) == ("ens3nsby", False, 0)
    assert driver.is_reachable(FOUR)
    pair = driver.state.pairs[MAC]
    why = "ens3 has no standby: waiting for the network manager to release ens3nsby"
    assert (pair.state, pair.reason, pair.joined) == ("degraded", why, True)
    assert not driver.journals
    assert driver.on("ens3") >= driver.precious
    assert "enp1s0" in driver.kernel.links[nic(driver).ifindex + 2].altnames
    assert driver.wake is not None
    assert driver.wake <= driver.now + GLANCE, "nobody tells of it"
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
    [last] = [signal for signal in driver.signals if isinstance(signal, FailedOver)][-1:]
    assert last.new == "ens3nsby"


def test_one_that_somebody_brings_up_cannot_wait() -> None:
    """It would be a second NIC with the master's MAC."""
    driver = held_on()
    driver.kernel.by_others(SetUp(NIC, up=True))
    driver.tell()
    assert nic(driver).master
    assert driver.now < LONGEST


@pytest.mark.parametrize("name", ["no-carrier", "no-vf", "vf-own"])
def test_a_nic_that_has_to_carry_is_enslaved_as_it_gives_its_name_away(name: str) -> None:
    """Whatever the reason for which there is no VF that could do it meanwhile."""
    driver = held_on(SHAPES[name])
    driver.settle(driver.now + Join().carrier_wait + 0.1)
    assert nic(driver).name == "ens3nsby"
    assert nic(driver).master
    assert driver.is_reachable(FOUR)


def test_what_was_refused_is_put_right_without_waiting() -> None:
    whole = held_on()
    for victim in cuts(sum(map(len, whole.sent))):
        driver = drive(SHAPES["vf"], held_on=True)
        driver.kernel.refuse = refusing(frozenset({victim}), errno.EBUSY)
        driver.settle(6.0)
        assert driver.on("ens3") >= driver.precious, driver.sent
        driver.settle()
        assert_joined(driver)


def test_lost_answers_do_not_forget_who_holds_on() -> None:
    whole = held_on()
    for number in cuts(whole.done):
        driver = drive(SHAPES["vf"], held_on=True, lose_at=frozenset({number}))
        driver.tell()
        assert nic(driver).master == 0, number
        driver.settle()
        assert_joined(driver)


def test_a_daemon_that_ends_waits_for_nobody() -> None:
    """Without it nobody would make a slave of the NIC, and the VF would be all there is."""
    driver = held_on()
    driver.tell(Ending())
    assert nic(driver).master
    assert not driver.state.arrivals.held_on


def test_a_daemon_that_starts_anew_meanwhile_waits_for_nobody() -> None:
    """It did not see the rename; udev's word of it may have come before."""
    driver = held_on()
    driver.start()
    driver.tell()
    assert_joined(driver)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("accident", ["kill_at", "lose_at", "full_at"])
def test_with_one_accident_while_somebody_holds_on(shape: Shape, accident: str) -> None:
    """For three glances, as each is an action that may be the last."""
    config = Config(master=Master(create="always"), join=Join(udev_wait=0.5 * GLANCE))
    whole = Driver(machine(shape), config, held_on=True)
    tell_all(whole)
    for number in cuts(whole.done):
        accidents: Any = {accident: frozenset({number})}
        tell_all(Driver(machine(shape), config, held_on=True, **accidents))


def test_a_release_meanwhile_gives_everything_back_at_once() -> None:
    driver = held_on()
    driver.tell(ReleaseAsked(MAC))
    assert_released(driver)
    assert set(driver.marks.values()) == {""}
    assert not driver.state.arrivals.held_on
    assert driver.now < LONGEST


def test_it_is_marked_as_a_standby_all_the_while() -> None:
    """Its mark is what it is let go for."""
    driver = drive(SHAPES["vf"], held_on=True)
    seen: set[tuple[bool, bool]] = set()

    def look(_number: int) -> None:
        link = driver.kernel.links[NIC]
        marked = any("ROLE=standby" in text for text in driver.marks.values())
        if link.name == "ens3nsby":
            seen.add((bool(link.master), marked))

    driver.on_action = look
    driver.settle()
    assert seen == {(False, True), (True, True)}


def test_one_that_is_gone_is_held_on_to_by_nobody() -> None:
    driver = held_on()
    driver.kernel.unplug(NIC)
    driver.settle()
    assert not driver.state.arrivals.held_on
    driver.tell(LetGo(NIC))
    assert not driver.state.arrivals.held_on


def test_a_name_from_somebody_else_is_no_handover() -> None:
    """Also while there is one: this is a step of it that renames nothing."""
    driver = drive(SHAPES["new-kernel"])
    driver.settle()
    driver.kernel.by_others(Rename(NIC, "other"))
    [seen] = [event for event in driver.kernel.news if isinstance(event, LinkSeen)]
    pair = driver.state.pairs[MAC]
    for goal in (None, *Goal):
        pair.move.journal = Journal(MAC, goal, "ens3", True, 1500) if goal is not None else None
        driver.state.links[NIC] = replace(driver.state.links[NIC], name="ens3nsby")
        assert not [action for action in step(driver.state, seen, driver.now) if isinstance(action, AskLetGo)]
        assert not driver.state.arrivals.held_on
