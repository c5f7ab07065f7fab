"""The files failoverd keeps: journals, drains and udev marks under /run; MACs that have had a pair under /var/lib.

Every file is written beside its path and renamed over it, so that a crash leaves the old file or the new one. A file
that cannot be read is set aside under another name and reported (daemon/kept.py); it never keeps the daemon from
running. A thread of its own writes to /var/lib, as a disk may block.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Protocol

from failoverd.config.regular import read_regular
from failoverd.daemon.disk_writer import DiskWriter
from failoverd.daemon.files import is_set_aside, put, set_aside
from failoverd.daemon.journal import dumps, dumps_inet
from failoverd.daemon.keeping import Keeper, say_lost
from failoverd.daemon.kept import (
    LARGEST,
    LARGEST_JOURNAL,
    NAME,
    Kept,
    Memory,
    Reader,
    read_away,
    read_damping,
    read_drain,
    read_journal,
    read_lost,
    read_memory,
    read_name,
)
from failoverd.model.actions import Remember, RememberName
from failoverd.model.health import Damping
from failoverd.model.orders import Drain
from failoverd.model.pairs import Inet, Journal
from failoverd.policy.naming import flat

AWAY = "away"
"""The directory, below the runtime directory, of the journals of moves into other network namespaces."""
ADDRESS = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Store(Keeper, Protocol):
    """The place of what must survive the engine."""

    def load(self) -> Kept:
        """Return everything that is kept."""


class DiskStore:
    """The daemon's store. Directories are made on the first write, so that --dry-run leaves no trace.

    With `set_aside` unset, files that cannot be read stay where they are. Without `disk_writer` it waits for the disk.
    """

    def __init__(
        self, runtime: Path, state: Path, set_aside: bool = True, disk_writer: DiskWriter | None = None
    ) -> None:
        self._moves = runtime / "moves"
        self._lost = runtime / "lost"
        self._drains = runtime / "drains"
        self._damping = runtime / "damping"
        self._pairs = state / "pairs"
        self._marks = runtime / "udev"
        self._away = runtime / AWAY
        self._set_aside = set_aside
        self._disk_writer = disk_writer

    def load(self) -> Kept:
        """See Store."""
        files = Reader(self._set_aside)
        kept = Kept(
            dict(files.each(self._moves, ".json", read_journal)),
            dict(files.each(self._lost, ".json", read_lost)),
            dict(files.each(self._pairs, "", read_memory)),
            dict(files.each(self._pairs, NAME, read_name)),
            dict(files.each(self._drains, "", read_drain)),
            dict(files.each(self._damping, "", read_damping)),
        )
        names = [path.name for path in files.paths(self._marks) if not is_set_aside(path.name)]
        kept.marked = {found[0] for name in names if (found := ADDRESS.match(name))}
        kept.away = dict(files.each(self._away, ".json", read_away))
        kept.troubles = files.troubles
        return kept

    def save_journal(self, journal: Journal) -> None:
        """See Store."""
        data = dumps(journal).encode()
        if len(data) > LARGEST_JOURNAL:
            raise OSError(errno.EFBIG, f"it would have {len(data)} bytes, and {LARGEST_JOURNAL} are read back")
        put(self._moves / f"{flat(journal.mac)}.json", data)

    def drop_journal(self, mac: str) -> None:
        """See Store."""
        (self._moves / f"{flat(mac)}.json").unlink(missing_ok=True)

    def keep_lost(self, mac: str, lost: Inet) -> None:
        """See Store."""
        path = self._lost / f"{flat(mac)}.json"
        if lost == Inet():
            path.unlink(missing_ok=True)
        else:
            put(path, dumps_inet(lost).encode())

    def remember(self, mac: str, what: Memory | None) -> None:
        """See Store. An equal file is not written again."""
        self._put(self._pairs / flat(mac), what, partial(say_lost, Remember, mac))

    def remember_name(self, mac: str, name: str) -> None:
        """See Store. It is a file of its own beside the other: an older failoverd ignores it."""
        self._put(self._pairs / f"{flat(mac)}{NAME}", name or None, partial(say_lost, RememberName, mac))

    def _put(self, path: Path, word: str | None, on_error: Callable[[OSError], None]) -> None:
        work = partial(_put_word, path, word)
        if self._disk_writer is None:
            work()
        elif not self._disk_writer.do(work, on_error):
            raise OSError(errno.EBUSY, "the disk does not take anything")

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """See Store. Times are CLOCK_MONOTONIC, the engine's clock, which goes on while failoverd is restarted."""
        path = self._drains / flat(mac)
        if drain is None:
            path.unlink(missing_ok=True)
        else:
            put(path, json.dumps({"vf": drain.vf, "until": drain.until}).encode() + b"\n")

    def save_damping(self, mac: str, damping: Damping) -> None:
        """See Store. Times are the engine's, as in a drain."""
        path = self._damping / flat(mac)
        if not damping.is_worth_keeping:
            path.unlink(missing_ok=True)
        else:
            put(path, json.dumps(asdict(damping)).encode() + b"\n")

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """See Store. Files are removed in the opposite order: the VF's file never exists without the others."""
        for name, text in files.items():
            put(self._marks / name, text.encode("ascii"))
        for path in sorted(self._marks.glob(f"{mac}*")):
            if path.name in files or is_set_aside(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                set_aside(path)
            else:
                path.unlink(missing_ok=True)


class MemoryStore:
    """A store that forgets with its process: for --dry-run and for the simulated world."""

    def __init__(self) -> None:
        self.kept = Kept()

    def load(self) -> Kept:
        """See Store."""
        kept = self.kept
        lost, memory, names = dict(kept.lost), dict(kept.memory), dict(kept.names)
        return Kept(
            dict(kept.journals), lost, memory, names, dict(kept.drains), dict(kept.damping), away=dict(kept.away)
        )

    def save_journal(self, journal: Journal) -> None:
        """See Store."""
        self.kept.journals[journal.mac] = journal

    def drop_journal(self, mac: str) -> None:
        """See Store."""
        self.kept.journals.pop(mac, None)

    def keep_lost(self, mac: str, lost: Inet) -> None:
        """See Store."""
        self.kept.lost[mac] = lost
        if lost == Inet():
            del self.kept.lost[mac]

    def remember(self, mac: str, what: Memory | None) -> None:
        """See Store."""
        if what is None:
            self.kept.memory.pop(mac, None)
        else:
            self.kept.memory[mac] = what

    def remember_name(self, mac: str, name: str) -> None:
        """See Store."""
        self.kept.names[mac] = name

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """See Store."""
        if drain is None:
            self.kept.drains.pop(mac, None)
        else:
            self.kept.drains[mac] = drain

    def save_damping(self, mac: str, damping: Damping) -> None:
        """See Store."""
        self.kept.damping.pop(mac, None)
        if damping.is_worth_keeping:
            self.kept.damping[mac] = damping

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """See Store. Nothing reads them."""


def _put_word(path: Path, word: str | None) -> None:
    if word is None:
        path.unlink(missing_ok=True)
    elif not _has_word(path, word):
        put(path, f"{word}\n".encode())


def _has_word(path: Path, word: str) -> bool:
    try:
        return read_regular(path, LARGEST).strip() == word.encode()
    except OSError:
        return False
