"""The values of the keys: which are in force.

A value that cannot be used, or that contradicts another link, leaves the last good one in force. What contradicts
others is tried again at each change: it comes into force when the others have made room. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import field, replace

from failoverd.config.bounds import LARGEST_TOGETHER
from failoverd.config.links.across import MOST
from failoverd.config.links.fleet import NOT_ALLOWED, OUT_OF_LIMITS, RefusedError
from failoverd.config.links.snapshot import CONTRADICTS, contradicting
from failoverd.dataclass import dataclass
from failoverd.model.declared import Declared, End
from failoverd_etcd.keys import is_name

MOST_ROUNDS = 20
"""Each round takes some milliseconds with a thousand links, and gives back what others may have wanted then."""
ENTANGLED = "it contradicts links that contradict others in turn, and so on; mend these first"
Ends = tuple[End, ...]
Check = Callable[[str, bytes], Ends]
"""Returns the ends that a value of a name declares. Raises RefusedError."""


@dataclass(frozen=True, slots=True)
class Good:
    """A value that can be used, of the revision in which it was put."""

    value: str
    revision: int
    since: float = 0.0
    """When it was taken, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a key's value, since when (seconds since the epoch), put in which revision."""

    state: str
    """"invalid" or "conflict"."""

    reason: str
    detail: str
    since: float
    revision: int


@dataclass(slots=True)
class Values:
    """See the module. `check` judges a value by itself; `files` are the links of the configuration's files, which win
    over etcd's by name, and which none of etcd's may contradict."""

    check: Check
    files: Declared = field(default_factory=dict)
    good: dict[str, Good] = field(default_factory=dict)
    """What is in force."""
    waiting: dict[str, Good] = field(default_factory=dict)
    """Newer values that are right by themselves: `settle` has not judged them yet, or they contradict other links."""
    faults: dict[str, Fault] = field(default_factory=dict)
    _ends: dict[tuple[str, str], Ends] = field(default_factory=dict)
    """Of the values that are in force or wait, by name and value."""

    def put(self, name: str, raw: bytes, revision: int, clock: float) -> None:
        """Take a value, which comes into force by `settle`. `clock` is in seconds since the epoch."""
        try:
            if not is_name(name):
                raise RefusedError("malformed", f"no link may be called {name!r}; put it under another key")
            ends = self.check(name, raw)
            self._has_room(name, raw)
        except RefusedError as refused:
            state = "conflict" if refused.reason == NOT_ALLOWED else "invalid"
            self._refuse(name, Fault(state, refused.reason, str(refused), clock, revision))
        else:
            value = raw.decode()
            self._ends[name, value] = ends
            self.waiting[name] = Good(value, revision, clock)

    def _has_room(self, name: str, raw: bytes) -> None:
        """Raise RefusedError where there is none among the others."""
        others = (self.good.keys() | self.waiting.keys()) - {name}
        if name not in self.good and len(others) >= MOST:
            raise RefusedError(OUT_OF_LIMITS, f"there are {MOST} links already; delete some, and put it again")
        taken = sum(max(len(table[one].value) for table in (self.good, self.waiting) if one in table) for one in others)
        if len(raw) > LARGEST_TOGETHER - taken:
            raise RefusedError(OUT_OF_LIMITS, f"all links have more than {LARGEST_TOGETHER} bytes; declare less")

    def _refuse(self, name: str, fault: Fault) -> None:
        """Note what is wrong with a value, since when it is wrong."""
        last = self.faults.get(name)
        since = last.since if last is not None and last.revision == fault.revision else fault.since
        kept = "the last good value stays in force" if name in self.good else "there is no earlier one"
        self.faults[name] = replace(fault, since=since, detail=f"{fault.detail}. Of this link {kept}")

    def settle(self, clock: float) -> None:
        """Bring into force what waits, as far as all links together are without a contradiction.

        Where they are not, what was in force stays, and of several new values the newest gives way.
        """
        if not self.waiting:
            return
        refused = self._refused()
        for name in self.waiting.keys() - refused.keys():
            self.good[name] = taken = self.waiting.pop(name)
            if name in self.faults and self.faults[name].revision <= taken.revision:
                del self.faults[name]
        for name, text in refused.items():
            waiting, fault = self.waiting[name], self.faults.get(name)
            if fault is None or fault.revision <= waiting.revision:
                self._refuse(name, Fault("conflict", CONTRADICTS, text, clock, waiting.revision))
        self._prune()

    def _refused(self) -> dict[str, str]:
        """Return which of those that wait cannot come into force, and why."""
        chosen = {name: self.waiting.get(name) or self.good[name] for name in self.good.keys() | self.waiting.keys()}
        trying, refused, rounds = set(self.waiting), dict[str, str](), 0
        while wrong := contradicting(self.files, self._found(chosen, trying)):
            rounds += 1
            if rounds > MOST_ROUNDS:
                wrong |= dict.fromkeys(trying - wrong.keys(), ENTANGLED)
            for name, text in wrong.items():
                if name in trying:
                    refused[name] = text
                if name in trying and name in self.good:
                    chosen[name] = self.good[name]
                else:
                    # One that was in force contradicts a file that is new. The daemon says so.
                    del chosen[name]
                trying.discard(name)
        return refused

    def _found(self, chosen: Mapping[str, Good], trying: set[str]) -> dict[str, Ends]:
        """Return the ends by their links, those first that are not to give way. What a file declares counts for none,
        as the file wins."""

        def rank(name: str) -> tuple[bool, bool, int, str]:
            fault = self.faults.get(name)
            was_refused = fault is not None and fault.reason == CONTRADICTS and fault.revision == chosen[name].revision
            return name in trying, was_refused, chosen[name].revision, name

        found = {name: self._ends_of(name, chosen[name].value) for name in sorted(chosen, key=rank)}
        return {name: ends for name, ends in found.items() if not self.files.keys() & {name, *(e.name for e in ends)}}

    def _ends_of(self, name: str, value: str) -> Ends:
        if (name, value) not in self._ends:
            try:
                self._ends[name, value] = self.check(name, value.encode())
            except (RefusedError, UnicodeEncodeError):
                # It was in force, and is not allowed any more.
                self._ends[name, value] = ()
        return self._ends[name, value]

    def keep(self, names: Set[str], held: Set[str]) -> None:
        """Forget all names but these. Of those that are held only what is in force is kept: what came after it was of
        the history that was lost."""
        self.good = {name: good for name, good in self.good.items() if name in names | held}
        self.waiting = {name: good for name, good in self.waiting.items() if name in names}
        self.faults = {name: fault for name, fault in self.faults.items() if name in names | held}
        self._prune()

    def _prune(self) -> None:
        used = {(name, good.value) for table in (self.good, self.waiting) for name, good in table.items()}
        self._ends = {key: ends for key, ends in self._ends.items() if key in used}
