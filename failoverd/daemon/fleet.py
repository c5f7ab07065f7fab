"""Reads the links that failoverd-etcd hands over: a file, of which it puts a new one in place at each change.

The file is another program's, so it is read as any other file that others write: bounded, and in a thread. It outlives
a boot, so what etcd declared last is in force before etcd answers. Whatever becomes of the file, what was read from it
last stays in force; a file that never was there is a source that has not spoken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import trio

from failoverd.config.links.snapshot import (
    LARGEST_CONTACT,
    LARGEST_SNAPSHOT,
    Merged,
    Offer,
    contact_in,
    merged,
    offers_in,
)
from failoverd.config.regular import read_regular
from failoverd.config.spec import Config
from failoverd.model.etcdcontact import EtcdContact
from failoverd.netns.folders import Folders

log = logging.getLogger("failoverd")

Take = Callable[[Merged, bool], None]
"""Takes the links of files and etcd, and whether etcd's are known."""


AWAY = EtcdContact(False, 0.0, "", 0, "failoverd-etcd does not run, or has not tried yet")


class Fleet:
    """See the module. `path` is the file, `contact` the one that says how it stands with etcd; `touched` is called when
    that changes."""

    def __init__(self, path: Path, contact: Path, touched: Callable[[], None] = lambda: None) -> None:
        self._path, self._contact_path, self._touched = path, contact, touched
        self._contact = AWAY
        self._contact_changed = trio.Event()
        self._config: Config | None = None
        self._offers: tuple[Offer, ...] | None = None
        self._trouble: str | None = None
        self._said: set[tuple[str, str]] = set()
        self._changed = trio.Event()
        self._one_thread = trio.CapacityLimiter(1)

    def configure(self, config: Config) -> None:
        """Take in a configuration: the links of its files, and what etcd may declare beside them."""
        self._config = config
        self._changed.set()

    @property
    def contact(self) -> EtcdContact | None:
        """How it stands with etcd; None where that is not enabled."""
        return self._contact if self._config is not None and self._config.etcd.enabled else None

    async def run(self, take: Take) -> None:
        """Hand on the links of files and etcd, now and at each change, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_contact)
            await self._follow(take)

    async def _follow_contact(self) -> None:
        """Read how it stands with etcd, now and at each change, until cancelled."""
        folders = Folders(lambda: self._contact_changed.set())
        try:
            folders.want([self._contact_path.parent])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(folders.run)
                while True:
                    found = await trio.to_thread.run_sync(self._read_contact)
                    if found != self._contact:
                        self._contact = found
                        self._touched()
                    await self._contact_changed.wait()
                    self._contact_changed = trio.Event()
        finally:
            folders.close()

    def _read_contact(self) -> EtcdContact:
        try:
            return contact_in(read_regular(self._contact_path, LARGEST_CONTACT))
        except FileNotFoundError:
            return AWAY
        except (OSError, ValueError) as error:
            return replace(AWAY, trouble=f"{self._contact_path}: {getattr(error, 'strerror', '') or error}")

    async def _follow(self, take: Take) -> None:
        folders = Folders(self._changed_there)
        try:
            folders.want([self._path.parent])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(folders.run)
                while True:
                    await self._changed.wait()
                    self._changed = trio.Event()
                    if self._config is not None:
                        found = await trio.to_thread.run_sync(self._look, self._config, limiter=self._one_thread)
                        self._say(found)
                        take(found, not self._config.etcd.enabled or self._offers is not None)
        finally:
            folders.close()

    def _changed_there(self) -> None:
        self._changed.set()

    def _look(self, config: Config) -> Merged:
        """Read the file and lay the configuration's files over it, in the thread."""
        if not config.etcd.enabled:
            return Merged(config.declared)
        self._read()
        return merged(config.declared, self._offers or (), config.etcd_allow)

    def _read(self) -> None:
        trouble = ""
        try:
            self._offers = offers_in(read_regular(self._path, LARGEST_SNAPSHOT))
        except FileNotFoundError:
            trouble = "it is not there yet; failoverd-etcd writes it when it has read etcd for the first time"
        except (OSError, ValueError) as error:
            trouble = str(getattr(error, "strerror", "") or error)
        if trouble and trouble != self._trouble:
            kept = "what it said last stays in force" if self._offers is not None else "nothing of etcd's is in force"
            log.warning("%s: %s; %s", self._path, trouble, kept)
        self._trouble = trouble

    def _say(self, found: Merged) -> None:
        """Log what etcd's declarations that are not as etcd has them are, each once."""
        said = {(name, f"{one.state.value} ({one.reason}): {one.detail}") for name, one in found.remarks.items()}
        said |= {(name, f"a file declares it, too, and wins over {key}") for name, key in found.shadowed.items()}
        for name, text in sorted(said - self._said):
            log.warning("link %s: %s", name, text)
        self._said = said
