"""What a step asks its shell to do. The order of the list is the order of the doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from failoverd.model.orders import Drain
from failoverd.model.pairs import Journal
from failoverd.model.requests import Request
from failoverd.model.signals import Signal


@dataclass(frozen=True, slots=True)
class Send:
    """Hand the requests to the kernel in one datagram; the answers come back as one Answered."""

    mac: str
    requests: tuple[Request, ...]
    why: str


@dataclass(frozen=True, slots=True)
class FetchInet:
    """Dump the IP configuration of these devices; it comes back as InetSeen."""

    mac: str
    ifindexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SaveJournal:
    """Write the journal before anything that follows is done."""

    journal: Journal


@dataclass(frozen=True, slots=True)
class DropJournal:
    """The move is over and checked; forget its journal."""

    mac: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep over a reboot that this MAC has a pair: "joined", "released", or forget it (None)."""

    mac: str
    what: Literal["joined", "released"] | None


@dataclass(frozen=True, slots=True)
class KeepDrain:
    """Keep over a restart of failoverd, not over a reboot, that this pair is drained; None: forget it."""

    mac: str
    drain: Drain | None


@dataclass(frozen=True, slots=True)
class KeepMarks:
    """These are the files udev's rules read for NICs with this MAC, by name, to be written in this order; no others."""

    mac: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AskUdev:
    """Say UdevDone as soon as udev is done with this device."""

    ifindex: int
    name: str


@dataclass(frozen=True, slots=True)
class AskLetGo:
    """Say LetGo as soon as nobody will go on managing this device, which is a standby from now on."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the world what the kernel confirmed."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Say:
    """One line for the log."""

    level: Literal["debug", "info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send TimePassed at this moment (the clock of `now`, seconds); the last one of a step counts."""

    at: float


@dataclass(frozen=True, slots=True)
class Peek:
    """Ask the kernel for this device now: of a lost carrier it tells up to a second late where it is no bond's port."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the neighbours of these devices' addresses, `times` times, for the frames take another way from now on.

    A device is its ifindex and its MAC. `ports` are those of them that are a bridge's port, with the bridge: who is
    behind it goes the same way. Announced comes back.
    """

    mac: str
    devices: tuple[tuple[int, str], ...]
    times: int
    ports: tuple[tuple[int, int], ...] = ()


Action = (
    Send
    | FetchInet
    | SaveJournal
    | DropJournal
    | Remember
    | KeepDrain
    | KeepMarks
    | AskUdev
    | AskLetGo
    | Emit
    | Say
    | WakeAt
    | Peek
    | Announce
)
