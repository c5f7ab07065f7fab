"""Flap damping in the step: what counts as a failure of the VF, and what follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_histories import SHAPES, drive
from test_core_orders import ask, joined, wait
from test_core_tc import joined as joined_by_tc
from toykernel import MAC

from failoverd.config.spec import Config, Damping
from failoverd.core.document import MASTER
from failoverd.core.health import Health
from failoverd.core.inputs import Configured
from failoverd.core.status import nics
from failoverd.core.views import master_of
from failoverd.datapaths import kernel
from failoverd.model.events import LinkGone, LinkSeen, ReleaseAsked, Synced, TimePassed
from failoverd.model.requests import SetActive, SetUp

NIC, VF = 2, 3
HOLD_DOWN = Config().failback.hold_down
LEFT = "the VF cannot carry: it flaps, and is suppressed until it has been steady for"


def health(driver: Driver) -> Health:
    return driver.state.pairs[MAC].health


def found(driver: Driver) -> tuple[int, int, int]:
    """The master, the NIC and the VF."""
    pair = driver.state.judgements.pairs[MAC]
    return pair.master, pair.nic, pair.vf


def active(driver: Driver) -> int:
    return driver.state.active(driver.state.judgements.pairs[MAC])


def flap(driver: Driver, times: int = 1, apart: float = 4.0) -> None:
    """Lose the VF's carrier, and give it back, so many times; half of the time it is steady."""
    for _ in range(times):
        vf = found(driver)[2]
        driver.kernel.wire(vf, False)
        driver.tell()
        wait(driver, apart / 2)
        driver.kernel.wire(vf, True)
        driver.tell()
        wait(driver, apart / 4)
        wait(driver, apart / 4)


def counted(driver: Driver, losses: int, carrier: bool = True) -> None:
    """The kernel tells of the VF, with so many more carrier losses in its count."""
    link = driver.kernel.links[found(driver)[2]]
    driver.kernel.links[link.ifindex] = replace(link, carrier_losses=link.carrier_losses + losses, carrier=carrier)
    driver.tell(LinkSeen(driver.kernel.links[link.ifindex]))


def row(driver: Driver) -> dict[str, object]:
    pair = driver.state.pairs[MAC]
    return MASTER.of(master_of(driver.state, pair, driver.state.judgements.pairs[MAC]))


@pytest.mark.parametrize("how", [joined, joined_by_tc])
def test_a_vf_that_flaps_is_left_until_it_has_been_steady(how: object) -> None:
    driver: Driver = how()  # type: ignore[operator]
    _, nic, vf = found(driver)
    flap(driver, 6)
    assert (active(driver), health(driver).damping.suppressed) == (vf, False)
    flap(driver)
    pair = driver.state.pairs[MAC]
    assert (active(driver), pair.state) == (nic, "on-standby")
    assert pair.reason.startswith(LEFT)
    until = row(driver)["suppressed_until"]
    assert isinstance(until, float)
    driver.now = until - 0.01
    driver.tell(TimePassed())
    assert active(driver) == nic
    driver.settle(until + HOLD_DOWN)
    assert (active(driver), pair.state, pair.reason) == (vf, "accelerated", "")
    lines = [line for line in driver.said if "VF" in line]
    assert [line.split("; ")[-1] for line in lines] == [
        f"failoverctl reset-damping {driver.state.name(found(driver)[0])} ends that",
        f"{driver.state.name(found(driver)[0])}: the VF has been steady, and may carry again",
    ]


def test_it_carries_all_the_same_where_the_standby_cannot() -> None:
    """And goes on when the standby is back, which may flap as well, until it flaps again itself."""
    driver = joined()
    _, nic, vf = found(driver)
    flap(driver, 7)
    assert active(driver) == nic
    driver.kernel.wire(nic, False)
    driver.tell()
    assert active(driver) == vf
    driver.kernel.wire(nic, True)
    driver.tell()
    wait(driver, 30)
    assert (active(driver), health(driver).damping.suppressed) == (vf, True)
    counted(driver, 1)
    assert active(driver) == nic
    wait(driver, 30)
    assert active(driver) == nic


def test_an_order_to_switch_to_it_is_done() -> None:
    driver = joined()
    _, nic, vf = found(driver)
    flap(driver, 7)
    ask(driver, "switch", "ens3", "ens4")
    assert (active(driver), health(driver).damping.suppressed) == (vf, True)
    flap(driver)
    assert active(driver) == nic


