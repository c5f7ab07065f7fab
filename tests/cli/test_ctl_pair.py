"""failoverctl and a real daemon, with a pair made of veths in a namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial

import trio
from privatenet import private_net

from failoverd_lab import namespaces, netnsdaemon
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC, name="ens3"), Nic("vf", "pci", MAC, name="ens4"))
CONFIG = {"master": {"datapath": "tc"}, "failback": {"hold_down": 0.2}}
COMMAND = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())"]
PATIENCE = 20.0


class Ctl:
    """failoverctl beside the stage's daemon."""

    def __init__(self, stage: Stage) -> None:
        directory = stage.daemon.directory
        self._environment = os.environ | {"FAILOVERD_CONTROL": str(netnsdaemon.paths(directory).control)}

    async def __call__(self, *words: str) -> tuple[int, str]:
        """Its exit code and what it said."""
        call = partial(subprocess.run, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        done = await trio.to_thread.run_sync(partial(call, [*COMMAND, *words], text=True, timeout=PATIENCE))
        return done.returncode, done.stdout

    async def until(self, code: int) -> None:
        """Wait until status ends with this code."""
        with trio.fail_after(PATIENCE):
            while (await self("-q", "status", "ens3"))[0] != code:
                await trio.sleep(0.02)

    async def row(self) -> dict[str, object]:
        code, out = await self("show", "ens3", "--json")
        assert code == 0, out
        found: dict[str, object] = json.loads(out)
        return found


async def _life(stage: Stage) -> None:
    ctl = Ctl(stage)
    await stage.plug("pv")
    await stage.configure("pv")
    await stage.plug("vf")
    await stage.daemon.start()
    await ctl.until(0)

    code, out = await ctl("drain", "ens4", "--timeout", "100")
    assert code == 0, out
    assert out.startswith("ens3: traffic is on ens3, and the neighbours have been told. The VF may be pulled now.\n")
    assert "The drain ends in 100 s, with the next VF" in out
    row = await ctl.row()
    assert (row["state"], row["active"]) == ("on-standby", "ens3")
    assert "it is drained, until undrain or the next VF; ends in " in (await ctl("status"))[1]
    assert "drain      ends in " in (await ctl("show", "ens3"))[1]
    assert (await ctl("list"))[1].splitlines()[:3] == [
        "ens3  master   ens3  on-standby",
        "ens4  primary  ens3  ready",
        "ens3  standby  ens3  active",
    ]

    code, out = await ctl("undrain", "ens3")
    assert (code, out.partition(";")[0]) == (0, "ens3: no longer drained"), out
    await ctl.until(0)
    assert await ctl("undrain", "ens3") == (1, "failoverctl: ens3 is not drained\n")

    assert await ctl("reset-damping", "ens3") == (0, "ens3: the VF's flaps are forgotten\n")
    assert (await ctl("switch", "ens3", "ens3")) == (0, "ens3: traffic is on ens3\n")
    assert (await ctl("switch", "ens3", "ens4")) == (0, "ens3: traffic is on ens4\n")
    assert (await ctl("-q", "status", "ens3")) == (0, "")

    assert (await ctl("rename", "ens4", "fast0")) == (0, "ens4 is fast0 now\n")
    assert (await ctl("rename", "fast0", "a/b"))[0] == 1
    assert "primary    fast0: " in (await ctl("show", "fast0"))[1]
    assert (await ctl("explain", "fast0"))[1].count("\n") == 2

    await stage.unplug("vf")
    await ctl.until(4)
    assert (await ctl("drain", "ens3"))[0] == 0

    config = stage.daemon.directory / netnsdaemon.CONFIG
    config.write_text(config.read_text() + '[log]\nlevel = "debug"\n')
    assert await ctl("reload") == (0, '[log] level: "info" -> "debug"\n')
    config.write_text("[log]\nlevel = 7\n")
    code, out = await ctl("reload")
    assert code == 1
    assert "level: it is a whole number" in out or "7 is a whole number" in out, out

    code, out = await ctl("release", "ens3")
    assert (code, out.partition(" ")[0]) == (0, "release:"), out
    assert (await ctl("drain", "ens9"))[0] == 1


@private_net
def test_a_pairs_life() -> None:
    namespaces.enter()

    async def test() -> None:
        async with open_stage(NICS, CONFIG) as stage:
            await _life(stage)

    trio.run(test)
