"""What everything that reports signals derives from their table (core/signal_table.py): sentences, facts, keys.

On D-Bus a device is named by its object's path. Everywhere else a field that is a device stands for two: a slave for
its name and its ifindex, a master for its name and the pair's MAC. A declared link is its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from failoverd.core.signal_table import BOOT, DAEMON, SIGNALS, WHEN
from failoverd.core.told import Told
from failoverd.model.facts import Row, Type
from failoverd.model.text import printable

if TYPE_CHECKING:
    from failoverd.model.signals import Moment, Signal

Fact = str | int | float | bool | None
Facts = dict[str, Fact]


def told(signal: Signal) -> Told:
    """Return the signal's row."""
    return SIGNALS[type(signal).__name__]


def sentence(signal: Signal) -> str:
    """Return the signal as one printable line, the same in the log, the journal and the hooks' output."""
    return printable(told(signal).say(signal))


def facts(signal: Signal, moment: Moment) -> Facts:
    """Return everything in a signal, by name. None for something absent, as a slave where no slave carries."""
    found: Facts = {"event": told(signal).event}
    for row in told(signal).fields:
        found |= _pieces(row, row.value(signal))
    return found | {row.key: row.value(moment) for row in WHEN}


def happened(event: str, value: str, moment: Moment) -> Facts:
    """Return the facts about an event of the daemon itself."""
    found = {row.key: row.value(value) for row in DAEMON[event]}
    return {"event": event, **found, **{row.key: row.value(moment) for row in WHEN}}


def record(signal: Signal) -> Facts:
    """Return a signal's facts without the pair they are about, for the status document."""
    found: Facts = {}
    for row in told(signal).fields:
        if row.type is not Type.MASTER:
            found |= _pieces(row, row.value(signal))
    return found


def pieces(row: Row[Any]) -> Iterator[Row[Any]]:
    """Return the rows that a field stands for where a device is not named by its object's path."""
    if row.type is Type.SLAVE:
        yield row._replace(type=Type.TEXT)
        yield row._replace(key=f"{row.key}_ifindex", type=Type.NUMBER, text=f"The ifindex of {row.key}.")
    elif row.type is Type.MASTER:
        yield row._replace(type=Type.TEXT)
        yield row._replace(key="mac", type=Type.TEXT, text="The pair's permanent MAC.")
    elif row.type is Type.LINK:
        yield row._replace(type=Type.TEXT)
    else:
        yield row


def event() -> Row[Facts]:
    """Return the row for the kind of event, the key that all events have."""
    words = (*(kind.event for kind in SIGNALS.values()), *DAEMON)
    return Row("event", Type.TEXT, "What has happened.", lambda facts: facts["event"], values=words)


def keys() -> dict[str, Row[Any]]:
    """Return every key that an event in the history may have, with its row. A key means the same in all events."""
    fields = [piece for kind in SIGNALS.values() for row in kind.fields for piece in pieces(row)]
    found: dict[str, Row[Any]] = {}
    own = [row for rows in DAEMON.values() for row in rows]
    rows: tuple[Row[Any], ...] = (*WHEN, BOOT, *fields, *own)
    for row in rows:
        found.setdefault(row.key, row)
    return found


def as_text(fact: Fact) -> str:
    """Format a fact for the journal and a hook's environment: "" for none, 1 and 0 for yes and no."""
    if fact is None:
        return ""
    if isinstance(fact, float):
        return f"{fact:.6f}"
    return str(int(fact)) if isinstance(fact, bool) else str(fact)


def _pieces(row: Row[Any], value: Any) -> Facts:
    values = value if isinstance(value, tuple) else (value,)
    return {one.key: part for one, part in zip(pieces(row), values, strict=True)}
