"""What the engine needs of the world, and what it finds there of its former lives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from failoverd.core.state import PairState, State
from failoverd.daemon.errands import Announcer
from failoverd.daemon.store import Store
from failoverd.model.signals import Signal
from failoverd.netlink.conversation import Complete
from failoverd.netlink.fetch import Opener
from failoverd.netlink.transport import Transport

log = logging.getLogger("failoverd")

Hold = Literal["none", "down", "firm"]
"""Who managed a NIC has let go of it, has seen it down, or manages it (patience.py)."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything the engine needs of the world, so that a simulated one can stand in for each."""

    link_socket: Transport
    open_inet: Opener
    complete: Complete
    is_udev_done: Callable[[int], bool]
    store: Store
    announce: Announcer
    on_signal: Callable[[Signal], None] = lambda _signal: None
    on_step: Callable[[State], None] = lambda _state: None
    is_udev_idle: Callable[[], bool] = lambda: True
    hold: Callable[[int], Hold] = lambda _ifindex: "none"
    udev_name: Callable[[int, str], str] = lambda _ifindex, _name: ""
    no_bond: Callable[[], str] = lambda: ""


def recall(state: State, store: Store) -> None:
    """Take what is kept on disk into a new state: what is under way, drained, held, remembered and marked."""
    kept = store.load()
    for line in kept.troubles:
        log.error("%s", line)
    for mac, journal in kept.journals.items():
        state.pairs[mac] = PairState(mac, journal=journal)
    for mac, drain in kept.drains.items():
        state.pairs.setdefault(mac, PairState(mac)).drain = drain
    for mac, word in kept.memory.items():
        if word == "joined":
            state.remembered.add(mac)
        else:
            state.pairs.setdefault(mac, PairState(mac)).held = True
    for mac in kept.marked:
        state.pairs.setdefault(mac, PairState(mac)).marks = None
