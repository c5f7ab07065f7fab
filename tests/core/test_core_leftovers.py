"""What traffic control has put on a NIC that is in no pair any more comes off, by itself, and is said until then."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_tc import NIC, VF, joined, pair
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master, Naming, Pairing, Tc
from failoverd.core.calls import CALLS
from failoverd.core.status import nics
from failoverd.model.events import ReleaseAsked, TimePassed
from failoverd.model.requests import DropClsact, DropRedirect
from failoverd.model.signals import Released
from failoverd.policy.naming import is_touched


def without_nic(driver: Driver) -> None:
    driver.precious = frozenset()
    driver.kernel.unplug(NIC)


def explained(driver: Driver, name: str) -> str:
    return next(str(row["reason"]) for row in nics(driver.state) if row["name"] == name)


def is_plain(driver: Driver, ifindex: int) -> bool:
    link = driver.kernel.links[ifindex]
    is_plain = (link.tc.slot, link.link_local, link.all_multicast, link.altnames) == ("", True, False, frozenset())
    return is_plain and not is_touched(link)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_vf_whose_paravirtual_nic_is_gone_is_given_back(is_restarted: bool) -> None:
    driver = joined()
    without_nic(driver)
    if is_restarted:
        driver.start()
    driver.settle(driver.now + 10)
    assert is_plain(driver, VF)
    assert not driver.kernel.links[VF].up
    assert explained(driver, "ens4") == f"no paravirtual NIC with the permanent MAC {MAC} is here"
    before = len(driver.sent)
    driver.settle(driver.now + 1000)
    driver.tell(TimePassed())
    assert len(driver.sent) == before


def test_it_is_joined_anew_when_the_nic_is_there_again() -> None:
    driver = joined()
    without_nic(driver)
    driver.settle(driver.now + 10)
    nic = driver.kernel.plug("ens3", "virtio", up=True)
    driver.settle(driver.now + 10)
    assert pair(driver).state == "accelerated"
    assert driver.carries(driver.kernel.links[nic])


def test_what_the_kernel_refuses_to_take_off_is_said_and_asked_for_again() -> None:
    driver = joined()
    without_nic(driver)
    driver.kernel.refuse = lambda request: errno.EBUSY if isinstance(request, DropRedirect | DropClsact) else 0
    driver.tell()
    assert "what was put on it for its pair is being taken off; drop the" in explained(driver, "ens4")
    assert "EBUSY" in explained(driver, "ens4")
    driver.settle(driver.now + 1000)
    assert 2 < len(driver.sent) < 20
    assert "EBUSY" in explained(driver, "ens4")
    driver.kernel.refuse = lambda _request: 0
    driver.start()
    driver.settle(driver.now + 10)
    assert is_plain(driver, VF)


def test_an_order_to_release_it_does_no_harm() -> None:
    driver = joined()
    without_nic(driver)
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert is_plain(driver, VF)
    assert pair(driver).state == "released"


def test_the_name_and_the_role_that_the_vf_had_by_the_pair_go_too() -> None:
    quiet, naming = Tc(carrier_poll=1e6), Naming(primary="fast", altnames=True)
    driver = joined(config=Config(Master(create="always", datapath="tc"), tc=quiet, naming=naming))
    driver.settle(driver.now + 10)
    assert driver.kernel.links[VF].altnames >= {"ens3-primary"}
    without_nic(driver)
    driver.settle(driver.now + 10)
    assert driver.kernel.links[VF].name == "ens4"
    assert is_plain(driver, VF)


def test_a_pair_that_is_released_while_a_third_nic_has_its_mac_leaves_nothing_and_has_a_name() -> None:
    driver = joined()
    driver.kernel.plug("ens5", "virtio")
    driver.tell()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert is_plain(driver, VF)
    assert not is_touched(driver.kernel.links[NIC])
    assert [signal for signal in driver.signals if isinstance(signal, Released)] == [Released("ens3", MAC, NIC)]


def test_nics_that_the_configuration_says_are_to_be_left_alone_bear_nothing() -> None:
    """Else the traffic would be lost when the VF goes, as nobody looks."""
    driver = joined()
    driver.config = Config(driver.config.master, pairing=Pairing(ignore=("ens*",)), tc=driver.config.tc)
    driver.start()
    driver.settle(driver.now + 10)
    assert is_plain(driver, VF)
    assert not is_touched(driver.kernel.links[NIC])
    assert driver.carries(driver.kernel.links[NIC])


def test_a_pair_is_named_by_its_permanent_mac_also_where_another_pairs_nic_has_it_at_the_moment() -> None:
    """An administrator has set it. The release of the one is not to be the other's."""
    other = "52:54:00:fa:11:02"
    kernel = ToyKernel()
    first = kernel.plug("ens3", "virtio", up=True)
    for name, bus in (("ens5", "virtio"), ("ens6", "pci")):
        kernel.plug(name, bus, up=bus == "virtio", mac=other)
    kernel.plug("ens4", "pci")
    kernel.links[first] = replace(kernel.links[first], mac=other)
    driver = Driver(kernel, Config(Master(datapath="tc"), tc=Tc(carrier_poll=1e6)))
    driver.settle(10)
    assert CALLS["release"].run(driver.state, (other.upper(),), 0.0).events == (ReleaseAsked(other),)
    assert CALLS["release"].run(driver.state, ("ens3",), 0.0).events == (ReleaseAsked(MAC),)


def test_a_vf_that_takes_the_place_of_its_paravirtual_nic_bears_nothing_of_a_vfs_before() -> None:
    """A vmxnet3 counts as paravirtual where nothing else does."""
    driver = joined()
    driver.kernel.links[VF] = replace(driver.kernel.links[VF], driver="vmxnet3")
    driver.start()
    driver.settle(driver.now + 10)
    without_nic(driver)
    driver.settle(driver.now + 10)
    assert is_plain(driver, VF)
    assert driver.state.judgements.pairs[MAC].nic == VF
