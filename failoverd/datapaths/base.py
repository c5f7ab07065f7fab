"""The interface of a datapath. The planner knows pairs and steps; only a datapath knows how two NICs are joined.

All differences between datapaths are behind this interface, so a datapath is a file in this folder and a row in
core/datapath_choice.py. There are three base classes to start from:

    Datapath   a master is made, and the configuration moves to it
    InPlace    the paravirtual NIC is the master itself; nothing is made, and nothing moves
    Adopted    the kernel or a driver has joined the pair and chooses the slave; failoverd only watches
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from failoverd.config.spec import Config
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.model.requests import Request
from failoverd.policy.election import Standing, unfit_reason


class Datapath(ABC):
    """One way to join a pair. A method that returns requests does not send them; an empty list means that it is so
    already.
    """

    name: ClassVar[str]
    """The name in the configuration and in `failoverctl`."""
    moves_configuration: ClassVar[bool] = True
    """Whether the paravirtual NIC's configuration is moved to a master of its own, and back. Then the NIC becomes a
    slave, and anything that a slave's traffic would not reach is in the way.
    """
    makes_bond: ClassVar[bool] = False
    """Whether the master is a bond: a kernel without bonding, or a network manager that cannot follow to a bond, rules
    this datapath out.
    """
    chooses: ClassVar[str] = ""
    """What chooses the slave that carries, in words, where it is not failoverd."""
    names_devices: ClassVar[bool] = True
    """Whether failoverd names the pair's devices."""
    survives: ClassVar[bool] = True
    """Whether the kernel leaves a failed VF by itself, while failoverd is away."""
    announces: ClassVar[bool] = False
    """Whether the kernel announces a switch to the neighbours by itself."""
    finds_its_way_anew: ClassVar[bool] = False
    """Whether a start may find that the traffic led nowhere, so that its way from then on is new to the network."""
    polled: ClassVar[bool] = False
    """Whether the kernel reports a lost carrier late, so that the slave that carries has to be polled."""
    vf_needs_filter: ClassVar[bool] = False
    """Whether failoverd sets the VF's receive filter (promiscuous, all multicast) for the devices stacked on the
    master.
    """

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

    def wants_standby(self) -> bool:
        """Whether a pair whose VF carries counts as degraded without a standby."""
        return True

    def closes_slaves(self) -> bool:
        """Whether the kernel sets the slaves down and up with their master."""
        return False

    def nic_is(self, pair: Pair) -> Literal["standby", "master", "one of three", "nothing"]:
        """Return the paravirtual NIC's part in the pair, for udev.

        It is the standby, the master itself, the standby of a master that has its MAC as well, or nothing yet.
        """
        return "standby"

    def order_refusal(self, named: str, is_release: bool) -> str:
        """Return why a switch of this pair, or its release, cannot be ordered, or ""."""
        return ""


class InPlace(Datapath):
    """The paravirtual NIC is the master itself."""

    moves_configuration = False
    finds_its_way_anew = True

    def has_joined(self, pair: Pair, is_touched: bool) -> bool:
        """failoverd has left a mark or a filter on one of the two."""
        return not pair.adopted and not pair.master and is_touched

    def master_of_slaves(self, master: int) -> int:
        """No slave has a master."""
        return 0

    def nic_is(self, pair: Pair) -> Literal["standby", "master", "one of three", "nothing"]:
        """The master, once there is a VF that makes it one."""
        return "master" if pair.nic and pair.master == pair.nic else "nothing"


class Adopted(InPlace):
    """The kernel or a driver has joined the pair by itself. failoverd does not make, switch or take apart any of it."""

    chooses = "the kernel chooses"
    names_devices = False

    def create(self, mac: str, nic: Link, config: Config) -> Sequence[Request]:
        """The master is there."""
        return []

    def attach(self, slave: Link, master: Link) -> Sequence[Request]:
        """The kernel does it when the VF comes."""
        return []

    def detach(self, slave: Link) -> Sequence[Request]:
        """The kernel releases a slave when it is unplugged, and never before."""
        return []

    def switch(self, master: Link, slave: int) -> Sequence[Request]:
        """The kernel sends by the VF whenever it can."""
        return []

    def hear(self, master: Link, both: bool) -> Sequence[Request]:
        """Both are heard anyway."""
        return []

    def widen(self, slave: Link, everything: bool) -> Sequence[Request]:
        """The kernel passes on addresses, flags and VLANs itself."""
        return []

    def remove(self, master: Link) -> Sequence[Request]:
        """The master is not failoverd's."""
        return []

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> Sequence[Request]:
        """failoverd owns nothing of it."""
        return []

    def mtu_mismatch(self, primary: Link, master: Link) -> str:
        """The kernel gives its slaves the master's MTU."""
        return ""

    def conflict(self, slave: Link, master: Link) -> str:
        """The kernel has joined them regardless."""
        return ""

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """None that failoverd could see."""
        return ""

    def wants_standby(self) -> bool:
        """The kernel decides which NICs are in it."""
        return False

    def closes_slaves(self) -> bool:
        """They go down and up with their master."""
        return True

    def order_refusal(self, named: str, is_release: bool) -> str:
        """The kernel alone decides."""
        what = "which cannot be taken apart from here" if is_release else "which alone chooses the slave that carries"
        return f"{named} was joined by the kernel itself ({self.name}), {what}"


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
