"""What failoverd keeps on disk: journals of moves under /run, and under /var/lib which MACs have had a pair.

Every file is written beside its place and renamed into it, so that a crash leaves the old one or the new one. A file
that cannot be read is set aside under another name and reported; it never keeps the daemon from running.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from failoverd.daemon.journal import JournalError, dumps, loads
from failoverd.model.actions import DropJournal, Remember, SaveJournal
from failoverd.model.pairs import Journal
from failoverd.policy.naming import flat

log = logging.getLogger("failoverd")

MAC = re.compile("[0-9a-f]{12}")
Memory = Literal["joined", "released"]


class JournalNotKeptError(Exception):
    """A journal could not be written, so nothing may be moved."""

    def __init__(self, mac: str, error: OSError) -> None:
        super().__init__(f"{mac}: cannot write down what has to be moved: {error}; make room, it is tried again")
        self.mac = mac


@dataclass(slots=True)
class Kept:
    """What was found on disk; `troubles` are lines for the log."""

    journals: dict[str, Journal] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
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


class DiskStore:
    """The store of the daemon. Directories are made on the first write, so that --dry-run leaves no trace.

    With `set_aside` unset, files that cannot be read stay where they are.
    """

    def __init__(self, runtime: Path, state: Path, set_aside: bool = True) -> None:
        self._moves = runtime / "moves"
        self._pairs = state / "pairs"
        self._set_aside = set_aside

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
        return kept

    def save_journal(self, journal: Journal) -> None:
        """See Store."""
        _write(self._moves / f"{flat(journal.mac)}.json", dumps(journal))

    def drop_journal(self, mac: str) -> None:
        """See Store."""
        (self._moves / f"{flat(mac)}.json").unlink(missing_ok=True)

    def remember(self, mac: str, what: Memory | None) -> None:
        """See Store."""
        path = self._pairs / flat(mac)
        if what is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, what + "\n")


class MemoryStore:
    """A store that forgets with its process: for --dry-run and for the simulated world."""

    def __init__(self) -> None:
        self.kept = Kept()

    def load(self) -> Kept:
        """See Store."""
        return Kept(dict(self.kept.journals), dict(self.kept.memory))

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


def keep(store: Store, action: SaveJournal | DropJournal | Remember) -> None:
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
    except OSError as error:
        if isinstance(action, SaveJournal):
            raise JournalNotKeptError(action.journal.mac, error) from error
        what = "remove the journal of a finished move" if isinstance(action, DropJournal) else "remember the pair"
        log.error("%s: cannot %s for the next start: %s; look at the disk", action.mac, what, error)


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


def _set_aside(path: Path) -> None:
    try:
        path.rename(path.with_name(path.name + ".bad"))
    except OSError:
        return


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
