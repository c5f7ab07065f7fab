"""What the planner sees of one pair, and what it may answer.

The planner is asked again and again, after every answer of the kernel. It never remembers what it said before: from
what is seen now it names the next step, and where nothing is left to do, that it rests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from failoverd.config.spec import Config
from failoverd.datapaths.base import Datapath
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import Request
from failoverd.policy.election import why_unfit
from failoverd.policy.holding import upper_of
from failoverd.policy.naming import new_mark, passing_name


@dataclass(frozen=True, slots=True)
class Situation:
    """One pair as it is now.

    `inet` is the IP configuration of the devices that have just been looked at, by ifindex. `links` are all devices
    of the machine. `blocked` are requests the kernel refused lately with its words, `hopeless` those it refused so
    often that the plan goes on without them. `vf_wait` is how long (the engine's clock) to wait for the VF's carrier,
    `held_on` by ifindex how long for who managed a NIC that has given its name away.
    `udev_names` are those udev wanted to give and could not, by ifindex. `joined`: it was, when it was looked at last.
    """

    mac: str
    datapath: Datapath
    config: Config
    now: float
    nic: Link | None = None
    vf: Link | None = None
    master: Link | None = None
    journal: Journal | None = None
    inet: Mapping[int, Inet] = field(default_factory=dict)
    links: Mapping[int, Link] = field(default_factory=dict)
    ready: frozenset[int] = frozenset()
    held_on: Mapping[int, float] = field(default_factory=dict)
    blocked: Mapping[Request, str] = field(default_factory=dict)
    hopeless: frozenset[Request] = frozenset()
    vf_wait: float | None = None
    udev_names: Mapping[int, str] = field(default_factory=dict)
    joined: bool = False

    def may(self, requests: Iterable[Request]) -> tuple[Request, ...]:
        """The requests, or none of them where the kernel has refused one lately."""
        wanted = tuple(requests)
        return () if self.refusal(wanted) else wanted

    def refusal(self, requests: Iterable[Request]) -> str:
        """What the kernel said to one of these requests lately, "" if it refused none."""
        return next((self.blocked[request] for request in requests if request in self.blocked), "")

    def seen(self, link: Link | None) -> Inet:
        """What was seen on this device; nothing where it was not looked at."""
        return self.inet.get(link.ifindex if link else 0, Inet())

    def look_at(self, *links: Link | None) -> Look | None:
        """A look at these devices, unless they have just been looked at."""
        wanted = tuple(link.ifindex for link in links if link is not None)
        return None if all(ifindex in self.inet for ifindex in wanted) else Look(wanted)

    def rest(self, requests: Iterable[Request], why: str) -> Do | Wait | None:
        """Do these but for the hopeless ones, or wait until those the kernel refused lately may be tried again."""
        todo = [request for request in requests if request not in self.hopeless]
        now = tuple(request for request in todo if request not in self.blocked)
        if now:
            return Do(now, why)
        return Wait(self.refusal(todo)) if todo else None

    def is_in(self, link: Link | None) -> bool:
        """Whether this NIC is a slave of the pair's master."""
        return link is not None and self.master is not None and self.datapath.holds(link, self.master)

    def can_carry(self, link: Link | None) -> bool:
        """Whether this NIC could carry the master's traffic now."""
        return not why_unfit(link, self.is_in(link))

    def is_held(self, link: Link | None) -> bool:
        """Whether somebody may still manage this NIC, and it can wait for that. One that is brought up cannot: it would
        be a second NIC with the master's MAC."""
        is_waited_for = link is not None and not link.up and self.now < self.held_on.get(link.ifindex, self.now)
        return is_waited_for and self.can_carry(self.vf)

    def under_way(self, goal: Goal) -> Journal | None:
        """The journal of a move toward this goal that may have begun."""
        journal = self.journal
        return journal if journal is not None and journal.cut and journal.toward is goal else None

    def is_passing(self) -> bool:
        """Whether the configuration is not the master's own (yet, or any more), whatever somebody calls it."""
        master = self.master
        # Its name proves nothing where the pair was whole, and is not being released: somebody has given it.
        is_proof = not self.joined or self.journal is not None
        is_named_so = is_proof and master is not None and master.name == passing_name(self.mac)
        return is_named_so or (master is not None and new_mark(self.mac) in master.altnames)

    def upper(self, master: Link) -> str:
        """The name of a device that stands on the master or has it as its slave, "" for none."""
        return upper_of(master, self.links)


@dataclass(frozen=True, slots=True)
class Do:
    """Send these in one datagram: the kernel works through it even if we die meanwhile."""

    requests: tuple[Request, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """The IP configuration of these devices has to be known first."""

    ifindexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """The journal has to be on disk first."""

    journal: Journal


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done until this moment or an event; why, in words."""

    why: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The move is over and checked: its journal can go."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All is as wanted, or will be so at this moment at the latest."""

    until: float | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """This cannot be reached; what was begun has to be undone. Why, and what to do, in words."""

    why: str


Next = Do | Look | Write | Wait | Finish | Rest | GiveUp
