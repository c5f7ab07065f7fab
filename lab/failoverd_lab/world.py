"""The interface between the scenario runner and a world, and the recording of a story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import trio

from failoverd_lab.story import Direction, Scenario, Step


class CannotTell(Exception):  # noqa: N818  (it is an answer, not a fault)
    """This world cannot do a step, or cannot be built here. The text says which, why, and what to install."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of the traffic: when it was sent (seconds of the story), and when it arrived (None: lost).

    A duplicate is not a probe: the first arrival counts. A probe still under way at the end is not lost either: a world
    waits for it, or leaves it out.
    """

    direction: Direction
    sent: float
    arrived: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to `end` (seconds of the story) a lane showed `text`."""

    lane: str
    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a line in the picture, such as a FailedOver signal. The runner adds the story's steps."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gratuitous ARP or an unsolicited NA seen on the wire; `nic` is the story's id of the NIC that sent it."""

    at: float
    nic: str
    kind: str


@dataclass(frozen=True, slots=True)
class Recording:
    """The recording of a story. Lanes are "primary", "standby" and "active", and "namespace" where the master moves.

    In "primary" and "standby" a span's text is the story's id of the NIC while it is a slave with carrier, and `ID,
    what is amiss` otherwise (`vf, no carrier`); there is no span while there is no such device. In "active" it is the
    id of the NIC that carries the traffic, "none" while there is none. In "namespace" it is where the master's address
    is answered, "home" for failoverd's own network namespace; there is no span while it is answered nowhere.
    """

    length: float
    probes: Sequence[Probe] = ()
    spans: Sequence[Span] = ()
    marks: Sequence[Mark] = ()
    announcements: Sequence[Announcement] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


class World(Protocol):
    """A world in which a story can run. Call start, then do and look, then finish; always call stop.

    `poll` is the time in seconds between two looks at a state that is waited for: a look costs a guest time. A world
    with a clock of its own has it as `clock`, a `trio.abc.Clock`, which is passed to `trio.run`.
    """

    name: str
    poll: float

    def joined_by(self, scenario: Scenario) -> str:
        """Return the datapath by which pairs are joined in this story. Raises CannotTell where this world does not have
        it."""

    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        """Set up the NICs, the traffic and the daemon. The story's clock starts when this returns.

        Background tasks run in `nursery`, which is cancelled after `stop`.
        """

    def now(self) -> float:
        """Return the seconds since the story began, by this world's clock."""

    async def sleep_until(self, at: float) -> None:
        """Let this world's time pass until `at`."""

    async def do(self, step: Step) -> None:
        """Carry out one step. Raises CannotTell."""

    async def status(self) -> Mapping[str, Any] | None:
        """Return the daemon's status document (the output of `failoverctl status --json`); None while it is not
        running."""

    async def links(self) -> Sequence[Mapping[str, Any]]:
        """Return the kernel's devices, each with name, ifindex, mac, master (a name or ""), up, carrier, mtu, addresses
        (CIDR texts), nic (the story's id, "" if it is none of them), kind (rtnetlink's, "" for hardware), altnames."""

    async def declared(self) -> Sequence[Mapping[str, Any]]:
        """Return the ends of the declared links as the daemon tells of them (`failoverctl links --json`); none while it
        is not running."""

    def carrier(self) -> str:
        """Return the story's id of the NIC by which the guest's frames come in now, "" for none. Seen from outside."""

    async def finish(self) -> Recording:
        """Stop the traffic and return the recording."""

    async def stop(self) -> None:
        """Take everything down; safe to call at any time, more than once."""
