"""All that the links engine remembers. Only `step` changes it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import field
from zlib import crc32

from failoverd.dataclass import dataclass
from failoverd.links.findings import Finding
from failoverd.links.marks import Identity
from failoverd.links.pace import Pace
from failoverd.links.picture import Picture
from failoverd.links.sight import Sight
from failoverd.model.declared import NOTHING, OWN, Declared, DeviceRef, End, NamespaceRef
from failoverd.model.linkstatus import LinkState, LinkStatus
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import Request

FIRST_WAIT = 0.1
"""Seconds until a refused request is tried again, doubled each time."""

HOPELESS, HOPELESS_WAIT = frozenset({errno.EINVAL, errno.ERANGE, errno.EOPNOTSUPP}), 300.0
"""Errnos that another try will hardly change, and the seconds until it is tried all the same."""

FOUGHT, LATELY = 3, 600.0
"""How often something is put right within so many seconds, before it is left as another program wants it."""


@dataclass(slots=True)
class Refusal:
    """Something that the kernel has refused."""

    times: int
    number: int
    """The errno; 0 where the namespace was gone."""
    text: str
    until: float
    """When it may be tried again (the engine's clock, seconds)."""


@dataclass(slots=True)
class Memory:
    """What is remembered of one end, for as long as it is declared or its device is there."""

    refusals: dict[Request, Refusal] = field(default_factory=dict)
    making: Refusal | None = None
    """The refusal to make it."""
    repairs: dict[Request, list[float]] = field(default_factory=dict)
    """When each thing about it was put right after it had been ready."""
    was_ready: bool = False
    made: int = 0
    repaired: int = 0
    going_until: float | None = None
    """Until when the device stays for those that were told of its end; None while it is not to go."""
    told: tuple[LinkState, str] | None = None
    """The state and the reason that were told of last."""


@dataclass(slots=True)
class LinksState:
    """See the module."""

    identity: Identity
    retry_max: float = 60.0
    """The longest wait for another try, in seconds."""
    going_wait: float = 2.0
    """How long those have that are told before a device is deleted, in seconds."""
    renames_live: bool = False
    """Whether the kernel renames a device that is up, as from Linux 6.2 on."""
    declared: Declared = field(default_factory=lambda: NOTHING)
    has_spoken: bool = False
    """Whether a source of declarations has spoken. Until then nothing is done."""
    is_complete: bool = True
    """Whether all of them have. Until then nothing is an orphan."""
    watched: frozenset[NamespaceRef] = frozenset()
    places: dict[NamespaceRef, Place | Absent] = field(default_factory=lambda: {OWN: HERE})
    pictures: dict[Place, Picture] = field(default_factory=dict)
    dirty: set[Place] = field(default_factory=lambda: {HERE})
    """The namespaces that have to be looked at before the next plan."""
    resync_at: float = 0.0
    """When everything is looked at again."""
    pace: Pace = field(default_factory=Pace)
    blind: dict[Place, Refusal] = field(default_factory=dict)
    """The namespaces that could not be looked at."""
    changed: set[Place] = field(default_factory=set)
    """The namespaces that were seen to be others than at the last judgement."""
    unjudged: set[str] | None = None
    """The ends that have to be judged anew, whatever was seen; None for all."""
    concerned: Mapping[Place, set[str]] = field(default_factory=dict)
    """The ends that a change in each namespace concerns."""
    findings: dict[str, Finding] = field(default_factory=dict)
    """The last judgement of each end, before what the kernel has said to its requests is taken into account."""
    untold: set[str] = field(default_factory=set)
    """The ends of which there may be something new to say or to do, whatever is judged anew."""
    masters: Mapping[str, int] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    leaving: dict[str, End] = field(default_factory=dict)
    """Ends as they were declared before, while their devices are on the way out: their namespaces are watched on."""
    loosened: dict[str, frozenset[DeviceRef]] = field(default_factory=dict)
    """Ports that were taken out of a declaration and are still in the bridge or VRF, by that one's name."""
    is_busy: bool = False
    """A look or batches are under way; the next plan waits for them."""
    memories: dict[str, Memory] = field(default_factory=dict)
    statuses: dict[str, LinkStatus] = field(default_factory=dict)
    """What is to be said of each end."""

    def sight(self) -> Sight:
        """Return what a judgement is made from."""
        released = frozenset(self.released)
        seen = (self.declared, self.places, self.pictures, self.masters, released, self.renames_live)
        return Sight(self.identity, *seen, loosened=self.loosened, is_complete=self.is_complete)

    def memory(self, name: str) -> Memory:
        """Return what is remembered of an end."""
        return self.memories.setdefault(name, Memory())

    def relevant(self) -> set[Place]:
        """Return the namespaces that declared links have to do with: failoverd's own, and what references lead to."""
        return {HERE} | {place for place in self.places.values() if isinstance(place, Place)}

    def doubtful(self) -> set[Place]:
        """Return the namespaces that have to be looked at."""
        return self.dirty & self.relevant()

    def wait(self, name: str, times: int) -> float:
        """Return how long to wait after so many refusals (seconds): doubling, and a bit different for each end."""
        return min(FIRST_WAIT * 2.0 ** min(times - 1, 30), self.retry_max) * self.spread(name, times)

    def spread(self, name: str, times: int) -> float:
        """Return a factor from 0.8 to 1.2 that differs from machine to machine, from end to end and from time to
        time."""
        return 0.8 + (crc32(f"{self.identity.key} {name} {times}".encode()) % 1000) / 2500

    def refused(self, last: Refusal | None, name: str, number: int, text: str, now: float) -> Refusal:
        """Return the refusal that follows on `last`."""
        times = last.times + 1 if last is not None else 1
        wait = HOPELESS_WAIT if number in HOPELESS else self.wait(name, times)
        return Refusal(times, number, text, now + wait)

    def next_time(self, now: float) -> float:
        """Return when something that waits may be tried again, or looked at."""
        times = [self.resync_at, *self.pace.later.values(), *(refusal.until for refusal in self.blind.values())]
        for memory in self.memories.values():
            times += [refusal.until for refusal in memory.refusals.values()]
            times += [memory.making.until] if memory.making is not None else []
            times += [memory.going_until] if memory.going_until is not None else []
        return min((at for at in times if at > now), default=now)
