"""Probe paths: a task for each pair with probing. The engine gets the result of each round and decides.

Nothing of it may delay a failover: the sockets are the task's own, and the engine gets a round as it gets any other
event.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import trio

from failoverd.model.actions import ProbePaths
from failoverd.model.events import PathsSeen
from failoverd.model.inet import RTA_GATEWAY, ip
from failoverd.netlink.fetch import InterruptedDumpError, Opener, fetch_inet
from failoverd.netlink.frames import NetlinkError

log = logging.getLogger("failoverd")

GATEWAYS_KNOWN = 60.0
"""Seconds after which the gateways are looked up again."""
GATEWAYS_DOUBTED = 5.0
"""The same while no gateway answers: others may have replaced them."""
GATEWAY = "gateway"


class Asker(Protocol):
    """See failoverd.netlink.probe.Probe."""

    async def ask(self, targets: Iterable[str], wait: float) -> frozenset[int]:
        """Return the slaves through which one of these answered within so many seconds."""


class Silence:
    """A probe without answers, for when nothing can be probed."""

    def __init__(self, _slaves: Mapping[int, str]) -> None:
        """Take any slaves."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_error: object) -> None:
        """Close nothing, as nothing was opened."""

    async def ask(self, _targets: Iterable[str], wait: float) -> frozenset[int]:
        """Return no slave."""
        await trio.sleep(wait)
        return frozenset()


OpenProbe = Callable[[Mapping[int, str]], AbstractContextManager[Asker]]
Tell = Callable[[PathsSeen], Awaitable[None]]


class PathProbes:
    """The probing tasks; see the module."""

    def __init__(self, nursery: trio.Nursery, open_inet: Opener, open_probe: OpenProbe) -> None:
        self._nursery = nursery
        self._open_inet = open_inet
        self._open_probe = open_probe
        self._running: dict[str, trio.CancelScope] = {}

    def do(self, action: ProbePaths, tell: Tell) -> None:
        """Probe these paths instead of the pair's earlier ones."""
        if before := self._running.pop(action.mac, None):
            before.cancel()
        if action.slaves:
            scope = self._running[action.mac] = trio.CancelScope()
            self._nursery.start_soon(self._probe, action, tell, scope)

    async def _probe(self, action: ProbePaths, tell: Tell, scope: trio.CancelScope) -> None:
        said = ""
        with scope:
            while True:
                try:
                    with self._open_probe(dict(action.slaves)) as probe:
                        await self._rounds(action, probe, tell)
                except OSError as error:
                    if said != str(error):
                        log.warning("%s: cannot probe the paths: %s; trying again", action.mac, error)
                    said = str(error)
                await trio.sleep(action.interval)

    async def _rounds(self, action: ProbePaths, probe: Asker, tell: Tell) -> None:
        targets = await self._targets(action, ())
        looked = trio.current_time()
        while True:
            start = trio.current_time()
            answered = await probe.ask(targets, action.interval / 2) if targets else frozenset()
            await tell(PathsSeen(action.mac, action.slaves, answered))
            if GATEWAY in action.targets and start >= looked + (GATEWAYS_KNOWN if answered else GATEWAYS_DOUBTED):
                targets, looked = await self._targets(action, targets), start
            await trio.sleep_until(start + action.interval)

    async def _targets(self, action: ProbePaths, before: tuple[str, ...]) -> tuple[str, ...]:
        """Return the addresses to ask for; the earlier ones if the routes cannot be read."""
        named = tuple(target for target in action.targets if target != GATEWAY)
        if GATEWAY not in action.targets:
            return named
        try:
            inet = await fetch_inet(self._open_inet, [action.master])
        except (OSError, NetlinkError, InterruptedDumpError) as error:
            log.debug("%s: cannot read the gateways: %s", action.mac, error)
            return before or named
        routes = inet[action.master].routes
        gateways = [found for route in routes if not route.dst_len and (found := dict(route.attrs).get(RTA_GATEWAY))]
        return (*named, *dict.fromkeys(ip(gateway) for gateway in gateways))
