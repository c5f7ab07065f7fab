"""A guest's namespace with a paravirtual NIC and VFs that the host plugs, cuts, mends and unplugs; veths throughout.

Nothing is connected to them: what is measured are messages to and from the kernel, and no frames. The two ends of a
veth have different ifindexes here, so that the kernel tells of a carrier at once. With one ifindex, as the lab has it
(failoverd_lab.netnsstage), and with hardware it tells once a second (net/core/link_watch.c), and measuring would take a
hundred times as long; what failoverd does when it is told is the same.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any

import trio

from failoverd.model.requests import DeleteLink, SetUp
from failoverd_lab import rtnl
from failoverd_lab.hardware import DRIVERS, Hardware
from failoverd_lab.namespaces import Namespace
from failoverd_lab.netnsdaemon import shelf
from failoverd_lab.netnsguest import NetnsDaemon
from raw.tap import Noted, Tap

WIRES = 500_000
"""What the ifindex of a NIC's other end is above the NIC's own."""
PATIENCE = 20.0
"""Seconds within which whatever is measured has to react."""
REST = 0.01
"""Seconds without a message after which a reaction counts as over."""
CONFIG: Mapping[str, Any] = {
    "master": {"datapath": "tc"},
    "failback": {"hold_down": 0.0},
    "damping": {"enabled": False},
}
"""The VF carries as soon as it can, and is not taken for one that flaps."""


class Site:
    """The guest's namespace and the host's ends of its wires (see the module). `first` is its first ifindex."""

    def __init__(self, tap: Tap, folder: Path, first: int, config: Mapping[str, Any] = CONFIG) -> None:
        self.tap = tap
        self.folder = folder
        self._config = config
        self.host = rtnl.Rtnl()
        self.namespace = Namespace.new()
        with self.namespace.inside():
            self.guest = rtnl.Rtnl()
        self._shelf = shelf(folder)
        self._next = first

    async def plug(self, bus: str, mac: str, name: str, parent: str) -> int:
        """Plug a NIC in, with its link up; return its ifindex."""
        ifindex, self._next = self._next, self._next + 1
        self._shelf.put(ifindex, Hardware(bus, DRIVERS[bus], parent, mac, 0))
        far = ifindex + WIRES
        await self.host.ask(rtnl.veth(self.namespace.file, name, mac, ifindex, f"wire{ifindex}", far))
        await self.host.ask(SetUp(far, True))
        return ifindex

    async def set_link(self, ifindex: int, up: bool) -> None:
        """Cut the NIC's cable, or mend it."""
        await self.host.ask(SetUp(ifindex + WIRES, up))

    async def unplug(self, ifindex: int) -> None:
        """Unplug the NIC."""
        await self.host.ask(DeleteLink(ifindex + WIRES))

    @contextmanager
    def program(self, *words: str) -> Iterator[None]:
        """Run a program, tapped, in the guest: it has begun when it has written a line."""
        environment = os.environ | self.tap.environment
        with self.namespace.inside():
            process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                yield
            finally:
                process.kill()

    @asynccontextmanager
    async def failoverd(self) -> AsyncIterator[NetnsDaemon]:
        """Run failoverd, tapped, in the guest."""
        daemon = NetnsDaemon(self.namespace, self.folder, self._config)
        with _environment(self.tap.environment):
            await daemon.start()
        try:
            yield daemon
        finally:
            with trio.CancelScope(shield=True):
                await daemon.end(SIGTERM)

    def close(self) -> None:
        """Let go of the namespace, with all that is in it."""
        self.guest.close()
        self.host.close()
        self.namespace.close()


async def until(tap: Tap, found: Callable[[Iterable[Noted]], float | None], what: str) -> float:
    """Wait until what the tap has noted since it was cleared has this, and then until there is nothing new for REST.
    Raises RuntimeError where it does not come."""
    with trio.move_on_after(PATIENCE):
        while (value := found(tap.noted())) is None:
            await trio.sleep(0.001)
        used = -1
        while used != tap.used():
            used = tap.used()
            await trio.sleep(REST)
        return value
    raise RuntimeError(f"{what} has not come within {PATIENCE:g} s")


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
