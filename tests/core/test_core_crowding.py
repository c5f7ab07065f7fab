"""A container that starts on a NIC whose pair is joined already, by tc: its frames come by the VF from then on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import TICKET, Driver
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master, Tc
from failoverd.core.crowding import LOOKS
from failoverd.core.state import PairState
from failoverd.core.step import step
from failoverd.model.actions import FetchInet
from failoverd.model.events import InetSeen, LinkSeen, ReleaseAsked, TimePassed
from failoverd.model.links import Link
from failoverd.model.requests import DropRedirect, SetPromiscuous

NIC, VF = 2, 3
MACVLAN = Link(20, "mv0", "02:42:0a:6f:00:32", kind="macvlan", link=NIC)
HANGING = "the macvlan of a container (nsid 0) stands on it"


def joined(datapath: str = "tc") -> Driver:
    driver = Driver(ToyKernel(), Config(master=Master(datapath=datapath), tc=Tc(carrier_poll=1)))
    driver.kernel.plug("ens3", "virtio", up=True)
    driver.kernel.plug("ens4", "pci")
    driver.settle(driver.now + 100)
    assert pair(driver).state == "accelerated"
    driver.sent.clear()
    return driver


def pair(driver: Driver) -> PairState:
    return driver.state.pairs[MAC]


def is_open(driver: Driver) -> bool:
    return driver.kernel.links[VF].promiscuous


def link_upper(driver: Driver) -> None:
    """What the kernel tells when a device of another namespace is linked to the NIC, or unlinked."""
    driver.tell(LinkSeen(driver.kernel.links[NIC]))


def test_a_macvlan_that_is_made_here_and_moved_away_is_heard_by_the_vf_all_the_time() -> None:
    """As docker makes it."""
    driver = joined()
    link_upper(driver)
    driver.kernel.put(MACVLAN)
    driver.tell()
    assert is_open(driver)
    driver.kernel.hanging[NIC] = HANGING
    driver.kernel.forget(MACVLAN.ifindex)
    driver.tell()
    assert is_open(driver)
    driver.settle(driver.now + 100)
    assert driver.sent == [(SetPromiscuous(VF, on=True),)]
    assert pair(driver).state == "accelerated"


def test_a_macvlan_that_was_here_for_long_is_heard_when_it_has_been_moved_away() -> None:
    driver = joined()
    driver.kernel.put(MACVLAN)
    driver.settle(driver.now + 100)
    driver.kernel.forget(MACVLAN.ifindex)
    driver.kernel.hanging[NIC] = HANGING
    driver.settle(driver.now + 100)
    assert driver.sent == [(SetPromiscuous(VF, on=True),)]


@pytest.mark.parametrize("brought_up_after", [0.0, 0.3, 1.5, 9.0, 59.0])
def test_a_macvlan_that_is_made_in_its_container_is_found_when_it_is_up(brought_up_after: float) -> None:
    """As a CNI plugin makes it; the kernel tells nothing of its MAC."""
    driver = joined()
    link_upper(driver)
    driver.settle(driver.now + brought_up_after)
    assert not is_open(driver)
    driver.kernel.hanging[NIC] = "something with the MAC 02:42:0a:6f:00:32, which no device here has, stands on it"
    driver.settle(driver.now + LOOKS[-1])
    assert is_open(driver)


def looks(driver: Driver) -> list[float]:
    """When the NIC is looked at from now on, in seconds."""
    began, closely, seen = driver.now, driver.kernel.closely, list[float]()

    def look(ifindexes: tuple[int, ...]) -> dict[int, str]:
        if ifindexes:
            seen.append(driver.now - began)
        return closely(ifindexes)

    driver.kernel.closely = look  # type: ignore[method-assign]
    return seen


def test_what_a_look_does_not_find_changes_nothing_and_the_looks_end() -> None:
    driver = joined()
    seen = looks(driver)
    link_upper(driver)
    driver.settle(driver.now + 100)
    assert driver.sent == []
    assert seen == [0.0, *LOOKS]
    assert pair(driver).state == "accelerated"


def test_many_such_messages_make_few_looks() -> None:
    driver = joined()
    began, seen = driver.now, looks(driver)
    for number in range(300):
        driver.settle(began + number / 300)
        driver.now = began + number / 300
        link_upper(driver)
    driver.settle(began + 100)
    assert len([at for at in seen if at < 1]) <= 3, seen
    assert len(seen) <= 4 + len(LOOKS), seen


def test_a_look_that_is_under_way_is_not_the_one_that_counts() -> None:
    """It may have begun before the device was moved away."""
    driver = joined()
    driver.kernel.put(MACVLAN)
    driver.settle(driver.now + 100)
    stale = driver.kernel.closely

    def late(ifindexes: tuple[int, ...]) -> dict[int, str]:
        driver.kernel.closely = stale  # type: ignore[method-assign]
        driver.kernel.hanging[NIC] = HANGING
        driver.kernel.forget(MACVLAN.ifindex)
        driver.events.extendleft(reversed(driver.kernel.news))
        driver.kernel.news.clear()
        return dict.fromkeys(ifindexes, "")

    driver.kernel.closely = late  # type: ignore[method-assign]
    link_upper(driver)
    driver.settle(driver.now + 100)
    assert driver.sent == [(SetPromiscuous(VF, on=True),)]


def test_after_a_restart_the_nic_is_looked_at_and_nothing_is_asked_for_that_is_so() -> None:
    driver = joined()
    driver.kernel.hanging[NIC] = HANGING
    link_upper(driver)
    driver.settle(driver.now + 100)
    assert is_open(driver)
    driver.sent.clear()
    driver.start()
    driver.settle(driver.now + 100)
    assert driver.sent == []
    driver.kernel.hanging.clear()
    driver.start()
    driver.settle(driver.now + 100)
    assert driver.sent == [(SetPromiscuous(VF, on=False),)]


def test_a_container_that_started_while_failoverd_did_not_run_is_found_at_the_start() -> None:
    driver = joined()
    driver.kernel.hanging[NIC] = HANGING
    driver.start()
    driver.settle(driver.now + 100)
    assert is_open(driver)


def test_without_a_vf_there_is_nobody_to_tell() -> None:
    driver = joined()
    driver.kernel.unplug(VF)
    driver.settle(driver.now + 10)
    link_upper(driver)
    driver.settle(driver.now + 100)
    assert pair(driver).obstacles.checks == ()


def test_a_bond_tells_its_slaves_by_itself() -> None:
    driver = joined("bond")
    link_upper(driver)
    driver.tell(LinkSeen(replace(driver.kernel.links[driver.state.judgements.pairs[MAC].master])))
    assert pair(driver).obstacles.checks == ()


def test_a_release_gives_back_a_vf_that_takes_in_its_own() -> None:
    driver = joined()
    driver.kernel.hanging[NIC] = HANGING
    link_upper(driver)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert pair(driver).state == "released"
    assert not is_open(driver)


def test_a_look_under_way_holds_up_nothing_and_is_not_taken_for_another() -> None:
    driver = joined()
    link_upper(driver)
    driver.kernel.hanging[NIC] = HANGING
    driver.now += LOOKS[0]
    (fetch,) = [action for action in step(driver.state, TimePassed(), driver.now) if isinstance(action, FetchInet)]
    assert (fetch.ifindexes, fetch.closely) == ((), (NIC,))
    driver.kernel.wire(VF, False)
    driver.tell()
    assert driver.sent == [(DropRedirect(NIC, "egress"),)]
    assert pair(driver).state == "on-standby"
    driver.tell(InetSeen(TICKET.owner, {}, {NIC: HANGING}))
    assert is_open(driver)
