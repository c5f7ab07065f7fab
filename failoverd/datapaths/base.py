"""The interface of a datapath. The planner knows pairs and steps; only a datapath knows how two NICs are joined.

All differences between datapaths are behind this interface, so a datapath is a file in this folder and a row in
core/datapath_choice.py. No other module tests what it is: where datapaths differ, the datapath does the thing, or
answers about the devices it is shown. There are three base classes to start from:

    Datapath   a master is made, and the configuration moves to it
    InPlace    the paravirtual NIC is the master itself; nothing is made, and nothing moves (inplace.py)
    Adopted    the kernel or a driver has joined the pair and chooses the slave; failoverd only watches (adopted.py)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Literal

from failoverd.config.spec import Config
from failoverd.model.actions import AskConfigurer
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.model.requests import Request
from failoverd.policy.election import Elected, Rule, Seen, Standing, elect, unfit_reason

Shape = Literal["moving", "in place"]
"""The paravirtual NIC's configuration is moved to a master of its own, and back; or the NIC is the master itself, and
nothing moves. Where it moves, the NIC becomes a slave, and anything that a slave's traffic would not reach is in the
way.
"""


class Datapath(ABC):
    """One way to join a pair. A method that returns requests does not send them; an empty list means that it is so
    already.
    """

    name: ClassVar[str]
    """The name in the configuration and in `failoverctl`."""
    shape: ClassVar[Shape] = "moving"
    """Which plan joins and releases the pair: its row in plan/join.py and plan/release.py."""

    @abstractmethod
    def has_joined(self, pair: Pair, is_touched: bool) -> bool:
        """Whether this datapath has joined a pair that was found joined.

        `is_touched`: there is something of failoverd's on its NICs.
        """

    @abstractmethod
    def create(self, mac: str, nic: Link, config: Config) -> Sequence[Request]:
        """Make the master: down, without slaves, with the pair's MAC and the NIC's MTU.

        In place: prepare the NIC to be the master, before it takes over what the VF has.
        """

    @abstractmethod
    def attach(self, slave: Link, master: Link) -> Sequence[Request]:
        """Join a NIC to the master. The NIC may be up; if the datapath needs it down, it is taken down."""

    @abstractmethod
    def detach(self, slave: Link) -> Sequence[Request]:
        """Take a NIC out of its master. It is down afterwards."""

    @abstractmethod
    def switch(self, master: Link, slave: int) -> Sequence[Request]:
        """Let the slave with this ifindex carry the traffic."""

    @abstractmethod
    def hear(self, master: Link, both: bool) -> Sequence[Request]:
        """Take in the frames of both slaves, or again only those of the slave that carries."""

    @abstractmethod
    def widen(self, slave: Link, everything: bool) -> Sequence[Request]:
        """Let a slave take in every frame, or again only the master's, for the devices stacked on the master."""

    @abstractmethod
    def remove(self, master: Link) -> Sequence[Request]:
        """Remove the master. A slave that is still in it comes out down."""

    @abstractmethod
    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> Sequence[Request]:
        """Repair a joined pair: put right what is not, or no longer, as it has to be."""

    @abstractmethod
    def holds(self, slave: Link, master: Link) -> bool:
        """Whether this NIC is joined to that master."""

    @abstractmethod
    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """Return the ifindex of the slave that carries, 0 for none. Its device may be gone."""

    @abstractmethod
    def mtu_mismatch(self, primary: Link, master: Link) -> str:
        """Return why the primary's MTU does not fit the master's, in words, or ""."""

    @abstractmethod
    def conflict(self, slave: Link, master: Link) -> str:
        """Return another program's setup on one of the two that would stop working, in words, or ""."""

    @abstractmethod
    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """Return the fault of this master that failoverd does not repair, in words, or ""."""

    def master_of_slaves(self, master: int) -> int:
        """Return the IFLA_MASTER of a slave."""
        return master

    def is_way_lost(self, active: int, pair: Pair) -> bool:
        """Whether the traffic is still led to a slave that is not the pair's any more."""
        return False

    def is_deaf(self, nic: Link) -> bool:
        """Whether the frames that this paravirtual NIC's VF receives would be dropped at present."""
        return False

    def is_remembered(self, pair: Pair) -> bool:
        """Whether the pair is joined again at the next boot, even without its VF."""
        return True

    def own_master(self, nic: int) -> int:
        """Return the master where none is made, the paravirtual NIC itself; 0 where one is. Both by ifindex."""
        return 0

    def kept_nic(self, nic: int) -> int:
        """Return the NIC that a joined pair keeps, even if its permanent MAC is another one by now; 0 for none."""
        return nic

    def has_to_join(self, primary: Link, master: Link) -> bool:
        """Whether failoverd has yet to join this VF."""
        return not self.holds(primary, master)

    def misses(self, standby: Link | None, master: Link) -> bool:
        """Whether a pair whose VF carries is degraded with no other standby than this one."""
        return standby is None or not self.holds(standby, master)

    def has_closed_slaves(self, master: Link) -> bool:
        """Whether the slaves are down because their master is, and come up with it."""
        return False

    def candidates(self, stands: Standing) -> Mapping[int, bool]:
        """Return the slaves that failoverd may choose from, and whether each could carry; by ifindex, 0 for one that
        is not there. Empty where failoverd does not choose.
        """
        primary, standby = (link.ifindex if link is not None else 0 for link in (stands.primary, stands.standby))
        return {primary: not stands.bad_primary, standby: not stands.bad_standby}

    def elect(self, stands: Standing, seen: Seen, rule: Rule, now: float) -> Elected:
        """Return which slave shall carry, and why."""
        return elect(stands, seen, rule, now)

    def vf_refusal_at_end(self) -> str:
        """Return why a VF does not carry when failoverd ends, or "" where the kernel leaves a VF that fails."""
        return ""

    def is_at_risk(self, active: int, vf: int) -> bool:
        """Whether the traffic goes by a VF whose loss only failoverd would notice."""
        return active == vf and bool(self.vf_refusal_at_end())

    def to_poll(self, vf: int) -> int:
        """Return the VF if the kernel reports late that it has lost its carrier, so that it has to be polled; or 0."""
        return 0

    @abstractmethod
    def to_announce(self, devices: Sequence[Link], is_joined: bool, is_leaving: bool) -> Sequence[Link]:
        """Return which of these devices, the master and those on it, failoverd has to announce after a switch.

        `is_joined`: it was a failover. Else a start has found another slave to carry than the one that was left.
        `is_leaving`: the slave that carried goes down next, so the neighbours have to know the way at once.
        """

    def sets_filter(self, vf: int) -> bool:
        """Whether failoverd sets what this VF takes in (promiscuous, all multicast), for devices on the master."""
        return False

    def bond_obstacles(self, hanging: Mapping[int, str]) -> Mapping[int, str]:
        """Return why NICs could not be a bond's slaves, from what was seen to hang on them; by ifindex.

        Where a NIC is about to be a slave, the plan looks at that itself.
        """
        return {}

    def ask_first(self, nic: Link, name: str) -> AskConfigurer | None:
        """Return what has to be asked about a NIC before a master called `name` is made for it."""
        return None

    def without_bonding(self) -> str:
        """Return how the pair is joined by a kernel without bonding, in words, or ""."""
        return f"joining by {self.name}"

    def clone_obstacle(self) -> str:
        """Return why the master cannot be made again in another network namespace, or ""."""
        return f"its datapath is {self.name}, and only a bond can be cloned"

    def named_nic(self, nic: Link | None) -> Link | None:
        """Return the paravirtual NIC if it is failoverd that names it and its master, else None."""
        return nic

    def droppable(self, stale: AbstractSet[str]) -> AbstractSet[str]:
        """Return which alternative names of a slave that are out of date failoverd takes away."""
        return stale

    def nic_is(self, pair: Pair) -> Literal["standby", "master", "one of three", "nothing"]:
        """Return the paravirtual NIC's part in the pair, for udev.

        It is the standby, the master itself, the standby of a master that has its MAC as well, or nothing yet.
        """
        return "standby"

    def order_refusal(self, named: str, is_release: bool) -> str:
        """Return why a switch of this pair, or its release, cannot be ordered, or ""."""
        return ""


def standing(datapath: Datapath, master: Link, primary: Link | None, standby: Link | None) -> Standing:
    """Return the state of a pair, for the election."""
    bad_primary, mismatch = unfit_reason(primary, joined=False), ""
    if primary is not None:
        joined = datapath.holds(primary, master)
        conflict = datapath.conflict(primary, master)
        bad_primary = conflict if conflict and not joined else unfit_reason(primary, joined) or conflict
        mismatch = datapath.mtu_mismatch(primary, master)
    bad_standby = unfit_reason(standby, joined=standby is not None and datapath.holds(standby, master))
    return Standing(datapath.active(master, primary, standby), primary, standby, bad_primary, bad_standby, mismatch)
