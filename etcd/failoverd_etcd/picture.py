"""Keys and values together: what etcd declares for this machine, as far as it was seen, and what is in force. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from hashlib import blake2b

from failoverd.dataclass import dataclass
from failoverd_etcd.declared import Values
from failoverd_etcd.history import Change, History, Next, Read, Version


@dataclass(frozen=True, slots=True)
class Pair:
    """A key of etcd's, by its name, with its value."""

    name: str
    created: int
    modified: int
    value: bytes

    def version(self) -> Version:
        """Return the version."""
        return Version(self.created, self.modified, blake2b(self.value, digest_size=8).hexdigest())


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the watch."""

    name: str
    revision: int
    now: Pair | None
    before: tuple[int, int] | None

    def change(self) -> Change:
        """Return it without the value."""
        return Change(self.name, self.revision, self.now.version() if self.now is not None else None, self.before)


@dataclass(slots=True)
class Picture:
    """See the module."""

    history: History
    values: Values
    _read: Mapping[str, Pair] = field(default_factory=dict)
    """What was read, until it is believed."""

    def read(self, revision: int, term: int, pairs: Sequence[Pair], clock: float) -> None:
        """Take a full read. `clock` is in seconds since the epoch."""
        self._read = {pair.name: pair for pair in pairs}
        self.history.begin(Read(revision, term, {pair.name: pair.version() for pair in pairs}), clock)
        self._believe(clock)

    def events(self, events: Sequence[Event], clock: float) -> Next:
        """Take events of the watch: whole revisions, so that the links of a transaction are judged together."""
        before = dict(self.history.keys)
        following = self.history.take([event.change() for event in events])
        for event in events:
            now = event.now
            if now is not None and before.get(event.name) != self.history.keys.get(event.name) == now.version():
                self.values.put(event.name, now.value, event.revision, clock)
        self._believe(clock)
        return following

    def told(self, revision: int, clock: float) -> None:
        """Take a progress notification."""
        self.history.told(revision)
        self._believe(clock)

    def compacted(self, clock: float) -> Next:
        """Take the end of a watch whose beginning etcd has dropped."""
        following = self.history.compacted()
        self._believe(clock)
        return following

    def accept(self, names: Collection[str], clock: float) -> list[str]:
        """Let go of what is held. Returns the names that were."""
        gone = self.history.accept(names)
        self._forget()
        self.values.settle(clock)
        return gone

    def _believe(self, clock: float) -> None:
        """Once the read is believed, take its values as far as they are not known, and bring into force what fits
        together."""
        if self.history.pending is None:
            read, self._read = self._read, {}
            for name, pair in sorted(read.items()):
                if self.history.keys.get(name) == pair.version() and not self._knows(name, pair.modified):
                    self.values.put(name, pair.value, pair.modified, clock)
            self._forget()
            self.values.settle(clock)

    def _knows(self, name: str, revision: int) -> bool:
        good, fault = self.values.good.get(name), self.values.faults.get(name)
        return fault is None and good is not None and good.revision == revision

    def _forget(self) -> None:
        self.values.keep(self.history.keys.keys(), self.history.held.keys())
