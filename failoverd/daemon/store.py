"""What failoverd keeps on disk: journals, drains, marks for udev under /run, under /var/lib which MACs have had a pair.

Every file is written beside its place and renamed into it, so that a crash leaves the old one or the new one. A file
that cannot be read is set aside under another name and reported; it never keeps the daemon from running. What goes to
/var/lib goes there by a thread of its own: a disk may keep whoever writes to it.
"""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from failoverd.daemon.behind import Behind
from failoverd.daemon.files import advice, put
from failoverd.daemon.journal import JournalError, dumps, loads
from failoverd.model.actions import DropJournal, KeepDrain, KeepMarks, Remember, SaveJournal
from failoverd.model.orders import Drain
from failoverd.model.pairs import Journal
from failoverd.policy.naming import flat

log = logging.getLogger("failoverd")

MAC = re.compile("[0-9a-f]{12}")
ADDRESS = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
Memory = Literal["joined", "released"]


class JournalNotKeptError(Exception):
    """A journal could not be written, so nothing may be moved."""

    def __init__(self, mac: str, error: OSError) -> None:
        super().__init__(f"{mac}: cannot write down what has to be moved: {error}; {advice(error)}; it is tried again")
        self.mac = mac


@dataclass(slots=True)
class Kept:
    """What was found on disk; `marked` are the MACs with marks for udev, `troubles` are lines for the log."""

    journals: dict[str, Journal] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    drains: dict[str, Drain] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)


class Store(Protocol):
    """Where the engine keeps what must survive it."""

    def load(self) -> Kept:
        """Everything that is kept."""

    def save_journal(self, journal: Journal) -> None:
        """Keep it before this returns. Raises OSError."""

    def drop_journal(self, mac: str) -> None:
        """Forget it."""

    def remember(self, mac: str, what: Memory | None) -> None:
        """Keep, or forget, that this MAC has a pair. Raises OSError."""

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """Keep, or forget, that this pair is drained. Raises OSError."""

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """Have these files for udev, written in this order, and no others for this MAC. Raises OSError."""


class DiskStore:
    """The store of the daemon. Directories are made on the first write, so that --dry-run leaves no trace.

    With `set_aside` unset, files that cannot be read stay where they are. Without `behind` it waits for the disk.
    """

    def __init__(self, runtime: Path, state: Path, set_aside: bool = True, behind: Behind | None = None) -> None:
        self._moves = runtime / "moves"
        self._drains = runtime / "drains"
        self._pairs = state / "pairs"
        self._marks = runtime / "udev"
        self._set_aside = set_aside
        self._behind = behind

    def load(self) -> Kept:
        """See Store."""
        kept = Kept()
        for path in _files(self._moves, ".json", kept):
            try:
                journal = loads(path.read_text(encoding="utf-8"))
                kept.journals[journal.mac] = journal
            except (OSError, UnicodeDecodeError, JournalError) as error:
                kept.troubles.append(f"{path}: {error}; set aside as {path.name}.bad, nothing is taken from it")
                if self._set_aside:
                    _set_aside(path)
        for path in _files(self._pairs, "", kept):
            word = _read_word(path)
            if word == "joined":
                kept.memory[_with_colons(path.name)] = "joined"
            elif word == "released":
                kept.memory[_with_colons(path.name)] = "released"
            else:
                kept.troubles.append(f"{path}: neither 'joined' nor 'released'; passed over")
        for path in _files(self._drains, "", kept):
            try:
                kept.drains[_with_colons(path.name)] = _read_drain(path)
            except (OSError, LookupError, TypeError, ValueError, RecursionError) as error:
                kept.troubles.append(f"{path}: not a drain ({error}); passed over")
        kept.marked = {found[0] for path in self._marks.glob("*") if (found := ADDRESS.match(path.name))}
        return kept

    def save_journal(self, journal: Journal) -> None:
        """See Store."""
        put(self._moves / f"{flat(journal.mac)}.json", dumps(journal).encode())

    def drop_journal(self, mac: str) -> None:
        """See Store."""
        (self._moves / f"{flat(mac)}.json").unlink(missing_ok=True)

    def remember(self, mac: str, what: Memory | None) -> None:
        """See Store. What is there already is not written again."""
        work = partial(_put_word, self._pairs / flat(mac), what)
        if self._behind is None:
            work()
        elif not self._behind.do(work, partial(_say_lost, Remember, mac)):
            raise OSError(errno.EBUSY, "the disk does not take anything")

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """See Store. The engine's clock is CLOCK_MONOTONIC, which goes on while failoverd is restarted."""
        path = self._drains / flat(mac)
        if drain is None:
            path.unlink(missing_ok=True)
        else:
            put(path, json.dumps({"vf": drain.vf, "until": drain.until}).encode() + b"\n")

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """See Store. What goes, goes in the opposite order: the VF's file never stands without the others'."""
        for name, text in files.items():
            put(self._marks / name, text.encode("ascii"))
        for path in sorted(self._marks.glob(f"{mac}*")):
            if path.name not in files:
                path.unlink(missing_ok=True)


