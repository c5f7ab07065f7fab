"""Who a NIC is may be known late, and may change: hosts set the permanent MAC of a VF that is there already."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_histories import SHAPES, machine
from test_core_orders import HOLD_DOWN, NIC, VF, active, wait
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master
from failoverd.core.status import nics
from failoverd.model.events import LinkSeen, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import SetMaster

OTHER = "52:54:00:fa:11:77"
DATAPATHS = pytest.mark.parametrize("datapath", ["bond", "tc"])


def drive(datapath: str = "bond") -> Driver:
    return Driver(machine(SHAPES["vf"]), Config(master=Master(create="always", datapath=datapath)))


def become(driver: Driver, ifindex: int, mac: str, now: str = "") -> None:
    """The host gives a device another permanent MAC, and its driver takes it over as its current one, too."""
    link = driver.kernel.links[ifindex]
    driver.kernel.links[ifindex] = replace(link, perm_mac=mac, mac=now or mac or link.mac)
    driver.tell(LinkSeen(driver.kernel.links[ifindex]))


def state(driver: Driver) -> str:
    return driver.state.pairs[MAC].state


def reason(driver: Driver, ifindex: int) -> str:
    return next(str(row["reason"]) for row in nics(driver.state) if row["ifindex"] == ifindex)


@DATAPATHS
@pytest.mark.parametrize("before", ["", OTHER])
def test_a_vf_that_gets_its_permanent_mac_late(datapath: str, before: str) -> None:
    kernel = ToyKernel()
    kernel.plug("ens3", "virtio", up=True)
    driver = Driver(kernel, Config(master=Master(datapath=datapath)))
    driver.settle(3.0)
    vf = kernel.plug("ens4", "pci", mac=before or OTHER)
    become(driver, vf, before, OTHER)
    wait(driver, 3)
    assert MAC not in [pair.mac for pair in driver.state.judgements.pairs.values() if pair.vf]
    become(driver, vf, MAC)
    wait(driver, HOLD_DOWN)
    wait(driver, 1)
    assert state(driver) == "accelerated"


@DATAPATHS
def test_a_paravirtual_nic_that_gets_its_permanent_mac_late(datapath: str) -> None:
    kernel = ToyKernel()
    nic = kernel.plug("ens3", "virtio")
    kernel.links[nic] = replace(kernel.links[nic], perm_mac="")
    kernel.plug("ens4", "pci")
    driver = Driver(kernel, Config(master=Master(datapath=datapath)))
    driver.settle(3.0)
    become(driver, nic, MAC)
    wait(driver, 1)
    assert driver.state.pairs[MAC].joined


def test_a_device_that_udev_was_asked_for_is_not_asked_for_at_each_word_of_the_kernel() -> None:
    driver = drive()
    driver.udev_hangs = True
    driver.start()
    driver.tell()
    asked = dict(driver.state.arrivals.asked)
    driver.now += 1
    become(driver, VF, MAC)
    assert driver.state.arrivals.asked == asked == {NIC: 0.0, VF: 0.0}


@DATAPATHS
def test_a_joined_vf_that_becomes_another_does_not_carry(datapath: str) -> None:
    driver = drive(datapath)
    driver.settle(3.0)
    assert state(driver) == "accelerated"
    become(driver, VF, OTHER)
    wait(driver, 1)
    assert active(driver) == "ens3" if datapath == "tc" else active(driver) == "ens3nsby"
    assert state(driver) == "on-standby"
    become(driver, VF, MAC)
    wait(driver, HOLD_DOWN)
    wait(driver, 1)
    assert state(driver) == "accelerated"


def test_a_standby_that_becomes_another_stays_the_standby() -> None:
    driver = drive()
    driver.settle(3.0)
    become(driver, NIC, OTHER, MAC)
    wait(driver, 1)
    assert state(driver) == "accelerated"
    assert reason(driver, NIC).startswith(f"joined with ens4, and stays so, although its permanent MAC is {OTHER} now")
    driver.kernel.unplug(VF)
    driver.tell()
    assert state(driver) == "on-standby"
    driver.start()
    driver.settle(10.0)
    assert state(driver) == "on-standby"
    driver.tell(ReleaseAsked(MAC))
    driver.settle(20.0)
    assert driver.on("ens3") >= driver.precious
    assert driver.journals == {}


def test_another_nic_somebody_has_put_into_the_master_is_not_its_standby() -> None:
    driver = drive()
    driver.settle(3.0)
    master = driver.state.judgements.pairs[MAC].master
    third = driver.kernel.plug("ens9", "virtio", mac=OTHER)
    driver.kernel.links[third] = replace(driver.kernel.links[third], master=master)
    driver.tell(LinkSeen(driver.kernel.links[third]))
    assert driver.state.judgements.pairs[MAC].nic == NIC


def test_a_nic_that_becomes_another_at_any_moment_of_the_join_loses_nothing() -> None:
    for number in range(40):
        driver = drive()

        def change(done: int, at: int = number, driver: Driver = driver) -> None:
            if done == at and driver.kernel.links[NIC].perm_mac == MAC:
                link: Link = replace(driver.kernel.links[NIC], perm_mac=OTHER)
                driver.kernel.links[NIC] = link
                driver.events.append(LinkSeen(link))

        driver.on_action = change
        driver.settle(900.0)
        assert driver.is_reachable("10.0.0.2/24"), number
        assert not driver.journals, number
        if driver.done <= number:
            break


def test_a_vf_that_becomes_another_pairs_goes_there() -> None:
    driver = drive()
    driver.settle(3.0)
    second = driver.kernel.plug("ens7", "virtio", up=True, mac=OTHER)
    driver.tell()
    driver.settle(6.0)
    become(driver, VF, OTHER)
    wait(driver, 1)
    driver.settle(20.0)
    found = driver.state.judgements.pairs
    assert (found[MAC].vf, found[OTHER].vf, found[OTHER].nic) == (0, VF, second)
    assert driver.kernel.links[VF].master == found[OTHER].master
    assert active(driver) == "ens3nsby"


def test_a_slave_that_the_kernel_keeps_is_not_asked_for_again_and_again() -> None:
    driver = drive()
    driver.settle(3.0)
    driver.kernel.plug("ens7", "virtio", up=True, mac=OTHER)
    driver.tell()
    driver.settle(6.0)
    driver.kernel.refuse = lambda request: errno.EBUSY if request == SetMaster(VF, 0) else 0
    become(driver, VF, OTHER)
    driver.settle(100.0)
    assert 2 <= sum(SetMaster(VF, 0) in sent for sent in driver.sent) < 8
    assert state(driver) == "on-standby"


def lose_mark_and_slaves(driver: Driver) -> int:
    """Other programs take away the master's mark and its slaves; the kernel gives it another MAC."""
    bond = driver.kernel.named("ens3")
    assert bond is not None
    left = frozenset(name for name in bond.altnames if not name.startswith("failoverd-"))
    for link in (
        replace(bond, altnames=left, mac=OTHER, carrier=False),
        *(replace(driver.kernel.links[nic], master=0, up=False, carrier=False) for nic in (NIC, VF)),
    ):
        driver.kernel.links[link.ifindex] = link
        driver.tell(LinkSeen(link))
    return bond.ifindex


