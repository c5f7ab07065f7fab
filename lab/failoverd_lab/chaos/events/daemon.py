"""The daemon is started, stopped, killed, reloaded, and given orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from failoverd.config.load import from_mapping
from failoverd.core.inputs import Configured
from failoverd.core.state import State
from failoverd.daemon.calls import take_turn
from failoverd_lab.chaos.draw import Event
from failoverd_lab.chaos.events.base import target
from failoverd_lab.chaos.events.sudden import happen_now
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair

LATEST = 30.0
"""Longest wait for a reload, in seconds."""


async def no_bond(chaos: ChaosMachine, pair: ChaosPair, on: bool) -> None:
    """The network manager could not follow to a bond, or could again; failoverd checks it after a reload."""
    chaos.no_bond = "their configuration is for Ethernet devices" if on else ""
    await reload(chaos, pair)


async def start(chaos: ChaosMachine, _pair: ChaosPair) -> None:
    """The daemon is started, where it does not run."""
    await chaos.start()


async def stop(chaos: ChaosMachine, _pair: ChaosPair) -> None:
    """The daemon is stopped in good order."""
    await chaos.stop()


async def kill(chaos: ChaosMachine, _pair: ChaosPair) -> None:
    """The daemon is killed."""
    await chaos.kill()


async def restart(chaos: ChaosMachine, _pair: ChaosPair) -> None:
    """The daemon is killed, and started at once."""
    await chaos.kill()
    await chaos.start()


async def kill_in(chaos: ChaosMachine, _pair: ChaosPair, n: int) -> None:
    """The daemon is killed between two of its actions to come."""
    chaos.faults.kill_in = n


async def ambush(chaos: ChaosMachine, _pair: ChaosPair, n: int, what: Event) -> None:
    """An event happens between two of the daemon's messages to come."""
    chaos.faults.ambushes.append((n, lambda: happen_now(chaos, what)))


async def reload(chaos: ChaosMachine, _pair: ChaosPair, config: Mapping[str, Any] | None = None) -> None:
    """The daemon reloads another configuration, or the same."""
    if config is not None:
        chaos.config = from_mapping(config, "chaos")
    engine, given = chaos.engine, chaos.config

    def take(_state: State, _now: float) -> tuple[Configured]:
        return (Configured(given),)

    async def turn() -> None:
        if engine is not None:
            with trio.move_on_after(LATEST):
                await take_turn(engine, take)

    chaos.start_soon(turn)


async def order(
    chaos: ChaosMachine, pair: ChaosPair, call: str, t: str = "", name: str = "", seconds: str = ""
) -> None:
    """An administrator gives an order. Where the daemon reports success, the order must have been carried out."""
    device = target(chaos, pair, t) if t else None
    if t and device is None:
        return
    arguments = {"rename": (str(device.index if device else 0), name), "drain": (pair.mac, seconds)}
    if call == "switch" and device is not None:
        wanted = device.index
        chaos.start_soon(chaos.order, call, (pair.mac, str(wanted)), lambda: _carries(chaos, pair, wanted))
    elif call == "drain":
        chaos.start_soon(chaos.order, call, arguments["drain"], lambda: _is_drained(chaos, pair))
    else:
        chaos.start_soon(chaos.order, call, arguments.get(call, (pair.mac,)))


def _carrying(chaos: ChaosMachine, pair: ChaosPair) -> int:
    bond = chaos.bond(pair)
    if bond is not None and bond.bond is not None:
        return bond.bond.active.index if bond.bond.active else 0
    nic = chaos.device(pair.nic)
    return (chaos.kernel.carries(nic.index) or 0) if nic is not None else 0


def _carries(chaos: ChaosMachine, pair: ChaosPair, wanted: int) -> None:
    by = _carrying(chaos, pair)
    if by and by != wanted and chaos.device(wanted) is not None:
        chaos.fail("orders-are-done", f"a switch to {wanted} was answered, and {by} carries")


def _is_drained(chaos: ChaosMachine, pair: ChaosPair) -> None:
    if pair.vf and _carrying(chaos, pair) == pair.vf:
        chaos.fail("orders-are-done", "a drain was answered, and the VF carries")
