"""What another program gives a slave is taken off, said, and not fought over for ever."""

from __future__ import annotations

import errno

import pytest
from pairdriver import Driver
from test_core_histories import FOUR, SHAPES, SIX, assert_joined, drive
from test_core_tc import joined as joined_tc
from toykernel import MAC, address, route

from failoverd.config.spec import Config
from failoverd.core.slave_guard import FORGIVEN, HEARD
from failoverd.core.slave_repairs import MANY
from failoverd.core.state import State
from failoverd.core.status import nics
from failoverd.core.step import step
from failoverd.model.actions import FetchInet, Send
from failoverd.model.events import AddressSeen, ReleaseAsked, Synced
from failoverd.model.links import Link
from failoverd.model.requests import AddAddress, DropAddress, DropRoute, HearAll, Request

GIVEN = "10.0.0.77/24"


def joined() -> Driver:
    driver = drive(SHAPES["vf"])
    driver.settle()
    assert_joined(driver)
    driver.sent.clear()
    driver.said.clear()
    return driver


def slave(driver: Driver, bus: str = "pci") -> Link:
    return next(link for link in driver.kernel.links.values() if link.bus == bus)


def explained(driver: Driver, ifindex: int) -> str:
    return next(str(row["reason"]) for row in nics(driver.state) if row["ifindex"] == ifindex)


@pytest.mark.parametrize("bus", ["pci", "virtio"])
def test_what_a_slave_is_given_is_taken_off_and_nothing_else_is_touched(bus: str) -> None:
    driver = joined()
    link = slave(driver, bus)
    active = driver.state.pairs[MAC].failovers.active
    driver.kernel.do_all(address(GIVEN, link.ifindex), address("2001:db8:7::7/64", link.ifindex))
    driver.kernel.do_all(
        address("fe80::7/64", link.ifindex), route("::/0", link.ifindex, "fe80::7", protocol=9, metric=1)
    )
    driver.settle()
    assert driver.on(link.name) == frozenset()
    assert not driver.kernel.look((link.ifindex,))[link.ifindex].addresses
    assert_joined(driver)
    assert driver.is_reachable(FOUR)
    assert driver.is_reachable(SIX)
    assert {type(request) for batch in driver.sent for request in batch} == {DropAddress, DropRoute, HearAll}
    assert driver.state.pairs[MAC].failovers.active == active
    told = (
        f"{link.name}: another program has given it {GIVEN}, 2001:db8:7::7/64, fe80::7/64, and a slave of ens3 has "
        f"nothing of its own; it is taken away. Look for a DHCP client or a network manager that has {link.name}"
    )
    assert driver.said == [told]
    assert f"{GIVEN} was taken off {link.name}" in explained(driver, link.ifindex)
    assert driver.state.pairs[MAC].state == "accelerated"


def test_what_an_address_draws_to_its_slave_is_taken_in_for_a_while() -> None:
    driver = joined()
    link, start = slave(driver, "virtio"), driver.now
    driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))
    driver.settle(start + HEARD / 2)
    assert driver.sent[0] == (HearAll(link.master, on=True),), "before anything is taken off"
    assert driver.kernel.hearing == {link.master}
    driver.settle(start + HEARD + 1)
    assert driver.kernel.hearing == set()


def test_nobody_is_fought_for_ever_and_what_was_long_ago_is_forgiven() -> None:
    driver = joined()
    link = slave(driver)
    times: list[float] = []

    def again(_number: int) -> None:
        if driver.sent and driver.sent[-1] != seen.get("last") and not driver.on(link.name):
            seen["last"] = ()
            times.append(driver.now)
            driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))

    seen: dict[str, tuple[Request, ...]] = {}
    driver.on_action = again
    driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))
    start = driver.now
    driver.settle(start + 1000)
    assert [at - start for at in times] == [0, 1, 3]
    assert driver.on(link.name) == {GIVEN}
    assert "look for a DHCP client or a network manager" in explained(driver, link.ifindex)
    assert driver.state.pairs[MAC].state == "accelerated"
    driver.on_action = lambda _number: None
    driver.now = start + 1000 + FORGIVEN
    driver.kernel.news.append(AddressSeen(link.ifindex))
    driver.settle(driver.now + 10)
    assert driver.on(link.name) == frozenset()


