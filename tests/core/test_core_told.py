"""What is said of a pair is so: signals begin with Joined and end with Released, an order is answered when it is so,
the permanent MAC names a pair. And where answers are lost again and again, the requests come ever more seldom.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from pairdriver import TICKET, Driver
from test_core_histories import SHAPES, drive
from test_core_orders import NIC, VF, ask, joined, wait
from test_core_tc import joined as joined_by_tc
from toykernel import MAC, address

from failoverd.config.spec import Config, Master
from failoverd.core.call_answers import pair_of
from failoverd.core.calls import CALLS
from failoverd.core.state import State
from failoverd.core.step import step
from failoverd.kinds import Bond
from failoverd.model.actions import Send
from failoverd.model.events import AdoptAsked, Answered, InetSeen, LinkSeen, ReleaseAsked, Synced
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.requests import AddAddress, SetActive, SetUp
from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Released

OTHER = "52:54:00:fa:11:02"


def told(driver: Driver) -> list[type]:
    return [type(signal) for signal in driver.signals if not isinstance(signal, LinkRenamed)]


# Signals


@pytest.mark.parametrize("moment", [0.0, 0.05, 1.0])
def test_a_vf_that_is_down_when_its_pair_is_released(moment: float) -> None:
    """The master loses its last slave as it is taken apart, and the NIC carries by itself. Nobody has failed over."""
    driver = joined()
    driver.kernel.by_others(SetUp(VF, up=False))
    driver.tell()
    wait(driver, moment)
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert told(driver) == [FailedOver, Released]
    assert [(s.old, s.new) for s in driver.signals if isinstance(s, FailedOver)] == [("ens4", "ens3nsby")]


def test_a_failover_that_waits_for_its_reason_when_the_pair_is_released_in_place() -> None:
    driver = joined_by_tc()
    driver.signals.clear()
    driver.kernel.by_others(SetUp(VF, up=False))
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert told(driver) == [FailedOver, Released]


def test_signals_begin_anew_with_joined() -> None:
    driver = joined()
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    driver.tell(AdoptAsked(MAC))
    driver.settle()
    assert told(driver) == [Released, Joined]


# Orders


def on_its_way(driver: Driver, slave: int) -> tuple[State, Send]:
    """The kernel has chosen another slave by itself, and is asked for this one; it has not answered."""
    master = next(link for link in driver.state.links.values() if link.kind == "bond")
    assert isinstance(master.info, Bond)
    other = {NIC: VF, VF: NIC}[slave]
    moved = replace(master, info=replace(master.info, active=other))
    sends = [action for action in step(driver.state, LinkSeen(moved), driver.now) if isinstance(action, Send)]
    assert [send.requests for send in sends] == [(SetActive(master.ifindex, slave),)]
    return driver.state, sends[0]


def test_a_drain_is_not_answered_while_a_switch_to_the_vf_is_on_its_way() -> None:
    driver = joined()
    wait(driver, 60)
    state, send = on_its_way(driver, VF)
    answer = CALLS["drain"].run(state, ["ens3"], driver.now)
    for event in answer.events:
        step(state, event, driver.now)
    state.pairs[MAC].heard.announcing = 0
    assert not answer.done(state)
    driver.state.pairs[MAC].work.batches.clear()
    assert answer.done(state)
    assert send.requests


def test_a_switch_is_not_answered_while_one_to_the_standby_is_on_its_way() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    state, _ = on_its_way(driver, NIC)
    answer = CALLS["switch"].run(state, ["ens3", "ens4"], driver.now)
    for event in answer.events:
        step(state, event, driver.now)
    assert not answer.done(state)
    state.pairs[MAC].work.batches.clear()
    assert answer.done(state)


def test_the_permanent_mac_names_a_pair_whoever_bears_it_at_the_moment() -> None:
    """Under tc another process has given the first pair's NIC the MAC of the second."""
    state = State(Config(master=Master(datapath="tc", create="always")))
    first = Link(2, "ens3", OTHER, MAC, bus="virtio", driver="virtio_net", up=True)
    second = Link(3, "ens5", OTHER, OTHER, bus="virtio", driver="virtio_net", up=True)
    step(state, Synced((first, second)), 0.0)
    assert pair_of(state, OTHER).mac == OTHER
    assert pair_of(state, OTHER.upper()).mac == OTHER
    assert pair_of(state, MAC).mac == MAC
    step(state, LinkSeen(replace(first, mac="02:00:00:00:00:07")), 0.0)
    assert pair_of(state, "02:00:00:00:00:07").mac == MAC


# What is lost and what is taken


def test_answers_that_are_lost_each_time_are_asked_for_ever_more_seldom() -> None:
    """A buffer that does not hold the answers to one datagram: each time all devices are looked at again."""
    driver = drive(SHAPES["vf"])
    driver.events.clear()
    links = tuple(driver.kernel.links.values())
    state = State(driver.config)
    state.arrivals.ready |= {NIC, VF}
    state.bonding.configurers[NIC] = ""
    asked = []
    now = 0.0
    for _ in range(4_000):
        step(state, Synced(links), now)
        sends = [a for a in step(state, InetSeen(TICKET.owner, {NIC: Inet()}, {NIC: ""}), now) if isinstance(a, Send)]
        for send in sends:
            asked.append(now)
            step(state, Answered(send.ticket, send.requests, None), now)
        now += 0.05
    assert asked[:2] == [0.0, 0.05]
    assert [round(later - earlier) for earlier, later in pairwise(asked[1:])][:5] == [1, 2, 4, 8, 10]
    assert len(asked) < 30
    pair = state.pairs[MAC]
    step(state, Answered(TICKET, (), ()), now)
    assert pair.work.unanswered == 0


def test_what_a_nic_has_when_it_is_taken_in_is_named() -> None:
    """Another process was faster: the NIC came back, and had an address a moment before it was a slave."""
    driver = joined()
    driver.kernel.unplug(NIC)
    driver.settle()
    driver.said.clear()
    back = driver.kernel.plug("eth0", "virtio")
    driver.kernel.by_others(AddAddress(address("10.7.0.1/24", back)))
    driver.settle()
    assert "eth0: it had 10.7.0.1/24, and a slave of ens3 has nothing of its own; it is taken away" in driver.said
