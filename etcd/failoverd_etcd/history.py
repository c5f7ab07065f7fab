"""What was seen of etcd's keys in one continuous history, and what was not.

A key that is missing in a read may have been deleted, or etcd may have been wiped, restored from an older backup, or be
another one by the same name: neither the id of the cluster nor the watch tells (a watch from a revision that lies ahead
is simply silent). So a removal is obeyed only if its DELETE was seen, live or by a watch from the revision after the
last one seen; and what is only missing is held, as suspect, until it is there again or an administrator accepts.

A watch proves itself: each event has what the key was before, which has to be what was seen last. And a read at the end
has to come out at the same keys that the events led to.

Pure: reads and events in, decisions out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum

from failoverd.dataclass import dataclass

HISTORY_LOST, SOURCE_EMPTIED = "history-lost", "source-emptied"
"""Why a key is held."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a key. Revisions are etcd's, so in one history no two versions have the same."""

    created: int
    """The revision in which the key was made (create_revision)."""

    modified: int
    """The revision of this version (mod_revision)."""

    digest: str
    """Of the value: two histories may have the same numbers."""


@dataclass(frozen=True, slots=True)
class Read:
    """All keys at one revision."""

    revision: int
    term: int
    """The raft term of etcd when it answered. In linearizable reads it never falls, but in a cluster that was made
    anew; a member that is cut off may name any in a watch."""

    keys: Mapping[str, Version]


@dataclass(frozen=True, slots=True)
class Change:
    """One event of the watch."""

    key: str
    revision: int
    now: Version | None
    """None: it was deleted."""

    before: tuple[int, int] | None
    """`created` and `modified` of the version before, if etcd still has it (prev_kv)."""


@dataclass(frozen=True, slots=True)
class Held:
    """A key that is missing and was not seen to be deleted."""

    reason: str
    """HISTORY_LOST or SOURCE_EMPTIED."""

    since: float
    """Seconds since the epoch."""


class Next(Enum):
    """What has to be done to go on."""

    FOLLOW = "follow the watch"
    REWATCH = "watch from the revision after this one, as etcd has dropped what is before"
    REREAD = "read all keys and watch anew"


