"""A slave that another program has put into another master, or set down, is taken back and set up again."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_histories import FOUR, assert_joined
from test_core_slave_guard import explained, joined, slave
from test_core_tc import joined as joined_tc
from toykernel import MAC

from failoverd.core.slave_guard import FORGIVEN, GRACE
from failoverd.core.work import Refusal
from failoverd.model.events import LinkSeen, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import Request, SetMaster, SetUp
from failoverd.plan.predict.masters import watch

# Put into something else

BRIDGE = 77


def grab(driver: Driver, ifindex: int) -> None:
    """What `ip link set NAME master br0` comes to."""
    kernel = driver.kernel
    kernel.links[BRIDGE] = Link(BRIDGE, "br0", "02:00:00:00:00:77", kind="bridge", up=True, carrier=True)
    driver.tell(LinkSeen(kernel.links[BRIDGE]))
    old = kernel.links[ifindex].master
    kernel.mtus.setdefault(ifindex, kernel.links[ifindex].mtu)
    kernel.put(replace(kernel.links[ifindex], master=BRIDGE))
    watch(kernel, old)
    driver.tell()


@pytest.mark.parametrize("bus", ["pci", "virtio"])
def test_a_slave_that_is_put_into_a_bridge_is_taken_back(bus: str) -> None:
    driver = joined()
    link, start = slave(driver, bus), driver.now
    grab(driver, link.ifindex)
    driver.settle(start + GRACE / 2)
    assert driver.kernel.links[link.ifindex].master == BRIDGE
    assert driver.is_reachable(FOUR), "the other one carries"
    pair = driver.state.pairs[MAC]
    wanted = {
        "pci": ("on-standby", "the VF cannot carry: ens4: it is already a slave of br0"),
        "virtio": ("degraded", "ens3 has no standby: ens3nsby: it is already a slave of br0"),
    }
    assert (pair.state, pair.reason) == wanted[bus]
    driver.settle(start + 100)
    assert_joined(driver)
    assert (pair.state, pair.reason) == ("accelerated", "")
    put = f"{link.name}: another program has put it into br0, a slave of ens3"
    told = f"{put}; it is taken back. Look for what manages br0"
    assert driver.said.count(told) == 1
    assert driver.said[-1] == f"{link.name}: it is a slave of ens3 again; another program had taken it out"
    assert f"free {link.name} was done, and is undone again" in explained(driver, link.ifindex)


def test_a_vf_behind_a_redirection_that_is_put_into_a_bridge_is_taken_back() -> None:
    driver = joined_tc()
    vf, start = slave(driver), driver.now
    grab(driver, vf.ifindex)
    driver.settle(start + GRACE / 2)
    pair = driver.state.pairs[MAC]
    assert pair.state == "on-standby"
    assert pair.reason.startswith("the VF cannot carry: ens4: it is a port of the bridge br0; take it out")
    driver.settle(start + 100)
    assert (pair.state, pair.guard.taken, driver.kernel.links[vf.ifindex].master) == ("accelerated", {}, 0)
    assert "ens4: it is a slave of ens3 again; another program had taken it out" in driver.said


def test_a_slave_that_is_taken_out_is_taken_in_at_once_and_one_that_is_unplugged_is_no_such_thing() -> None:
    driver = joined()
    link = slave(driver)
    driver.kernel.by_others(SetMaster(link.ifindex, 0))
    driver.settle(driver.now + 10)
    assert_joined(driver)
    assert driver.said == [f"{link.name}: it is a slave of ens3 again; another program had taken it out"]
    driver.said.clear()
    driver.kernel.by_others(SetMaster(link.ifindex, 0))
    driver.tell()
    driver.kernel.unplug(link.ifindex)
    driver.settle(driver.now + 10)
    driver.kernel.unplug(slave(driver, "virtio").ifindex)
    driver.settle(driver.now + 10)
    assert not any("another program" in text for text in driver.said[1:])


def test_who_puts_it_there_again_and_again_keeps_it_and_a_release_forgets() -> None:
    driver = joined()
    link = slave(driver)
    for _ in range(5):
        grab(driver, link.ifindex)
        driver.settle(driver.now + 200)
        driver.now += 200
    assert driver.kernel.links[link.ifindex].master == BRIDGE
    assert driver.is_reachable(FOUR)
    assert sum("another program has put it into br0" in text for text in driver.said) == 3
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.kernel.links[link.ifindex].master == BRIDGE
    assert (driver.state.pairs[MAC].guard.slaves, driver.state.pairs[MAC].guard.taken) == (set(), {})


def test_who_puts_it_there_and_takes_it_out_is_not_disturbed_and_one_that_goes_is_forgotten() -> None:
    driver = joined()
    link = slave(driver)
    grab(driver, link.ifindex)
    driver.kernel.by_others(SetMaster(link.ifindex, 0))
    driver.settle(driver.now + 100)
    assert_joined(driver)
    assert not any("it is taken back" in text for text in driver.said)
    grab(driver, link.ifindex)
    driver.kernel.forget(link.ifindex)
    driver.settle(driver.now + 100)
    assert driver.state.pairs[MAC].guard.taken == {}


def test_a_pair_whose_standby_is_gone_says_so() -> None:
    driver = joined()
    driver.kernel.unplug(slave(driver, "virtio").ifindex)
    driver.settle(driver.now + 100)
    pair = driver.state.pairs[MAC]
    assert (pair.state, pair.reason) == ("degraded", "ens3 has no standby: the paravirtual NIC is not there")


# Set down


def lifts(driver: Driver) -> list[float]:
    """When which batches set a slave up, in seconds of the driver's clock."""
    return [at for at, batch in driver_log(driver) if all(isinstance(request, SetUp) for request in batch)]


