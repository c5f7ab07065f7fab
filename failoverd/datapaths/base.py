"""What a datapath has to offer. The planner knows pairs and steps; only a datapath knows how two NICs are joined.

There are two shapes. Either a master is made and the configuration moves to it (`in_place` false), or there is one
already, the paravirtual NIC itself or the kernel's own, and the configuration stays where it is (`in_place` true). Then
nothing is made, and `remove` takes off the master what joining has left there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from failoverd.config.spec import Config
from failoverd.model.links import Link
from failoverd.model.requests import Request
from failoverd.policy.election import Standing, why_unfit


class Datapath(Protocol):
    """One way to join a pair. What returns requests sends none; an empty list means: it is so already.

    `adopted`: the kernel has joined the pair by itself and chooses the slave that carries; there is only to be watched
    and mended. `survives`: while failoverd is away the kernel leaves a VF that fails by itself. `announces`: the kernel
    tells the neighbours of a switch by itself. `polled`: it tells late of a lost carrier, so the slave that carries has
    to be looked at.
    """

    name: str
    in_place: bool
    adopted: bool
    survives: bool
    announces: bool
    polled: bool

    def create(self, mac: str, nic: Link, config: Config) -> Sequence[Request]:
        """Make the master: down, nobody in it, with the pair's MAC and the NIC's MTU. In place: make the NIC ready to
        be it, before it is to have what the VF has."""

    def attach(self, slave: Link, master: Link) -> Sequence[Request]:
        """Join a NIC to the master. It may be up; where it must not be, it is taken down for it."""

    def detach(self, slave: Link) -> Sequence[Request]:
        """Take a NIC out of its master; it is down afterwards."""

    def switch(self, master: Link, slave: int) -> Sequence[Request]:
        """Let the slave with this ifindex carry the traffic."""

    def hear(self, master: Link, both: bool) -> Sequence[Request]:
        """Take in what comes to either slave, or again only what comes to the one that carries."""

    def widen(self, slave: Link, everything: bool) -> Sequence[Request]:
        """Let a slave take in every frame, whoever it is for, or again only the master's; for what stands on that."""

    def remove(self, master: Link) -> Sequence[Request]:
        """Take the master away; whoever is still in it comes out down."""

    def mend(
        self, master: Link, primary: Link | None, standby: Link | None, config: Config
    ) -> Sequence[Request]:
        """Put right what is not, or no longer, as it has to be in a pair that is joined."""

    def holds(self, slave: Link, master: Link) -> bool:
        """Whether this NIC is joined to that master."""

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """The ifindex of the slave that carries, 0 for none. It may be one that is gone."""

    def unlike(self, primary: Link, master: Link) -> str:
        """Why the primary's MTU does not fit the master's, in words, or ""."""

    def conflict(self, slave: Link, master: Link) -> str:
        """What somebody else has set up on one of the two that would not work any more, in words, or ""."""

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        """What about this master is not as it should be although nothing is to be done about it, in words, or ""."""


def standing(datapath: Datapath, master: Link, primary: Link | None, standby: Link | None) -> Standing:
    """How a pair stands, for the election."""
    bad_primary, unlike = why_unfit(primary, joined=False), ""
    if primary is not None:
        joined = datapath.holds(primary, master)
        conflict = datapath.conflict(primary, master)
        bad_primary = conflict if conflict and not joined else why_unfit(primary, joined) or conflict
        unlike = datapath.unlike(primary, master)
    bad_standby = why_unfit(standby, joined=standby is not None and datapath.holds(standby, master))
    return Standing(datapath.active(master, primary, standby), primary, standby, bad_primary, bad_standby, unlike)
