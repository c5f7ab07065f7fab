"""All that the engine remembers. Owned by one task, the engine's; only `step` changes it.

    State
     |- links: LinkTable        devices as the kernel last told, found by name, MAC, master, lower device; core/world.py
     |- judgements: Pairings    what pairing made of them, MAC by MAC; core/matching.py
     |- arrivals, bonding       how far udev and network managers are; what speaks against bonds
     |- memory                  what is remembered over a restart
     |- attention, times        the owners that the next step looks at; when each wants to be looked at again
     |- others: Owned           what is remembered of owners that are no pairs (core/owners.py)
     '- pairs: PairState        one a MAC:
         |- work: Work          what it has with the kernel: batches by ticket, refusals and waits, lost answers
         |- move                journal, goal, undo; core/move.py, written by core/advance.py
         |- carry               how long the VF is fit, what the election said; core/switch.py
         |- failovers, health   the active slave, the last failover; how often the VF has failed
         |- paths, conditions   what probes through its slaves found; what is not as it should be, and was told
         |- orders, heard       drain and renames; both slaves heard; core/orders.py
         |- names, marking      core/auto_naming.py; files for udev, core/udev_marks.py
         |- guard               what other programs do to slaves; core/slave_guard.py
         |- obstacles           what keeps a NIC from being a slave; core/crowding.py
         '- residing, away      in which namespace it is, and is to be; core/residing.py, core/away.py

A part stands in the module that writes its fields; others call its methods. So does each field of the two classes here,
which their own methods write or one module does. tests/core/test_core_parts.py holds that, with these exceptions: the
class of `move` stands apart from its writer, as that imports this module; core/away.py replaces `failovers` when a pair
comes home; core/inputs.py puts into the parts what an earlier run has kept, before anything else knows the pair.

All requests go out through `Work.send`, with a ticket (owner, part, number) that comes back with the answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from failoverd.config.spec import Config
from failoverd.core.arrivals import Arrivals
from failoverd.core.attention import Attention
from failoverd.core.auto_naming import Names
from failoverd.core.bonding import Bonding
from failoverd.core.conditions import Conditions
from failoverd.core.crowding import Obstacles
from failoverd.core.failovers import Failovers
from failoverd.core.health import Health
from failoverd.core.memory import Memory
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

    def told(self, state: str, reason: str) -> None:
        """Say how the pair is doing, and why."""
        self.state, self.reason = state, reason

    def joins(self) -> None:
        """The pair is joined, and that is signalled."""
        self.joined = True

    def parts(self) -> None:
        """The pair is not joined any more."""
        self.joined = False

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
    arrivals: Arrivals = field(default_factory=Arrivals)
    """How far udev and network managers are with devices."""
    memory: Memory = field(default_factory=Memory)
    """What is remembered of pairs over a restart."""
    bonding: Bonding = field(default_factory=Bonding)
    """What speaks against bonds."""
    attention: Attention = field(default_factory=Attention)
    """Which owners the next step looks at, and which a device concerns."""
    configured: frozenset[str] = frozenset()
    """The words of the network's configuration."""
    synced: bool = False
    """The first dump has been taken in."""
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
        macs = (owner.mac for owner in self.attention.about.get(ifindex, ()) if isinstance(owner, PairOf))
        return [(mac, self.pairs[mac]) for mac in sorted(macs) if mac in self.pairs]

    def pair(self, mac: str) -> PairState:
        """Return the state of this MAC's pair, a new one if it has none yet."""
        return self.pairs.setdefault(mac, PairState(mac))

    def drop(self, mac: str) -> None:
        """Forget a pair that is gone for good."""
        self.times.note(self.pairs.pop(mac).work.owner, None)

    def owned(self) -> Iterator[Owned]:
        """Return what is remembered of each owner."""
        yield from self.pairs.values()
        yield from self.others.values()

    def owned_by(self, owner: Owner) -> Owned | None:
        """Return what is remembered of this owner."""
        return self.pairs.get(owner.mac) if isinstance(owner, PairOf) else self.others.get(owner)

    def concern_all_pairs(self) -> None:
        """Have the next step look at every pair."""
        self.attention.concern(*(pair.work.owner for pair in self.pairs.values()))

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
