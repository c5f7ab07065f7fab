"""A story in the simulated world, with the daemon killed after one of its datagrams and restarted at once.

Wherever the cut is, the machine ends as it does without: the planner remembers nothing that is not in the kernel or in
a journal. An order whose daemon dies under it is given again, as an administrator would do.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace

import trio

from failoverd.config.spec import Config
from failoverd.daemon.engine import Engine
from failoverd.daemon.ports import Ports
from failoverd.model.actions import Action, Send
from failoverd_lab.chaos.ledger import configuration
from failoverd_lab.chaos.look import devices
from failoverd_lab.sim import SimWorld
from failoverd_lab.story import Scenario, Step
from failoverd_lab.world import CannotTell

QUIET = 20.0
"""Seconds after the story until the machine is inspected."""
POLL = 0.5
"""Seconds between two looks at the VF's carrier under tc: the end of the story does not depend on it."""
SOON = 0.01
"""Seconds until a killed daemon is running again, before an order is repeated."""


class CutEngine(Engine):
    """Counts its datagrams, and tells the world after each."""

    world: CutWorld

    async def _do(self, action: Action) -> None:
        await super()._do(action)
        if isinstance(action, Send):
            await self.world.sent()


class CutWorld(SimWorld):
    """The simulated world with a daemon that dies after its datagram number `at`, counted from 1; 0 for never."""

    def __init__(self, at: int = 0) -> None:
        super().__init__(progress=lambda _: None)
        self.datagrams = 0
        self._at = at

    def make_engine(self, config: Config, ports: Ports) -> Engine:
        """See SimWorld."""
        engine = CutEngine(config, ports)
        engine.world = self
        return engine

    async def sent(self) -> None:
        """Note that a datagram is with the kernel; where the daemon dies, nothing after it is done."""
        self.datagrams += 1
        if self.datagrams == self._at and self._nursery is not None:
            self._daemon.cancel()
            self.engine = None
            self._nursery.start_soon(self.start_daemon)
            await trio.lowlevel.checkpoint()

    async def _run(self, engine: Engine, ready: trio.Event) -> None:
        """Run the engine. A task that waits for a daemon which dies before it is ready goes on."""
        try:
            await super()._run(engine, ready)
        finally:
            ready.set()

    async def do(self, step: Step) -> None:
        """See World."""
        before = self.datagrams
        try:
            await super().do(step)
        except CannotTell:
            if not before < self._at <= self.datagrams:
                raise
            await trio.sleep(SOON)
            # Refused where the first order was carried out without an answer: the end of the story shows it.
            with contextlib.suppress(CannotTell):
                await super().do(step)


async def _tell(story: Scenario, world: CutWorld) -> list[str]:
    async with trio.open_nursery() as nursery:
        await world.start(story, nursery)
        for item in story.then:
            await trio.sleep(item.wait)
            if isinstance(item, Step):
                await world.do(item)
            else:
                await trio.sleep(getattr(item, "within", 0.0))
        await trio.sleep(QUIET)
        found = await _end(world)
        nursery.cancel_scope.cancel()
    return found


def end_of(story: Scenario, at: int = 0) -> tuple[int, list[str]]:
    """Run a story. Returns how many datagrams the daemon has sent, and the machine's state in the end, one line for
    each thing."""
    world = CutWorld(at)
    config = {**story.config, "tc": {"carrier_poll": POLL, **story.config.get("tc", {})}}
    found = trio.run(functools.partial(_tell, replace(story, config=config), world), clock=world.clock)
    return world.datagrams, found


async def _end(world: CutWorld) -> list[str]:
    """Return all that an administrator would see, without the ifindexes of devices that failoverd makes."""
    found = devices(world.kernel.net)
    names = {device.ifindex: device.name for device in found.values()}
    lines = [
        f"{device.name}: {device.kind or 'hardware'} {device.mac} in {names.get(device.master, 'nothing')} "
        f"{'up' if device.up else 'down'} mtu {device.mtu} active {names.get(device.active, 'none')} "
        f"names {sorted(device.altnames)} filters {device.filters}"
        for device in found.values()
    ]
    lines += [f"{kind} {text} ({count})" for (kind, text), count in configuration(world.kernel.net).items()]
    lines += [f"{link.name}: {address}" for link in world.kernel.links() for address in link.addresses]
    said = await world.status()
    masters = said["masters"] if said is not None else []
    assert isinstance(masters, list)
    lines += [f"{row['name']} is {row['state']} on {row['active']}" for row in masters]
    return sorted(lines)
