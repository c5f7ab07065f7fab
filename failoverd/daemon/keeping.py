"""Keep on disk, or forget, what a step asks for, and log what could not be kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from failoverd.daemon.files import advice
from failoverd.daemon.kept import Memory
from failoverd.model.actions import (
    DropJournal,
    KeepDamping,
    KeepDrain,
    KeepLost,
    KeepMarks,
    Remember,
    RememberName,
    SaveJournal,
)
from failoverd.model.health import Damping
from failoverd.model.orders import Drain
from failoverd.model.owners import Owner
from failoverd.model.pairs import Inet, Journal

log = logging.getLogger("failoverd")

WHAT: dict[type[object], str] = {
    DropJournal: "remove the journal of a finished move",
    KeepLost: "note what a move could not put where it belongs",
    Remember: "remember the pair",
    RememberName: "remember what its NIC is called",
    KeepDrain: "note whether it is drained",
    KeepDamping: "note how often its VF has failed",
}

ToKeep = SaveJournal | DropJournal | KeepLost | Remember | RememberName | KeepDrain | KeepDamping | KeepMarks


class Keeper(Protocol):
    """The part of a Store that keeps and forgets."""

    def save_journal(self, journal: Journal) -> None:
        """Write it to disk before this returns. Raises OSError."""

    def drop_journal(self, mac: str) -> None:
        """Remove it."""

    def keep_lost(self, mac: str, lost: Inet) -> None:
        """Keep the configuration that a move has left over; an empty one is forgotten. Raises OSError."""

    def remember(self, mac: str, what: Memory | None) -> None:
        """Keep, or forget, that this MAC has a pair. Raises OSError."""

    def remember_name(self, mac: str, name: str) -> None:
        """Keep, or forget (""), the NIC's own name by its MAC. Raises OSError."""

    def save_drain(self, mac: str, drain: Drain | None) -> None:
        """Keep, or forget, that this pair is drained. Raises OSError."""

    def save_damping(self, mac: str, damping: Damping) -> None:
        """Keep the penalty of a VF's flaps; forget it if there is none. Raises OSError."""

    def keep_marks(self, mac: str, files: Mapping[str, str]) -> None:
        """Keep exactly these udev mark files for this MAC, written in this order. Raises OSError."""


class JournalNotKeptError(Exception):
    """A journal could not be written, so nothing may be moved."""

    def __init__(self, owner: Owner, error: OSError) -> None:
        super().__init__(
            f"{owner}: cannot write down what has to be moved: {error}; {advice(error)}; it is tried again"
        )
        self.owner = owner


class MarksNotKeptError(Exception):
    """The marks for udev could not be written."""

    def __init__(self, mac: str, error: OSError) -> None:
        super().__init__(str(error))
        self.mac = mac


def keep(store: Keeper, action: ToKeep) -> None:
    """Keep or forget what a step asks for. Raises JournalNotKeptError and MarksNotKeptError.

    A failure to remember is bad for the next boot, but no reason to stop now; a failure to write a journal is.
    """
    try:
        match action:
            case SaveJournal(journal):
                store.save_journal(journal)
            case DropJournal(mac):
                store.drop_journal(mac)
            case KeepLost(mac, lost):
                store.keep_lost(mac, lost)
            case Remember(mac, word):
                store.remember(mac, word)
            case RememberName(mac, name):
                store.remember_name(mac, name)
            case KeepDrain(mac, drain):
                store.save_drain(mac, drain)
            case KeepDamping(mac, damping):
                store.save_damping(mac, damping)
            case KeepMarks(mac, files):
                store.keep_marks(mac, files)
    except OSError as error:
        _go_on(action, error)


def _go_on(action: ToKeep, error: OSError) -> None:
    """Log what was not kept. Configuration left over by a move holds the journal until it is kept."""
    if isinstance(action, SaveJournal):
        raise JournalNotKeptError(action.owner, error) from error
    if isinstance(action, KeepLost) and action.lost != Inet():
        raise JournalNotKeptError(action.owner, error) from error
    if isinstance(action, KeepMarks):
        raise MarksNotKeptError(action.mac, error) from error
    say_lost(type(action), action.mac, error)


def say_lost(kind: type[object], mac: str, error: OSError) -> None:
    log.error("%s: cannot %s for the next start: %s; %s", mac, WHAT[kind], error, advice(error))
