"""The faults themselves behave as a kernel does, or histories would tell of faults that there are none of."""

from __future__ import annotations

import contextlib
import random

import trio
from trio.testing import MockClock

from failoverd_lab.chaos.faults import LATENESS, Faults, LinkSocket
from failoverd_lab.simkernel import SimKernel

LINK = 1
"""RTMGRP_LINK."""
LONGEST = 100.0
"""Seconds after which what has not come is lost."""


def test_a_late_datagram_whose_reader_gives_up_is_the_next_one_read() -> None:
    """A real socket loses nothing when its reader is cancelled, and tells where it had to drop something."""
    clock = MockClock(autojump_threshold=0)
    kernel = SimKernel(clock.current_time, (6, 1))
    faults = Faults(random.Random(1), clock.current_time, late=LONGEST)

    async def read() -> tuple[list[bytes], list[bytes]]:
        plain = kernel.open(LINK)
        late = LinkSocket(kernel.open(LINK), faults, contextlib.nullcontext)
        for number in range(20):
            kernel.admin.create("dummy", f"dummy{number}")
        kernel.settle()
        expected, got = list[bytes](), list[bytes]()
        while (datagram := plain.recv_nowait()) is not None:
            expected.append(datagram)
        gave_up = 0
        while len(got) < len(expected) and trio.current_time() < LONGEST:
            with trio.move_on_after(min(LATENESS) / 2) as reading:
                got.append(await late.recv())
            gave_up += reading.cancelled_caught
            while (more := late.recv_nowait()) is not None:
                got.append(more)
        assert gave_up > 0
        return expected, got

    expected, got = trio.run(read, clock=clock)
    assert len(expected) >= 20
    assert got == expected
