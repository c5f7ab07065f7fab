"""What hangs on the paravirtual NIC is found before anything moves; a NIC that no bond takes costs nobody anything."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_histories import SHAPES, machine
from toykernel import MAC, ToyKernel

from failoverd.config.spec import Config, Master, Tc
from failoverd.core.state import PairState
from failoverd.core.status import nics, status
from failoverd.model.events import AdoptAsked, LinkSeen, ReleaseAsked
from failoverd.model.links import Link
from failoverd.model.requests import CreateLink, Request, SetMaster, SetUp, TryMaster

NIC, VF = 2, 3
MACVLAN = "the macvlan of a container (nsid 3) stands on it"
IN_USE = "the kernel would not enslave it: EBUSY"


def drive(kernel: ToyKernel, datapath: str = "auto", held_on: bool = False) -> Driver:
    master = Master(create="always", datapath="bond") if datapath == "bond" else Master(create="always")
    return Driver(kernel, Config(master=master, tc=Tc(carrier_poll=5.0)), held_on=held_on)


def pair(driver: Driver) -> PairState:
    return driver.state.pairs[MAC]


def reason(driver: Driver, ifindex: int = NIC) -> tuple[str, str]:
    return next((row["verdict"], row["reason"]) for row in nics(driver.state) if row["ifindex"] == ifindex)


def asked(driver: Driver, wanted: type[Request]) -> list[Request]:
    return [request for batch in driver.sent for request in batch if isinstance(request, wanted)]


def always_reachable(driver: Driver) -> None:
    """The machine's own address is on something that carries between any two steps, and its NIC is never touched."""

    def look(_numbers: range) -> None:
        assert driver.is_reachable("10.0.0.2/24"), driver.sent[-1:]

    driver.on_step = look


def untouched(driver: Driver) -> bool:
    return SetUp(NIC, up=False) not in asked(driver, SetUp) and not pair(driver).move.journal


def test_what_is_seen_to_hang_on_the_nic_has_it_joined_by_tc_and_no_bond_is_made() -> None:
    driver = drive(machine(SHAPES["vf"]))
    driver.kernel.hanging[NIC] = MACVLAN
    always_reachable(driver)
    driver.settle(30)
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
    assert not asked(driver, CreateLink)
    assert untouched(driver)
    verdict, why = reason(driver)
    assert verdict == "paired"
    assert f"joined by tc and not by a bond: {MACVLAN} and would be cut off" in why
    assert driver.said == [f"{MAC}: ens3 is not made a bond's slave: {MACVLAN} and would be cut off"]


def test_a_bond_that_is_wanted_all_the_same_is_refused_and_looked_at_again_later() -> None:
    driver = drive(machine(SHAPES["vf"]), "bond")
    driver.kernel.hanging[NIC] = MACVLAN
    always_reachable(driver)
    driver.settle(10_000)
    assert pair(driver).datapath.name == "bond"
    assert not driver.sent
    assert reason(driver) == ("refused", f"{reason(driver)[1]}")
    assert f"ens3 is not made a bond's slave: {MACVLAN} and would be cut off" in reason(driver)[1]
    assert (pair(driver).state, MACVLAN in pair(driver).reason) == ("degraded", True)
    assert len([line for line in driver.said if MACVLAN in line]) == 1
    driver.kernel.hanging.clear()
    driver.settle(12_000)
    assert pair(driver).state == "accelerated"
    assert reason(driver)[0] == "paired"


@pytest.mark.parametrize("datapath", ["auto", "bond"])
def test_a_nic_that_something_unseen_holds_is_found_out_before_anything_moves(datapath: str) -> None:
    driver = drive(machine(SHAPES["vf"]), datapath)
    driver.kernel.busy.add(NIC)
    before = driver.kernel.links[NIC]
    always_reachable(driver)
    driver.settle(100)
    assert untouched(driver)
    assert IN_USE in reason(driver)[1]
    assert not any(link.kind == "bond" for link in driver.kernel.links.values())
    assert len(asked(driver, TryMaster)) == 1
    if datapath == "bond":
        assert driver.kernel.links[NIC] == before
        assert (reason(driver)[0], pair(driver).state) == ("refused", "degraded")
    else:
        assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
        assert "joined by tc and not by a bond" in reason(driver)[1]
        assert status(driver.state)["masters"][0]["state"] == "accelerated"


def test_what_has_come_to_hang_on_the_nic_since_the_first_look_is_seen_at_the_last() -> None:
    driver = drive(machine(SHAPES["vf"]))

    def come(_number: int) -> None:
        if asked(driver, TryMaster):
            driver.kernel.hanging[NIC] = MACVLAN

    driver.on_action = come
    always_reachable(driver)
    driver.settle(100)
    assert asked(driver, CreateLink)
    assert untouched(driver)
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
    assert driver.on("ens3") >= driver.precious


@pytest.mark.parametrize("held_on", [False, True])
@pytest.mark.parametrize("datapath", ["auto", "bond"])
def test_a_standby_that_is_refused_after_the_handover_is_given_everything_back(datapath: str, held_on: bool) -> None:
    """The kernel says nothing of it before: a driver that cannot be opened with the bond's MTU, say."""
    driver = drive(machine(SHAPES["vf"]), datapath, held_on=held_on)
    driver.kernel.refuse = lambda request: (
        errno.ENOMEM if isinstance(request, SetMaster) and request.ifindex == NIC and request.master else 0
    )
    always_reachable(driver)
    driver.settle(200)
    assert driver.on("ens3") >= driver.precious
    assert driver.kernel.links[NIC].name == "ens3"
    assert not any(link.kind == "bond" for link in driver.kernel.links.values())
    assert "ENOMEM" in reason(driver)[1]
    if datapath == "auto":
        assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
    if datapath == "auto" or held_on:
        return
    assert (reason(driver)[0], pair(driver).state) == ("refused", "degraded")
    times = []
    for until in (3000, 5000, 9000):
        driver.settle(until)
        times.append(len(asked(driver, CreateLink)))
    assert times == [1, 2, 3]
    driver.kernel.refuse = lambda _request: 0
    driver.tell(AdoptAsked(MAC))
    driver.settle(9100)
    assert pair(driver).state == "accelerated"


