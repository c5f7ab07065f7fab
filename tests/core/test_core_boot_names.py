"""The name people configure stays the master's at every boot, whichever NIC of its pair was found first."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from pairdriver import Driver
from test_core_names import named, rename_by_others
from test_core_orders import NIC, VF
from toykernel import MAC, ToyKernel, address

from failoverd.config.spec import Config, Master, Naming
from failoverd.core.boot_names import BOOTING
from failoverd.model.events import ReleaseAsked
from failoverd.model.requests import AddAddress, AddAltname, Rename, SetUp
from failoverd.policy.naming import swap_name

SWAP = swap_name(MAC)
KERNELS = frozenset({"eth0", "eth1", "eth2"})


def boot(
    nic: str = "eth1", vf: str = "eth0", datapath: str = "bond", naming: Naming | None = None, **more: Any
) -> Driver:
    """A boot with both NICs there, of whom nobody has configured one yet."""
    kernel = ToyKernel()
    kernel.plug(nic, "virtio")
    if vf:
        kernel.plug(vf, "pci")
    config = Config(master=Master(datapath=datapath), naming=naming or Naming())
    return Driver(kernel, config, plain=more.pop("plain", KERNELS), **more)


def master(driver: Driver) -> str:
    return driver.state.name(driver.state.judgements.pairs[MAC].master)


DATAPATHS = pytest.mark.parametrize("datapath", ["bond", "tc"])


@DATAPATHS
def test_the_kernels_name_of_the_boot_before_is_the_masters_again(datapath: str) -> None:
    driver = boot("eth0", "eth1", datapath)
    driver.settle()
    assert driver.names == {MAC: "eth0"}
    again = boot("eth1", "eth0", datapath, names=driver.names)
    again.settle()
    assert again.state.pairs[MAC].joined
    assert (master(again), named(again)[VF]) == ("eth0", "eth1")
    assert again.names == {MAC: "eth0"}


@DATAPATHS
def test_what_udev_could_not_give_as_the_vf_had_it_is_the_masters(datapath: str) -> None:
    driver = boot("eth1", "lan0", datapath, lost_races={"eth1": "lan0"})
    driver.settle()
    assert (master(driver), named(driver)[VF]) == ("lan0", "eth1")
    assert driver.state.pairs[MAC].joined
    assert driver.names == {MAC: "lan0"}


@DATAPATHS
def test_devices_that_are_up_and_idle_are_renamed_as_well(datapath: str) -> None:
    """Kernels before 6.2 rename none that is up."""
    driver = boot("eth1", "lan0", datapath, lost_races={"eth1": "lan0"})
    driver.kernel.by_others(SetUp(NIC, up=True), SetUp(VF, up=True))
    driver.start()
    driver.settle(3.0)
    assert (master(driver), named(driver)[VF]) == ("lan0", "eth1")
    nic = driver.kernel.named("lan0" if datapath == "tc" else "lan0nsby")
    assert nic is not None
    assert nic.up


def test_a_killed_daemon_leaves_nothing_that_the_next_one_does_not_mend() -> None:
    for number in range(80):
        driver = boot("eth1", "lan0", lost_races={"eth1": "lan0"}, kill_at=frozenset({number}))
        driver.settle()
        assert (master(driver), named(driver)[VF]) == ("lan0", "eth1"), number
        if driver.done <= number:
            break
    else:
        raise AssertionError("the kills never came to an end")


@pytest.mark.parametrize("who", [NIC, VF])
def test_a_nic_in_use_keeps_its_name(who: int) -> None:
    driver = boot("eth1", "lan0", lost_races={"eth1": "lan0"})
    driver.kernel.by_others(SetUp(who, up=True), AddAddress(address("10.0.0.2/24", who)))
    driver.start()
    driver.settle()
    assert driver.state.pairs[MAC].joined
    assert master(driver) == "eth1"


def test_nothing_is_taken_from_others() -> None:
    driver = boot("eth1", "eth2", names={MAC: "eth0"})
    driver.kernel.plug("eth0", "pci", mac="52:54:00:fa:11:09")
    driver.start()
    driver.settle()
    assert master(driver) == "eth1"
    assert driver.names == {MAC: "eth0"}, "it stays remembered for the next boot"


def test_another_number_of_the_kernels_that_is_free() -> None:
    driver = boot("eth1", "eth2", names={MAC: "eth0"})
    driver.settle()
    assert (master(driver), named(driver)[VF]) == ("eth0", "eth2")


def test_a_name_of_another_kind_that_is_free_is_not_brought_back() -> None:
    """Somebody has turned to the kernel's names since, and configures those."""
    driver = boot("eth0", "eth1", names={MAC: "enp1s0"})
    driver.settle()
    assert master(driver) == "eth0"


