"""What a further kind of owner costs: its module and a row. `step`, the timetable and the state take any owner."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import newowner
import pytest
from newowner import Kept, KeptUp, Wanted
from pairdriver import Driver
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master
from failoverd.core import owners, step
from failoverd.core.state import State, is_settled
from failoverd.model.actions import FetchInet, Send
from failoverd.model.events import Event, NotSaved
from failoverd.model.owners import Owner, PairOf
from failoverd.model.requests import SetUp

OTHER = "52:54:00:fa:11:99"


@pytest.fixture(autouse=True)
def _a_further_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: dict[type[Owner], owners.Steps] = {**owners.STEPS, **newowner.STEPS}
    for module in (owners, step):
        monkeypatch.setattr(module, "STEPS", rows)


def wanted(owner: KeptUp) -> Event:
    """Its own event, which no type of failoverd names."""
    event: object = Wanted(owner)
    return event  # type: ignore[return-value]


def machine(refuse: Sequence[int] = ()) -> tuple[Driver, KeptUp]:
    """A joined pair and a NIC that can be in none, which is to be kept up; its first requests are refused so."""
    numbers = list(refuse)
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio", up=True)
    kernel.plug("ens4", "pci")
    owner = KeptUp(kernel.plug("ens9", "usb", mac=OTHER))

    def answer(request: object) -> int:
        return numbers.pop(0) if numbers and request == SetUp(owner.ifindex, up=True) else 0

    kernel.refuse = answer
    driver = Driver(kernel, Config(master=Master(create="always", datapath="bond")))
    driver.settle(10.0)
    assert driver.state.pairs[MAC].state == "accelerated"
    return driver, owner


def ups(driver: Driver, owner: KeptUp) -> int:
    return driver.sent.count((SetUp(owner.ifindex, up=True),))


def kept(state: State, owner: KeptUp) -> Kept:
    return newowner.known(state, owner)


def test_its_requests_go_out_and_their_answers_come_back_to_it() -> None:
    driver, owner = machine()
    driver.tell(wanted(owner))
    assert driver.kernel.links[owner.ifindex].up
    assert (ups(driver, owner), kept(driver.state, owner).seen) == (1, 1)
    assert not kept(driver.state, owner).work.batches
    assert driver.state.pairs[MAC].state == "accelerated"


def test_a_change_of_its_device_concerns_it() -> None:
    driver, owner = machine()
    driver.tell(wanted(owner))
    driver.kernel.set_up(owner.ifindex, False)
    driver.tell()
    assert driver.kernel.links[owner.ifindex].up
    assert ups(driver, owner) == 2


def test_what_is_refused_is_tried_again_when_its_time_has_come() -> None:
    driver, owner = machine([errno.EIO])
    driver.tell(wanted(owner))
    assert not driver.kernel.links[owner.ifindex].up
    assert not is_settled(driver.state)
    driver.settle(driver.now + 5)
    assert driver.kernel.links[owner.ifindex].up
    assert is_settled(driver.state)


def test_after_lost_answers_all_devices_are_seen_and_it_goes_on() -> None:
    driver, owner = machine()
    # The batch is the second action of the step, behind the look.
    driver.lose_at = frozenset({driver.done + 1})
    driver.tell(wanted(owner))
    assert not kept(driver.state, owner).work.unsure
    assert driver.kernel.links[owner.ifindex].up


def test_a_device_that_goes_is_forgotten() -> None:
    driver, owner = machine()
    driver.tell(wanted(owner))
    driver.kernel.unplug(owner.ifindex)
    driver.tell()
    assert f"{owner} is gone" in driver.said
    assert (driver.state.others, owner.ifindex in driver.state.attention.about) == ({}, False)


def test_a_pair_and_it_are_looked_at_in_one_step() -> None:
    driver, owner = machine()
    driver.tell(wanted(owner))
    driver.state.attention.concerned |= {owner, PairOf(MAC)}
    driver.kernel.set_up(owner.ifindex, False)
    vf = driver.state.judgements.pairs[MAC].vf
    driver.kernel.wire(vf, alive=False)
    driver.settle(driver.now + 5)
    assert driver.kernel.links[owner.ifindex].up
    assert driver.state.pairs[MAC].state == "on-standby"


def test_it_hears_that_its_journal_was_not_kept() -> None:
    driver, owner = machine()
    driver.tell(wanted(owner))
    driver.tell(NotSaved(owner))
    assert kept(driver.state, owner).work.pause_until == driver.now + 1.0


def test_what_it_asks_is_withheld_by_its_own_journal_alone() -> None:
    """As the engine reads it: `owner` of what is withheld."""
    driver, owner = machine()
    sent = [action for action in step.step(driver.state, wanted(owner), driver.now) if isinstance(action, Send)]
    assert {action.owner for action in sent} == {owner} != {PairOf(MAC)}
    assert FetchInet(owner, ()).owner == owner
