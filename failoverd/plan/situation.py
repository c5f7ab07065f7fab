"""The planner's view of one pair, and its answers.

The planner is asked again after every answer of the kernel. It never remembers its earlier answers: from the present
state it names the next step, or that it rests where nothing is left to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from failoverd.config.spec import Config
from failoverd.dataclass import dataclass
from failoverd.datapaths.base import Datapath
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import Request
from failoverd.policy.election import unfit_reason
from failoverd.policy.naming import is_new, marked_mac, passing_name
from failoverd.policy.stacking import upper_of


@dataclass(frozen=True, slots=True)
class Situation:
    """One pair at present.

    `inet` is the IP configuration of the devices that have just been looked at, by ifindex. `links` are all devices of
    the machine. `blocked` are the requests that the kernel refused lately, with its words. `hopeless` are those tried
    so often that the plan goes on without them (without words where each try succeeded, and another program undid it).
    `vf_wait` is how long (the engine's clock) to wait for the VF's carrier. `held_on` is, by ifindex, how long to wait
    for the network manager of a NIC that has given its name away. `lost` is the configuration that an earlier move
    could not put in its place. `udev_names` are the names that udev wanted and could not give, by ifindex. `meant` is
    the name that the NIC ought to have instead of its own, "" for none. `is_fresh`: the NIC was plugged in lately, and
    only the kernel and udev have named it. `joined`: the pair was joined when it was last looked at.

    `hanging` describes the things that hang on a NIC that has just been looked at closely, by ifindex. `could` are the
    attempts to enslave one that found it free. `crowded`: something unseen hangs on the paravirtual NIC, and may have
    MACs of its own; None where failoverd has not looked for that since its start.
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
    hopeless: Mapping[Request, str] = field(default_factory=dict)
    vf_wait: float | None = None
    udev_names: Mapping[int, str] = field(default_factory=dict)
    meant: str = ""
    is_fresh: bool = False
    joined: bool = False
    lost: Inet = field(default_factory=Inet)
    hanging: Mapping[int, str] = field(default_factory=dict)
    could: frozenset[Request] = frozenset()
    crowded: bool | None = None

    def may(self, requests: Iterable[Request]) -> tuple[Request, ...]:
        """Return the requests, or none of them if the kernel has refused one lately."""
        wanted = tuple(requests)
        return () if self.refusal(wanted) else wanted

    def refusal(self, requests: Iterable[Request]) -> str:
        """Return the kernel's answer to the first of these requests that it refused lately, "" if it refused none."""
        return next((self.blocked[request] for request in requests if request in self.blocked), "")

    def refused_for_good(self, requests: Iterable[Request]) -> str:
        """Return the kernel's answer to a request of these that was refused too often to be tried again, or ""."""
        texts = (self.hopeless[request] for request in requests if request in self.hopeless)
        return next(filter(None, texts), "")

    def seen(self, link: Link | None) -> Inet:
        """Return the configuration seen on this device, empty if it was not looked at."""
        return self.inet.get(link.ifindex if link else 0, Inet())

    def look_at(self, *links: Link | None) -> Look | None:
        """Return a look at these devices, or None if they have just been looked at."""
        wanted = tuple(link.ifindex for link in links if link is not None)
        return None if all(ifindex in self.inet for ifindex in wanted) else Look(wanted)

    def look_closely(self, closely: Iterable[Link], *links: Link | None) -> Look | None:
        """Like look_at, but look also for things on these NICs that would be cut off if they became slaves.

        Devices that were looked at before are looked at again, or another step would ask for them alone, and so on.
        """
        near = list(closely)
        look = self.look_at(*near, *links)
        if look is None and all(link.ifindex in self.hanging for link in near):
            return None
        wanted = (*(link.ifindex for link in (*near, *links) if link is not None), *self.inet)
        return Look(tuple(dict.fromkeys(wanted)), tuple(link.ifindex for link in near))

    def rest(self, requests: Iterable[Request], why: str) -> Do | Wait | None:
        """Do these without the hopeless ones, or wait until those that the kernel refused lately may be tried again."""
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
        return not unfit_reason(link, self.is_in(link))

    def is_held(self, link: Link | None) -> bool:
        """Whether another program may still manage this NIC, and the NIC can wait for that.

        A NIC that is brought up cannot wait: it would be a second NIC with the master's MAC.
        """
        is_waited_for = link is not None and not link.up and self.now < self.held_on.get(link.ifindex, self.now)
        return is_waited_for and self.can_carry(self.vf)

    def under_way(self, goal: Goal) -> Journal | None:
        """Return the journal of a move toward this goal that may have begun."""
        journal = self.journal
        return journal if journal is not None and journal.cut and journal.toward is goal else None

    def is_passing(self, master: Link) -> bool:
        """Whether the master does not have the configuration (yet, or any more), whatever its name is."""
        # In the datagram of a move the mark comes after the rename, which the kernel may refuse.
        journal, name = self.under_way(Goal.JOINED), passing_name(self.mac)
        is_unnamed = journal is not None and master.name == name != journal.name
        return is_unnamed or is_new(master, self.mac) or self.is_bare(master)

    def is_bare(self, master: Link) -> bool:
        """Whether a master has just been made and has no mark yet. One that has slaves has lost its mark.

        So has one whose last slave has left, whatever it is called: the kernel has given it a random MAC, which is no
        NIC's and not the one in a passing name.
        """
        if marked_mac(master) or master.mac != self.mac or any(LinkTable.of(self.links).slaves(master.ifindex)):
            return False
        return self.nic is not None or (master.name == passing_name(self.mac) and not master.up)

    def held_elsewhere(self) -> str:
        """Say that the pair's paravirtual NIC is in another master, or return "" where it is not."""
        buses = self.config.pairing.paravirtual_buses
        for link in LinkTable.of(self.links).with_mac(self.mac):
            above = self.links.get(link.master)
            if link.perm_mac == self.mac and not link.kind and link.bus in buses and above is not None:
                return f"{link.name} is in {above.name} and cannot take its addresses back; take it out of {above.name}"
        return ""

    def upper(self, master: Link) -> str:
        """Return the name of a device that keeps the master from going: stacked on it, or with it as its slave; or "".

        VLANs that can be made anew on the NIC are none.
        """
        return upper_of(master, self.links)


@dataclass(frozen=True, slots=True)
class Do:
    """Send these in one datagram. The kernel works through it even if failoverd dies meanwhile."""

    requests: tuple[Request, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the IP configuration of these devices first; of `closely` also at the things that hang on them."""

    ifindexes: tuple[int, ...]
    closely: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """Write the journal to disk first."""

    journal: Journal


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for this moment or an event; `why` is in words."""

    why: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """End the move, which is checked: its journal can go. `lost` is all of it that is not in its place."""

    lost: Inet = field(default_factory=Inet)


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep this as the rest of the lost configuration; everything else has been found in its place."""

    lost: Inet


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do: all is as wanted, or will be at this moment at the latest."""

    until: float | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Undo what was begun: the goal cannot be reached. `why` has the reason and what to do.

    `unbondable`: the reason lies in the NIC or in the kernel, and no bond can stand for the NIC, so the next try would
    end the same way. `obstacle` is the reason on its own, where `why` says more.
    """

    why: str
    unbondable: bool = False
    obstacle: str = ""


Next = Do | Look | Write | Wait | Finish | Keep | Rest | GiveUp
