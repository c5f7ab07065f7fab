"""What the links engine is told, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.dataclass import dataclass
from failoverd.links.findings import Answers, Batch
from failoverd.links.picture import Interest, Picture
from failoverd.model.declared import Declared, NamespaceRef
from failoverd.model.places import Absent, Place
from failoverd.model.signals import Signal


@dataclass(frozen=True, slots=True)
class Wanted:
    """The declarations, whole, as their sources give them."""

    declared: Declared
    is_complete: bool = True
    """Whether every source has spoken. As long as one has not, nothing is removed for not being declared."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a reference leads now."""

    ref: NamespaceRef
    to: Place | Absent


@dataclass(frozen=True, slots=True)
class MastersSeen:
    """The failover masters that are joined: their ifindexes by name and by MAC."""

    masters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PlaceChanged:
    """Something has changed in a namespace that declared links have to do with; None: anything may have changed."""

    place: Place | None


@dataclass(frozen=True, slots=True)
class Pictured:
    """What a look at some namespaces has shown; None for one that is gone, or could not be looked at."""

    pictures: Mapping[Place, Picture | None]


@dataclass(frozen=True, slots=True)
class Made:
    """The kernel's answers to batches, and to what followed them."""

    answers: tuple[tuple[Batch, Answers], ...]


@dataclass(frozen=True, slots=True)
class ResyncAsked:
    """The order to look at everything again, and to try at once what waits; `name` for one end, "" for all."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """The order to take an end out of failoverd's care: its mark goes, the device stays."""

    name: str


@dataclass(frozen=True, slots=True)
class MayGo:
    """Those that were told of a device's end have had their time."""

    name: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A time that was asked for has come."""


LinksEvent = (
    Wanted | Resolved | MastersSeen | PlaceChanged | Pictured | Made | ResyncAsked | ReleaseAsked | MayGo | TimePassed
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell where these references lead, from now on."""

    refs: frozenset[NamespaceRef]


@dataclass(frozen=True, slots=True)
class Look:
    """Look at these namespaces, and answer with Pictured."""

    at: Mapping[Place, Interest]


@dataclass(frozen=True, slots=True)
class Make:
    """Send these batches, each in one datagram, and what follows them; answer with Made (findings.carried_out)."""

    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a signal. A LinkGoing is answered with MayGo."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the log."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Say TimePassed at this moment (the caller's clock, seconds). The last of a step's counts."""

    at: float


LinksAction = Watch | Look | Make | Tell | Log | WakeAt
