"""A pair of the simulated world that moves between network namespaces, by orders and by the configuration.

Everything but the kernel is the daemon's: the failover engine, what masters are to be where, the moves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio

from failoverd.core.status import status
from failoverd_lab.sim import ADDRESS, SimWorld
from failoverd_lab.simkernel import SimKernel
from failoverd_lab.simkernel.seen import Seen
from failoverd_lab.story import Nic, Scenario

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC, "ens3"), Nic("vf", "pci", MAC, "ens4"))
SOON = 5.0
"""Seconds for what is to happen by itself."""


class House:
    """The world, and what tests ask of it."""

    def __init__(self, world: SimWorld) -> None:
        self.world = world

    @property
    def master(self) -> dict[str, Any]:
        """The master, as the status has it."""
        assert self.world.engine is not None
        (found,) = status(self.world.engine.state)["masters"]
        return dict(found)

    def __getitem__(self, name: str) -> SimKernel:
        return self.world.namespaces[name]

    def find(self, name: str, device: str) -> Seen | None:
        """A device in a namespace."""
        if name and name not in self.world.namespaces.names:
            return None
        return next((link for link in self[name].links() if link.name == device), None)

    def where(self) -> str:
        """The namespace in which the master's address is answered, "none" for none."""
        names = ("", *sorted(self.world.namespaces.names))
        return next((name for name in names if self[name].path_to(ADDRESS) is not None), "none")

    async def order(self, *words: str) -> None:
        """An order of failoverctl's. Raises CallError."""
        await self.world.tell_daemon("move", MAC, *words)

    async def configure(self, namespace: str | None, when_gone: str = "home") -> None:
        """A reload with another [master.ens3]."""
        keys = {"namespace": namespace} if namespace else {}
        await self.world.reconfigure({"master": {"datapath": "bond", "ens3": {**keys, "when_gone": when_gone}}})

    def create(self, name: str) -> None:
        """A namespace comes."""
        self.world.set_namespace(name, True)

    def delete(self, name: str) -> None:
        """A namespace ends."""
        self.world.set_namespace(name, False)

    async def restart(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """The daemon is killed, and started anew after this."""
        await self.world.kill_daemon()
        meanwhile()
        await trio.sleep(SOON)
        await self.world.start_daemon()

    async def settles(self, where: str, state: str) -> None:
        """Check where the master comes to, with which state, and that it stays there."""
        await trio.sleep(SOON)
        for _ in range(10):
            assert (self.where(), self.master["state"]) == (where, state), self.master
            await trio.sleep(SOON / 10)


def in_house(
    body: Callable[[House], Awaitable[None]],
    config: Mapping[str, Any] | None = None,
    others: Mapping[str, Any] | None = None,
) -> None:
    """Run a test; the pair is joined when it begins. `config` is below [master], `others` are sections beside it."""
    world = SimWorld(lambda _text: None)
    keys = {"master": {"datapath": "bond", **(config or {})}, **(others or {})}

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await world.start(Scenario("house", "a master moves", NICS, (), config=keys), nursery)
            await trio.sleep(SOON)
            await body(House(world))
            nursery.cancel_scope.cancel()

    trio.run(main, clock=world.clock)
