"""Path truth on the kernel that is here: a switch's port that drops everything while its link is up."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio
from privatenet import private_net
from test_daemon_records import NICS, in_state

from failoverd.cli.historyfile import read
from failoverd_lab import judge, namespaces, netnsdaemon
from failoverd_lab.lan import PEER
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import DIRECTIONS

INTERVAL = 0.5
CONFIG: dict[str, Any] = {
    "master": {"datapath": "tc"},
    "failback": {"hold_down": 0.5},
    "path": {"enabled": True, "interval": INTERVAL},
}

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")


async def slaves(stage: Stage) -> tuple[str, str, str]:
    """Which one carries, and the paths of the primary and of the standby."""
    document: Any = await stage.daemon.ask("status")
    master = document["masters"][0]
    return master["active"], master["primary"]["path"], master["standby"]["path"]


async def until(stage: Stage, *wanted: str, seconds: float = 10.0) -> float:
    """When that was so; seconds from now."""
    start = time.monotonic()
    with trio.move_on_after(seconds):
        while (found := await slaves(stage)) != wanted:
            await trio.sleep(0.01)
        return time.monotonic() - start
    raise AssertionError(f"{found}, and not {wanted}, after {seconds} s; {stage.daemon.log}")


def failovers(stage: Stage) -> list[tuple[str, str]]:
    path = str(netnsdaemon.paths(stage.daemon.directory).history)
    return [(one["from"], one["to"]) for one in read(path) if one["event"] == "failed-over"]


async def dead_port(targets: list[str]) -> None:
    config: dict[str, Any] = CONFIG | {"path": CONFIG["path"] | {"targets": targets}}
    with trio.fail_after(90):
        async with open_stage(NICS, config) as stage, trio.open_nursery() as nursery:
            for nic in ("pv", "vf"):
                await stage.plug(nic)
            await stage.configure("pv")
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            await until(stage, "ens4", "answers", "answers")
            await stage.start_traffic(200, nursery)
            start = time.monotonic()

            stage.set_port("vf", False)
            took = await until(stage, "ens3", "dead", "answers")
            await trio.sleep(4 * INTERVAL)
            assert await slaves(stage) == ("ens3", "dead", "answers")

            stage.set_port("vf", True)
            back = await until(stage, "ens4", "answers", "answers")
            await trio.sleep(2 * INTERVAL)
            length = time.monotonic() - start
            guest = await stage.stop_traffic()
            probes = judge.probes(stage.peer.diary, guest, start, one_clock=True)
            longest = max(judge.silence(probes, way, 0, length).length for way in DIRECTIONS)
            print(f"left after {took:.2f} s, back after {back:.2f} s; longest silence {longest:.2f} s")
            assert took <= 3 * INTERVAL
            assert longest <= 3 * INTERVAL
            assert failovers(stage) == [("ens3", "ens4"), ("ens4", "ens3"), ("ens3", "ens4")]
            nursery.cancel_scope.cancel()


async def target_down() -> None:
    """Neither path answers: no switch, and no storm; and none when one of the two is dead as well by then."""
    with trio.fail_after(90):
        async with open_stage(NICS, CONFIG) as stage:
            for nic in ("pv", "vf"):
                await stage.plug(nic)
            await stage.configure("pv")
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            await until(stage, "ens4", "answers", "answers")
            for nic in ("pv", "vf"):
                stage.set_port(nic, False)
            await until(stage, "ens4", "silent", "silent")
            await trio.sleep(6 * INTERVAL)
            assert await slaves(stage) == ("ens4", "silent", "silent")
            stage.set_port("pv", True)
            await until(stage, "ens3", "dead", "answers")
            stage.set_port("pv", False)
            await until(stage, "ens3", "dead", "silent")
            await trio.sleep(6 * INTERVAL)
            assert await slaves(stage) == ("ens3", "dead", "silent")
            assert failovers(stage) == [("ens3", "ens4"), ("ens4", "ens3")]


@private_net
def test_a_dead_port_is_left_within_three_intervals_and_taken_again() -> None:
    namespaces.enter()
    trio.run(dead_port, ["gateway"])


@private_net
def test_targets_of_ones_own() -> None:
    namespaces.enter()
    trio.run(dead_port, [PEER[1].partition("/")[0], "10.111.0.77"])


@private_net
def test_a_target_that_is_down_moves_nothing() -> None:
    namespaces.enter()
    trio.run(target_down)
