"""All that the engine remembers. Owned by one task; only `step` changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from failoverd.config.spec import Config
from failoverd.datapaths import bond
from failoverd.datapaths.base import Datapath
from failoverd.model.links import Link
from failoverd.model.orders import Drain, Renaming
from failoverd.model.pairs import Goal, Inet, Journal, Pair
from failoverd.model.requests import Request
from failoverd.model.signals import FailedOver
from failoverd.policy.pairing import Judgements

HOPELESS = 3
"""How often the kernel may refuse an address or a route before the move is finished without it."""

NO_BONDING = "this kernel has no bonding"


@dataclass(slots=True)
class Refusal:
    """How often a request was tried in vain, with what words it was last refused, and when it may be tried again."""

    times: int
    text: str
    until: float


@dataclass(slots=True)
class PairState:
    """What is remembered of one pair, by its permanent MAC.

    `sent` is the batch that is with the kernel, `switching` the switch that is, `looking` says an IP configuration is
    being fetched, `unsure` that answers were lost (to `doubtful`) and the devices were not seen since. `inet` is what
    was just looked at; it is only good for the step that brings it. `held` means an administrator released the pair;
    `undo_until` that joining it failed and when to try anew. `because` is the reason of the switch that was last asked
    for, `leaving` a failover the signal for which waits for its reason. `active` is who carried when last seen, None
    before, `lost_at` since when that one cannot carry, `former` the VF that went last, `peek_at` when the carrier of
    the VF is to be looked at next. Until `pause_until` nothing is done, because the journal could not be written;
    `journal_before` is the one that holds then. `losses` are those of its carrier the VF had when last seen. `marks`
    are the files for udev as they were last kept, None where others may be there.

    What was ordered: `drain`, `renames` in their order, and with `vf_wanted` the ifindex of a VF that shall carry
    without having been steady, with `vf_back` that of one that carried until it had to be left for its name: it goes
    back also where that is left to the administrator. `renaming` is the batch about names that is with the kernel;
    `announcing` counts the announcements that are under way, `unheard` is whether the last one failed, and until
    `heard_until` both slaves are heard (a rename, a stray address); `hearing` is whether that was asked for, None
    before. `tried` are requests about names that were made of our own accord, `named` the devices somebody else has
    named since udev was done with them; none such is made before `quiet_at`.

    What others do to slaves: `strays` may have got something of their own, `lowered` are down and since when, `taken`
    have another master and since when, `undoing` is the batch that undoes it. `slaves` were the pair's when it rested
    last.
    """

    mac: str
    datapath: Datapath = bond.DATAPATH
    held: bool = False
    journal: Journal | None = None
    journal_before: Journal | None = None
    inet: Mapping[int, Inet] = field(default_factory=dict)
    sent: tuple[Request, ...] = ()
    switching: tuple[Request, ...] = ()
    looking: bool = False
    unsure: bool = False
    doubtful: tuple[Request, ...] = ()
    refusals: dict[Request, Refusal] = field(default_factory=dict)
    undo_until: float | None = None
    undo_reason: str = ""
    pause_until: float = 0.0
    fit_since: float | None = None
    losses: int = 0
    unlike_since: float | None = None
    vf_wait: float | None = None
    because: str = ""
    election: str = ""
    leaving: FailedOver | None = None
    former: Link | None = None
    peek_at: float = 0.0
    active: int | None = None
    lost_at: float | None = None
    joined: bool = False
    state: str = "alone"
    reason: str = ""
    failovers: int = 0
    last: FailedOver | None = None
    drain: Drain | None = None
    renames: list[Renaming] = field(default_factory=list)
    renaming: tuple[Request, ...] = ()
    tried: set[Request] = field(default_factory=set)
    named: set[int] = field(default_factory=set)
    quiet_at: float = 0.0
    vf_wanted: int = 0
    vf_back: int = 0
    announcing: int = 0
    unheard: bool = False
    heard_until: float | None = None
    hearing: bool | None = None
    strays: set[int] = field(default_factory=set)
    lowered: dict[int, float] = field(default_factory=dict)
    slaves: set[int] = field(default_factory=set)
    taken: dict[int, float] = field(default_factory=dict)
    undoing: tuple[Request, ...] = ()
    marks: Mapping[str, str] | None = field(default_factory=dict)

    def goal(self, now: float) -> Goal:
        """Where the pair is on its way to. A way back that has begun is finished first."""
        journal = self.journal
        if journal is not None and journal.cut and journal.toward is Goal.RELEASED:
            return Goal.RELEASED
        undoing = self.undo_until is not None and now < self.undo_until
        return Goal.RELEASED if self.held or undoing else Goal.JOINED


@dataclass(slots=True)
class State:
    """The machine as seen. `links` by ifindex; `ready` are the devices udev is done with, `asked` since when it is
    waited for the others, `held_on` those that have given their name to a master and are no slaves yet, with the moment
    until which who managed them is waited for; `newcomers` have come while we looked, `udev_names` what udev wanted to
    call one and could not; `remembered` are the MACs that had a pair before; `strangers` are the parent devices of NICs
    that have a pair's MAC and are not in it. `no_bond` is why no bond is made where the configuration leaves it open,
    "" for no reason. `ending`: nobody will be there to act on an event."""

    config: Config
    links: dict[int, Link] = field(default_factory=dict)
    pairs: dict[str, PairState] = field(default_factory=dict)
    judgements: Judgements = field(default_factory=Judgements)
    remembered: set[str] = field(default_factory=set)
    strangers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ready: set[int] = field(default_factory=set)
    asked: dict[int, float] = field(default_factory=dict)
    held_on: dict[int, float] = field(default_factory=dict)
    newcomers: set[int] = field(default_factory=set)
    udev_names: dict[int, str] = field(default_factory=dict)
    synced: bool = False
    no_bond: str = ""
    ending: bool = False

    def link(self, ifindex: int) -> Link | None:
        """The device with this ifindex."""
        return self.links.get(ifindex)

    def name(self, ifindex: int) -> str:
        """Its name, "" for none."""
        link = self.links.get(ifindex)
        return link.name if link else ""

    def at_risk(self) -> bool:
        """Whether some traffic goes by a VF whose loss nobody but failoverd would notice."""
        by_vf = (pair for pair in self.judgements.pairs.values() if pair.vf and self.active(pair) == pair.vf)
        return any(not self.pairs[pair.mac].datapath.survives for pair in by_vf)

    def active(self, found: Pair) -> int:
        """The ifindex of the slave that carries this pair's traffic, 0 for none."""
        master = self.links.get(found.master)
        if master is None:
            return 0
        datapath = self.pairs[found.mac].datapath
        return datapath.active(master, self.links.get(found.vf), self.links.get(found.nic))


def is_settled(state: State) -> bool:
    """Whether every pair has come as far as it can without something new happening."""
    return not any(
        pair.sent or pair.looking or pair.switching or (pair.state in ("joining", "releasing") and not pair.refusals)
        for pair in state.pairs.values()
    )