def test_what_was_there_before_the_daemon_is_taken_off_too() -> None:
    driver = joined()
    link = slave(driver)
    driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))
    driver.start()
    driver.settle()
    assert driver.on(link.name) == frozenset()
    assert_joined(driver)


def test_the_vf_behind_a_redirection_is_a_slave_too_and_its_master_none() -> None:
    driver = joined_tc()
    vf, nic = slave(driver), slave(driver, "virtio")
    driver.kernel.do_all(address(GIVEN, vf.ifindex), address("10.0.0.78/24", nic.ifindex))
    driver.settle()
    assert driver.on(vf.name) == frozenset()
    assert "10.0.0.78/24" in driver.on(nic.name)


def test_a_released_nic_keeps_what_it_is_given() -> None:
    driver = joined()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    link = slave(driver)
    driver.kernel.do_all(address(GIVEN, link.ifindex))
    driver.settle(driver.now + 100)
    assert GIVEN in driver.on(link.name)
    driver.kernel.unplug(link.ifindex)
    driver.settle(driver.now + 100)


def test_what_the_kernel_will_not_take_off_is_tried_again_and_said() -> None:
    driver = joined()
    link = slave(driver)
    driver.kernel.refuse = lambda request: errno.EPERM if isinstance(request, DropAddress) else 0
    driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))
    driver.settle(driver.now + 1000)
    drops = [batch for batch in driver.sent if isinstance(batch[0], DropAddress)]
    assert len(drops) == 3
    assert any(f"drop {GIVEN} from {link.name} failed: EPERM" in text for text in driver.said)
    assert f"drop {GIVEN} from {link.name} failed: EPERM" in explained(driver, link.ifindex)


def test_a_slave_that_goes_before_it_is_looked_at_is_forgotten() -> None:
    driver = joined()
    link = slave(driver)
    state, now = driver.state, driver.now
    done = step(state, AddressSeen(link.ifindex), now)
    assert [type(action) for action in done][:2] == [Send, FetchInet]
    state.pairs[MAC].work.looking = False
    driver.kernel.unplug(link.ifindex)
    driver.settle()
    assert state.pairs[MAC].guard.strays == set()


def test_an_address_of_nobodys_pair_is_no_event() -> None:
    state = State(Config())
    assert step(state, AddressSeen(7), 0.0) == []
    step(state, Synced(()), 0.0)
    assert step(state, AddressSeen(7), 0.0) == []


def test_who_gives_it_ever_new_addresses_is_left_too() -> None:
    driver = joined()
    link, start = slave(driver), driver.now
    for number in range(MANY + 8):
        driver.kernel.by_others(AddAddress(address(f"10.9.{number}.7/24", link.ifindex)))
        driver.settle(start + number * 2)
        driver.now = start + number * 2
    assert len(driver.on(link.name)) == 8
    assert sum(isinstance(request, DropAddress) for request in driver.state.pairs[MAC].work.refusals) == MANY
    assert driver.state.pairs[MAC].state == "accelerated"


def test_what_was_taken_off_a_slave_is_not_why_it_does_not_carry() -> None:
    driver = joined()
    link = slave(driver)
    driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))
    driver.settle(driver.now + 30)
    driver.kernel.wire(link.ifindex, alive=False)
    driver.settle(driver.now + 30)
    assert driver.state.pairs[MAC].state == "on-standby"
    assert driver.state.pairs[MAC].reason == "the VF cannot carry: it has no carrier"


def test_hearing_both_is_asked_for_again_where_it_was_refused() -> None:
    driver = joined()
    link, start = slave(driver, "virtio"), driver.now
    driver.kernel.refuse = lambda request: errno.EBUSY if isinstance(request, HearAll) else 0
    driver.kernel.by_others(AddAddress(address(GIVEN, link.ifindex)))
    driver.settle(start + 0.9)
    assert driver.sent.count((HearAll(link.master, on=True),)) == 1
    driver.kernel.refuse = lambda _request: 0
    driver.settle(start + 2)
    assert driver.kernel.hearing == {link.master}
    driver.settle(start + 100)
    assert driver.kernel.hearing == set()
