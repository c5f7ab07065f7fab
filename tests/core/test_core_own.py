"""Which bonds are failoverd's own: those with its mark, whatever they are called, and the one it has just made."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_histories import FOUR, SHAPES, SIX, assert_joined, drive
from toykernel import MAC

from failoverd.core.status import nics, status
from failoverd.kinds import Bond
from failoverd.model.events import ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, CreateLink, DeleteLink, DropAltname, Rename, Request
from failoverd.policy.naming import mark, new_mark, passing_name

NIC = 2
OTHER = "52:54:00:fa:11:02"
STRANGERS = Link(9, passing_name(MAC), "02:00:00:00:00:01", kind="bond", info=Bond(mode=1))


def joined() -> Driver:
    driver = drive(SHAPES["vf"])
    driver.settle()
    assert_joined(driver)
    driver.sent.clear()
    driver.said.clear()
    return driver


def master_of(driver: Driver) -> Link:
    return next(link for link in driver.kernel.links.values() if mark(MAC) in link.altnames)


def asked(driver: Driver) -> set[type[Request]]:
    return {type(request) for batch in driver.sent for request in batch}


@pytest.mark.parametrize("name", [passing_name(MAC), passing_name(OTHER)])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_live_master_that_is_renamed_to_a_passing_name_stays_what_it_is(name: str, is_restarted: bool) -> None:
    driver = joined()
    driver.kernel.live_renames = True
    driver.kernel.by_others(Rename(master_of(driver).ifindex, name))
    if is_restarted:
        driver.start()
    driver.settle()
    assert not asked(driver) & {DeleteLink, CreateLink}
    assert master_of(driver).name == name
    assert driver.is_reachable(FOUR)
    assert driver.is_reachable(SIX)
    [shown] = status(driver.state)["masters"]
    assert (shown["name"], shown["state"]) == (name, "accelerated")


def test_a_master_is_nowhere_called_as_it_is_while_it_is_made() -> None:
    """Not to udev either, which would hand that name on."""
    driver = drive(SHAPES["no-carrier"])
    names: set[str] = set()

    def see(_numbers: range) -> None:
        names.update(str(shown["name"]) for shown in status(driver.state)["masters"])
        assert not any(passing_name(MAC) in text for text in driver.marks.values())

    driver.on_step = see
    driver.settle()
    assert "ens3" in names
    assert passing_name(MAC) not in names


def test_a_renamed_master_gives_everything_back() -> None:
    driver = joined()
    driver.kernel.live_renames = True
    driver.kernel.by_others(Rename(master_of(driver).ifindex, passing_name(MAC)))
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert not [link for link in driver.kernel.links.values() if link.kind]
    assert driver.is_reachable(FOUR)


def test_a_bond_with_the_passing_name_is_left_alone_and_named() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.links[9] = STRANGERS
    driver.kernel.last = 9
    driver.start()
    driver.settle(10.0)
    assert driver.sent == []
    assert driver.kernel.links[9] == STRANGERS
    told = next(str(row["reason"]) for row in nics(driver.state) if row["ifindex"] == NIC)
    assert f"{STRANGERS.name} has the name {passing_name(MAC)}, which the master has while it is made" in told
    driver.kernel.forget(9)
    driver.settle()
    assert_joined(driver)


def test_what_stands_in_the_way_for_hours_is_said_once() -> None:
    driver = drive(SHAPES["vf"])
    driver.kernel.links[9] = STRANGERS
    driver.kernel.last = 9
    driver.start()
    driver.settle(20_000.0)
    assert len([said for said in driver.said if STRANGERS.name in said]) == 1
    driver.kernel.forget(9)
    driver.settle(driver.now + 1000)
    assert_joined(driver)
    assert driver.state.pairs[MAC].move.logged_reason == ""


def test_a_master_whose_mark_somebody_has_taken_away_gets_it_again() -> None:
    driver = joined()
    master = master_of(driver)
    driver.kernel.by_others(DropAltname(master.ifindex, mark(MAC)))
    driver.settle()
    assert driver.sent == [(AddAltname(master.ifindex, mark(MAC)),)]
    assert_joined(driver)


def test_a_master_is_said_to_be_empty_before_it_goes() -> None:
    """A daemon that finds it without its journal fills it anew, and does not take the NIC's addresses for strays."""
    driver = joined()
    driver.kernel.refuse = lambda request: 16 if isinstance(request, DeleteLink) else 0
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 5)
    kept = master_of(driver)
    assert new_mark(MAC) in kept.altnames
    assert driver.is_reachable(FOUR)
    driver.journals.clear()
    driver.memory.clear()
    driver.kernel.refuse = lambda _request: 0
    driver.start()
    driver.settle()
    assert_joined(driver)


@pytest.mark.parametrize("up", [True, False])
def test_a_master_that_has_lost_its_mark_and_all_slaves_keeps_what_is_on_it(up: bool) -> None:
    """The kernel has given it a MAC of its own by then, so nobody knows whose it was; it is not taken for a new one."""
    driver = joined()
    master = master_of(driver)
    for link in [link for link in driver.kernel.links.values() if link.master == master.ifindex]:
        driver.kernel.unplug(link.ifindex)
    driver.kernel.links[master.ifindex] = replace(master, mac="9a:87:bd:c1:f7:7a", altnames=frozenset(), up=up)
    driver.start()
    driver.settle()
    assert DeleteLink not in asked(driver)
    assert driver.on("ens3") >= driver.precious
