"""The vocabulary of the tables of facts: what is so (core/document.py) and what happens (core/signal_table.py).

A row is one fact: its name, type, unit and meaning, and the function that finds its value. D-Bus, JSON, the metrics,
the journal, the history, the hooks' environment and the reference pages are made from the rows, by these rules:

    key          JSON        D-Bus       journal and hooks    metrics
    drain_ends   drain_ends  DrainEnds   FAILOVERD_...        failoverd_master_drain_ends

Times are seconds everywhere. A duration has its unit in its name, as Prometheus wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, Literal, NamedTuple, TypeVar

Subject = TypeVar("Subject")
"""The object in which a row's value is found."""

Metric = Literal["", "label", "gauge", "counter", "states", "histogram"]
"""The metrics of a row: none, a label of the table's `info`, one sample, or one sample for each value."""


class Type(Enum):
    """The type of a fact: its D-Bus signature and its description in JSON."""

    TEXT = ("s", "text")
    FLAG = ("b", "true or false")
    NUMBER = ("u", "number")
    COUNT = ("t", "number that only grows")
    SECONDS = ("d", "number of seconds")
    TEXTS = ("as", "list of texts")
    SLAVE = ("o", "name of a slave, or null")
    MASTER = ("o", "name of a master")
    LINK = ("o", "name of a declared link")
    OBJECT = ("o", "object, or null")
    RECORD = ("a{sv}", "object, or null")
    ADDRESSES = ("aa{sv}", "list of objects with address and prefix")

    @property
    def signature(self) -> str:
        """The D-Bus type, one complete type."""
        return self.value[0]

    @property
    def json(self) -> str:
        """A description of the JSON type."""
        return self.value[1]


class Row(NamedTuple, Generic[Subject]):
    """One fact."""

    key: str
    """Its name, in lower case with underscores; every other spelling is made from it."""
    type: Type
    text: str
    """Its meaning, in one sentence."""
    value: Callable[[Subject], Any]
    """The function that finds its value."""
    unit: str = ""
    """The unit it is measured in; of SECONDS, the moment they count from."""
    values: tuple[str, ...] = ()
    """The words that a TEXT may be, as far as this release knows them."""
    constant: bool = False
    """Whether it stays the same as long as its subject exists."""
    metric: Metric = ""
    optional: bool = False
    """Whether it may be null, apart from the kinds that always may."""
    asked: bool = False
    """Whether the daemon queries the machine for it, for D-Bus only. `value` holds until the answer is there."""


class Table(Generic[Subject]):
    """All facts about one kind of subject.

    `name` is one word for the subject and `text` a sentence about it. The names of its metrics begin with "failoverd_"
    and `prefix`.
    """

    def __init__(self, name: str, text: str, rows: tuple[Row[Subject], ...], prefix: str = "") -> None:
        self.name = name
        self.text = text
        self.rows = rows
        self.prefix = prefix
        self._values = tuple((row.key, row.value) for row in rows if not row.asked)

    def of(self, subject: Subject) -> dict[str, Any]:
        """Return the facts about this subject, by their keys."""
        return {key: value(subject) for key, value in self._values}


def camel(key: str) -> str:
    """Spell a key, or an event's name, as D-Bus does."""
    return "".join(word.capitalize() for word in key.replace("-", "_").split("_"))


def metric_name(row: Row[Any], prefix: str = "") -> str:
    """Name the metric of this row. Counters end in _total, as Prometheus wants it."""
    return f"failoverd_{prefix}{row.key}{'_total' if row.metric == 'counter' else ''}"


def sentence(row: Row[Any]) -> str:
    """Return the meaning of the row, with its unit and its words."""
    unit = f" In {row.unit}." if row.unit else ""
    words = f" One of {', '.join(row.values[:-1])} and {row.values[-1]}." if row.values else ""
    return f"{row.text}{words}{unit}"
