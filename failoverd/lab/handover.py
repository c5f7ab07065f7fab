"""A guest goes from one QEMU to another, or into a file and out of it: QEMU's migration, both ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from failoverd.lab.host import LabError
from failoverd.lab.qmp import Qmp

TIME = 120.0
"""Seconds a guest may take."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What QEMU says of a migration, in seconds: how long it took, and how long the guest stood still in it."""

    total: float
    downtime: float


async def send(qmp: Qmp, uri: str) -> Handover:
    """Send the guest of this QEMU off, running until the last moment. Raises LabError."""
    await qmp.execute("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
    # 1 TB/s, so nothing is throttled; the guest stops as soon as the rest can be sent in 20 ms.
    await qmp.execute("migrate-set-parameters", {"max-bandwidth": 10**12, "downtime-limit": 20})
    ended = qmp.watch("MIGRATION", status=("completed", "failed", "cancelled"))
    await qmp.execute("migrate", {"uri": uri})
    with trio.move_on_after(TIME):
        await ended.wait()
    state = await qmp.execute("query-migrate")
    if state.get("status") != "completed":
        raise LabError(f"QEMU did not send the guest to {uri} within {TIME:g} s; it says: {state}")
    return Handover(state["total-time"] / 1000, state["downtime"] / 1000)


async def receive(qmp: Qmp, uri: str) -> Callable[[], Awaitable[None]]:
    """Let a QEMU started with `incoming` take a guest in. What is returned waits until the guest runs there.

    QEMU is kept from announcing every NIC of the guest by itself; see `announce`. Both raise LabError; a guest that
    does not fit makes QEMU exit (QmpClosedError).
    """
    await qmp.execute("migrate-set-parameters", {"announce-rounds": 0})
    running = qmp.watch("RESUME")
    await qmp.execute("migrate-incoming", {"uri": uri})

    async def resumed() -> None:
        with trio.move_on_after(TIME):
            await running.wait()
            return
        raise LabError(f"QEMU did not take the guest in from {uri} within {TIME:g} s")

    return resumed


async def announce(qmp: Qmp, devices: Sequence[str]) -> None:
    """Do for these NICs what QEMU does after a migration: five RARPs each, and a request that the guest announce too.

    QEMU itself would do it for every NIC it has, even one plugged a second later. But the host knows nothing of a
    real VF, and a RARP from a VF's port would tell the switch that the guest is there when it is not.
    """
    if devices:
        rounds = {"initial": 50, "max": 550, "rounds": 5, "step": 100}
        await qmp.execute("announce-self", {**rounds, "interfaces": list(devices)})
