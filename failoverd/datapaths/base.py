"""What a datapath has to offer. The planner knows pairs and steps; only a datapath knows how two NICs are joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from failoverd.config.spec import Config
from failoverd.model.links import Link
from failoverd.model.requests import Request


class Datapath(Protocol):
    """One way to join a pair. Every method returns requests, none sends any; an empty list means: it is so already."""

    name: str

    def create(self, mac: str, nic: Link, config: Config) -> Sequence[Request]:
        """Make the master: down, nobody in it, with the pair's MAC and the NIC's MTU."""

    def attach(self, slave: Link, master: Link) -> Sequence[Request]:
        """Join a NIC to the master. It may be up; it is taken down for it."""

    def detach(self, slave: Link) -> Sequence[Request]:
        """Take a NIC out of its master; it is down afterwards."""

    def switch(self, master: Link, slave: int) -> Sequence[Request]:
        """Let the slave with this ifindex carry the traffic."""

    def remove(self, master: Link) -> Sequence[Request]:
        """Take the master away; whoever is still in it comes out down."""

    def active(self, master: Link) -> int:
        """The ifindex of the slave that carries, 0 for none."""

    def flaws(self, master: Link) -> str:
        """What about this master is not as failoverd would have made it, in words, or ""."""
