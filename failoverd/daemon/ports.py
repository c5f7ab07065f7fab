"""The engine's interface to the world, and the files it finds there from earlier runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeVar

from failoverd.core.inputs import Recalled
from failoverd.core.state import State
from failoverd.daemon.background import Announcer, Closely, Configurers, ReadMode, unseen
from failoverd.daemon.path_probes import OpenProbe, Silence
from failoverd.daemon.store import Store
from failoverd.dataclass import dataclass
from failoverd.model.links import Link
from failoverd.model.requests import SetSysctl
from failoverd.model.signals import Signal
from failoverd.netlink.fetch import Opener
from failoverd.netlink.known_devices import Complete
from failoverd.netlink.sysctls import write_sysctl
from failoverd.netlink.transport import Transport

log = logging.getLogger("failoverd")

Hold = Literal["none", "down", "firm"]
"""The network manager has released a NIC, has recorded it as down, or manages it (nic_waits.py)."""


Found = TypeVar("Found")


async def nothing(_nic: Link, _name: str) -> str:
    """Nothing here configures a network."""
    return ""


async def no_words() -> frozenset[str]:
    """Nothing here configures a network."""
    return frozenset()


class Read(Protocol):
    """Reads files: in a thread if they are on a disk, which may block the reader."""

    async def __call__(self, read: Callable[[], Found], /) -> Found:
        """Return the result of `read`, or raise its exception."""


async def at_once(read: Callable[[], Found], /) -> Found:
    """Read at once, for files that are on no disk."""
    return read()


def can_rename_live(release: str) -> bool:
    """Return whether a kernel of this release renames a device that is up (6.2; net/core/dev.c, dev_change_name)."""
    return [int(number) for number in re.findall(r"\d+", release)[:2]] >= [6, 2]


@dataclass(frozen=True, slots=True)
class Ports:
    """All that the engine needs of the world, so that a simulation can replace each part."""

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
    is_plain: Callable[[str], bool] = lambda _name: False
    configured: Callable[[], Awaitable[frozenset[str]]] = no_words
    hanging: Closely = unseen
    read: Read = at_once
    no_bond: Configurers = nothing
    open_probe: OpenProbe = Silence
    read_mode: ReadMode | None = None
    renames_live: bool = True
    took_to_begin: float = 0.0
    """Seconds from the start of the process until the engine existed."""
    write_sysctl: Callable[[SetSysctl, str], tuple[int, str]] = write_sysctl


def recall(store: Store) -> Recalled:
    """Return what is kept on disk: moves, their leftovers, drains, memories, names, marks, dampings. Log damaged
    files."""
    kept = store.load()
    for line in kept.troubles:
        log.error("%s", line)
    return Recalled(
        kept.journals, kept.lost, kept.drains, kept.memory, kept.names, kept.marked, kept.damping, kept.away
    )
