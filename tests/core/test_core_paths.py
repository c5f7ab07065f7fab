"""Path truth in the step: what is probed, and who carries for what the rounds say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from test_core_health import active, found, row
from test_core_histories import SHAPES, machine
from test_core_orders import ask, joined, refused, wait
from test_core_tc import joined as joined_by_tc
from toykernel import MAC

from failoverd.config.spec import Config, Damping, Failback, Master, Path
from failoverd.core.inputs import Configured
from failoverd.datapaths import kernel
from failoverd.model.actions import ProbePaths
from failoverd.model.events import LinkGone, LinkSeen, PathsSeen, ReleaseAsked
from failoverd.model.signals import FailedOver
from failoverd.policy.health import DEAD

PROBED = Config(path=Path(enabled=True))
HOLD_DOWN = Config().failback.hold_down


def probing(how: object = joined, config: Config = PROBED) -> Driver:
    driver: Driver = how()  # type: ignore[operator]
    driver.config = config
    driver.tell(Configured(config))
    return driver


def asked(driver: Driver) -> ProbePaths:
    return driver.probing[-1]


def told(driver: Driver, *answers: str) -> None:
    """So many rounds: "vn" where both answered, "v", "n", or "" where none did."""
    for answer in answers:
        _, nic, vf = found(driver)
        answered = frozenset({vf if "v" in answer else 0, nic if "n" in answer else 0} - {0})
        wait(driver, 1)
        driver.tell(PathsSeen(MAC, asked(driver).slaves, answered))


def paths(driver: Driver) -> list[object]:
    facts = row(driver)
    return [facts[role]["path"] for role in ("primary", "standby")]  # type: ignore[index]


def test_nothing_is_probed_unless_it_is_to_be() -> None:
    driver = joined()
    assert driver.probing == []
    assert paths(driver) == ["not-probed", "not-probed"]


def test_a_pair_is_probed_as_soon_as_it_is_joined_and_no_event_is_waited_for() -> None:
    driver = Driver(machine(SHAPES["vf"]), replace(PROBED, master=Master(create="always", datapath="bond")))
    driver.settle()
    assert driver.state.pairs[MAC].joined
    master, nic, vf = found(driver)
    assert asked(driver) == ProbePaths(MAC, ((vf, MAC), (nic, "d2:54:00:fa:11:01")), ("gateway",), master, 1.0)


@pytest.mark.parametrize("how", [joined, joined_by_tc])
def test_the_slave_that_carries_is_probed_from_the_masters_mac_and_the_other_one_from_another(how: object) -> None:
    driver = probing(how)
    master, nic, vf = found(driver)
    assert asked(driver) == ProbePaths(MAC, ((vf, MAC), (nic, "d2:54:00:fa:11:01")), ("gateway",), master, 1.0)
    assert paths(driver) == ["unknown", "unknown"]
    ask(driver, "drain", MAC)
    assert asked(driver).slaves == ((vf, "12:54:00:fa:11:01"), (nic, MAC))


@pytest.mark.parametrize("how", [joined, joined_by_tc])
def test_a_dead_path_is_left_and_taken_again(how: object) -> None:
    driver = probing(how)
    _, nic, vf = found(driver)
    told(driver, "vn", "n")
    assert active(driver) == vf
    told(driver, "n")
    assert (active(driver), paths(driver)) == (nic, ["dead", "answers"])
    pair = driver.state.pairs[MAC]
    assert (pair.state, pair.reason) == ("on-standby", f"the VF cannot carry: {DEAD}")
    told(driver, *["n"] * 5)
    assert active(driver) == nic
    told(driver, "vn")
    assert active(driver) == nic
    wait(driver, HOLD_DOWN)
    assert (active(driver), paths(driver)) == (vf, ["answers", "answers"])
    reasons = [signal.reason for signal in driver.signals if isinstance(signal, FailedOver)][-2:]
    assert reasons == [f"the VF cannot carry: {DEAD}", "the VF has been steady"]
    name = driver.state.name(vf)
    assert driver.said[-2:] == [f"{MAC}: {name}: {DEAD}", f"{MAC}: {name}: something answers through it again"]


def test_neither_answers_and_nothing_moves() -> None:
    driver = probing()
    _, nic, vf = found(driver)
    told(driver, "vn")
    before = len(driver.sent)
    told(driver, *[""] * 20)
    assert (active(driver), len(driver.sent), paths(driver)) == (vf, before, ["silent", "silent"])
    told(driver, "n", "n")
    assert active(driver) == nic
    before = len(driver.sent)
    told(driver, *[""] * 20)
    assert (active(driver), len(driver.sent), paths(driver)) == (nic, before, ["dead", "silent"])


def test_the_standbys_path_is_dead() -> None:
    """The VF goes on, is not drained, and would carry in spite of its flaps."""
    driver = probing()
    _, nic, vf = found(driver)
    told(driver, "vn", "v", "v")
    assert (active(driver), paths(driver)) == (vf, ["answers", "dead"])
    assert refused(driver, "drain", MAC).kind == "NoStandby"
    ask(driver, "reset-damping", MAC)
    told(driver, "vn")
    ask(driver, "drain", MAC)
    assert active(driver) == nic
    told(driver, "v", "v")
    assert active(driver) == vf


def test_without_the_other_slave_a_dead_path_is_taken() -> None:
    driver = probing()
    _, nic, vf = found(driver)
    told(driver, "vn", "n", "n")
    assert active(driver) == nic
    driver.kernel.wire(nic, False)
    driver.tell()
    assert active(driver) == vf
    assert asked(driver) == ProbePaths(MAC)
    assert paths(driver) == ["dead", "not-probed"]
    driver.kernel.wire(nic, True)
    driver.tell()
    assert active(driver) == nic
    assert len(asked(driver).slaves) == 2


def test_a_link_that_has_been_down_begins_anew() -> None:
    driver = probing()
    _, nic, vf = found(driver)
    told(driver, "vn", "n", "n")
    driver.kernel.wire(vf, False)
    driver.tell()
    driver.kernel.wire(vf, True)
    driver.tell()
    assert paths(driver)[0] == "unknown"
    wait(driver, HOLD_DOWN)
    assert active(driver) == vf
    told(driver, "n", "n")
    assert (active(driver), paths(driver)) == (nic, ["dead", "answers"])


def test_another_vf_begins_anew() -> None:
    driver = probing()
    vf = found(driver)[2]
    told(driver, "vn", "n", "n")
    driver.kernel.unplug(vf)
    driver.tell(LinkGone(vf))
    assert asked(driver) == ProbePaths(MAC)
    driver.kernel.plug("ens4", "pci")
    driver.tell()
    wait(driver, HOLD_DOWN)
    assert (active(driver), paths(driver)[0]) == (found(driver)[2], "unknown")


@pytest.mark.parametrize("damping", [True, False])
def test_a_restart_knows_of_a_dead_path(damping: bool) -> None:
    driver = probing(config=replace(PROBED, damping=Damping(enabled=damping)))
    _, nic, vf = found(driver)
    told(driver, "vn", "n", "n")
    assert driver.damping[MAC].dead == vf
    driver.start()
    driver.tell()
    wait(driver, HOLD_DOWN * 3)
    assert (active(driver), paths(driver)) == (nic, ["dead", "unknown"])
    told(driver, "vn")
    wait(driver, HOLD_DOWN)
    assert active(driver) == vf
    assert driver.damping[MAC].dead == 0


def test_rounds_of_before_say_nothing() -> None:
    driver = probing()
    told(driver, "vn")
    _, nic, _ = found(driver)
    before = asked(driver).slaves
    ask(driver, "drain", MAC)
    for _ in range(3):
        driver.tell(PathsSeen(MAC, before, frozenset({nic})))
    assert paths(driver) == ["answers", "answers"]
    driver.tell(Configured(Config()))
    driver.tell(PathsSeen(MAC, before, frozenset({nic})))
    assert (asked(driver), paths(driver)) == (ProbePaths(MAC), ["not-probed", "not-probed"])


def test_what_was_missed_before_a_switch_does_not_count_after_it() -> None:
    driver = probing(config=replace(PROBED, failback=Failback(hold_down=0)))
    told(driver, "vn", "n")
    ask(driver, "drain", MAC)
    ask(driver, "undrain", MAC)
    told(driver, "n")
    assert paths(driver)[0] == "silent"


def test_a_release_ends_it_and_the_kernels_own_pairs_are_not_probed() -> None:
    driver = probing()
    driver.tell(ReleaseAsked(MAC))
    driver.settle()
    assert asked(driver) == ProbePaths(MAC)
    driver = probing()
    assert asked(driver).slaves
    driver.state.pairs[MAC].datapath = kernel.DATAPATH
    driver.tell(LinkSeen(driver.kernel.links[found(driver)[2]]))
    assert asked(driver) == ProbePaths(MAC)


def test_a_path_that_flaps_is_damped() -> None:
    driver = probing()
    _, nic, vf = found(driver)
    for _ in range(7):
        told(driver, "vn", "vn", "vn")
        assert active(driver) == vf
        told(driver, "n", "n")
    told(driver, *["vn"] * 20)
    assert active(driver) == nic
    assert driver.state.pairs[MAC].health.flaps == 7
