"""A pair whose devices are called what nobody would call them, as a container may have called a NIC that came back.

The kernel takes nearly any byte in a name, and any at all in an alternative one. What a real daemon then writes and
answers is lines all the same, and the names are given back as they were.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from privatenet import private_net
from test_daemon_records import in_state

from failoverd.model.requests import AddAltname, Rename, SetUp
from failoverd_lab import namespaces, netnsdaemon
from failoverd_lab.netnsstage import Stage, open_stage
from failoverd_lab.story import Nic

pytestmark = pytest.mark.usefixtures("namespaces_are_to_be_had")

MAC = "52:54:00:fa:14:01"
PV, VF = Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)
CONFIG = {"failback": {"hold_down": 0.1}}
PV_NAME, VF_NAME = b"\x1b[2J\xff\xe2\x80\xae", b'"\\{}$s"\x07'
"""A screen is cleared, a byte that is no UTF-8, what comes is written from the right; quotes, braces, a bell."""
ALTNAMES = [
    b"a\nERROR: all is lost\x1b[31m",
    b"b\xe2\x80\xa8c",
    *(b"%03d" % number + b"x" * 124 for number in range(60)),
]
COMMANDS = (["status"], ["list"], ["explain"], ["show", MAC], ["history"], ["history", "--strip"])


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


async def shown(stage: Stage, *command: str) -> str:
    """What failoverctl prints."""
    paths = netnsdaemon.paths(stage.daemon.directory)
    environment = os.environ | {
        "FAILOVERD_CONTROL": str(paths.control),
        "FAILOVERD_HISTORY": str(paths.history),
        "PYTHONUTF8": "1",
    }
    program = Path(sys.executable).with_name("failoverctl")
    done = await trio.run_process([program, *command], env=environment, capture_stdout=True, check=False)
    return bytes(done.stdout).decode()


async def bearers(stage: Stage) -> list[str]:
    """The devices in the guest that have all the alternative names; `ip` writes names as the kernel has them."""

    def ask() -> bytes:
        with stage._namespace.inside():
            return subprocess.run(["ip", "-o", "link"], capture_output=True, check=True).stdout

    devices = re.split(rb"^\d+: ", await trio.to_thread.run_sync(ask), flags=re.MULTILINE)
    return [text(re.split(rb"[@:]", one)[0]) for one in devices if all(name in one for name in ALTNAMES)]


async def life() -> None:
    with trio.fail_after(90):
        async with open_stage([PV, VF], CONFIG) as stage:
            await stage.plug("pv")
            pv = stage.ifindexes["pv"]
            await stage.guest.ask(Rename(pv, text(PV_NAME)))
            for name in ALTNAMES:
                await stage.guest.ask(AddAltname(pv, text(name)))
            await stage.configure("pv")
            await stage.plug("vf")
            await stage.guest.ask(SetUp(stage.ifindexes["vf"], False))
            await stage.guest.ask(Rename(stage.ifindexes["vf"], text(VF_NAME)))
            await stage.daemon.start()
            await in_state(stage, "accelerated")
            await stage.daemon.ask("drain", MAC)
            await stage.daemon.ask("undrain", MAC)
            await in_state(stage, "accelerated")
            document = await stage.daemon.ask("status")
            assert document is not None
            master = document["masters"][0]
            assert master["name"] == text(PV_NAME)
            assert master["primary"]["name"] == text(VF_NAME)
            paths = netnsdaemon.paths(stage.daemon.directory)
            while not paths.metrics.exists() or "failovers_total" not in paths.metrics.read_text():
                await trio.sleep(0.05)
            for line in paths.metrics.read_text("utf-8").split("\n"):
                assert line.isprintable(), line
            for raw in paths.history.read_bytes().splitlines():
                assert json.loads(raw)
                assert raw.isascii()
            for path in (paths.runtime / "udev").iterdir():
                assert path.read_bytes().isascii()
                assert all(line.startswith(("FAILOVERD_", "NM_UNMANAGED=1")) for line in path.read_text().splitlines())
            for command in COMMANDS:
                said = await shown(stage, *command)
                assert said.count("\n") < 12, said
                assert all(line.isprintable() for line in said.split("\n")), (command, said)
            assert text(PV_NAME)[:4] not in await shown(stage, "--json", "status"), "JSON is ASCII"
            assert await bearers(stage) == [text(PV_NAME)]
            await stage.daemon.ask("release", MAC)
            await in_state(stage, "released")
            rows = {row["ifindex"]: row["name"] for row in await stage.links()}
            assert rows[pv] == text(PV_NAME)
            assert rows[stage.ifindexes["vf"]] == text(VF_NAME)
            assert await bearers(stage) == [text(PV_NAME)]


@private_net
def test_names_that_nobody_would_give() -> None:
    namespaces.enter()
    trio.run(life)
