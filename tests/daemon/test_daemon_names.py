"""Renames of devices that are up, on the kernel that is here, by a real daemon and by others, under traffic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from privatenet import private_net
from test_daemon_records import CONFIG, NICS, in_state

from failoverd.cli.historyfile import read
from failoverd.model.requests import Rename
from failoverd_lab import guestnames, judge, namespaces, netnsdaemon
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import DIRECTIONS

RENAMES = 500
ROUNDS = 50
KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))

pytestmark = [
    pytest.mark.usefixtures("namespaces_are_to_be_had"),
    pytest.mark.skipif(KERNEL < (6, 2), reason="this kernel renames nothing that is up"),
]


async def renames(stage: Stage) -> list[tuple[int, str, str]]:
    """Those that were signalled, in their order; the history is written a moment later."""
    path = str(netnsdaemon.paths(stage.daemon.directory).history)
    return [(one["ifindex"], one["old_name"], one["new_name"]) for one in read(path) if one["event"] == "link-renamed"]


async def told(stage: Stage, count: int) -> list[tuple[int, str, str]]:
    with trio.fail_after(10):
        while len(found := await renames(stage)) < count:
            await trio.sleep(0.02)
    return found


async def rename_by_turns() -> None:
    with trio.fail_after(100):
        async with open_stage(NICS, CONFIG) as stage, trio.open_nursery() as nursery:
            for nic in ("pv", "vf"):
                await stage.plug(nic)
            await stage.configure("pv")
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            await stage.start_traffic(500, nursery)
            start = time.monotonic()
            output = stage.daemon.directory / "renames.json"
            control = netnsdaemon.paths(stage.daemon.directory).control
            script = [sys.executable, str(Path(guestnames.__file__)), "rename", str(RENAMES), str(output)]
            with stage._namespace.inside():
                process = subprocess.Popen(script, env={**os.environ, "FAILOVERD_CONTROL": str(control)})
            await trio.to_thread.run_sync(process.wait)
            length = time.monotonic() - start
            guest = await stage.stop_traffic()
            rows = json.loads(output.read_text())
            assert {row["how"] for row in rows} == {"order", "others"}
            assert [row["refused"] for row in rows] == [""] * RENAMES
            made = [(row["ifindex"], row["old"], row["new"]) for row in rows]
            assert await told(stage, RENAMES) == made
            probes = judge.probes(stage.peer.diary, guest, start, one_clock=True)
            assert [judge.lost(probes, way, 0, length) for way in DIRECTIONS] == [0, 0]
            assert len(probes) > 100


async def swap_as_fast_as_may_be() -> None:
    """Three renames of two devices, without a breath, again and again: the names in the end are the right ones, and
    what was told of each device is one line of names."""
    with trio.fail_after(100):
        async with open_stage(NICS, CONFIG) as stage:
            for nic in ("pv", "vf"):
                await stage.plug(nic)
            await stage.configure("pv")
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            pv, vf = stage.ifindexes["pv"], stage.ifindexes["vf"]
            names = {pv: "ens3", vf: "ens4"}
            for _ in range(ROUNDS):
                await stage.guest.ask(Rename(pv, "passing"))
                await stage.guest.ask(Rename(vf, names[pv]))
                await stage.guest.ask(Rename(pv, names[vf]))
                names = {pv: names[vf], vf: names[pv]}
            found = await told(stage, 3 * ROUNDS)
            assert len(found) == 3 * ROUNDS
            for ifindex, name in names.items():
                line = [(old, new) for index, old, new in found if index == ifindex]
                assert all(one[1] == two[0] for one, two in pairwise(line))
                assert line[-1][1] == name
            await in_state(stage, "accelerated")
            document = await stage.daemon.ask("status")
            assert document is not None
            assert document["masters"][0]["failovers"] == 1


@private_net
def test_each_rename_is_signalled_once_and_no_probe_is_lost() -> None:
    namespaces.enter()
    trio.run(rename_by_turns)


@private_net
def test_names_are_swapped() -> None:
    namespaces.enter()
    trio.run(swap_as_fast_as_may_be)