def driver_log(driver: Driver) -> list[tuple[float, tuple[Request, ...]]]:
    log: list[tuple[float, tuple[Request, ...]]] = driver.__dict__.setdefault("log", [])
    return log


def logged(driver: Driver) -> Driver:
    def note(_number: int) -> None:
        log = driver_log(driver)
        log += [(driver.now, batch) for batch in driver.sent[len(log) :]]

    driver.on_action = note
    return driver


@pytest.mark.parametrize("bus", ["pci", "virtio"])
def test_a_slave_that_somebody_sets_down_is_set_up_again_after_a_while(bus: str) -> None:
    driver = logged(joined())
    link, start = slave(driver, bus), driver.now
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.settle(start + GRACE / 2)
    assert not driver.kernel.links[link.ifindex].up
    assert driver.is_reachable(FOUR), "the other one carries"
    driver.settle(start + 100)
    assert lifts(driver) == [start + GRACE]
    assert_joined(driver)
    assert driver.state.pairs[MAC].state == "accelerated"
    assert f"{link.name}: another program has set it down, a slave of ens3; it is set up again" in driver.said
    assert f"{link.name} was set up again" in explained(driver, link.ifindex)


def test_a_slave_is_set_up_again_while_a_release_waits_for_its_nic() -> None:
    """Until the NIC is there to take the addresses, the VF alone carries them."""
    driver = logged(joined())
    driver.kernel.unplug(slave(driver, "virtio").ifindex)
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    link, start = slave(driver), driver.now
    assert driver.state.pairs[MAC].state == "releasing"
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.settle(start + 20)
    assert lifts(driver) == [start + GRACE]
    assert driver.is_reachable(FOUR)


def test_who_sets_it_down_and_up_himself_is_not_disturbed() -> None:
    driver = logged(joined())
    link = slave(driver)
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.settle(driver.now + GRACE / 2)
    driver.kernel.by_others(SetUp(link.ifindex, up=True))
    driver.settle(driver.now + 100)
    assert lifts(driver) == []


def test_who_sets_it_down_again_and_again_has_his_way_for_a_time() -> None:
    driver = logged(joined())
    link, start = slave(driver), driver.now
    for _ in range(5):
        driver.kernel.by_others(SetUp(link.ifindex, up=False))
        driver.settle(driver.now + 20)
        driver.now += 20
    assert len(lifts(driver)) == 3
    assert not driver.kernel.links[link.ifindex].up
    assert driver.is_reachable(FOUR)
    driver.kernel.by_others(SetUp(link.ifindex, up=True))
    driver.now = start + FORGIVEN + 200
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.settle(driver.now + 20)
    assert len(lifts(driver)) == 4
    assert_joined(driver)


def test_a_slave_is_not_set_up_before_a_refused_request_may_be_sent_again() -> None:
    driver = logged(joined())
    link, start = slave(driver), driver.now
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    refused = Refusal(1, "set ens4 up failed: EBUSY", start + 3 * GRACE, errno.EBUSY)
    driver.state.pairs[MAC].work.refusals[SetUp(link.ifindex, up=True)] = refused
    driver.settle(start + 100)
    assert lifts(driver) == [start + 3 * GRACE]
    assert_joined(driver)


def test_a_slave_that_was_down_before_the_daemon_is_set_up_too() -> None:
    driver = joined()
    link = slave(driver)
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.start()
    driver.settle()
    assert_joined(driver)


def test_a_slave_that_goes_while_it_is_down_is_forgotten() -> None:
    driver = joined()
    link = slave(driver)
    driver.kernel.by_others(SetUp(link.ifindex, up=False))
    driver.tell()
    driver.kernel.unplug(link.ifindex)
    driver.settle()
    assert driver.state.pairs[MAC].guard.lowered == {}
