"""The entry to declared links. A machine that has none loads, opens and starts nothing for them.

It loads the links engine when the configuration declares a link, when failoverd-cni attaches one, or when an earlier
run has made some: a file in the runtime directory says so, since what an earlier configuration declared may have to be
taken away.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from failoverd.config.spec import Config
from failoverd.core.call_answers import CallError, macs_of_masters, whereabouts, words_for, words_for_master
from failoverd.core.state import State
from failoverd.daemon.paths import Paths
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkStatus
from failoverd.model.signals import LinkPending, Signal

if TYPE_CHECKING:
    from failoverd.config.links.snapshot import Merged
    from failoverd.daemon.attachments import AttachmentStore
    from failoverd.daemon.fleet import Fleet
    from failoverd.daemon.links import Links
    from failoverd.daemon.podpairs import Mover, PodPairs

log = logging.getLogger("failoverd")

HOOKS = Path("/etc/failoverd/hooks.d")
"""The administrators' hooks (cli/hooks.py)."""

Opener = Callable[[], Awaitable["Links"]]
FleetOpener = Callable[[], Awaitable["Fleet"]]

ENDED = frozenset({"namespace-absent", "process-gone"})
"""Reasons that say that a pod's network namespace, which was there when it was attached, is no more."""


class DeclaredLinks:
    """See the module. `load` makes the engine, `load_fleet` what reads the links that etcd declares; `marker` is the
    file that says that links were made, `attachments` and `notes` are the directories of attachments and of what is to
    be detached (daemon/attachments.py). `mover` moves masters into pods."""

    def __init__(
        self, load: Opener, marker: Path, load_fleet: FleetOpener, attachments: Path, notes: Path, mover: Mover
    ) -> None:
        self._load, self._marker, self._load_fleet, self._mover = load, marker, load_fleet, mover
        self._folder, self._notes = attachments, notes
        self._store: AttachmentStore | None = None
        self._pairs: PodPairs | None = None
        self._one_at_a_time = trio.Lock()
        self._opened_once = trio.Event()
        self._ended: set[str] = set()
        self._doubt = trio.Event()
        self._config: Config | None = None
        self._links: Links | None = None
        self._fleet: Fleet | None = None
        self._base: Merged | None = None
        self._is_complete = True
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
        else:
            self._declare()
        if config.declared or self._marker.exists() or self._folder.exists() or self._notes.exists():
            self._wanted.set()

    def _take(self, merged: Merged, is_complete: bool) -> None:
        """Take the links of all sources; `is_complete` says whether etcd's are among them."""
        self._base, self._is_complete = merged, is_complete
        self._declare()

    def _declare(self) -> None:
        """Hand the links of all sources to the engine, and the masters that are in pods to what moves them."""
        self._declare_pairs()
        if self._links is None or self._config is None or (self._fleet_wanted.is_set() and self._base is None):
            return
        declared, links = self._config.declared, self._config.links
        is_complete, self._merged = self._is_complete, self._base
        if self._store is not None:
            from failoverd.config.links.attachments import laid_under

            self._merged = laid_under(self._of_others(), self._store.kept(), self._macs())
            is_complete = is_complete and self._store.is_whole
        if self._merged is not None:
            declared = self._merged.declared
        self._links.declare(declared, links.retry_max, links.going_wait, is_complete)

    def _declare_pairs(self) -> None:
        if self._pairs is not None and self._store is not None and self._state is not None:
            self._pairs.declare(self._store.kept(), self._store.going(), self._state)

    def _of_others(self) -> Merged:
        """Return the links of files and etcd."""
        from failoverd.config.links.snapshot import Merged

        assert self._config is not None
        return self._base or Merged(self._config.declared)

    async def attach(self, name: str, document: str) -> None:
        """Have a link made for a pod, or a master moved into one; it is kept when this returns. Raises CallError."""
        raw = document.encode(errors="surrogatepass")
        async with self._one_at_a_time:
            store = await self._opened()
            await trio.to_thread.run_sync(store.obey)
            self._refuse(name, raw, store)
            await trio.to_thread.run_sync(store.attach, name, raw, self._of_others(), self._macs())
            if store.kept()[name].is_pair and self._pairs is not None:
                self._pairs.order(name)
        self._wanted.set()
        self._declare()

    def _refuse(self, name: str, raw: bytes, store: AttachmentStore) -> None:
        """Raises CallError where the master of an attachment is not to be had."""
        from failoverd.config.links.attachments import clash
        from failoverd.daemon.attachments import read_document

        one = read_document(name, raw)
        masters, kept = self._words(one.master), store.kept()
        if why := clash(name, kept, masters, is_pair=one.is_pair):
            raise CallError(f"nothing can be attached to {one.master}: {why}", "InUse")
        is_there = name in kept and kept[name].is_pair
        where = whereabouts(self._state, one.master) if self._state is not None else ""
        if where and not is_there:
            raise CallError(f"nothing can be attached to {one.master}: {where}", "InUse")

    def _macs(self) -> dict[str, str]:
        return macs_of_masters(self._state) if self._state is not None else {}

    def _words(self, master: str) -> set[str]:
        return {master} | (words_for_master(self._state, master) if self._state is not None else set())

    @asynccontextmanager
    async def apart(self, mac: str, owner: str) -> AsyncIterator[None]:
        """Keep everything else from being attached to a pair while this is open; `owner` is the attachment that it is
        for, "" for none. Raises CallError where something is attached."""
        await self.read_attachments()
        async with self._one_at_a_time:
            if pods := self.pods_on(self._words(mac), owner):
                raise CallError(f"pods are attached to it: {', '.join(pods)}; remove these pods first", "InUse")
            yield

    async def detach(self, *names: str) -> None:
        """Have the links of pods removed; those that are not there are none. Raises CallError."""
        if self._store is None and not self._folder.exists():
            return
        async with self._one_at_a_time:
            store = await self._opened()
            kept = store.kept()
            for name in names:
                if name in kept and kept[name].is_pair:
                    await trio.to_thread.run_sync(store.note, name)
            others = [name for name in names if name not in kept or not kept[name].is_pair]
            await trio.to_thread.run_sync(store.detach, others)
        self._declare()

    async def _forget_pair(self, name: str) -> None:
        """Forget a master that is at home again."""
        async with self._one_at_a_time:
            store = await self._opened()
            await trio.to_thread.run_sync(store.forget, name)
        self._declare()

    def pods_on(self, masters: Collection[str], owner: str = "") -> list[str]:
        """Return the pods that have this master, which may go by several words, or something on it; without the
        attachment `owner`."""
        if self._store is None:
            return []
        from failoverd.config.links.attachments import pods_on

        return pods_on({name: one for name, one in self._store.kept().items() if name != owner}, masters)

    async def with_pods(self, ifindex: int, look: Callable[[int], Awaitable[str]]) -> str:
        """Return what hangs on a device and no device here shows, as `look` does, with the pods that it is attached
        for."""
        found = await look(ifindex)
        if not found or self._state is None:
            return found
        await self.read_attachments()
        pods = self.pods_on(words_for(self._state, ifindex))
        return f"{found}, attached for {', '.join(pods)}," if pods else found

    async def _opened(self) -> AttachmentStore:
        """Return the attachments, which are read when they are first asked for."""
        if self._store is None:
            store, self._pairs = await trio.to_thread.run_sync(
                load_attachments, self._folder, self._notes, self._mover, self._forget_pair
            )
            self._store = store
            self._opened_once.set()
        return self._store

    def signalled(self, signal: Signal) -> None:
        """Note that a pod has ended, for which nobody may say that its link is to be detached."""
        if self._store is not None and isinstance(signal, LinkPending) and signal.reason in ENDED:
            self._ended.add(signal.name)
            self._doubt.set()

    def stepped(self, state: State) -> None:
        """The failover engine has made a step."""
        self._state = state
        if self._links is not None:
            self._links.stepped(state)
        if self._pairs is not None:
            self._pairs.stepped(state)

    def rows(self) -> Sequence[LinkStatus]:
        """Return the status of each end, in the order of their names."""
        rows = self._links.rows() if self._links is not None else ()
        rows = self._merged.overlaid(rows) if self._merged is not None else rows
        if self._store is None or self._pairs is None:
            return rows
        from failoverd.config.links.attachments import shown

        return shown([*rows, *self._pairs.rows()], self._store.kept())

    def etcd(self) -> EtcdContact | None:
        """Return how it stands with etcd; None where that is not enabled."""
        return self._fleet.contact if self._fleet is not None else None

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
                await self.read_attachments()
                self._links = links
                assert self._config is not None
                self.configure(self._config)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._follow_fleet)
                    nursery.start_soon(self._follow_attachments)
                    nursery.start_soon(self._follow_pairs)
                    await links.run()
            except Exception:
                log.exception(
                    "declared links are looked after anew; please report this. Failing over has no part in it"
                )
                self._links = self._fleet = self._base = None
                await trio.sleep(1)

    async def read_attachments(self) -> None:
        """Read what was attached, if anything was, and detach what was to be detached meanwhile."""
        if self._store is None and (self._folder.exists() or self._notes.exists()):
            async with self._one_at_a_time:
                store = await self._opened()
                await trio.to_thread.run_sync(store.obey)

    async def _follow_attachments(self) -> None:
        """Forget pods that have ended, and detach what was to be detached while this daemon did not answer."""
        from failoverd.netns.folders import Folders

        folders = Folders(lambda: self._doubt.set())
        try:
            folders.want([self._notes])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(folders.run)
                while True:
                    await self._doubt.wait()
                    self._doubt, ended, self._ended = trio.Event(), self._ended, set()
                    await self._forget(ended)
        finally:
            folders.close()

    async def _follow_pairs(self) -> None:
        """Look after masters that are in pods, from the first attachment on."""
        while self._pairs is None:
            await self._opened_once.wait()
        self._declare_pairs()
        await self._pairs.run()

    async def _forget(self, ended: Collection[str]) -> None:
        """Forget the attachments of pods that have ended, and obey the notes."""
        if self._store is None and not self._notes.exists():
            return
        async with self._one_at_a_time:
            store = await self._opened()
            gone = self._without_a_pod(ended)
            for name in gone:
                log.info("link %s: the pod's network namespace is gone, and the attachment with it", name)
            if await trio.to_thread.run_sync(lambda: store.detach(gone) | store.obey()):
                self._declare()

    def _without_a_pod(self, names: Collection[str]) -> list[str]:
        """Return the attachments of these names that are still to be in a network namespace that is gone."""
        if self._store is None or self._links is None:
            return []
        kept = self._store.kept()
        ended = [row for row in self._links.rows() if row.name in names and row.name in kept and row.reason in ENDED]
        return [row.name for row in ended if row.namespace == str(kept[row.name].end.namespace)]

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


def load_attachments(
    folder: Path, notes: Path, mover: Mover, forget: Callable[[str], Awaitable[None]]
) -> tuple[AttachmentStore, PodPairs]:
    """Return the attachments, and what looks after those that are masters; to be called in a thread."""
    from failoverd.daemon.attachments import AttachmentStore
    from failoverd.daemon.podpairs import PodPairs

    return AttachmentStore(folder, notes), PodPairs(mover, forget)


async def load_fleet(paths: Paths, touched: Callable[[], None]) -> Fleet:
    """Return the reader of what failoverd-etcd hands over; `touched` is called when the connection to etcd changes. Its
    modules are loaded in a thread."""

    def load() -> Fleet:
        from failoverd.daemon.fleet import Fleet

        return Fleet(paths.fleet, paths.etcd, touched)

    return await trio.to_thread.run_sync(load)


async def load_links(paths: Paths, tell: Callable[[Signal], None]) -> Links:
    """Return the links engine. Its modules are loaded in a thread."""

    def load() -> Links:
        from failoverd.daemon.links import open_links

        return open_links(paths.runtime, paths.door, HOOKS, tell)

    return await trio.to_thread.run_sync(load)
