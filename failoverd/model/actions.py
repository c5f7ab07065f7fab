"""The actions that a step asks the engine to carry out. The engine carries them out in the order of the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from failoverd.dataclass import dataclass
from failoverd.model.health import Damping
from failoverd.model.links import Link
from failoverd.model.orders import Drain
from failoverd.model.owners import OfPair, Owner, PairOf, Ticket
from failoverd.model.pairs import Inet, Journal
from failoverd.model.requests import Request
from failoverd.model.signals import Signal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send the requests to the kernel in one datagram. The answers come back as one Answered."""

    ticket: Ticket
    requests: tuple[Request, ...]
    why: str

    @property
    def owner(self) -> Owner:
        """The owner that sends them."""
        return self.ticket.owner


@dataclass(frozen=True, slots=True)
class FetchInet:
    """Dump the IP configuration of these devices. It comes back as InetSeen.

    `closely` are the devices for which things that hang on them are looked up as well, where no device of this
    namespace shows them.
    """

    owner: Owner
    ifindexes: tuple[int, ...]
    closely: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SaveJournal:
    """Write the journal. No later action of the step is carried out before it is on disk."""

    journal: Journal

    @property
    def owner(self) -> Owner:
        """The owner of the move."""
        return PairOf(self.journal.mac)


@dataclass(frozen=True, slots=True)
class DropJournal(OfPair):
    """Delete the journal: the move is over and checked."""

    mac: str


@dataclass(frozen=True, slots=True)
class KeepLost(OfPair):
    """Keep the configuration that a move could not put in its place over a restart of failoverd. Empty: forget it."""

    mac: str
    lost: Inet


@dataclass(frozen=True, slots=True)
class Remember:
    """Remember over a reboot that this MAC has a pair, "joined" or "released". None: forget it."""

    mac: str
    what: Literal["joined", "released"] | None


@dataclass(frozen=True, slots=True)
class RememberName:
    """Remember over a reboot the name that the paravirtual NIC of this MAC has on its own. "": forget it."""

    mac: str
    name: str


@dataclass(frozen=True, slots=True)
class KeepDrain:
    """Keep the drain of this pair over a restart of failoverd, but not over a reboot. None: forget it."""

    mac: str
    drain: Drain | None


@dataclass(frozen=True, slots=True)
class KeepDamping:
    """Keep this VF's flap penalty over a restart of failoverd, but not over a reboot. No penalty: forget it."""

    mac: str
    damping: Damping


@dataclass(frozen=True, slots=True)
class KeepMarks:
    """Write these files for udev's rules, by name and in this order, for NICs with this MAC; remove all others."""

    mac: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AskConfigurer:
    """Ask whether the configuration of this NIC could follow to a bond called `name`. ConfigurerSeen comes back."""

    nic: Link
    name: str


@dataclass(frozen=True, slots=True)
class AskUdev:
    """Ask when udev has finished with this device. UdevDone comes back."""

    ifindex: int
    name: str


@dataclass(frozen=True, slots=True)
class AskLetGo:
    """Ask when no network manager will go on managing this device, which is a standby now. LetGo comes back."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class AskMode:
    """Ask for the speed and the duplex of this slave of the pair. ModeSeen comes back, if anything can be known."""

    mac: str
    ifindex: int
    name: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Publish a signal: a change that the kernel has confirmed."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class Say:
    """Write one line to the log."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send TimePassed at this moment (the clock of `now`, seconds). The last WakeAt of a step counts."""

    at: float


@dataclass(frozen=True, slots=True)
class Peek:
    """Query this device now: the kernel reports a lost carrier up to a second late, except of a bond's port."""

    ifindex: int


@dataclass(frozen=True, slots=True)
class ProbePaths:
    """Probe these targets through each slave (ifindex, source MAC), every `interval` seconds.

    It replaces the probes of this pair that are running. Without slaves, probing stops. A target is an address, or
    "gateway" for the gateways of the default routes of `master`. PathsSeen comes back for each round.
    """

    mac: str
    slaves: tuple[tuple[int, str], ...] = ()
    targets: tuple[str, ...] = ()
    master: int = 0
    interval: float = 1.0


@dataclass(frozen=True, slots=True)
class Announce:
    """Announce the addresses of these devices to the neighbours, `times` times: their frames take another way now.

    A device is its ifindex and its MAC. `ports` are those of them that are a bridge's port, with the bridge: the hosts
    behind it are announced, too. Announced comes back.
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
    | KeepLost
    | Remember
    | RememberName
    | KeepDrain
    | KeepDamping
    | KeepMarks
    | AskUdev
    | AskConfigurer
    | AskLetGo
    | AskMode
    | Emit
    | Say
    | WakeAt
    | Peek
    | Announce
    | ProbePaths
)

Withheld = Send | FetchInet | SaveJournal | DropJournal | KeepLost
"""Actions that change something for their owner, on disk or in the kernel, or prepare it. They are not carried out when
a journal of the same owner could not be written before them.
"""
