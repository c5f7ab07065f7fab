"""A paravirtual NIC whose link the host keeps down: by tc the machine would be deaf, so `auto` does not choose it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_histories_tc import QUIET
from test_core_tc import NIC, VF, pair
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master
from failoverd.core.status import nics, status
from failoverd.model.events import AdoptAsked, ReleaseAsked

OTHERS = "NetworkManager is there"


def machine(datapath: str = "auto", no_bond: str = OTHERS, up: bool = True, vf: bool = True) -> Driver:
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio", up=up, wire=False)
    kernel.links[NIC] = replace(kernel.links[NIC], driver="virtio_net", medium=False)
    if vf:
        kernel.plug("ens4", "pci", up=True)
    driver = Driver(kernel, Config(master=Master(datapath=datapath), tc=QUIET))
    driver.no_bond = no_bond
    driver.settle(10)
    return driver


def link_comes(driver: Driver) -> None:
    driver.kernel.links[NIC] = replace(driver.kernel.links[NIC], medium=True)
    driver.kernel.wire(NIC, True)
    driver.settle(driver.now + 10)


def reasons(driver: Driver) -> dict[str, tuple[str, str]]:
    return {str(row["name"]): (str(row["verdict"]), str(row["reason"])) for row in nics(driver.state)}


@pytest.mark.parametrize("up", [True, False])
def test_nothing_is_done_and_both_nics_say_why(up: bool) -> None:
    driver = machine(up=up)
    assert driver.sent == []
    assert driver.marks == {}
    assert status(driver.state)["masters"] == []
    verdict, reason = reasons(driver)["ens4"]
    assert verdict == "refused"
    assert reason == (
        f"it would have to be joined by tc ({OTHERS}), and ens3 has no carrier: the kernel would drop all that ens4 "
        "receives for it; have the host set the link of ens3 up, or set [master] datapath to bond"
    )
    assert reasons(driver)["ens3"] == (verdict, reason)


def test_it_is_joined_when_the_link_is_there_and_stays_so_when_it_goes() -> None:
    driver = machine()
    link_comes(driver)
    assert (pair(driver).state, pair(driver).datapath.name) == ("accelerated", "tc")
    driver.kernel.wire(NIC, False)
    driver.settle(driver.now + 10)
    assert pair(driver).state == "degraded"
    assert pair(driver).reason.startswith("ens3 has no carrier")
    assert pair(driver).reason.endswith("then failoverctl release ens3 and failoverctl adopt ens3")


def test_a_vf_that_comes_to_a_nic_without_a_link_is_left_alone() -> None:
    driver = machine(vf=False)
    driver.kernel.plug("ens4", "pci")
    driver.settle(driver.now + 10)
    assert reasons(driver)["ens4"][0] == "refused"
    assert not driver.kernel.links[VF].up
    driver.kernel.set_up(VF, True)
    driver.settle(driver.now + 10)
    assert driver.sent == []


def test_a_nic_that_loses_its_link_before_it_is_joined() -> None:
    driver = machine(vf=False)
    link_comes(driver)
    driver.udev_hangs = True
    driver.kernel.plug("ens4", "pci")
    driver.tell()
    assert reasons(driver)["ens4"][0] == "paired"
    driver.kernel.wire(NIC, False)
    driver.tell()
    assert reasons(driver)["ens4"][0] == "refused"


def test_a_bond_is_made_where_nothing_speaks_against_one() -> None:
    driver = machine(no_bond="")
    assert (pair(driver).state, pair(driver).datapath.name) == ("accelerated", "bond")


def test_an_explicit_choice_is_obeyed_and_says_what_is_wrong() -> None:
    driver = machine("tc")
    assert (pair(driver).state, pair(driver).datapath.name) == ("degraded", "tc")
    assert pair(driver).reason.startswith("ens3 has no carrier, and then the kernel drops all that ens4 receives")
    assert pair(driver).reason in reasons(driver)["ens3"][1]


def test_without_bonding_there_is_one_way_out() -> None:
    driver = machine()
    driver.state.bonding.missing = True
    driver.tell(AdoptAsked(MAC))
    assert reasons(driver)["ens4"][1].endswith("have the host set the link of ens3 up")


def test_a_released_pair_says_so() -> None:
    driver = machine()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert reasons(driver)["ens4"][1].endswith("released by an administrator; failoverctl adopt joins it again")
