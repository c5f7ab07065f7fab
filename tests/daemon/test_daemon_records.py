"""The records of a real daemon with a real pair: nothing is missing at its end, and nothing is told twice."""

from __future__ import annotations

import signal

import pytest
import trio
from privatenet import private_net

from failoverd.cli.historyfile import read
from failoverd_lab import namespaces, netnsdaemon
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")

MAC = "52:54:00:fa:11:01"
NICS = [Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)]
CONFIG = {"master": {"datapath": "tc"}, "failback": {"hold_down": 0.1}}


async def in_state(stage: Stage, state: str) -> None:
    while True:
        document = await stage.daemon.ask("status")
        if document and document["masters"] and document["masters"][0]["state"] == state:
            return
        await trio.sleep(0.01)


async def life() -> None:
    """The daemon leads the traffic back before it ends, which is a failover like any other."""
    with trio.fail_after(60):
        async with open_stage(NICS, CONFIG) as stage:
            await stage.plug("pv")
            await stage.configure("pv")
            await stage.plug("vf")
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            paths = netnsdaemon.paths(stage.daemon.directory)
            wanted = 'failoverd_master_state{master="ens3",state="accelerated"} 1'
            while not paths.metrics.exists() or wanted not in paths.metrics.read_text():
                await trio.sleep(0.01)
            await stage.daemon.end(signal.SIGTERM)
            events = read(str(paths.history))
            assert [(one["event"], one.get("from"), one.get("to")) for one in events] == [
                ("started", None, None),
                ("joined", None, None),
                ("failed-over", "ens3", "ens4"),
                ("failed-over", "ens4", "ens3"),
                ("stopped", None, None),
            ]
            assert [one["time"] for one in events] == sorted(one["time"] for one in events)
            assert [one["monotonic"] for one in events] == sorted(one["monotonic"] for one in events)
            log = stage.daemon.log
            assert log.count(f"ens3: traffic moved from ens4 to ens3: {events[3]['reason']}") == 1
            assert log.count("traffic moved") == 2
            assert "FailedOver(" not in log
            assert not paths.metrics.exists()


@private_net
def test_a_life_is_told_to_its_end_and_once() -> None:
    namespaces.enter()
    trio.run(life)
