"""Move a guest from one QEMU to another, or into a file and out of it: both ends of QEMU's migration.

From QEMU to QEMU the guest's memory is not copied. Both map the same memfd, and QEMU's `x-ignore-shared` leaves such
memory out of the stream: only devices and CPUs are moved. To the guest, and to the network, that is like the moment of
the switch-over in any live migration: the guest stands still, and goes on behind other ports.

Copying was tried, and does not work where the CPU is emulated. If a RAM block is a multiple of 64 pages, QEMU 7.2
clears its dirty bits a word at a time and leaves the TCG TLB as it is, so that later writes to these pages are not sent
(cpu_physical_memory_sync_dirty_bitmap()): 7 of 9 guests panicked at their first migration. With 8 KiB more of memory
QEMU takes its slow path and 92 of 92 survived; but that path stops the guest for 350-500 ms at the start. So there is
no pre-copy phase in the project's numbers (docs/measured.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from failoverd_lab.host import LabError
from failoverd_lab.qmp import Qmp

TIME = 120.0
"""Seconds that a migration may take."""


@dataclass(frozen=True, slots=True)
class Handover:
    """QEMU's figures for a migration, in seconds: its duration, and the guest's downtime in it."""

    total: float
    downtime: float


async def send(qmp: Qmp, uri: str, *, memory: bool) -> Handover:
    """Send the guest of this QEMU away; with its `memory` it has to stand still (see the module). Raises LabError."""
    await _prepare(qmp, memory)
    ended = qmp.watch("MIGRATION", status=("completed", "failed", "cancelled"))
    await qmp.execute("migrate", {"uri": uri})
    with trio.move_on_after(TIME):
        await ended.wait()
    state = await qmp.execute("query-migrate")
    while state.get("status") == "completed" and not state["total-time"]:
        # QEMU says "completed" a moment before it has worked out the times (migration_iteration_finish()).
        await trio.sleep(0.005)
        state = await qmp.execute("query-migrate")
    if state.get("status") != "completed":
        raise LabError(f"QEMU did not send the guest to {uri} within {TIME:g} s; it says: {state}")
    return Handover(state["total-time"] / 1000, state["downtime"] / 1000)


async def receive(qmp: Qmp, uri: str, *, memory: bool) -> Callable[[], Awaitable[None]]:
    """Let a QEMU started with `incoming` take in a guest. Returns a function that waits until the guest runs there.

    QEMU is kept from announcing every NIC of the guest by itself; see `announce`. Both raise LabError; a guest that
    does not fit makes QEMU exit (QmpClosedError).
    """
    await _prepare(qmp, memory)
    ended = qmp.watch("MIGRATION", status=("completed", "failed"))
    await qmp.execute("migrate-incoming", {"uri": uri})

    async def resumed() -> None:
        with trio.move_on_after(TIME) as patience:
            await ended.wait()
            # Nothing to do for a guest that was running when it was sent.
            await qmp.execute("cont")
        if patience.cancelled_caught:
            raise LabError(f"QEMU did not take the guest in from {uri} within {TIME:g} s")

    return resumed


async def _prepare(qmp: Qmp, memory: bool) -> None:
    wanted = {"events": True, "x-ignore-shared": not memory}
    capabilities = [{"capability": name, "state": state} for name, state in wanted.items()]
    await qmp.execute("migrate-set-capabilities", {"capabilities": capabilities})
    # 1 TB/s: nothing is throttled.
    await qmp.execute("migrate-set-parameters", {"max-bandwidth": 10**12, "announce-rounds": 0})


async def announce(qmp: Qmp, devices: Sequence[str]) -> None:
    """Announce these NICs as QEMU does after a migration: five RARPs each, and a request that the guest announce too.

    QEMU itself would do it for every NIC it has, even one plugged a second later. But the host knows nothing of a real
    VF, and a RARP from a VF's port would tell the switch that the guest is there when it is not.
    """
    if devices:
        rounds = {"initial": 50, "max": 550, "rounds": 5, "step": 100}
        await qmp.execute("announce-self", {**rounds, "interfaces": list(devices)})