@pytest.mark.parametrize("starts_anew", [False, True])
def test_a_master_that_has_lost_its_mark_and_its_slaves_is_still_the_pairs(starts_anew: bool) -> None:
    """When the kernel lets failoverd, it is made so again, or gives all of it back for another one."""
    driver = drive()
    driver.settle()
    configured = driver.configured()
    driver.kernel.refuse = lambda _request: errno.EPERM
    bond = lose_mark_and_slaves(driver)
    if starts_anew:
        driver.start()
        driver.tell()
    assert driver.state.judgements.pair(MAC).master == bond
    assert OTHER not in driver.state.judgements.pairs
    driver.kernel.refuse = lambda _request: 0
    driver.settle(driver.now + 1000)
    bonds = [link for link in driver.kernel.links.values() if link.kind == "bond"]
    assert [link.ifindex for link in bonds] == [driver.state.judgements.pair(MAC).master]
    assert bonds[0].altnames >= {f"failoverd-{MAC.replace(':', '')}"}
    assert (state(driver), driver.configured()) == ("accelerated", configured)


def test_a_bond_that_failoverd_has_made_for_nobody_it_knows_is_its_own_macs() -> None:
    driver = drive()
    driver.settle()
    bond = driver.kernel.named("ens3")
    assert bond is not None
    driver.tell(LinkSeen(replace(bond, ifindex=77, name="other0", mac=OTHER, altnames=frozenset())))
    assert driver.state.judgements.pair(OTHER).master == 77


def test_what_the_master_was_called_while_it_was_down_is_not_lost_in_a_release() -> None:
    """The kernel does not tell new alternative names of a device that is down."""
    driver = drive()
    driver.settle()
    bond = driver.kernel.named("ens3")
    assert bond is not None
    driver.tell(LinkSeen(replace(bond, up=False)))
    driver.kernel.links[bond.ifindex] = replace(bond, up=False, altnames=bond.altnames | {"uplink"})
    driver.kernel.news.clear()
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 10)
    assert driver.kernel.links.get(bond.ifindex) is None
    assert "uplink" in driver.kernel.links[NIC].altnames


def test_a_bond_that_gets_the_name_of_a_pairs_lost_master_is_that_pairs_at_once() -> None:
    driver = drive()
    driver.settle()
    bond = driver.kernel.named("ens3")
    assert bond is not None
    driver.kernel.refuse = lambda _request: errno.EPERM
    lose_mark_and_slaves(driver)
    lost = driver.kernel.links[bond.ifindex]
    driver.tell(LinkSeen(replace(lost, name="other0")))
    assert driver.state.judgements.pair(OTHER).master == bond.ifindex
    driver.tell(LinkSeen(lost))
    assert (driver.state.judgements.pair(MAC).master, OTHER in driver.state.judgements.pairs) == (bond.ifindex, False)
