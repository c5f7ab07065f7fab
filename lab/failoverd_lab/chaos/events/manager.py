"""Another network manager wants a device for itself."""

from __future__ import annotations

import trio

from failoverd_lab.chaos.events.base import done, suffered, target
from failoverd_lab.chaos.events.inet import address, drop_address
from failoverd_lab.chaos.events.others import admin, free, grab, ungrab
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair


async def bounce(chaos: ChaosMachine, pair: ChaosPair, t: str, gap: float) -> None:
    """A device is taken down, and brought up again."""
    if (device := target(chaos, pair, t)) is None:
        return
    done(chaos, admin, pair, t=t, on=False)
    if gap:
        await trio.sleep(gap)
    if chaos.device(device.index) is not None:
        done(chaos, admin, pair, t=t, on=True)


async def compete(chaos: ChaosMachine, pair: ChaosPair, t: str, n: int) -> None:
    """Another manager takes a device again and again: out of failoverd's master, into its own bridge, with an
    address."""
    for number in range(n):
        if (device := target(chaos, pair, t)) is None:
            return
        suffered(chaos, free, pair, t=t)
        if number % 2:
            suffered(chaos, grab, pair, t=t, by="bridge")
            await trio.sleep(0.05)
            suffered(chaos, ungrab, pair, t=t)
        if chaos.device(device.index) is not None:
            suffered(chaos, admin, pair, t=t, on=True)
            suffered(chaos, address, pair, t=t, cidr="10.80.{p}.9/24")
        await trio.sleep(0.3)
        suffered(chaos, drop_address, pair, cidr=f"10.80.{pair.number}.9/24")
