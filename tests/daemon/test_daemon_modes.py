"""The speed and the duplex of slaves are read beside the engine, which goes on whatever a driver does."""

from __future__ import annotations

import logging

import pytest
import trio
from test_daemon_engine import FIRST, Machine, joined, on_a_machine

from failoverd.core.status import status
from failoverd.model.health import Mode
from failoverd.model.signals import ConditionChanged
from failoverd.policy.conditions import SETTLES


def conditions(machine: Machine) -> list[str]:
    [row] = status(machine.engine.state)["masters"]
    return list(row["conditions"])


def test_a_vf_that_is_slower_than_its_standby_is_told_whenever_its_driver_has_answered() -> None:
    asked: list[str] = []

    async def read_mode(name: str) -> Mode:
        asked.append(name)
        await trio.sleep(5)
        return Mode(1_000 if name == "ens13" else 10_000)

    def prepare(machine: Machine) -> None:
        machine.read_mode = read_mode

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        assert conditions(machine) == []
        await trio.sleep(5 + 2 * SETTLES)
        assert conditions(machine) == ["speed-mismatch"]
        [told] = [one for one in machine.signals if isinstance(one, ConditionChanged)]
        assert told.reason == "ens13 has 1000 Mb/s, and its standby ens3nsby 10000 Mb/s"
        assert sorted(asked) == ["ens13", "ens3nsby"]

    on_a_machine(body, prepare)


def test_a_speed_that_cannot_be_read_stays_unknown(caplog: pytest.LogCaptureFixture) -> None:
    async def read_mode(_name: str) -> Mode:
        raise ValueError

    def prepare(machine: Machine) -> None:
        machine.read_mode = read_mode

    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        await trio.sleep(2 * SETTLES)
        assert conditions(machine) == []

    with caplog.at_level(logging.INFO, "failoverd"):
        on_a_machine(body, prepare)
    said = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert said
    assert all("reading the speed of ens" in text and "which stays unknown" in text for text in said)
