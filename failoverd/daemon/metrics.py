"""Metrics for Prometheus, as a text file: <runtime>/metrics.prom, for node_exporter's textfile collector.

Its content follows from the tables of core/document.py (the state) and core/signal_table.py (the events).

It is a file and not a port: the daemon's sandbox has no IP, and a machine with metrics runs node_exporter already. The
file is written beside and renamed when something in it has changed, once a second at most; the last state is never left
out, as receivers get the state once more when it has settled.

Counters count from the daemon's start, as Prometheus expects: it detects a reset by a value that falls. They are kept
by MAC, which stays, and shown under the master's present name. Labels have few values: masters, slaves and fixed words.
Events of declared links, of which there may be a thousand, are counted for all links together; and the lines of a link
whose status is the same object as before are those of before.
An orderly end removes the file; after a kill it stays until the next daemon writes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from failoverd.core import document as tables
from failoverd.core.document import Document
from failoverd.core.link_facts import ETCD, LINK
from failoverd.core.signal_facts import told
from failoverd.core.signal_table import SIGNALS
from failoverd.core.told import Told
from failoverd.daemon.exposition import Family, render
from failoverd.daemon.files import put
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.facts import Row, Table, Type, metric_name, sentence
from failoverd.model.linkstatus import LinkStatus
from failoverd.model.signals import Moment, Signal

PAUSE = 1.0
"""Seconds between two looks at the state, at least."""

NONE = "none"
"""The label of a field that is null."""

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Seconds. A failover takes 0.2 ms to 100 ms; a longer one had to wait for something."""

OWN: tuple[Row[int], ...] = (
    Row(
        "signals_dropped",
        Type.COUNT,
        "Signals dropped before they were told, because too many came at once.",
        int,
        metric="counter",
    ),
)
"""Rows that only the metrics have."""

Labelled = Iterable[tuple[Document, dict[str, str]]]
"""Rows of the status document, each with its labels."""


