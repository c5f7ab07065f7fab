"""Metrics for Prometheus, as a text file: <runtime>/metrics.prom, for node_exporter's textfile collector.

A file and no port: the daemon's sandbox has no IP, and whoever wants metrics of a machine has node_exporter there
already. The file is written beside and renamed, when something in it has changed, once a second at most; the last
state is never left out, for tellers are shown the state once more when it has come to rest.

Counters count from the daemon's start, as Prometheus expects: it knows a reset by a value that falls. They are kept by
MAC, which stays, and shown under the master's name of now. Everything has a handful of labels only: masters, slaves and
fixed words. In good order the file goes with the daemon; after a kill it stays until the next one writes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failoverd.core.status import Document
from failoverd.daemon.exposition import Family, render
from failoverd.daemon.files import put
from failoverd.daemon.tellers import Moment
from failoverd.model.signals import FailedOver, LinkRenamed, Signal

PAUSE = 1.0
"""Seconds between two looks at the state at least."""

STATES = ("accelerated", "on-standby", "degraded", "joining", "releasing", "released", "alone")
ROLES = ("primary", "standby", "none")

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds. A failover takes 0.2 ms to 100 ms; what takes longer had to wait for something."""


@dataclass(slots=True)
class Silences:
    """A histogram of one pair's silence estimates, in seconds."""

    total: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def add(self, seconds: float) -> None:
        """Count one."""
        self.total += seconds
        self.counts[bisect_left(BUCKETS, seconds)] += 1


class Metrics:
    """A teller: see the module. `dropped` says how many signals were dropped before any teller heard of them."""

    def __init__(
        self, path: Path, dropped: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._dropped = dropped
        self._clock = clock
        self._failovers: Counter[tuple[str, str]] = Counter()
        self._silences: dict[str, Silences] = {}
        self._renames = 0
        self._written = b""
        self._next = 0.0

    def signalled(self, signal: Signal, _moment: Moment, /) -> None:
        """See Teller."""
        match signal:
            case FailedOver():
                self._failovers[signal.mac, signal.role or "none"] += 1
                self._silences.setdefault(signal.mac, Silences()).add(signal.silence)
            case LinkRenamed():
                self._renames += 1
            case _:
                pass

    def stepped(self, document: Document, /) -> None:
        """See Teller. Raises OSError."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + PAUSE
        data = render(self._families(document)).encode()
        if data != self._written:
            put(self._path, data, 0o644)
            self._written = data

    def close(self) -> None:
        """The daemon ends: better no metrics than those of a dead daemon. Raises OSError."""
        self._path.unlink(missing_ok=True)

    def _families(self, document: Document) -> Iterator[Family]:
        info = Family("failoverd_info", "gauge", "The daemon that writes this.")
        info.add(1, version=document["version"])
        yield info
        # Without a name, as in the middle of a move whose devices are gone, several would have the same series.
        masters: list[Document] = [master for master in document["masters"] if master["name"]]
        yield from self._counts(masters)
        yield from _states(masters)
        yield from _slaves(masters)
        renames = Family("failoverd_renames_total", "counter", "Renames of a pair's devices.")
        renames.add(self._renames)
        yield renames
        dropped = Family("failoverd_signals_dropped_total", "counter", "Signals nobody was told of: too many at once.")
        dropped.add(self._dropped())
        yield dropped

    def _counts(self, masters: list[Document]) -> Iterator[Family]:
        failovers = Family(
            "failoverd_failovers_total", "counter", "Changes of who carries, by the role of who carried then."
        )
        silences = Family(
            "failoverd_silence_seconds", "histogram", "For how long nobody carried in a failover, as the kernel told."
        )
        for master in masters:
            for role in ROLES:
                failovers.add(self._failovers[master["mac"], role], master=master["name"], to=role)
            found = self._silences.get(master["mac"], Silences())
            silences.add_histogram(BUCKETS, found.counts, found.total, master=master["name"])
        yield failovers
        yield silences


def _states(masters: list[Document]) -> Iterator[Family]:
    pairs = Family("failoverd_master_info", "gauge", "Every master with its pair's permanent MAC and its datapath.")
    states = Family("failoverd_state", "gauge", "1 for the state a master is in, 0 for every other.")
    drained = Family("failoverd_drained", "gauge", "1 where an administrator has ordered that the VF does not carry.")
    for master in masters:
        pairs.add(1, master=master["name"], mac=master["mac"], datapath=master["datapath"])
        for state in dict.fromkeys((*STATES, master["state"])):
            states.add(int(state == master["state"]), master=master["name"], state=state)
        drained.add(int(master["drain"] is not None), master=master["name"])
    yield pairs
    yield states
    yield drained


SLAVES: tuple[tuple[str, str, str, Callable[[Document, Document], Any]], ...] = (
    ("failoverd_active", "gauge", "1 for the slave that carries.", lambda m, s: int(m["active"] == s["name"])),
    ("failoverd_slave_up", "gauge", "1 where a slave is up.", lambda _, s: int(s["up"])),
    ("failoverd_slave_carrier", "gauge", "1 where a slave has its carrier.", lambda _, s: int(s["carrier"])),
    (
        "failoverd_carrier_losses_total",
        "counter",
        "Carrier losses of a slave, as the kernel has counted them since the device was made.",
        lambda _, s: s["carrier_losses"],
    ),
)
"""Families with a row for each slave: name, type, help, and the value of a master and its slave."""


def _slaves(masters: list[Document]) -> Iterator[Family]:
    for name, kind, words, value in SLAVES:
        family = Family(name, kind, words)
        for master in masters:
            for role in ("primary", "standby"):
                if slave := master[role]:
                    family.add(value(master, slave), master=master["name"], slave=slave["name"], role=role)
        yield family