def test_where_the_vf_cannot_carry_a_refused_standby_is_given_everything_back_at_once() -> None:
    driver = drive(machine(SHAPES["no-carrier"]))
    driver.kernel.refuse = lambda request: (
        errno.ENOMEM if isinstance(request, SetMaster) and request.ifindex == NIC and request.master else 0
    )
    driver.settle(200)
    assert driver.on("ens3") >= driver.precious
    assert driver.kernel.links[NIC].name == "ens3"
    assert pair(driver).datapath.name == "tc"


def test_an_attempt_that_a_gone_device_refuses_says_nothing() -> None:
    driver = drive(machine(SHAPES["vf"]))
    driver.kernel.refuse = lambda request: _unplug(driver) if isinstance(request, TryMaster) else 0
    driver.settle(30)
    assert NIC not in driver.kernel.links
    assert not pair(driver).obstacles.unbondable
    assert not pair(driver).obstacles.could


def _unplug(driver: Driver) -> int:
    driver.kernel.unplug(NIC)
    return errno.ENODEV


def test_a_kernel_that_would_take_a_device_that_is_up_has_found_it_free() -> None:
    driver = drive(machine(SHAPES["vf"]))
    assert driver.kernel.do((TryMaster(NIC, 99),)) == ((errno.EINVAL, ""),)
    driver.settle(30)
    assert len(asked(driver, TryMaster)) == 1
    assert (pair(driver).datapath.name, pair(driver).state) == ("bond", "accelerated")


# What stands on a NIC whose pair is joined already


def joined() -> Driver:
    driver = drive(machine(SHAPES["vf"]), "bond")
    driver.settle()
    assert pair(driver).state == "accelerated"
    return driver


def released(driver: Driver) -> bool:
    found = driver.kernel.links[NIC]
    return found.name == "ens3" and found.master == 0 and pair(driver).state == "released"


def test_a_vlan_on_the_standby_is_in_nobodys_way_when_the_pair_is_released() -> None:
    driver = joined()
    driver.kernel.put(Link(99, "ens3nsby.7", kind="vlan", link=NIC))
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert released(driver)
    assert driver.on("ens3") >= driver.precious


def test_a_bridge_that_holds_the_nic_is_named_and_the_release_goes_on_when_it_has_let_go() -> None:
    driver = joined()
    driver.kernel.put(Link(98, "br0", kind="bridge"))
    driver.kernel.by_others(SetMaster(NIC, 0))
    driver.kernel.put(replace(driver.kernel.links[NIC], master=98, slave_kind="bridge"))
    driver.kernel.refuse = lambda request: errno.EPERM if request == SetMaster(NIC, 0) else 0
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 1000)
    assert not released(driver)
    assert pair(driver).reason == "ens3nsby is in br0 and cannot take its addresses back; take it out of br0"
    driver.kernel.put(replace(driver.kernel.links[NIC], master=0, slave_kind=""))
    driver.settle(driver.now + 1000)
    assert released(driver)
    assert driver.on("ens3") >= driver.precious


def test_a_nic_that_went_into_a_bridge_while_its_addresses_were_coming_back_is_named() -> None:
    driver = joined()

    def grab(_number: int) -> None:
        if not any(link.kind == "bond" for link in driver.kernel.links.values()) and NIC in driver.kernel.links:
            driver.kernel.links[98] = Link(98, "br0", kind="bridge")
            driver.kernel.put(replace(driver.kernel.links[NIC], master=98, slave_kind="bridge"))

    driver.on_action = grab
    driver.kernel.news.append(LinkSeen(Link(98, "br0", kind="bridge")))
    driver.tell(ReleaseAsked(MAC))
    driver.settle(driver.now + 100)
    assert driver.journals or released(driver)


@pytest.mark.parametrize("what", ["vlan", "second VF"])
def test_a_master_that_has_lost_its_slaves_gets_its_nic_again(what: str) -> None:
    driver = joined()
    for slave in (NIC, VF):
        driver.kernel.by_others(SetMaster(slave, 0))
    if what == "vlan":
        driver.kernel.put(Link(99, "ens3nsby.7", kind="vlan", link=NIC))
    else:
        driver.kernel.plug("ens5", "pci")
    driver.start()
    driver.settle(driver.now + 100)
    master = driver.kernel.named("ens3")
    assert master is not None
    assert driver.kernel.links[NIC].master == master.ifindex
    assert driver.is_reachable("10.0.0.2/24")
    if what == "second VF":
        assert reason(driver, VF)[0] == "refused"


def test_a_master_that_is_not_in_use_yet_gets_no_nic_that_something_stands_on() -> None:
    driver = drive(machine(SHAPES["vf"]))

    def stand(_number: int) -> None:
        if any(link.kind == "bond" for link in driver.kernel.links.values()) and 99 not in driver.kernel.links:
            driver.kernel.put(Link(99, "ens3.7", kind="vlan", link=NIC))

    driver.on_action = stand
    always_reachable(driver)
    driver.settle(100)
    assert untouched(driver)
    assert (pair(driver).datapath.name, pair(driver).state) == ("tc", "accelerated")
    assert "ens3.7@ens3 stands on it" in reason(driver)[1]