def test_a_reset_forgets_all() -> None:
    driver = joined()
    _, nic, vf = found(driver)
    flap(driver, 7)
    wait(driver, 60)
    assert (active(driver), MAC in driver.damping) == (nic, True)
    answer = ask(driver, "reset-damping", "ens3")
    assert answer.document == {"mac": MAC, "master": "ens3", "was_suppressed": True}
    assert active(driver) == vf
    assert not driver.damping[MAC].is_worth_keeping
    assert (row(driver)["penalty"], row(driver)["flaps"]) == (0, 7)
    assert ask(driver, "reset-damping", "ens3").document["was_suppressed"] is False


def test_it_survives_a_restart() -> None:
    driver = joined()
    _, nic, _ = found(driver)
    flap(driver, 7)
    before = health(driver).damping
    driver.start()
    driver.tell()
    assert health(driver).damping == before
    assert active(driver) == nic
    assert driver.state.pairs[MAC].reason.startswith(LEFT)
    wait(driver, 60)
    assert active(driver) == nic


def test_what_the_kernel_counted_while_failoverd_was_away() -> None:
    driver = joined()
    flap(driver, 2)
    link = driver.kernel.links[found(driver)[2]]
    driver.kernel.links[link.ifindex] = replace(link, carrier_losses=5)
    driver.start()
    driver.tell()
    assert health(driver).damping.penalty == pytest.approx(7000, abs=100)
    assert health(driver).damping.suppressed


def test_status_tells_of_it() -> None:
    driver = joined()
    assert [row(driver)[key] for key in ("flaps", "penalty", "suppressed", "suppressed_until")] == [0, 0, False, None]
    flap(driver, 7)
    told = row(driver)
    assert (told["flaps"], told["suppressed"]) == (7, True)
    assert told["penalty"] == round(health(driver).damping.penalty)
    why = next(str(nic["reason"]) for nic in nics(driver.state) if nic["ifindex"] == found(driver)[2])
    assert "; it flaps, and is suppressed until it has been steady for" in why


# What counts


def test_carrier_losses_that_the_kernel_counts_count_each() -> None:
    driver = joined()
    _, nic, _ = found(driver)
    counted(driver, 5)
    assert health(driver).flaps == 5
    counted(driver, 3, carrier=False)
    assert (health(driver).flaps, active(driver)) == (8, nic)


@pytest.mark.parametrize("seen", [(1, 0), (0, 1), (0, 0)], ids=["at once", "later", "never"])
def test_one_failure_is_one_however_it_is_told(seen: tuple[int, int]) -> None:
    """The counter may come with the message of the loss, behind it, or not at all (a driver that only closes)."""
    driver = joined()
    first, second = seen
    counted(driver, first, carrier=False)
    counted(driver, second, carrier=False)
    counted(driver, 0, carrier=True)
    assert health(driver).flaps == 1
    counted(driver, 1, carrier=False)
    assert health(driver).flaps == 2


def test_the_carrier_of_a_new_vf_comes_and_goes_before_it_counts() -> None:
    driver = joined()
    vf = found(driver)[2]
    driver.kernel.unplug(vf)
    driver.tell(LinkGone(vf))
    assert health(driver).flaps == 1
    new = driver.kernel.plug("ens5", "pci", wire=False)
    driver.kernel.links[new] = replace(driver.kernel.links[new], carrier_losses=3)
    driver.tell()
    wait(driver, 1)
    assert found(driver)[2] == new
    driver.kernel.wire(new, True)
    driver.tell()
    wait(driver, HOLD_DOWN * 2)
    assert (active(driver), health(driver).flaps) == (new, 1)


def replug(driver: Driver, away: float) -> None:
    vf = found(driver)[2]
    driver.kernel.unplug(vf)
    driver.tell(LinkGone(vf))
    wait(driver, away)
    driver.kernel.plug("ens4", "pci")
    driver.tell()


@pytest.mark.parametrize("apart", [120.0, 180.0, 300.0])
def test_a_migration_every_few_minutes_never_suppresses(apart: float) -> None:
    """And after each the VF carries again as soon as it has been steady for the hold-down."""
    driver = joined()
    for _ in range(60):
        wait(driver, apart - 10 - HOLD_DOWN)
        replug(driver, 10)
        wait(driver, HOLD_DOWN)
        assert active(driver) == found(driver)[2] != 0
    assert health(driver).flaps == 60


