"""What can happen to the engine. Everything it learns comes in as one of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from failoverd.model.links import Link
from failoverd.model.orders import Drain, Renaming
from failoverd.model.pairs import Inet
from failoverd.model.requests import Request


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """RTM_NEWLINK: a device is new or has changed."""

    link: Link


@dataclass(frozen=True, slots=True)
class LinkGone:
    """RTM_DELLINK: a device is no more."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """RTM_NEWADDR: a NIC has got an address. Which one is looked up where it matters."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A whole dump: these devices exist and no others."""

    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class InetSeen:
    """The IP configuration that was asked for with FetchInet, by ifindex."""

    mac: str
    inet: Mapping[int, Inet]


@dataclass(frozen=True, slots=True)
class Answered:
    """The kernel's answer to every request of a batch: errno (0: done) and its text. None: the answers were lost."""

    mac: str
    requests: tuple[Request, ...]
    answers: tuple[tuple[int, str], ...] | None


@dataclass(frozen=True, slots=True)
class UdevDone:
    """udev has finished with a device: it may be brought up without spoiling its rename.

    `name`: what udev wanted to call it where it could not, and nobody else has named it since; "" otherwise.
    """

    ifindex: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Nobody will go on managing this device when it is brought up as a slave."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """An administrator wants the pair's devices back as they were."""

    mac: str


@dataclass(frozen=True, slots=True)
class AdoptAsked:
    """An administrator wants a released pair joined again."""

    mac: str


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """An administrator wants the traffic off the VF."""

    mac: str
    drain: Drain


@dataclass(frozen=True, slots=True)
class UndrainAsked:
    """An administrator wants a drain ended."""

    mac: str


@dataclass(frozen=True, slots=True)
class VfAsked:
    """An administrator wants the VF to carry now, steady or not, if it can."""

    mac: str
    vf: int


@dataclass(frozen=True, slots=True)
class RenameAsked:
    """An administrator wants a device of the pair renamed."""

    mac: str
    order: Renaming


@dataclass(frozen=True, slots=True)
class Announced:
    """What an Announce asked for is over; `done` is whether the neighbours were told at last."""

    mac: str
    done: bool = True


@dataclass(frozen=True, slots=True)
class NotSaved:
    """A journal could not be written; what should have followed it was not done."""

    mac: str


@dataclass(frozen=True, slots=True)
class Ending:
    """failoverd is about to end. What only it keeps from being cut off has to be safe without it."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A WakeAt came due."""


Order = DrainAsked | UndrainAsked | VfAsked | RenameAsked
AboutPair = InetSeen | Answered | ReleaseAsked | AdoptAsked | NotSaved | Announced | Order
Event = LinkSeen | LinkGone | AddressSeen | Synced | UdevDone | LetGo | Ending | TimePassed | AboutPair
