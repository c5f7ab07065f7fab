"""Run a simulated kernel's timers under trio, where its clock is trio.current_time."""

from __future__ import annotations

import math

import trio

from failoverd_lab.simkernel.kernel import SimKernel


async def run_timers(kernel: SimKernel) -> None:
    """Tick the kernel whenever it is due, until cancelled. With trio's MockClock no real time passes."""
    while True:
        due = kernel.due()
        with trio.move_on_at(math.inf if due is None else due):
            await kernel.rescheduled()
        kernel.tick()
