"""All kinds of events by their names."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Any

from failoverd_lab.chaos.draw import Event
from failoverd_lab.chaos.events import daemon, host, manager, trouble
from failoverd_lab.chaos.events.base import done
from failoverd_lab.chaos.events.sudden import SUDDEN, arguments
from failoverd_lab.chaos.events.trouble import lasting
from failoverd_lab.chaos.machine import ChaosMachine, ChaosPair
from failoverd_lab.simkernel import Refused


async def happen(chaos: ChaosMachine, event: Event) -> None:
    """Let an event happen. Where the kernel refuses an event's request, the event does nothing."""
    chaos.say(f"EVENT {event}")
    pair = chaos.pairs[event["p"] % len(chaos.pairs)]
    try:
        await HAPPENING[event["op"]](chaos, pair, **arguments(event))
    except Refused as refused:
        chaos.say(f"  refused: {errno.errorcode.get(refused.code, refused.code)} {refused.text}")


def _waiting(sudden: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    async def happens(chaos: ChaosMachine, pair: ChaosPair, **arguments: Any) -> None:
        done(chaos, sudden, pair, **arguments)

    return happens


HAPPENING: dict[str, Callable[..., Awaitable[None]]] = {
    **{kind: _waiting(sudden) for kind, sudden in SUDDEN.items()},
    "flap": host.flap,
    "suspend": host.suspend,
    "jump": host.jump,
    "bounce": manager.bounce,
    "compete": manager.compete,
    "refuse": trouble.refuse,
    "overrun": trouble.overrun,
    "tiny": trouble.tiny,
    "late": lasting("late"),
    "reorder": lasting("reorder"),
    "dumps": lasting("dumps"),
    "disk": trouble.disk,
    "unsendable": lasting("unsendable"),
    "unheard": lasting("unheard"),
    "udev-slow": lasting("udev_slow"),
    "no-bond": daemon.no_bond,
    "start": daemon.start,
    "stop": daemon.stop,
    "kill": daemon.kill,
    "restart": daemon.restart,
    "kill-in": daemon.kill_in,
    "ambush": daemon.ambush,
    "reload": daemon.reload,
    "order": daemon.order,
}
