"""Namespaces of the simulated kernel for the links engine of linksworld.py: those that this machine's kernel has not
got the kinds for, and at any release."""

from __future__ import annotations

from collections.abc import Callable

from linksworld import Driver

from failoverd.kinds import Place
from failoverd.links.events import TimePassed
from failoverd.links.findings import Answers, Batch
from failoverd.links.picture import Interest, Picture
from failoverd.model.declared import NamespaceRef
from failoverd.model.places import HERE, Absent
from failoverd.model.requests import Request
from failoverd.netlink.exchange import Exchange
from failoverd_lab.simkernel import Namespaces, Seen, SimKernel
from failoverd_lab.simkernel.net import Net

DEBIAN_12, DEBIAN_13 = (6, 1), (6, 12)


class CutError(Exception):
    """The engine is killed here."""


class SimNamespaces:
    """See the module. After `cut` batches no further one is sent."""

    def __init__(self, release: tuple[int, int] = DEBIAN_12) -> None:
        self.now = 0.0
        self.kernel = SimKernel(lambda: self.now, release)
        self.world = Namespaces(self.kernel)
        self.batches = 0
        self.cut: int | None = None
        self._nets: list[Net] = []

    def add(self, name: str) -> SimKernel:
        kernel = self.world.create(name)
        self._nets.append(kernel.net)
        return kernel

    def place(self, ref: NamespaceRef) -> Place | Absent:
        if ref.value not in self.world.names:
            return Absent("namespace-absent", f"there is no network namespace {ref.value}")
        net = self.world[ref.value].net
        return Place(self.kernel.net.nsids.give(net), self._nets.index(net))

    def look(self, place: Place, interest: Interest) -> Picture | None:
        kernel = self._kernel(place)
        if kernel is None:
            return None
        sock = kernel.open_blocking()
        try:
            return Exchange(sock).look(interest)
        finally:
            sock.close()

    def make(self, batch: Batch, refuse: Callable[[Request], int]) -> Answers:
        if self.cut is not None and self.batches >= self.cut:
            raise CutError
        self.batches += 1
        also = batch.also if batch.makes and batch.also is not None else batch.place
        kernel, name = self._kernel(batch.place), self._name(also)
        if kernel is None or name is None:
            return None
        assert not any(map(refuse, batch.requests))
        descriptor, sock = self.world.descriptor(name), kernel.open_blocking()
        try:
            return Exchange(sock).make([batch.requests], {also: descriptor})[0]
        finally:
            sock.close()
            self.world.close(descriptor)

    def devices(self, name: str = "") -> dict[str, Seen]:
        """The devices of a namespace by their names, failoverd's own for ""."""
        return {seen.name: seen for seen in self.world[name].links()}

    def _kernel(self, place: Place) -> SimKernel | None:
        name = self._name(place)
        return self.world[name] if name is not None else None

    def _name(self, place: Place) -> str | None:
        refs = [NamespaceRef("name", name) for name in self.world.names]
        return "" if place == HERE else next((ref.value for ref in refs if self.place(ref) == place), None)


class SimDriver(Driver):
    """The engine on it. Its clock is the kernel's."""

    def __init__(self, sim: SimNamespaces) -> None:
        super().__init__(sim, now=sim.now, pause=0.0)
        self.state.renames_live = sim.kernel.net.release >= (6, 2)
        self.sim = sim

    def let_pass(self, seconds: float) -> None:
        """Let time pass. What the kernel does meanwhile is told, and where the references lead."""
        end = self.sim.now + seconds
        while True:
            self.look_again()
            due = [at for at in (self.wake_at, self.sim.kernel.due()) if at is not None and at <= end]
            if not due:
                break
            self.now = self.sim.now = max(self.now, min(due))
            self.sim.kernel.tick()
            if self.wake_at is not None and self.wake_at <= self.now:
                self.wake_at = None
                self.tell(TimePassed())
        self.now = self.sim.now = end
