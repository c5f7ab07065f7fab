"""Trouble with the kernel, the disk and the network."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from failoverd_lab.chaos.faults import Refusing
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair


async def refuse(
    chaos: ChaosMachine, _pair: ChaosPair, seconds: float, prob: float, numbers: list[int], kinds: tuple[int, ...] = ()
) -> None:
    """The kernel refuses requests for a while."""
    chaos.faults.refusing = Refusing(chaos.now() + seconds, prob, numbers, kinds)


async def overrun(chaos: ChaosMachine, _pair: ChaosPair) -> None:
    """There are more events than the sockets hold."""
    chaos.kernel.storm()


async def tiny(chaos: ChaosMachine, _pair: ChaosPair, messages: int, seconds: float) -> None:
    """The daemon's socket holds a few messages only, for a while."""
    if chaos.link is not None:
        chaos.link.limit = 2304 * messages
        chaos.start_soon(_widen, chaos, chaos.link, seconds)


async def _widen(chaos: ChaosMachine, link: Any, after: float) -> None:
    await trio.sleep(after)
    link.set_receive_buffer(chaos.config.netlink.receive_buffer)


async def disk(chaos: ChaosMachine, _pair: ChaosPair, seconds: float, error: str) -> None:
    """The disk is full, or read-only."""
    chaos.faults.disk, chaos.faults.disk_errno = chaos.now() + seconds, getattr(errno, error)


def lasting(name: str) -> Callable[..., Awaitable[None]]:
    async def begin(chaos: ChaosMachine, _pair: ChaosPair, seconds: float) -> None:
        setattr(chaos.faults, name, chaos.now() + seconds)

    return begin