@dataclass(slots=True)
class History:
    """See the module. `obeys` says that what is missing after a loss is taken for deleted ([links] history_lost)."""

    obeys: bool = False
    revision: int = 0
    """The last revision up to which everything was seen; 0 before the first read."""
    term: int = 0
    keys: dict[str, Version] = field(default_factory=dict)
    """As etcd was last seen."""
    held: dict[str, Held] = field(default_factory=dict)
    """Keys that are missing without a DELETE."""
    pending: Read | None = None
    """A read that differs from what was seen, and that the watch has to lead to."""
    _before: tuple[dict[str, Version], dict[str, Held], int] | None = None
    """Keys, held ones and revision before the first event that leads to the pending read. They hold again if the watch
    ends before it is there: until then the events may be of another history."""
    _clock: float = field(default=0.0, compare=False)
    _confirmed: int = 0
    """How many times etcd has said that the watch has told all up to the pending read's revision."""
    _told: int = 0
    """The revision that etcd named last as told. Its events have arrived by the next such word (etcd #15220: in 3.4 the
    word may run ahead of them)."""

    @property
    def start(self) -> int:
        """The revision to watch from."""
        return self.revision + 1

    def begin(self, read: Read, clock: float) -> None:
        """Take a full read, the first thing before a watch. `clock` is the time of day, in seconds since the epoch."""
        self._confirmed, self._told, self._clock = 0, 0, clock
        self._undo()
        if not self.revision:
            self._adopt(read)
        elif read.revision < self.revision or read.term < self.term:
            self._lose(read)
        elif read.keys == self.keys:
            self._adopt(read)
        else:
            self.pending, self._before = read, (dict(self.keys), dict(self.held), self.revision)

    def take(self, changes: Iterable[Change]) -> Next:
        """Take the events of the watch, those of one revision together."""
        for change in changes:
            if self.pending is not None and change.revision > self.pending.revision:
                self._settle(self.pending)
            if not self._apply(change):
                if self.pending is None:
                    return Next.REREAD
                self._lose(self.pending)
                return Next.REWATCH
        if self.pending is not None and self.pending.keys == self.keys:
            self._settle(self.pending)
        return Next.FOLLOW

    def told(self, revision: int) -> None:
        """Take etcd's word that the watch has told everything up to a revision (a progress notification)."""
        if self.pending is not None and revision >= self.pending.revision:
            self._confirmed += 1
            if self._confirmed > 1:
                self._settle(self.pending)
        self.revision = max(self.revision, self._told if self.pending is None else 0)
        self._told = revision

    def compacted(self) -> Next:
        """Take etcd's word that it has dropped what is before the watch's beginning.

        What is missing is obeyed only if all that was seen is proven to be part of this history: the newest version
        that was seen is still there. An older key would prove nothing, as it is in each backup. That neither revision
        nor term has fallen is known already.
        """
        read = self.pending
        if read is None:
            return Next.REREAD
        newest = max((version.modified for version in self.keys.values()), default=0)
        if max((self._proven_by(key, found) for key, found in read.keys.items()), default=-1) >= newest:
            self._adopt(read)
        else:
            self._lose(read)
        return Next.REWATCH

    def _proven_by(self, key: str, found: Version) -> int:
        """Return up to which revision a key shows that what was seen is part of its history."""
        known = self.keys.get(key)
        if known == found:
            return found.modified
        return found.created if known is not None and known.created == found.created else -1

    def accept(self, keys: Iterable[str]) -> list[str]:
        """Take the administrator's word that these are gone. Returns those that were held."""
        return [key for key in keys if self.held.pop(key, None) is not None]

    def _apply(self, change: Change) -> bool:
        """Take one change. Returns whether it fits what was seen before."""
        known = self.keys.get(change.key)
        if known is not None and change.revision <= known.modified:
            return True
        if not _follows(change, known):
            return False
        if change.now is not None:
            self.keys[change.key] = change.now
            self.held.pop(change.key, None)
        else:
            # What is held was of another history, and so not what was deleted here.
            self.keys.pop(change.key, None)
        self.revision = max(self.revision, change.revision)
        return True

    def _settle(self, read: Read) -> None:
        """Judge the pending read by what the watch has told up to it."""
        if read.keys == self.keys:
            self._adopt(read)
        else:
            self._lose(read)

    def _undo(self) -> None:
        """Forget the events that were to lead to the pending read."""
        if self._before is not None:
            self.keys, self.held, self.revision = self._before
        self.pending = self._before = None

    def _adopt(self, read: Read) -> None:
        self.keys, self.pending, self._before = dict(read.keys), None, None
        self.revision, self.term = max(self.revision, read.revision), max(self.term, read.term)
        self.held = {key: why for key, why in self.held.items() if key not in read.keys}

    def _lose(self, read: Read) -> None:
        """Go on from a read of another history, or of one that was not seen in full."""
        self._undo()
        why = SOURCE_EMPTIED if not read.keys else HISTORY_LOST
        missing = self.keys.keys() - read.keys.keys()
        self.held = {key: told for key, told in self.held.items() if key not in read.keys}
        if not self.obeys:
            self.held |= dict.fromkeys(sorted(missing), Held(why, self._clock))
        self.keys = dict(read.keys)
        self.revision, self.term = read.revision, read.term


def _follows(change: Change, known: Version | None) -> bool:
    """Return whether a change is one of the version that was seen last; None: of a key that is not there."""
    if known is None:
        return change.before is None and change.now is not None and change.now.created == change.revision
    if change.before is not None and change.before != (known.created, known.modified):
        return False
    return change.now is None or change.now.created == known.created