class Histogram:
    """A histogram of one pair's values."""

    def __init__(self) -> None:
        self.total = 0.0
        self.counts = [0] * (len(BUCKETS) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.total += value
        self.counts[bisect_left(BUCKETS, value)] += 1


class Metrics:
    """A receiver; see the module. `dropped` returns how many signals were dropped before reaching any receiver, `links`
    the status of each end of a declared link, `etcd` how it stands with etcd, None where that is not enabled."""

    def __init__(
        self,
        path: Path,
        dropped: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        links: Callable[[], Iterable[LinkStatus]] = tuple,
        etcd: Callable[[], EtcdContact | None] = lambda: None,
    ) -> None:
        self._links, self._etcd = links, etcd
        self._told: dict[str, tuple[LinkStatus, list[Family]]] = {}
        """By the end's name: its status, and its families."""
        self._path = path
        self._dropped = dropped
        self._clock = clock
        self._counts: Counter[tuple[str, str, str]] = Counter()
        """By the event, the pair's MAC ("" for a link), and the word that events of this kind are told apart by."""
        self._histograms: dict[tuple[str, str], Histogram] = {}
        """By the metric's name and the pair's MAC."""
        self._written = b""
        self._next = 0.0

    def signalled(self, signal: Signal, _moment: Moment, /) -> None:
        """See Receiver."""
        kind = told(signal)
        values = {row.key: row.value(signal) for row in kind.fields}
        mac = values["master"][1] if kind.subject == "master" else ""
        self._counts[kind.event, mac, str(values.get(kind.by) or NONE)] += 1
        for row in kind.fields:
            if row.metric == "histogram":
                self._histograms.setdefault((metric_name(row), mac), Histogram()).add(values[row.key])

    def stepped(self, document: Document, /) -> None:
        """See Receiver. Raises OSError."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + PAUSE
        data = render(self._families(document)).encode()
        if data != self._written:
            put(self._path, data, 0o644)
            self._written = data

    def close(self) -> None:
        """The daemon ends: remove the file, as no metrics are better than those of a dead daemon. Raises OSError."""
        self._path.unlink(missing_ok=True)

    def _families(self, document: Document) -> Iterator[Family]:
        # Masters without a name, as in the middle of a move whose devices are gone, would share one series.
        masters: list[Document] = [master for master in document["masters"] if master["name"]]
        slaves = [slave for master in masters for role in ("primary", "standby") if (slave := master[role])]
        yield from _samples(tables.DAEMON, [(document, {})])
        yield from _samples(tables.MASTER, [(master, {"master": master["name"]}) for master in masters])
        yield from _samples(tables.SLAVE, [(slave, _labels_of(slave)) for slave in slaves])
        yield from self._linked()
        if (contact := self._etcd()) is not None:
            yield from _samples(ETCD, [(ETCD.of(contact), {})])
        for kind in SIGNALS.values():
            yield self._counted(kind, masters)
            yield from self._spread(kind, masters)
        for row in OWN:
            family = Family(metric_name(row), "counter", sentence(row))
            family.add(row.value(self._dropped()))
            yield family

    def _linked(self) -> Iterator[Family]:
        """Yield the families of the declared links."""
        before, self._told = self._told, {}
        for status in self._links():
            known, families = before.get(status.name, (None, []))
            if known is not status:
                labels = {"link": status.name, "kind": status.kind}
                families = list(_samples(LINK, [(LINK.of(status), labels)]))
            self._told[status.name] = status, families
        for together in zip(*(families for _, families in self._told.values()), strict=True):
            family = Family(together[0].name, together[0].kind, together[0].words)
            family.lines = list(chain.from_iterable(one.lines for one in together))
            yield family

    def _counted(self, kind: Told, masters: list[Document]) -> Family:
        """Return how often this has happened to each master, or to all links."""
        family = Family(f"failoverd_{kind.counter}_total", "counter", f"How often: {kind.text}")
        for mac, labels in _subjects(kind, masters):
            for word in _words(kind):
                more = {kind.by: word} if kind.by else {}
                family.add(self._counts[kind.event, mac, word], **labels, **more)
        return family

    def _spread(self, kind: Told, masters: list[Document]) -> Iterator[Family]:
        for row in kind.fields:
            if row.metric == "histogram":
                family = Family(metric_name(row), "histogram", sentence(row))
                for mac, labels in _subjects(kind, masters):
                    found = self._histograms.get((family.name, mac), Histogram())
                    family.add_histogram(BUCKETS, found.counts, found.total, **labels)
                yield family


def _subjects(kind: Told, masters: list[Document]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what events of this kind are counted for: the MAC and the labels of a master, none for all links."""
    if kind.subject == "master":
        yield from ((master["mac"], {"master": master["name"]}) for master in masters)
    else:
        yield "", {}


def _words(kind: Told) -> tuple[str, ...]:
    """Return the words that events of this kind are told apart by. Their counters exist before the first event, as a
    counter that first appears with a value shows no rise."""
    return (*next((row.values for row in kind.fields if row.key == kind.by), ()), NONE)


def _labels_of(slave: Document) -> dict[str, str]:
    return {"master": slave["master"], "slave": slave["name"], "role": slave["role"]}


def _samples(table: Table[Any], found: Labelled) -> Iterator[Family]:
    """Yield the families of a table's rows: one for the table's labels, and one for each row that is a sample."""
    if labels := [row.key for row in table.rows if row.metric == "label"]:
        info = Family(f"failoverd_{table.prefix}info", "gauge", table.text)
        for facts, about in found:
            info.add(1, **about, **{key: facts[key] for key in labels})
        yield info
    for row in table.rows:
        if row.metric in ("gauge", "counter", "states"):
            family = Family(metric_name(row, table.prefix), row.metric.replace("states", "gauge"), sentence(row))
            for facts, about in found:
                for value, more in _values(row, facts[row.key]):
                    family.add(value, **about, **more)
            yield family


def _values(row: Row[Any], value: Any) -> Iterator[tuple[float, dict[str, str]]]:
    """Yield a row's samples: its value, or 1 for the word that it is and 0 for every other word."""
    if row.metric == "states":
        words = value if row.type is Type.TEXTS else (value,)
        for word in dict.fromkeys((*row.values, *words)):
            yield int(word in words), {row.key: word}
    elif value is not None:
        yield value if row.type is Type.SECONDS else int(value), {}
