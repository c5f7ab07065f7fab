"""A pair that Hyper-V's driver has joined: shown with its roles and failovers, and never touched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from toykernel import MAC, ToyKernel, address

from failoverd.config.spec import Config, Master
from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.core.status import nics, status
from failoverd.model.actions import Announce
from failoverd.model.links import Link
from failoverd.model.signals import FailedOver, Joined

NIC, VF = 2, 3


def machine(vf: bool = True, create: str = "remembered", datapath: str = "auto") -> Driver:
    kernel = ToyKernel(last=3)
    kernel.put(Link(NIC, "eth0", MAC, MAC, up=True, bus="vmbus", parent="f8615163", driver="hv_netvsc"))
    kernel.do_all(address("10.0.0.2/24", NIC))
    if vf:
        take_in(kernel)
    kernel.news.clear()
    driver = Driver(kernel, Config(master=Master(create=create, datapath=datapath)))
    driver.settle(10)
    return driver


def take_in(kernel: ToyKernel, up: bool = True) -> None:
    kernel.put(Link(VF, "enP1s1", MAC, MAC, up=up, master=NIC, bus="pci", parent="0001:00:02.0", driver="mlx5_core"))


def set_up(driver: Driver, ifindex: int, up: bool) -> None:
    """What the driver or an administrator does; the toy kernel's own way has more to it."""
    driver.kernel.put(replace(driver.kernel.links[ifindex], up=up))
    driver.tell()


@pytest.mark.parametrize("create", ["remembered", "always"])
@pytest.mark.parametrize("datapath", ["auto", "bond", "tc"])
def test_it_is_adopted_and_left_as_it_is(create: str, datapath: str) -> None:
    driver = machine(create=create, datapath=datapath)
    assert driver.signals == [Joined("eth0", MAC, NIC, "enP1s1", VF, "primary")]
    assert driver.sent == []
    (master,) = status(driver.state)["masters"]
    assert (master["name"], master["datapath"], master["state"]) == ("eth0", "hv_netvsc", "accelerated")
    assert (master["primary"]["name"], master["standby"]["name"], master["active"]) == ("enP1s1", "eth0", "enP1s1")
    assert {(row["verdict"], row["reason"]) for row in nics(driver.state)} == {
        ("paired", "its driver (hv_netvsc) has joined it itself, as eth0")
    }


@pytest.mark.parametrize("datapath", ["auto", "bond", "tc"])
def test_alone_it_is_its_drivers_and_no_master_whoever_else_has_its_mac(datapath: str) -> None:
    driver = machine(vf=False, datapath=datapath)
    assert status(driver.state)["masters"] == []
    assert nics(driver.state)[0]["verdict"] == "left-alone"
    driver.kernel.plug("ens4", "pci")
    driver.settle(driver.now + 100)
    assert driver.sent == []
    row = nics(driver.state)[1]
    assert (row["verdict"], row["reason"]) == (
        "refused",
        "eth0 has this MAC, whose driver (hv_netvsc) takes in its VF by itself, and has not taken this NIC",
    )


def test_one_that_had_a_vf_is_shown_on_standby_also_after_a_restart() -> None:
    driver = machine()
    set_up(driver, VF, False)
    driver.kernel.put(replace(driver.kernel.links[VF], master=0))
    driver.tell()
    driver.kernel.forget(VF)
    driver.settle(driver.now + 1)
    assert [(s.old, s.new, s.reason) for s in driver.signals if isinstance(s, FailedOver)] == [
        ("enP1s1", "eth0", "it was unplugged")
    ]
    assert driver.announced == [Announce(MAC, ((NIC, MAC),), 1)]
    for _ in range(2):
        (master,) = status(driver.state)["masters"]
        assert (master["state"], master["active"], master["reason"]) == ("on-standby", "eth0", "the kernel chooses")
        driver.start()
        driver.settle(driver.now + 1)
    take_in(driver.kernel)
    driver.settle(driver.now + 1)
    assert driver.state.pairs[MAC].state == "accelerated"
    assert driver.sent == []


def test_a_vf_without_carrier_and_one_that_is_down_do_not_carry() -> None:
    driver = machine()
    for up in (False, True):
        set_up(driver, VF, up)
    driver.kernel.wire(VF, False)
    driver.tell()
    assert [(s.old, s.new, s.reason) for s in driver.signals if isinstance(s, FailedOver)] == [
        ("enP1s1", "eth0", "it is down"),
        ("eth0", "enP1s1", "the kernel chose another slave"),
        ("enP1s1", "eth0", "it has no carrier"),
    ]


def test_a_vf_that_goes_down_with_its_master_is_left_down() -> None:
    driver = machine()
    set_up(driver, VF, False)
    set_up(driver, NIC, False)
    driver.settle(driver.now + 100)
    assert driver.sent == []
    assert driver.state.pairs[MAC].state == "degraded"


def test_the_vf_is_marked_before_it_comes_and_the_master_is_not_unmanaged() -> None:
    driver = machine(vf=False)
    assert driver.marks[MAC].startswith("NM_UNMANAGED=1\nFAILOVERD_MASTER=eth0\nFAILOVERD_ROLE=primary\n")
    assert driver.marks[f"{MAC}-f8615163"] == driver.marks[f"{MAC}-hv_netvsc"] == ""
    take_in(driver.kernel)
    driver.settle(driver.now + 1)
    assert driver.marks[f"{MAC}-f8615163"] == "FAILOVERD_MASTER=eth0\nFAILOVERD_ROLE=master\nFAILOVERD_ACTIVE=0\n"
    assert f"{MAC}-sby" not in driver.marks


@pytest.mark.parametrize("call", ["release", "drain"])
def test_it_cannot_be_taken_apart(call: str) -> None:
    with pytest.raises(CallError, match=r"eth0 was joined by the kernel itself \(hv_netvsc\)"):
        CALLS[call].run(machine().state, ("eth0",), 0.0)
