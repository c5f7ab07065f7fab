"""Random histories hold the invariants, a seed tells the same story every time, and the invariants can be broken."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from failoverd.model.signals import FailedOver, Joined
from failoverd_lab.chaos.draw import draw, loads
from failoverd_lab.chaos.run import run
from failoverd_lab.chaos.shrink import shrink
from failoverd_lab.invariants import (
    ALWAYS,
    RELEASED,
    SETTLED,
    SOON,
    Device,
    Hardware,
    Invariant,
    Machine,
    broken,
    is_at_rest,
    restart_agrees,
    signals_are_true,
)

SEEDS = (*range(60), 4072, 4114, 5576, 8866)
"""The last ones once broke something."""
MAC = "52:54:00:fa:11:01"
MARK = "failoverd-525400fa1101"
TRACE = """
import sys
from failoverd_lab.chaos.draw import draw
from failoverd_lab.chaos.run import run
run(draw(int(sys.argv[1])), print)
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_is_broken(seed: int) -> None:
    assert run(draw(seed)).failures == ()


@pytest.mark.parametrize("seed", [3, 8])
def test_a_seed_tells_the_same_story_every_time(seed: int) -> None:
    """In another process, with other hashes, to the last action and line of the log."""
    told = [
        subprocess.run(
            [sys.executable, "-c", TRACE, str(seed)],
            env=os.environ | {"PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    ]
    assert len(told[0].splitlines()) > 100
    assert told[0] == told[1]


def test_a_history_is_the_same_from_a_file() -> None:
    history = draw(7)
    assert loads(history.dumps()) == history


def test_what_is_not_broken_cannot_be_shrunk() -> None:
    assert shrink(draw(8, events=3)) is None


def nic(**more: object) -> Device:
    told = Device(2, "ens3nsby", mac=MAC, master=4, up=True, carrier=True, wire=True, mtu=1500)
    return replace(told, **more)  # type: ignore[arg-type]


def vf(**more: object) -> Device:
    return replace(nic(), ifindex=3, name="ens4", **more)  # type: ignore[arg-type]


def bond(**more: object) -> Device:
    told = Device(4, "ens3", "bond", mac=MAC, up=True, carrier=True, mtu=1500, active=3, altnames=(MARK,))
    return replace(told, **more)  # type: ignore[arg-type]


def machine(*devices: Device, path: int = 3, state: str = "accelerated") -> Machine:
    found = {device.ifindex: device for device in devices or (nic(), vf(), bond())}
    one = Hardware(MAC, 2, (3,), "10.0.0.2", 4, path)
    return Machine(found, [one], [{"mac": MAC, "state": state, "reason": "both slaves can carry"}])


def why(invariants: tuple[Invariant, ...], found: Machine) -> list[str]:
    return [kind for kind, _ in broken(invariants, found)]


def test_a_machine_in_order_breaks_nothing() -> None:
    assert why((*ALWAYS, *SOON, *SETTLED), machine()) == []


@pytest.mark.parametrize(
    ("invariants", "found", "kind"),
    [
        (ALWAYS, machine(bond(), bond(ifindex=5, name="fo525400fa1101")), "one-master-for-a-mac"),
        (SETTLED, machine(path=0, state="degraded"), "traffic-flows"),
        (SOON, machine(path=0, state="degraded"), "traffic-flows-soon"),
        (SETTLED, machine(path=2, state="on-standby"), "traffic-is-on-the-vf"),
        (SETTLED, machine(nic(), vf(wire=False), bond(active=2), path=2), "status-is-true"),
        (SETTLED, machine(state="on-standby"), "status-is-true"),
        (SETTLED, machine(nic(wire=False), vf(wire=False), bond(active=0), path=0), "status-is-true"),
        (RELEASED, machine(), "nothing-is-left-behind"),
        (RELEASED, machine(nic(master=0), vf(master=0, filters=1)), "nothing-is-left-behind"),
        (RELEASED, machine(nic(master=0), vf(master=0, altnames=("failoverd-vf-3",))), "nothing-is-left-behind"),
    ],
)
def test_an_invariant_can_be_broken(invariants: tuple[Invariant, ...], found: Machine, kind: str) -> None:
    assert kind in why(invariants, found)


def test_signals_that_are_not_true() -> None:
    joined = Joined("ens3", MAC, 4, "ens4", 3, "primary")
    over = FailedOver("ens3", "ens4", "ens3nsby", "carrier lost", 1.0, MAC, 3, 2)
    back = FailedOver("ens3", "ens3nsby", "ens4", "steady again", 2.0, MAC, 2, 3)
    assert list(signals_are_true([(1, joined), (1, over), (1, back)], machine(), 1)) == []
    assert "never joined" in next(signals_are_true([(1, joined), (2, over)], machine(), 2))
    assert "carried by what was told" in next(signals_are_true([(1, joined), (1, back)], machine(), 1))
    assert "by the last signal" in next(signals_are_true([(1, joined), (1, over)], machine(), 1))


def test_requests_in_quiet() -> None:
    assert list(is_at_rest(["SETLINK"], 1, 60)) == []
    assert list(is_at_rest(["SETLINK", "SETLINK"], 1, 60)) == ["2 requests in 60 s of quiet: {'SETLINK': 2}"]


def test_a_restart_that_thinks_otherwise() -> None:
    assert list(restart_agrees(machine(), machine(), [])) == []
    assert len(list(restart_agrees(machine(), machine(state="degraded"), ["SETLINK"]))) == 2
    assert len(list(restart_agrees(machine(), machine(nic(mtu=9000), vf(), bond()), []))) == 1
