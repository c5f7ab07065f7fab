"""The events that the engine takes in. It learns of everything through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.model.health import Mode
from failoverd.model.links import Link
from failoverd.model.orders import Drain, Renaming
from failoverd.model.owners import OfPair, Owner, Ticket
from failoverd.model.pairs import Inet, There
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
    """RTM_NEWADDR: a NIC has got an address. The address itself is looked up where it matters."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A whole dump: these devices exist, and no others."""

    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class InetSeen:
    """The IP configuration that FetchInet asked for, by ifindex.

    `hanging` describes, by ifindex, what hangs on the devices that were looked at closely, "" for nothing.
    """

    owner: Owner
    inet: Mapping[int, Inet]
    hanging: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """The kernel's answer to every request of a batch: errno (0: done) and its text. None: the answers were lost."""

    ticket: Ticket
    requests: tuple[Request, ...]
    answers: tuple[tuple[int, str], ...] | None

    @property
    def owner(self) -> Owner:
        """The owner that sent the batch."""
        return self.ticket.owner


@dataclass(frozen=True, slots=True)
class UdevDone:
    """udev has finished with a device: the device may be brought up without spoiling its rename.

    `name` is the name that udev wanted and could not give, if the device has not been renamed since; "" otherwise.
    `is_plain`: its name is the kernel's own, a number in the order in which devices were found at this boot.
    """

    ifindex: int
    name: str = ""
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class LetGo:
    """No network manager will go on managing this device when it is brought up as a slave."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class ConfigurerSeen:
    """The answer to AskConfigurer: why the configuration of this NIC could not follow to a bond.

    `name` is what the NIC was called when it was asked. `why` is "" where nothing speaks against a bond.
    """

    ifindex: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class ModeSeen(OfPair):
    """The answer to AskMode."""

    mac: str
    ifindex: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class NotMarked(OfPair):
    """The files for udev could not be written; `why` is the system's error text."""

    mac: str
    why: str


@dataclass(frozen=True, slots=True)
class ReleaseAsked(OfPair):
    """The administrator wants the pair's devices back as they were."""

    mac: str


@dataclass(frozen=True, slots=True)
class AdoptAsked(OfPair):
    """The administrator wants a released pair joined again."""

    mac: str


@dataclass(frozen=True, slots=True)
class AwaySaid(OfPair):
    """The pair is in another network namespace, or on its way there or back: what is seen of it here is not to be put
    right. With `why` empty it is at home.
    """

    mac: str
    name: str
    """The master's name."""
    why: str
    """Where it is, in words."""
    namespace: str = ""
    """The namespace that it is in, or is on its way to or from, by the word that `failoverctl move` takes."""
    is_parked: bool = False
    """Whether there is no master until that namespace is there again."""


@dataclass(frozen=True, slots=True)
class ThereSeen(OfPair):
    """The pair lives in another network namespace, and was looked at there."""

    mac: str
    there: There


@dataclass(frozen=True, slots=True)
class ResidenceSaid(OfPair):
    """Where the pair's master is to be, and why it is not there. All is empty where nothing was said about it."""

    mac: str
    wanted: str
    """The network namespace, by the word that `failoverctl move` takes; empty for failoverd's own."""
    by: str
    """"configuration" or "order"."""
    pending: str
    """Why it is not there yet, in words."""


@dataclass(frozen=True, slots=True)
class DrainAsked(OfPair):
    """The administrator wants the traffic off the VF."""

    mac: str
    drain: Drain


@dataclass(frozen=True, slots=True)
class UndrainAsked(OfPair):
    """The administrator wants a drain ended."""

    mac: str


@dataclass(frozen=True, slots=True)
class DampingResetAsked(OfPair):
    """The administrator wants the VF's flap penalty cleared."""

    mac: str


@dataclass(frozen=True, slots=True)
class VfAsked(OfPair):
    """The administrator wants the VF to carry now, steady or not, if it can."""

    mac: str
    vf: int


@dataclass(frozen=True, slots=True)
class RenameAsked(OfPair):
    """The administrator wants a device of the pair renamed."""

    mac: str
    order: Renaming


@dataclass(frozen=True, slots=True)
class Announced(OfPair):
    """An Announce is over; `done` says whether the neighbours were told in the end."""

    mac: str
    done: bool = True


@dataclass(frozen=True, slots=True)
class PathsSeen(OfPair):
    """A round of ProbePaths is over: the slaves through which a target answered."""

    mac: str
    slaves: tuple[tuple[int, str], ...]
    answered: frozenset[int]


@dataclass(frozen=True, slots=True)
class NotSaved:
    """A journal could not be written; the actions that should have followed it were not carried out."""

    owner: Owner


@dataclass(frozen=True, slots=True)
class Ending:
    """failoverd is about to end. Traffic that only failoverd keeps flowing has to be made safe without it."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A WakeAt is due."""


Order = DrainAsked | UndrainAsked | DampingResetAsked | VfAsked | RenameAsked
Placed = ReleaseAsked | AdoptAsked | AwaySaid | ThereSeen | ResidenceSaid
AboutPair = Placed | NotMarked | Announced | PathsSeen | ModeSeen | Order
ToOwner = Answered | InetSeen | NotSaved
"""Events that any owner of work gets."""
AboutDevice = LinkSeen | LinkGone | AddressSeen | Synced | UdevDone | LetGo | ConfigurerSeen
Event = AboutDevice | ToOwner | AboutPair | Ending | TimePassed
