"""The host's part: NICs and their wires come and go, and the guest stands still."""

from __future__ import annotations

import trio

from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair


def plug(
    chaos: ChaosMachine, pair: ChaosPair, t: str, carrier: bool, up: bool, max_mtu: int = 9190, name: str = ""
) -> None:
    """A NIC is plugged in, where it is not yet."""
    if chaos.device(getattr(pair, t)) is None:
        usual = f"ens{(3 if t == 'nic' else 4) + 2 * pair.number}"
        chaos.plug(pair, t, name or usual, up=up, carrier=carrier, max_mtu=max_mtu)


def unplug(chaos: ChaosMachine, pair: ChaosPair, t: str) -> None:
    """A NIC is unplugged."""
    if (device := chaos.device(getattr(pair, t))) is not None:
        chaos.kernel.unplug(device.index)


def carrier(chaos: ChaosMachine, pair: ChaosPair, t: str, on: bool) -> None:
    """The other end of a wire comes or goes."""
    if (device := chaos.device(getattr(pair, t))) is not None:
        chaos.kernel.set_medium(device.index, on)


async def flap(chaos: ChaosMachine, pair: ChaosPair, t: str, n: int, period: float) -> None:
    """The other end of a wire comes and goes again and again."""
    for number in range(2 * n):
        carrier(chaos, pair, t, number % 2 == 1)
        await trio.sleep(period)


async def suspend(chaos: ChaosMachine, pair: ChaosPair, by: float, vf: str) -> None:
    """The guest stands still, and wakes up later in another place; the daemon sees all of that at once."""
    if (device := chaos.device(pair.vf)) is not None:
        if vf == "carrier":
            chaos.kernel.set_medium(device.index, not device.medium)
        else:
            chaos.kernel.unplug(device.index)
    if vf == "back":
        plug(chaos, pair, "vf", carrier=True, up=False)
    chaos.clock.jump(by)


async def jump(chaos: ChaosMachine, _pair: ChaosPair, by: float) -> None:
    """The daemon has not run for a while: every timer is due at once."""
    chaos.clock.jump(by)
