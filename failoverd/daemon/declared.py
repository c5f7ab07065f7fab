"""The entry to declared links. A machine that has none loads, opens and starts nothing for them.

It loads the links engine when the configuration declares a link, or when an earlier run has made some: a file in the
runtime directory says so, since what an earlier configuration declared may have to be taken away.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from failoverd.config.spec import Config
from failoverd.core.state import State
from failoverd.daemon.paths import Paths
from failoverd.model.linkstatus import LinkStatus
from failoverd.model.signals import Signal

if TYPE_CHECKING:
    from failoverd.config.links.snapshot import Merged
    from failoverd.daemon.fleet import Fleet
    from failoverd.daemon.links import Links

log = logging.getLogger("failoverd")

HOOKS = Path("/etc/failoverd/hooks.d")
"""The administrators' hooks (cli/hooks.py)."""

Opener = Callable[[], Awaitable["Links"]]
FleetOpener = Callable[[], Awaitable["Fleet"]]


class DeclaredLinks:
    """See the module. `load` makes the engine, `load_fleet` what reads the links that etcd declares; `marker` is the
    file that says that links were made."""

    def __init__(self, load: Opener, marker: Path, load_fleet: FleetOpener) -> None:
        self._load, self._marker, self._load_fleet = load, marker, load_fleet
        self._config: Config | None = None
        self._links: Links | None = None
        self._fleet: Fleet | None = None
        self._merged: Merged | None = None
        self._state: State | None = None
        self._wanted, self._fleet_wanted = trio.Event(), trio.Event()

    def configure(self, config: Config) -> None:
        """Take in a configuration; also the first one."""
        self._config = config
        if self._fleet is not None:
            self._fleet.configure(config)
        elif config.etcd.enabled:
            self._fleet_wanted.set()
            self._wanted.set()
        elif self._links is not None:
            self._links.declare(config.declared, config.links.retry_max, config.links.going_wait)
        if config.declared or self._marker.exists():
            self._wanted.set()

    def _take(self, merged: Merged, is_complete: bool) -> None:
        """Take the links of all sources; `is_complete` says whether etcd's are among them."""
        self._merged = merged
        if self._links is not None and self._config is not None:
            links = self._config.links
            self._links.declare(merged.declared, links.retry_max, links.going_wait, is_complete)

    def stepped(self, state: State) -> None:
        """The failover engine has made a step."""
        self._state = state
        if self._links is not None:
            self._links.stepped(state)

    def rows(self) -> Sequence[LinkStatus]:
        """Return the status of each end, in the order of their names."""
        rows = self._links.rows() if self._links is not None else ()
        return self._merged.overlaid(rows) if self._merged is not None else rows

    def resync(self, name: str = "") -> None:
        """Look at everything again, and try at once what waits; for one end, or for all. Raises KeyError."""
        if self._links is None:
            if name:
                raise KeyError(name)
            return
        self._links.resync(name)

    def release(self, name: str) -> None:
        """Take an end out of failoverd's care: its device stays. Raises KeyError for one that is not declared."""
        if self._links is None:
            raise KeyError(name)
        self._links.release(name)

    async def statistics(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counters of the devices that are there, by the ends' names."""
        return await self._links.statistics() if self._links is not None else {}

    async def run(self, is_ready: trio.Event) -> None:
        """Wait until links are wanted and the daemon is ready, and look after them until cancelled.

        A failure is logged and the engine started anew: failing over has no part in it.
        """
        await is_ready.wait()
        await self._wanted.wait()
        while True:
            try:
                links = await self._load()
                await trio.to_thread.run_sync(self._mark)
                if self._state is not None:
                    links.stepped(self._state)
                self._links = links
                assert self._config is not None
                self.configure(self._config)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._follow_fleet)
                    await links.run()
            except Exception:
                log.exception(
                    "declared links are looked after anew; please report this. Failing over has no part in it"
                )
                self._links = self._fleet = None
                await trio.sleep(1)

    async def _follow_fleet(self) -> None:
        """Hand on what etcd declares, from when it is wanted until cancelled."""
        await self._fleet_wanted.wait()
        self._fleet = await self._load_fleet()
        assert self._config is not None
        self._fleet.configure(self._config)
        await self._fleet.run(self._take)

    def _mark(self) -> None:
        try:
            self._marker.touch()
        except OSError as error:
            log.warning(
                "%s: %s; what is declared now is not found by a start without declarations", self._marker, error
            )


async def load_fleet(paths: Paths) -> Fleet:
    """Return the reader of what failoverd-etcd hands over. Its modules are loaded in a thread."""

    def load() -> Fleet:
        from failoverd.daemon.fleet import Fleet

        return Fleet(paths.fleet)

    return await trio.to_thread.run_sync(load)


async def load_links(paths: Paths, tell: Callable[[Signal], None]) -> Links:
    """Return the links engine. Its modules are loaded in a thread."""

    def load() -> Links:
        from failoverd.daemon.links import open_links

        return open_links(paths.runtime, paths.door, HOOKS, tell)

    return await trio.to_thread.run_sync(load)
