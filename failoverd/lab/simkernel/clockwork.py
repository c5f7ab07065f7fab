"""Keeps a simulated kernel's time under trio: for whoever gave it trio.current_time as its clock."""

from __future__ import annotations

import math

import trio

from failoverd.lab.simkernel.kernel import SimKernel


async def run_timers(kernel: SimKernel) -> None:
    """Tick the kernel whenever it is due, until cancelled. With trio's MockClock no real time passes."""
    while True:
        due = kernel.due()
        with trio.move_on_at(math.inf if due is None else due):
            await kernel.rescheduled()
        kernel.tick()
