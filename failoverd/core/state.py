"""All that the engine remembers. Owned by one task; only `step` changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from failoverd.config.spec import Config
from failoverd.core.auto_naming import Names
from failoverd.core.conditions import Conditions
from failoverd.core.crowding import Obstacles
from failoverd.core.failovers import Failovers
from failoverd.core.health import Health
from failoverd.core.move import Move
from failoverd.core.orders import Heard, Orders
from failoverd.core.pairings import Pairings
from failoverd.core.paths import Paths
from failoverd.core.residing import Residing
from failoverd.core.slave_guard import Guard
from failoverd.core.switch import Carry
from failoverd.core.timetable import Timetable
from failoverd.core.udev_marks import Marking
from failoverd.core.work import Owned, Work
from failoverd.dataclass import dataclass
from failoverd.datapaths import bond
from failoverd.datapaths.base import Datapath
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.owners import Owner, PairOf
from failoverd.model.pairs import Goal, Pair

SELDOM = 3600.0
"""Seconds until a retry that will most likely fail again: a move's leftovers, a bond for a NIC that no bond can stand
for. There is no notification that the obstacle (a sysctl) has gone.
"""

NO_BONDING = "this kernel has no bonding"


@dataclass(slots=True)
class PairState:
    """The state of one pair: its work with the kernel, and its parts, each in the module that writes it."""

    mac: str
    """Its permanent MAC."""
    datapath: Datapath = bond.DATAPATH
    """The datapath that joins it, or would."""
    held: bool = False
    """An administrator has released it."""
    joined: bool = False
    """It was joined when it was last looked at, and that was signalled."""
    nic: int = 0
    """The ifindex of its paravirtual NIC when it last rested."""
    away: str = ""
    """Where it is, in words, if that is another network namespace; `state` is "away" then."""
    away_name: str = ""
    """What its master is called there."""
    residing: Residing = field(default_factory=Residing)
    state: str = "alone"
    """One of document.STATES. `reason` says why."""
    reason: str = ""
    work: Work = field(init=False)
    move: Move = field(default_factory=Move)
    carry: Carry = field(default_factory=Carry)
    failovers: Failovers = field(default_factory=Failovers)
    health: Health = field(default_factory=Health)
    paths: Paths = field(default_factory=Paths)
    conditions: Conditions = field(default_factory=Conditions)
    orders: Orders = field(default_factory=Orders)
    heard: Heard = field(default_factory=Heard)
    names: Names = field(default_factory=Names)
    guard: Guard = field(default_factory=Guard)
    marking: Marking = field(default_factory=Marking)
    obstacles: Obstacles = field(default_factory=Obstacles)

    def __post_init__(self) -> None:
        self.work = Work(PairOf(self.mac))

    @property
    def is_settled(self) -> bool:
        """Whether it has come as far as it can without a new event."""
        is_moving = self.state in ("joining", "releasing") and not self.work.refusals
        return not (self.work.batches or self.work.looking or is_moving)

    def forget(self, ifindex: int) -> None:
        """Forget a device that is gone. If it comes back it has another ifindex."""
        self.work.forget(ifindex)
        for part in (self.names, self.guard, self.obstacles):
            part.forget(ifindex)

    def goal(self, now: float) -> Goal:
        """Return the goal of the pair. A release that has begun is finished first."""
        if self.move.under_way is Goal.RELEASED:
            return Goal.RELEASED
        undoing = self.move.undo_until is not None and now < self.move.undo_until
        return Goal.RELEASED if self.held or undoing else Goal.JOINED


@dataclass(slots=True)
class State:
    """The machine as seen, and the state of its pairs. Only `step` changes it."""

    config: Config
    links: LinkTable = field(default_factory=LinkTable)
    """Devices as last reported by the kernel."""
    pairs: dict[str, PairState] = field(default_factory=dict)
    """By permanent MAC."""
    others: dict[Owner, Owned] = field(default_factory=dict)
    """What is remembered of owners that are no pairs."""
    judgements: Pairings = field(default_factory=Pairings)
    """The results of pairing."""
    plain: dict[int, str] = field(default_factory=dict)
    """The names that udev wanted for devices that still have the kernel's own name, by ifindex."""
    remembered: set[str] = field(default_factory=set)
    """The MACs that had a pair before."""
    names: dict[str, str] = field(default_factory=dict)
    """The names that their paravirtual NICs had."""
    configured: frozenset[str] = frozenset()
    """The words of the network's configuration."""
    ready: set[int] = field(default_factory=set)
    """Devices that udev has finished with."""
    asked: dict[int, float] = field(default_factory=dict)
    """The time since when udev is waited for, by ifindex."""
    held_on: dict[int, float] = field(default_factory=dict)
    """NICs that have given their name to a master and are no slaves yet, with the time until which to wait for the
    network manager that had them.
    """
    newcomers: set[int] = field(default_factory=set)
    """NICs that have appeared since the first dump."""
    udev_names: dict[int, str] = field(default_factory=dict)
    """The name that udev wanted for a device and could not give, by ifindex."""
    synced: bool = False
    """The first dump has been taken in."""
    no_bonding: bool = False
    """The kernel has no bonding driver."""
    configurers: dict[int, str] = field(default_factory=dict)
    """Why the configuration of a NIC could not follow to a bond, "" if it could, by ifindex."""
    reading: dict[int, float] = field(default_factory=dict)
    """The time until which to wait for that answer."""
    about: dict[int, set[Owner]] = field(default_factory=dict)
    """The owners that have, or had, to do with a device, by its ifindex."""
    concerned: set[Owner] = field(default_factory=set)
    """The owners that the next step looks at."""
    times: Timetable = field(default_factory=Timetable)
    """When each owner wants to be looked at again."""
    ending: bool = False
    """failoverd is about to end: it will act on no later event."""
    renames_live: bool = True
    """The kernel renames a device that is up, as far as that is known."""

    def link(self, ifindex: int) -> Link | None:
        """Return the device with this ifindex."""
        return self.links.get(ifindex)

    def name(self, ifindex: int) -> str:
        """Return its name, "" for none."""
        link = self.links.get(ifindex)
        return link.name if link else ""

    def pair_with(self, ifindex: int) -> Pair | None:
        """Return the pair that this device is in."""
        return self.judgements.pairs.get(self.judgements.members.get(ifindex, ""))

    def pairs_about(self, ifindex: int) -> list[tuple[str, PairState]]:
        """Return each pair that has, or had, to do with this device, with its MAC."""
        macs = (owner.mac for owner in self.about.get(ifindex, ()) if isinstance(owner, PairOf))
        return [(mac, self.pairs[mac]) for mac in sorted(macs) if mac in self.pairs]

    def owned(self) -> Iterator[Owned]:
        """Return what is remembered of each owner."""
        yield from self.pairs.values()
        yield from self.others.values()

    def owned_by(self, owner: Owner) -> Owned | None:
        """Return what is remembered of this owner."""
        return self.pairs.get(owner.mac) if isinstance(owner, PairOf) else self.others.get(owner)

    def concern_all_pairs(self) -> None:
        """Have the next step look at every pair."""
        self.concerned |= {pair.work.owner for pair in self.pairs.values()}

    def at_risk(self) -> bool:
        """Whether some traffic goes by a VF whose loss only failoverd would notice."""
        found = (pair for pair in self.judgements.pairs.values() if pair.vf)
        return any(self.pairs[pair.mac].datapath.is_at_risk(self.active(pair), pair.vf) for pair in found)

    def active(self, found: Pair) -> int:
        """Return the ifindex of the slave that carries this pair's traffic, 0 for none."""
        master = self.links.get(found.master)
        if master is None:
            return 0
        datapath = self.pairs[found.mac].datapath
        return datapath.active(master, self.links.get(found.vf), self.links.get(found.nic))


def is_settled(state: State) -> bool:
    """Whether every owner has come as far as it can without a new event."""
    return all(one.is_settled for one in state.owned())
