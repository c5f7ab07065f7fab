"""What the network namespaces of one simulated kernel share."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from failoverd_lab.simkernel.linkwatch import LinkWatch
from failoverd_lab.simkernel.timers import Timers

if TYPE_CHECKING:
    from failoverd_lab.simkernel.net import LinkKind, Net, Notifier

FIRST_DESCRIPTOR = 1000
"""Far from what a process has open, so that a number of one kind is not taken for one of the other."""


class System:
    """The kernel behind all namespaces: its clock, its kinds of device, its work queues, and who holds a namespace."""

    def __init__(self, clock: Callable[[], float], release: tuple[int, int]) -> None:
        self.clock = clock
        self.release = release
        self.born = clock()
        self.timers = Timers()
        self.urgent: list[Callable[[], None]] = []
        self.watch = LinkWatch(self)
        self.kinds: dict[str, LinkKind] = {}
        self.chain: list[Notifier] = []
        self.told: list[Callable[[], None]] = []
        self.nets: list[Net] = []
        self.names: dict[str, Net] = {}
        self.descriptors: dict[int, Net] = {}
        self.processes: dict[int, Net] = {}
        self._dice = random.Random(0)  # noqa: S311 (reproducible MACs, not secrets)
        self._descriptor = FIRST_DESCRIPTOR

    @property
    def now(self) -> float:
        """Return the time in seconds of the caller's clock."""
        return self.clock()

    def random_mac(self) -> bytes:
        """eth_random_addr(): local, unicast."""
        return bytes([self._dice.randrange(256) & 0xFE | 0x02]) + self._dice.randbytes(5)

    def describe(self, net: Net) -> int:
        """Open a descriptor for a namespace; returns its number."""
        self._descriptor += 1
        self.descriptors[self._descriptor] = net
        return self._descriptor

    def is_held(self, net: Net) -> bool:
        """Whether anything keeps a namespace alive: a name, a descriptor, a process, a socket in it."""
        holders = [*self.names.values(), *self.descriptors.values(), *self.processes.values()]
        return net is self.nets[0] or net in holders or bool(net.sockets)

    def settle(self) -> None:
        """Run the work that waits for the rtnl lock: the link watch, duplicate address detection."""
        while self.urgent:
            self.urgent.pop(0)()
        for told in self.told:
            told()
