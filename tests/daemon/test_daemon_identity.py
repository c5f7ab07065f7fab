"""A VF that comes without a permanent MAC and gets it later, by a real daemon on the kernel that is here."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from privatenet import private_net
from test_daemon_records import NICS, in_state

from failoverd_lab import namespaces
from failoverd_lab.netnsstage import open_stage

DATAPATHS = ("tc", "bond") if Path("/sys/module/bonding").exists() else ("tc",)
OTHER = "52:54:00:fa:11:77"

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")


async def late(datapath: str) -> None:
    with trio.fail_after(60):
        async with open_stage(NICS, {"master": {"datapath": datapath}}) as stage:
            await stage.plug("pv")
            await stage.configure("pv")
            await stage.daemon.start()
            await stage.plug("vf", permanent_mac=False)
            rows: dict[str, str] = {}
            while "no permanent MAC" not in rows.get("ens4", ""):
                document = await stage.daemon.ask("explain") or {"nics": []}
                rows = {row["name"]: row["reason"] for row in document["nics"]}
                await trio.sleep(0.05)
            await stage.identify("vf", NICS[1].mac)
            await in_state(stage, "accelerated")
            await stage.identify("vf", OTHER)
            await in_state(stage, "on-standby")
            await stage.identify("vf", NICS[1].mac)
            await in_state(stage, "accelerated")


async def both() -> None:
    for datapath in DATAPATHS:
        await late(datapath)


@private_net
def test_a_vf_whose_permanent_mac_is_set_while_it_is_there() -> None:
    namespaces.enter()
    trio.run(both)
