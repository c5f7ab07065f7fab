"""The basis of events: finding their device, and acting on it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair
from failoverd_lab.simkernel import Refused
from failoverd_lab.simkernel.inetmsg import KERNEL
from failoverd_lab.simkernel.linkmsg import IFINFO
from failoverd_lab.simkernel.requests import Request
from failoverd_lab.simkernel.state import Device


def target(chaos: ChaosMachine, pair: ChaosPair, role: str) -> Device | None:
    """Return the device of the event."""
    if role == "master":
        return chaos.bond(pair) or chaos.device(pair.nic)
    return chaos.device(getattr(pair, role))


def done(chaos: ChaosMachine, sudden: Callable[..., None], pair: ChaosPair, **arguments: Any) -> None:
    """Carry out an event, and note whether it has left a pair's own device up or down: failoverd leaves it so."""
    own = [(one, chaos.holder(one) or target(chaos, one, "master")) for one in chaos.pairs]
    before = {one.number: (device, device.up) for one, device in own if device is not None}
    try:
        sudden(chaos, pair, **arguments)
    finally:
        for one in chaos.pairs:
            device, was_up = before.get(one.number, (None, False))
            if device is not None and device.up != was_up:
                one.wants_up = device.up


def suffered(chaos: ChaosMachine, what: Callable[..., None], pair: ChaosPair, **arguments: Any) -> None:
    try:
        done(chaos, what, pair, **arguments)
    except Refused as refused:
        chaos.say(f"  refused: {errno.errorcode.get(refused.code, refused.code)} {refused.text}")


def link(chaos: ChaosMachine, kind: int, ifindex: int, attrs: bytes) -> None:
    ask(chaos, kind, IFINFO.pack(0, 0, ifindex, 0, 0) + attrs)


def ask(chaos: ChaosMachine, kind: int, body: bytes, flags: int = 0) -> None:
    try:
        chaos.kernel.answer(Request(kind, flags, body, KERNEL))
    finally:
        chaos.kernel.settle()
