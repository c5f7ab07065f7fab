"""The values of the keys: which are in force.

A value that cannot be used leaves the last good one in force. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from failoverd.config.bounds import LARGEST_TOGETHER
from failoverd.config.links.across import MOST
from failoverd.config.links.fleet import NOT_ALLOWED, OUT_OF_LIMITS, RefusedError
from failoverd.dataclass import dataclass
from failoverd_etcd.keys import is_name

Check = Callable[[str, bytes], object]
"""Checks a value of a name. Raises RefusedError."""


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
    """See the module. `check` judges a value."""

    check: Check
    good: dict[str, Good] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    strangers: int = 0
    """Keys that no link may be called, in the last full look."""

    def put(self, name: str, raw: bytes, revision: int, clock: float) -> None:
        """Take a value. `clock` is in seconds since the epoch."""
        try:
            if not is_name(name):
                raise RefusedError("malformed", f"no link may be called {name!r}; put it under another key")
            self.check(name, raw)
            if name not in self.good and len(self.good) >= MOST:
                raise RefusedError(OUT_OF_LIMITS, f"there are {MOST} links already; delete some, and put it again")
            room = LARGEST_TOGETHER - sum(len(good.value) for one, good in self.good.items() if one != name)
            if len(raw) > room:
                raise RefusedError(OUT_OF_LIMITS, f"all links have more than {LARGEST_TOGETHER} bytes; declare less")
        except RefusedError as refused:
            last = self.faults.get(name)
            is_same = last is not None and last.revision == revision
            since = last.since if last is not None and is_same else clock
            state = "conflict" if refused.reason == NOT_ALLOWED else "invalid"
            kept = "the last good value stays in force" if name in self.good else "there is no earlier one"
            self.faults[name] = Fault(state, refused.reason, f"{refused}. Of this link {kept}", since, revision)
        else:
            self.good[name] = Good(raw.decode(), revision, clock)
            self.faults.pop(name, None)

    def keep(self, names: Mapping[str, object] | set[str]) -> None:
        """Forget all names but these."""
        self.good = {name: good for name, good in self.good.items() if name in names}
        self.faults = {name: fault for name, fault in self.faults.items() if name in names}
