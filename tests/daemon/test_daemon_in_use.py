"""A VF that carried before failoverd began, as one that an initramfs has configured, joined on this kernel by tc."""

from __future__ import annotations

import time

import pytest
import trio
from privatenet import private_net
from test_daemon_records import CONFIG, NICS, in_state

from failoverd_lab import judge, namespaces
from failoverd_lab.lan import GUEST
from failoverd_lab.netnsstage import open_stage
from failoverd_lab.story import DIRECTIONS

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")


async def join_what_is_in_use() -> None:
    with trio.fail_after(60):
        async with open_stage(NICS, CONFIG) as stage, trio.open_nursery() as nursery:
            for nic in ("pv", "vf"):
                await stage.plug(nic)
            await stage.configure("vf")
            await stage.start_traffic(500, nursery)
            start = time.monotonic()
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            await trio.sleep(0.5)
            length = time.monotonic() - start
            guest = await stage.stop_traffic()
            probes = judge.probes(stage.peer.diary, guest, start, one_clock=True)
            assert [judge.lost(probes, way, 0, length) for way in DIRECTIONS] == [0, 0], stage.daemon.log
            assert len(probes) > 100
            addresses = {row["nic"]: set(row["addresses"]) for row in await stage.links()}
            assert addresses["vf"] == set()
            assert set(GUEST) <= addresses["pv"]


@private_net
def test_no_probe_is_lost_and_the_master_has_the_vfs_addresses() -> None:
    namespaces.enter()
    trio.run(join_what_is_in_use)
