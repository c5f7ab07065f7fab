"""The service: its tasks, around what is pure."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failoverd.config.errors import ConfigError
from failoverd.config.links.fleet import ends_of
from failoverd.config.load import MAIN, load
from failoverd.config.spec import Config
from failoverd_etcd import control
from failoverd_etcd.control import Calls
from failoverd_etcd.declared import Ends, Values
from failoverd_etcd.history import History
from failoverd_etcd.keeping import contact_of, document, put, save, take_up
from failoverd_etcd.keeping import load as load_snapshot
from failoverd_etcd.keys import Keys
from failoverd_etcd.picture import Picture

if TYPE_CHECKING:
    from failoverd_etcd.contact import Contact

log = logging.getLogger("failoverd-etcd")

LOOK = 2.0
"""Seconds between two looks whether the configuration has changed."""
PROGRESS = 600.0
"""Seconds after which a revision is written though no link has changed."""


class Service:
    """See the module. `state` is the directory of the snapshot, `control` the service's socket, `main` the
    configuration's file."""

    def __init__(self, state: Path, control: Path, main: Path | None) -> None:
        self._path, self._control, self._main = state / "snapshot.json", control, main
        self._contact = control.with_name("contact.json")
        self._written: Mapping[str, Any] = {}
        self._said: Mapping[str, Any] = {}
        self._written_at = 0.0

    async def run(self) -> None:
        """Serve until SIGTERM."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        task: asyncio.Task[None] | None = None
        has_last = False
        while not ended.is_set():
            config, seen = await self._configured(has_last)
            # What cannot be used leaves the last configuration in force, as it does for the daemon.
            if config is not None or task is None or task.done():
                await _end(task)
                task = asyncio.create_task(self._serve(config))
                has_last = config is not None
            while not ended.is_set() and not task.done() and seen == await asyncio.to_thread(stamp, self._main):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await ended.wait()
        await _end(task)

    async def _configured(self, has_last: bool) -> tuple[Config | None, object]:
        seen = await asyncio.to_thread(stamp, self._main)
        try:
            return await asyncio.to_thread(load, self._main), seen
        except ConfigError as error:
            meanwhile = "the last one stays in force" if has_last else "etcd is not followed until it can"
            for problem in error.problems:
                log.error("the configuration cannot be used, and %s: %s", meanwhile, problem)
            return None, seen

    async def _serve(self, config: Config | None) -> None:
        """Follow etcd with this configuration until cancelled."""
        if config is None or not config.etcd.enabled:
            if config is not None:
                log.info("[etcd] enabled is not set; nothing to do")
            await asyncio.Event().wait()
            return
        from failoverd_etcd.follow import Follower

        keys = Keys(config.etcd.prefix, config.etcd.node or os.uname().nodename)
        picture = self._take_up(config, keys)

        async def took() -> None:
            await self._save(picture, keys)
            self._say(follower.contact, picture)

        follower = Follower(config.etcd, keys, picture, took)
        follower.told = lambda: self._say(follower.contact, picture)
        changed = asyncio.Event()
        calls: Calls = {
            "status": (False, lambda _: self._status(picture, keys, follower.contact)),
            "accept": (True, lambda names: self._accept(picture, names, changed)),
        }
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(follower.run())
                group.create_task(control.serve(self._control, calls))
                group.create_task(self._save_when(changed, picture, keys))
                if config.etcd.publish_status:
                    from failoverd_etcd.publish import Publisher

                    group.create_task(Publisher(keys, picture, follower).run())
        finally:
            with contextlib.suppress(OSError):
                self._contact.unlink()
            self._said = {}
            if picture.history.revision and picture.history.pending is None:
                await asyncio.shield(self._save(picture, keys, is_last=True))

    def _take_up(self, config: Config, keys: Keys) -> Picture:
        """Return the picture of the last time, or an empty one."""

        def check(name: str, raw: bytes) -> Ends:
            return ends_of(name, raw, f"etcd:{keys.link(name)}", config.etcd_allow)

        def empty() -> Picture:
            return Picture(History(obeys=config.links.history_lost == "obey"), Values(check, config.declared))

        picture = empty()
        try:
            tree = load_snapshot(self._path)
            if tree is not None and not take_up(tree, picture, keys):
                log.warning("%s is of another node or prefix; it stays in force until etcd has been read", self._path)
                return empty()
        except (OSError, LookupError, TypeError, ValueError) as error:
            log.error("%s cannot be used (%s); etcd is read as for the first time", self._path, error)
            return empty()
        # What was refused may be allowed by now, and the other way round.
        picture.values.faults.clear()
        return picture

    def _status(self, picture: Picture, keys: Keys, contact: Contact) -> dict[str, Any]:
        """Return how it stands with etcd."""
        history = picture.history
        return {
            "endpoint": contact.endpoint,
            "connected": contact.is_connected,
            "since": contact.since,
            "trouble": contact.trouble,
            "node": keys.node,
            "keys": keys.links,
            "revision": history.revision,
            "links": len(history.keys),
            "suspect": {name: held.reason for name, held in sorted(history.held.items())},
            "refused": {name: fault.detail for name, fault in sorted(picture.values.faults.items())},
        }

    def _accept(self, picture: Picture, names: Sequence[str], changed: asyncio.Event) -> dict[str, Any]:
        """Let go of what is suspect: of these, or of all. Raises ValueError."""
        if picture.history.pending is not None:
            raise ValueError("etcd is being read at the moment; try it again")
        held = picture.history.held
        if unknown := [name for name in names if name not in held]:
            raise ValueError(f"{', '.join(unknown)}: not suspect; failoverctl links tells which are")
        accepted = picture.accept(names or list(held), time.time())
        log.info("accepted, and no longer in force: %s", ", ".join(accepted) or "nothing")
        changed.set()
        return {"names": accepted}

    def _say(self, contact: Contact, picture: Picture) -> None:
        """Tell the daemon how it stands with etcd, in a file of the runtime directory, if that is something new."""
        before, self._said = self._said, contact_of(contact, picture)
        try:
            if self._said != before:
                put(self._contact, self._said)
        except OSError as error:
            log.warning("%s: %s; failoverd does not know how it stands with etcd", self._contact, error.strerror)

    async def _save_when(self, changed: asyncio.Event, picture: Picture, keys: Keys) -> None:
        """Write the snapshot each time that something is set, until cancelled."""
        while True:
            await changed.wait()
            changed.clear()
            await self._save(picture, keys)

    async def _save(self, picture: Picture, keys: Keys, *, is_last: bool = False) -> None:
        """Write the snapshot if it says something else, or if it has been long."""
        if picture.history.pending is not None:
            return
        tree = document(picture, keys)
        now = time.monotonic()
        if tree["links"] == self._written.get("links") and not is_last and now < self._written_at + PROGRESS:
            return
        if tree == self._written:
            return
        try:
            await asyncio.to_thread(save, self._path, tree)
        except OSError as error:
            log.error("%s cannot be written: %s; failoverd does not hear of changes", self._path, error.strerror)
        else:
            self._written, self._written_at = tree, now


async def _end(task: asyncio.Task[None] | None) -> None:
    """End a task, and raise what it ended with before."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def stamp(main: Path | None) -> object:
    """Return what changes when a file of the configuration does; blocks."""
    top = main or MAIN
    found = []
    for path in (top, *sorted(top.with_name(top.name + ".d").glob("*.toml"))):
        with contextlib.suppress(OSError):
            there = path.stat()
            found.append((str(path), there.st_mtime_ns, there.st_size, there.st_ino))
    return found