def test_replugs_in_quick_succession_do() -> None:
    driver = joined()
    for _ in range(7):
        replug(driver, 2)
        wait(driver, 2)
    assert active(driver) == found(driver)[1]


def test_what_is_done_under_a_drain_is_none_and_the_next_vf_begins_anew() -> None:
    driver = joined()
    flap(driver, 7)
    assert health(driver).damping.suppressed
    ask(driver, "drain", "ens3")
    flap(driver, 3)
    assert health(driver).flaps == 7
    replug(driver, 2)
    wait(driver, HOLD_DOWN)
    assert (active(driver), health(driver).damping.penalty) == (found(driver)[2], 0)
    assert not driver.damping[MAC].is_worth_keeping


def test_losses_behind_the_end_of_a_drain_belong_to_it() -> None:
    driver = joined()
    ask(driver, "drain", "ens3")
    counted(driver, 1, carrier=False)
    ask(driver, "undrain", "ens3")
    counted(driver, 1, carrier=False)
    counted(driver, 0, carrier=True)
    assert health(driver).flaps == 0
    counted(driver, 1, carrier=False)
    assert health(driver).flaps == 1


def test_a_rename_for_which_the_vf_goes_down_is_none() -> None:
    driver = joined()
    ask(driver, "rename", "ens4", "fast0")
    assert driver.state.name(found(driver)[2]) == "fast0"
    assert any(SetUp(found(driver)[2], up=False) in batch for batch in driver.sent)
    wait(driver, HOLD_DOWN * 3)
    assert (active(driver), health(driver).flaps) == (found(driver)[2], 0)


def test_a_master_that_is_set_down_is_none() -> None:
    driver = joined()
    master, _, vf = found(driver)
    driver.kernel.by_others(SetUp(master, up=False))
    driver.precious = driver.configured()
    driver.tell()
    driver.kernel.wire(vf, False)
    driver.tell()
    driver.kernel.wire(vf, True)
    driver.kernel.by_others(SetUp(master, up=True))
    driver.tell()
    assert health(driver).flaps == 0


def test_a_release_forgets() -> None:
    driver = joined()
    flap(driver, 7)
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert driver.state.pairs[MAC].state == "released"
    assert health(driver).damping.penalty == 0
    assert not driver.damping[MAC].is_worth_keeping


def test_without_damping_every_failure_is_followed() -> None:
    driver = joined()
    driver.tell(Configured(Config(damping=Damping(enabled=False))))
    vf = found(driver)[2]
    flap(driver, 20)
    assert (active(driver), health(driver).flaps, driver.damping) == (vf, 0, {})


def test_a_reload_that_ends_damping_forgets() -> None:
    driver = joined()
    flap(driver, 7)
    driver.tell(Configured(Config(damping=Damping(enabled=False))))
    wait(driver, HOLD_DOWN)
    assert active(driver) == found(driver)[2]
    assert not driver.damping[MAC].is_worth_keeping


def test_where_the_kernel_chooses_nothing_is_counted() -> None:
    driver = joined()
    driver.state.pairs[MAC].datapath = kernel.DATAPATH
    counted(driver, 9)
    assert health(driver).flaps == 0


def test_900_flaps_in_an_hour_cost_at_most_13_switches() -> None:
    """Beside the same without damping. The steady VF is back within 15 minutes, as with the fourteenth."""
    switches = {}
    for enabled in (True, False):
        driver = joined()
        driver.tell(Configured(Config(damping=Damping(enabled=enabled))))
        driver.sent.clear()
        flap(driver, 900)
        switches[enabled] = sum(isinstance(batch[0], SetActive) for batch in driver.sent)
        driver.settle(driver.now + 900)
        assert active(driver) == found(driver)[2]
        assert sum(isinstance(batch[0], SetActive) for batch in driver.sent) <= switches[enabled] + 1
    assert switches == {True: 13, False: 1800}


def test_a_standby_alone_has_nothing_to_be_damped() -> None:
    driver = drive(SHAPES["no-vf"])
    driver.settle()
    driver.tell(Synced(tuple(driver.kernel.links.values())))
    assert MAC not in driver.damping
