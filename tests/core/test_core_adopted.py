"""A pair the kernel has joined itself: signals, announcements, its hole, and that nothing is done to it beyond that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, KernelFailover
from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.core.status import nics, status
from failoverd.model.actions import Announce
from failoverd.model.events import AdoptAsked, Ending, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, AddClsact, AddRedirect, DropRedirect
from failoverd.model.signals import FailedOver, Joined

MASTER, STANDBY, VF = 2, 3, 4


def machine(close_hole: bool = False, name: str = "ens3nsby") -> Driver:
    kernel = ToyKernel(last=4)
    kernel.put(Link(MASTER, "ens3", MAC, up=True, driver="net_failover"))
    standby = Link(STANDBY, name, MAC, MAC, up=True, master=MASTER, bus="virtio", standby_feature=True)
    kernel.put(standby)
    kernel.put(Link(VF, "ens4", MAC, MAC, up=True, master=MASTER, bus="pci"))
    kernel.news.clear()
    driver = Driver(kernel, Config(kernel_failover=KernelFailover(close_hole=close_hole)))
    driver.settle()
    return driver


def put(driver: Driver, ifindex: int, **changes: object) -> None:
    """The kernel's failover moves nothing by itself here: what it does follows from its slaves."""
    driver.kernel.put(replace(driver.kernel.links[ifindex], **changes))  # type: ignore[arg-type]
    driver.tell()


def failovers(driver: Driver) -> list[tuple[str, str, str]]:
    return [(s.old, s.new, s.reason) for s in driver.signals if isinstance(s, FailedOver)]


def test_it_is_adopted_and_left_as_it_is() -> None:
    driver = machine()
    assert driver.signals == [Joined("ens3", MAC, MASTER, "ens4", VF, "primary")]
    assert driver.sent == []
    assert driver.memory == {}, "it needs no remembering: the kernel makes it anew at each boot"
    assert driver.state.pairs[MAC].state == "accelerated"
    (master,) = status(driver.state)["masters"]
    assert (master["datapath"], master["active"], master["state"]) == ("net_failover", "ens4", "accelerated")
    assert (master["primary"]["name"], master["standby"]["name"]) == ("ens4", "ens3nsby")
    assert {row["verdict"] for row in nics(driver.state)} == {"paired"}


def test_a_standby_with_another_name_gets_one() -> None:
    assert machine(name="eth0").sent == [(AddAltname(STANDBY, "ens3nsby"),)]


def test_what_the_kernel_does_is_told_and_announced() -> None:
    driver = machine()
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.kernel.wire(VF, True)
    driver.tell()
    assert failovers(driver) == [
        ("ens4", "ens3nsby", "it has no carrier"),
        ("ens3nsby", "ens4", "the kernel chose another slave"),
    ]
    assert driver.announced == [Announce(MAC, ((MASTER, MAC),), 1)] * 2
    assert driver.sent == []
    assert driver.state.pairs[MAC].failovers.count == 2


def test_a_vf_that_goes() -> None:
    driver = machine()
    put(driver, VF, up=False)
    put(driver, VF, master=0)
    driver.kernel.forget(VF)
    driver.tell()
    driver.settle(driver.now + 1)
    assert failovers(driver) == [("ens4", "ens3nsby", "it was unplugged")]
    assert (driver.state.pairs[MAC].state, driver.state.pairs[MAC].reason) == ("on-standby", "the kernel chooses")


def test_the_hole_is_said_and_nothing_is_done_unless_it_is_wanted() -> None:
    driver = machine()
    driver.kernel.wire(VF, False)
    driver.tell()
    assert driver.state.pairs[MAC].state == "degraded"
    assert driver.state.pairs[MAC].reason.startswith("ens4 has no carrier and is plugged in")
    assert driver.sent == []


def test_the_hole_is_closed_and_opened_again() -> None:
    driver = machine(close_hole=True)
    close, reopen = AddRedirect(STANDBY, "ingress", MASTER), DropRedirect(STANDBY, "ingress")
    mark = AddAltname(STANDBY, f"failoverd-qdisc-{STANDBY}")
    assert driver.sent == [(mark,), (AddClsact(STANDBY), close, reopen)]
    driver.sent.clear()
    driver.kernel.wire(VF, False)
    driver.tell()
    assert driver.sent == [(close,)]
    assert (driver.state.pairs[MAC].state, driver.state.pairs[MAC].reason) == ("on-standby", "the kernel chooses")
    driver.kernel.wire(VF, True)
    driver.tell()
    assert driver.sent[1:] == [(reopen,)]
    assert not driver.kernel.links[STANDBY].tc.filters
    assert driver.state.pairs[MAC].state == "accelerated"


def test_a_setting_that_is_gone_takes_what_it_left_with_it() -> None:
    driver = machine(close_hole=True)
    driver.config = Config()
    driver.start()
    driver.settle()
    assert driver.kernel.links[STANDBY].tc.slot == ""
    driver = machine(close_hole=True)
    driver.kernel.wire(VF, False)
    driver.tell()
    driver.config = Config()
    driver.start()
    driver.settle()
    assert driver.kernel.links[STANDBY].tc.slot == ""


def test_it_cannot_be_taken_apart() -> None:
    driver = machine()
    with pytest.raises(CallError, match=r"ens3 was joined by the kernel itself \(net_failover\)"):
        CALLS["release"].run(driver.state, ("ens3",), 0.0)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.sent == []
    driver.tell(AdoptAsked(MAC))
    assert driver.state.pairs[MAC].state == "accelerated"


def test_it_is_never_at_risk() -> None:
    driver = machine()
    assert not driver.state.at_risk()
    driver.tell(Ending())
    assert driver.sent == []
    assert driver.state.pairs[MAC].state == "accelerated"


def test_a_second_vf_is_none_of_its_business() -> None:
    driver = machine()
    driver.kernel.plug("ens5", "pci")
    driver.settle(driver.now + 100)
    assert driver.sent == []
    assert driver.state.pairs[MAC].state == "accelerated"


def test_all_of_it_may_go() -> None:
    driver = machine()
    for ifindex in (VF, STANDBY, MASTER):
        driver.kernel.forget(ifindex)
    driver.settle(driver.now + 100)
    assert status(driver.state)["masters"] == []
    assert not driver.state.at_risk()