def test_a_name_given_by_udev_counts_more_than_what_is_remembered() -> None:
    driver = boot("lan0", "eth0", names={MAC: "eth0"})
    driver.settle()
    assert master(driver) == "lan0"


def test_long_after_the_boot_nothing_remembered_is_brought_back() -> None:
    driver = boot("eth1", "eth0", names={MAC: "eth0"}, now=BOOTING)
    driver.settle(BOOTING + 1000)
    assert driver.state.pairs[MAC].joined
    assert master(driver) == "eth1"


@pytest.mark.parametrize(
    ("words", "name"),
    [({"eth0"}, "eth0"), ({"eth0", "eth1"}, "eth1"), ({"eth1"}, "eth1"), (set(), "eth1"), ({"eth0", "e*"}, "eth1")],
)
def test_where_nothing_is_remembered_the_one_name_that_is_configured(words: set[str], name: str) -> None:
    driver = boot("eth1", "eth0", words=frozenset(words))
    driver.settle()
    assert master(driver) == name


@pytest.mark.parametrize("nic", ["eth0", "eth1"])
@pytest.mark.parametrize(("words", "name"), [({"lan0"}, "lan0"), ({"lan0", "eth0"}, "eth0"), (set(), "eth0")])
def test_a_name_that_an_administrator_has_configured_since_the_last_boot(nic: str, words: set[str], name: str) -> None:
    """A .link file and the network's own are new: without failoverd the VF, which has the name, would do."""
    driver = boot(nic, "lan0", names={MAC: "eth0"}, words=frozenset(words))
    driver.settle()
    assert master(driver) == name


def test_long_after_the_boot_nothing_configured_is_given_to_a_pair_that_has_a_name() -> None:
    driver = boot("eth0", "lan0", names={MAC: "eth0"}, words=frozenset({"lan0"}), now=BOOTING)
    driver.settle(BOOTING + 1000)
    assert master(driver) == "eth0"


def test_a_vf_that_has_the_name_as_an_alternative_one_loses_it() -> None:
    driver = boot("eth1", "eth2", lost_races={"eth1": "lan0"})
    driver.kernel.by_others(AddAltname(VF, "lan0"))
    driver.start()
    driver.settle()
    assert (master(driver), named(driver)[VF]) == ("lan0", "eth2")


def test_a_vf_udev_is_not_done_with_is_waited_for() -> None:
    driver = boot("eth1", "eth0", names={MAC: "eth0"}, udev_hangs=True)
    driver.tell()
    driver.tell(driver._udev_done(NIC))
    assert driver.state.pairs[MAC].reason == "udev is not done with eth0 yet"
    driver.settle()
    assert master(driver) == "eth0"


def test_an_exchange_that_is_refused_leaves_the_pair_as_it_is_called() -> None:
    driver = boot("eth1", "eth0", names={MAC: "eth0"})
    driver.kernel.refuse = lambda request: errno.EBUSY if request == Rename(VF, SWAP) else 0
    driver.settle()
    assert driver.state.pairs[MAC].joined
    assert (master(driver), named(driver)[VF]) == ("eth1", "eth0")
    assert driver.names == {MAC: "eth0"}


def test_a_master_that_is_renamed_is_remembered_so() -> None:
    driver = boot("eth0", "eth1")
    driver.settle()
    bond = driver.state.judgements.pairs[MAC].master
    driver.kernel.live_renames = True
    rename_by_others(driver, (bond, "wan0"))
    driver.settle()
    assert driver.names == {MAC: "wan0"}


def test_with_a_name_for_masters_it_is_the_nics_own_that_is_remembered() -> None:
    naming = Naming(master="{nic}m")
    driver = boot("eth0", "eth1", naming=naming)
    driver.settle()
    assert (master(driver), driver.names) == ("eth0m", {MAC: "eth0"})
    again = boot("eth1", "eth0", naming=naming, names=driver.names)
    again.settle()
    assert master(again) == "eth0m"


def test_a_release_forgets_the_name() -> None:
    driver = boot("eth0", "eth1")
    driver.settle()
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert driver.names == {MAC: ""}


def test_a_name_that_no_plain_text_can_hold_is_not_remembered() -> None:
    driver = boot("käse", "eth1")
    driver.settle()
    assert driver.state.pairs[MAC].joined
    assert driver.names == {}


def test_a_nic_without_a_vf_is_named_by_what_is_remembered_as_well() -> None:
    driver = boot("eth1", "", names={MAC: "eth0"}, memory={MAC: "joined"})
    driver.settle()
    assert driver.state.pairs[MAC].joined
    assert master(driver) == "eth0"
