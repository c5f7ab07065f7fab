"""A booted guest kept in a file, so that the next one need not boot.

Emulated, Debian takes half a minute to boot, the same half minute each time. So one guest without any NIC is booted
once, stopped and migrated into a file. Every later guest starts by being migrated out of that file, on an overlay of
the disk it had, and has its NICs plugged in afterwards. Its VM generation ID tells it that it is another guest now (its
random numbers start anew), and it is told the time.

The key covers all that must be equal on both sides: the image, QEMU's version, the accelerator, the command line.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import trio

from failoverd_lab.agent import Agent
from failoverd_lab.handover import receive, send
from failoverd_lab.host import LabError, Progress, cached, open_nursery, silent
from failoverd_lab.image import Image
from failoverd_lab.machine import Hardware, Machine, accelerator, arguments, memory, overlay, version

BOOT = 300.0
"""Seconds within which an emulated guest has to boot on a busy machine; far more than it needs."""

WARM = "python3 -c 'import asyncio, dbus_next, json, pyroute2, sdnotify, trio'; ip link; udevadm settle"
"""Run before the checkpoint, so that these modules are in the guest's page cache. It changes nothing else."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A booted guest: the disk for overlays, and the file with its memory and devices."""

    disk: Path
    state: Path


async def checkpoint(image: Image, *, progress: Progress = silent) -> Checkpoint:
    """Return the checkpoint of an image for this QEMU; made first if the cache has none. Raises LabError."""
    anywhere = Image(image.key, Path("disk"), Path("kernel"), Path("initrd"))
    layout = arguments(Hardware(anywhere, Path("disk"), 0, ""), Path("console"))
    recipe = json.dumps([image.key, await version(), layout, WARM])
    key = f"checkpoint-{image.key}-{accelerator()}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"

    async def build(into: Path) -> None:
        progress("booting a guest once, to keep it booted: about half a minute")
        await _make(image, into, progress)

    made = await cached(key, build, progress)
    return Checkpoint(made / "disk.qcow2", made / "state")


async def _make(image: Image, into: Path, progress: Progress) -> None:
    disk = into / "disk.qcow2"
    await overlay(disk, image.disk, backing_format="raw")
    with memory() as descriptor:
        hardware = Hardware(image, disk, descriptor, str(uuid.uuid4()))
        async with open_nursery() as nursery:
            machine = await Machine.start(nursery, hardware, into, incoming=False)
            try:
                agent = Agent()
                agent.attach(machine.agent)
                await booted(agent, machine)
                progress("the guest has booted; saving it")
                (await agent.run(["sh", "-ec", f"{WARM}; sync"], timeout=BOOT)).check()
                await machine.qmp.execute("stop")
                await send(machine.qmp, f"exec:cat >{shlex.quote(str(into / 'state'))}", memory=True)
            finally:
                await machine.kill()


async def booted(agent: Agent, machine: Machine) -> None:
    """Wait until systemd has finished booting. Raises LabError with the console's last lines."""
    state = b""
    with trio.move_on_after(BOOT):
        await agent.request("guest-ping")
        state = (await agent.run(["systemctl", "is-system-running", "--wait"], timeout=BOOT)).stdout.strip()
    if state not in (b"running", b"degraded"):
        raise LabError(
            f"the guest did not boot within {BOOT:g} s (systemd: {state.decode() or 'no answer'}). "
            f"The end of its console:\n{machine.console()}"
        )


async def restored(checkpoint: Checkpoint, agent: Agent, machine: Machine) -> None:
    """Restore the checkpoint's guest in a QEMU that waits for one. Raises LabError."""
    resumed = await receive(machine.qmp, f"exec:cat {shlex.quote(str(checkpoint.state))}", memory=True)
    await resumed()
    (await agent.run(["date", "--utc", "--set", f"@{time.time():.3f}"])).check()