class MemoryStore:
    """A store that forgets with its process: for --dry-run and for the simulated world."""

    def __init__(self) -> None:
        self.kept = Kept()

    def load(self) -> Kept:
        """See Store."""
        return Kept(dict(self.kept.journals), dict(self.kept.memory), dict(self.kept.drains))

    def save_journal(self, journal: Journal) -> None:
        """See Store."""
        self.kept.journals[journal.mac] = journal

    def drop_journal(self, mac: str) -> None:
        """See Store."""
        self.kept.journals.pop(mac, None)

    def remember(self, mac: str, what: Memory | None) -> None:
        """See Store."""
        if what is None:
            self.kept.memory.pop(mac, None)
        else:
            self.kept.memory[mac] = what

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """See Store."""
        if drain is None:
            self.kept.drains.pop(mac, None)
        else:
            self.kept.drains[mac] = drain

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """See Store. Nobody reads them."""


WHAT: dict[type[object], str] = {
    DropJournal: "remove the journal of a finished move",
    Remember: "remember the pair",
    KeepDrain: "note whether it is drained",
}


def keep(store: Store, action: SaveJournal | DropJournal | Remember | KeepDrain | KeepMarks) -> None:
    """Do what a step wants kept or forgotten. Raises JournalNotKeptError.

    Not to be able to remember is bad for the next boot, and no reason to stop now; a journal is.
    """
    try:
        match action:
            case SaveJournal(journal):
                store.save_journal(journal)
            case DropJournal(mac):
                store.drop_journal(mac)
            case Remember(mac, word):
                store.remember(mac, word)
            case KeepDrain(mac, drain):
                store.save_drain(mac, drain)
            case KeepMarks(mac, files):
                store.keep_marks(mac, files)
    except OSError as error:
        if isinstance(action, SaveJournal):
            raise JournalNotKeptError(action.journal.mac, error) from error
        if isinstance(action, KeepMarks):
            log.error("%s: cannot write the marks for udev: %s; its NICs stay as they are marked", action.mac, error)
            return
        _say_lost(type(action), action.mac, error)


def _say_lost(kind: type[object], mac: str, error: OSError) -> None:
    log.error("%s: cannot %s for the next start: %s; %s", mac, WHAT[kind], error, advice(error))


def _files(where: Path, suffix: str, kept: Kept) -> list[Path]:
    try:
        paths = sorted(where.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        kept.troubles.append(f"{where}: {error.strerror}; nothing is taken from it")
        return []
    return [path for path in paths if MAC.fullmatch(path.name.removesuffix(suffix)) and path.name.endswith(suffix)]


def _with_colons(name: str) -> str:
    return ":".join(re.findall("..", name))


def _read_word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _put_word(path: Path, word: str | None) -> None:
    if word is None:
        path.unlink(missing_ok=True)
    elif _read_word(path) != word:
        put(path, f"{word}\n".encode())


def _read_drain(path: Path) -> Drain:
    raw = json.loads(path.read_text(encoding="ascii"))
    return Drain(int(raw["vf"]), None if raw["until"] is None else float(raw["until"]))


def _set_aside(path: Path) -> None:
    try:
        path.rename(path.with_name(path.name + ".bad"))
    except OSError:
        return
