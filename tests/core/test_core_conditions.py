"""What about a pair that carries is not as it should be, as it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_health import active, flap, found, replug, row
from test_core_orders import ask, joined, wait
from test_core_paths import probing, told
from test_core_tc import joined as joined_by_tc
from toykernel import MAC

from failoverd.config.spec import Config, Degraded
from failoverd.core.inputs import Configured
from failoverd.core.signal_table import CONDITIONS, SIGNALS
from failoverd.kinds import Bond
from failoverd.model.events import LinkGone, LinkSeen, ModeSeen, ReleaseAsked
from failoverd.model.health import Mode
from failoverd.model.signals import ConditionChanged
from failoverd.policy.conditions import SETTLES

DEADLINE = Config().degraded.vf_deadline


def changes(driver: Driver) -> list[tuple[str, bool]]:
    return [(one.condition, one.present) for one in driver.signals if isinstance(one, ConditionChanged)]


def last(driver: Driver) -> str:
    return SIGNALS["ConditionChanged"].say([one for one in driver.signals if isinstance(one, ConditionChanged)][-1])


def state(driver: Driver) -> tuple[str, str]:
    return driver.state.pairs[MAC].state, driver.state.pairs[MAC].reason


def test_of_a_pair_that_is_well_nothing_is_told() -> None:
    driver = joined()
    wait(driver, 10_000)
    assert (changes(driver), row(driver)["conditions"]) == ([], [])


@pytest.mark.parametrize("drained", [False, True])
def test_a_vf_that_never_comes_back(drained: bool) -> None:
    driver = joined()
    vf = found(driver)[2]
    if drained:
        ask(driver, "drain", "ens3", "0")
    driver.kernel.unplug(vf)
    driver.tell(LinkGone(vf))
    driver.settle(driver.now + DEADLINE - 1)
    assert (changes(driver), state(driver)[0]) == ([], "on-standby")
    driver.settle(driver.now + 2 + DEADLINE)
    assert state(driver) == ("degraded", "no VF has come back for 600 s")
    assert row(driver)["conditions"] == ["vf-missing"]
    assert last(driver) == "ens3: vf-missing: no VF has come back for 600 s"
    driver.kernel.plug("ens4", "pci")
    driver.tell()
    assert last(driver) == "ens3: no longer vf-missing: no VF has come back for 600 s"
    wait(driver, 2)
    assert (state(driver), row(driver)["conditions"]) == (("accelerated", ""), [])
    assert changes(driver) == [("vf-missing", True), ("vf-missing", False)]


def test_a_vf_that_comes_back_in_time() -> None:
    driver = joined()
    for _ in range(3):
        replug(driver, DEADLINE - 10)
        wait(driver, 5)
    assert changes(driver) == []


def test_without_a_deadline_none_is_missed() -> None:
    driver = joined()
    driver.tell(Configured(Config(degraded=Degraded(vf_deadline=0))))
    vf = found(driver)[2]
    driver.kernel.unplug(vf)
    driver.tell(LinkGone(vf))
    driver.settle(driver.now + 100_000)
    assert (changes(driver), state(driver)[0]) == ([], "on-standby")


def test_a_restart_goes_on_missing_it() -> None:
    driver = joined()
    wait(driver, 5)
    vf = found(driver)[2]
    driver.kernel.unplug(vf)
    driver.tell(LinkGone(vf))
    wait(driver, DEADLINE - 10)
    driver.start()
    driver.tell()
    assert state(driver)[0] == "on-standby"
    wait(driver, 10)
    wait(driver, SETTLES)
    before = state(driver)
    assert before == ("degraded", "no VF has come back for 600 s")
    driver.start()
    driver.tell()
    assert state(driver) == before
    driver.kernel.plug("ens4", "pci")
    driver.tell()
    assert driver.damping[MAC].missed_since == 0


def test_a_vf_that_nobody_saw_is_not_missed() -> None:
    driver = joined()
    driver.kernel.unplug(found(driver)[2])
    driver.start()
    driver.settle(100_000)
    assert changes(driver) == []


def test_a_standby_without_carrier() -> None:
    """The VF goes on, and the pair is what it was: a host may mean it so. It is told all the same."""
    driver = joined()
    _, nic, vf = found(driver)
    driver.kernel.wire(nic, False)
    driver.tell()
    driver.kernel.wire(nic, True)
    driver.tell()
    wait(driver, SETTLES)
    assert changes(driver) == []
    driver.kernel.wire(nic, False)
    driver.tell()
    driver.settle(driver.now + SETTLES)
    assert (active(driver), state(driver)) == (vf, ("accelerated", "ens3nsby cannot take over: it has no carrier"))
    assert changes(driver) == [("standby-down", True)]
    driver.kernel.wire(nic, True)
    driver.tell()
    assert (state(driver), changes(driver)[-1]) == (("accelerated", ""), ("standby-down", False))


@pytest.mark.parametrize("which", [1, 2])
def test_an_mtu_unlike_the_masters(which: int) -> None:
    driver = joined()
    link = driver.kernel.links[found(driver)[which]]
    driver.kernel.links[link.ifindex] = replace(link, mtu=9000)
    driver.tell(LinkSeen(driver.kernel.links[link.ifindex]))
    driver.settle(driver.now + 2)
    assert row(driver)["conditions"] == ["mtu-mismatch"]
    assert last(driver) == f"ens3: mtu-mismatch: {link.name}: its MTU is 9000 and the master's 1400"
    driver.kernel.links[link.ifindex] = replace(driver.kernel.links[link.ifindex], mtu=link.mtu)
    driver.tell(LinkSeen(driver.kernel.links[link.ifindex]))
    assert changes(driver) == [("mtu-mismatch", True), ("mtu-mismatch", False)]


@pytest.mark.parametrize("how", [joined, joined_by_tc])
def test_a_vf_that_is_slower_than_its_standby_and_half_duplex(how: Callable[[], Driver]) -> None:
    """The speed is asked for when a link has come up, and not again for anything else that happens."""
    driver = how()
    _, nic, vf = found(driver)
    assert sorted(driver.asked_modes) == sorted(driver.kernel.links[ifindex].name for ifindex in (nic, vf))
    driver.modes = {nic: Mode(25_000), vf: Mode(10_000)}
    for ifindex in (nic, vf):
        driver.kernel.wire(ifindex, False)
        driver.tell()
        driver.kernel.wire(ifindex, True)
        driver.tell()
    wait(driver, 10)
    names = {ifindex: driver.kernel.links[ifindex].name for ifindex in (nic, vf)}
    slow = f"{names[vf]} has 10000 Mb/s, and its standby {names[nic]} 25000 Mb/s"
    assert row(driver)["conditions"] == ["speed-mismatch"]
    assert last(driver) == f"ens3: speed-mismatch: {slow}"
    asked = len(driver.asked_modes)
    driver.modes = {vf: Mode(100, half=True)}
    driver.kernel.wire(vf, False)
    driver.tell()
    assert last(driver).startswith("ens3: no longer speed-mismatch: ")
    driver.kernel.wire(vf, True)
    driver.tell()
    wait(driver, 10)
    assert row(driver)["conditions"] == ["half-duplex", "speed-mismatch"]
    assert last(driver) == f"ens3: half-duplex: {names[vf]} at half duplex"
    assert len(driver.asked_modes) == asked + 1


def test_a_speed_that_comes_after_its_link_went_is_no_news() -> None:
    driver = joined()
    _, nic, vf = found(driver)
    driver.kernel.wire(vf, False)
    driver.tell(ModeSeen(MAC, nic, Mode(25_000)))
    driver.tell(ModeSeen(MAC, vf, Mode(10_000)))
    wait(driver, SETTLES)
    assert row(driver)["conditions"] == []
    assert driver.state.pairs[MAC].conditions.modes == {nic: Mode(25_000)}


def test_a_bonds_options_that_another_program_has_changed() -> None:
    driver = joined()
    master = driver.kernel.links[found(driver)[0]]
    assert isinstance(master.info, Bond)
    driver.tell(LinkSeen(replace(master, info=replace(master.info, miimon=0))))
    driver.settle(driver.now + SETTLES)
    assert state(driver)[0] == "degraded"
    assert last(driver).startswith("ens3: datapath-impaired: ens3 has no miimon: ")


def test_a_vf_that_flaps_and_a_path_that_is_dead() -> None:
    driver = probing()
    told(driver, "vn", "n", "n")
    wait(driver, SETTLES)
    assert last(driver) == "ens3: path-dead: nothing answers through ens4, and its link is up"
    told(driver, "vn")
    flap(driver, 7)
    wait(driver, SETTLES)
    assert row(driver)["conditions"] == ["flapping"]
    ask(driver, "reset-damping", "ens3")
    assert changes(driver) == [("path-dead", True), ("path-dead", False), ("flapping", True), ("flapping", False)]


@pytest.mark.parametrize("how", [joined, joined_by_tc])
def test_a_release_ends_them_without_a_word(how: object) -> None:
    driver: Driver = how()  # type: ignore[operator]
    driver.kernel.wire(found(driver)[1], False)
    driver.tell()
    driver.settle(driver.now + SETTLES)
    before = changes(driver)
    assert ("standby-down", True) in before
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert changes(driver) == before
    assert {condition for condition, _ in before} <= {*CONDITIONS}
