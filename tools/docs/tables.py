"""The tables in the pages that people write, from the tables of the code.

A page says where: in Markdown between `<!-- table: NAME -->` and `<!-- end -->`, in a manual page between
`.\\" table: NAME` and `.\\" end`. Everything else of it is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from roff import roff

from failoverd.core import document
from failoverd.core.link_facts import ETCD, LINK
from failoverd.core.signal_facts import event, pieces
from failoverd.core.signal_table import BOOT, DAEMON, SIGNALS, WHEN
from failoverd.core.told import Told
from failoverd.daemon.journald import DROPPED
from failoverd.daemon.metrics import OWN
from failoverd.model.facts import Row, Table, Type, metric_name, sentence

MARKED = re.compile(
    r"""(?P<begin>^(?:<!--[ ]|\.\\"[ ])table:[ ](?P<name>[a-z-]+)(?:[ ]-->)?\n)
        .*?
        (?P<end>^(?:<!--[ ]|\.\\"[ ])end(?:[ ]-->)?$)""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


def filled(page: str) -> str:
    """The page with its tables as they are now."""
    return MARKED.sub(lambda found: f"{found['begin']}{_lines(TABLES[found['name']]())}{found['end']}", page)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _rows(head: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    columns = head.split(" | ")
    yield f"| {head} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _variable(key: str) -> str:
    return f"FAILOVERD_{key.upper()}"


def _journal_events() -> Iterator[str]:
    rows = [(f"`{kind.message_id}`", f"`{kind.event}`", kind.priorities, kind.text) for kind in SIGNALS.values()]
    dropped = "Entries were left out: `FAILOVERD_DROPPED` of them."
    return _rows(
        "`MESSAGE_ID` | `FAILOVERD_EVENT` | `PRIORITY` | when", [*rows, (f"`{DROPPED}`", "", "4, warning", dropped)]
    )


def _fields() -> Iterator[tuple[Row[Any], str]]:
    """Every key of an event, and of which events it is with this meaning."""
    found: dict[tuple[str, str], tuple[Row[Any], list[str]]] = {}
    for kind in SIGNALS.values():
        for field in kind.fields:
            for row in pieces(field):
                found.setdefault((row.key, row.text), (row, []))[1].append(kind.event)
    yield event()._replace(values=tuple(kind.event for kind in SIGNALS.values())), "all"
    for row, events in found.values():
        yield row, ALL.get(tuple(events)) or ", ".join(events)
    for when in WHEN:
        yield when, "all"


def _events_about(*subjects: str) -> tuple[str, ...]:
    return tuple(kind.event for kind in SIGNALS.values() if kind.subject in subjects)


ALL = {
    _events_about("master", "link"): "all",
    _events_about("master"): "all of pairs",
    _events_about("link"): "all of links",
}
"""Events that have a field in common, in words."""


def _variables() -> Iterator[str]:
    return _rows("field | in | what", [(f"`{_variable(row.key)}`", of, sentence(row)) for row, of in _fields()])


def _history_keys() -> Iterator[str]:
    yield from _rows("key | what", [(f"`{BOOT.key}`", sentence(BOOT))])
    for name, rows in DAEMON.items():
        yield from (f"| `{row.key}` | of `{name}`: {sentence(row)} |" for row in rows)


def _events() -> Iterator[str]:
    return _rows("`FAILOVERD_EVENT` | when", [(f"`{kind.event}`", kind.text) for kind in SIGNALS.values()])


def _roff_events() -> Iterator[str]:
    for kind in SIGNALS.values():
        yield from (".TP", f".B {roff(kind.event)}", roff(kind.text))


def _roff_variables() -> Iterator[str]:
    for row, of in _fields():
        yield from (".TP", f".B {_variable(row.key)}", roff(f"({of}) {sentence(row)}"))


def _metrics() -> Iterator[str]:
    rows = [
        *_metrics_of(document.DAEMON, ""),
        *_metrics_of(document.MASTER, "`master`"),
        *_metrics_of(document.SLAVE, "`master`, `slave`, `role`"),
        *_metrics_of(LINK, "`link`, `kind`"),
        *_metrics_of(ETCD, ""),
        *(row for kind in SIGNALS.values() for row in _metrics_of_event(kind)),
        *((f"`{metric_name(row)}`", "counter", "", sentence(row)) for row in OWN),
    ]
    return _rows("metric | type | labels | what", rows)


def _metrics_of(table: Table[Any], labels: str) -> Iterator[tuple[str, str, str, str]]:
    own = [f"`{row.key}`" for row in table.rows if row.metric == "label"]
    if own:
        all_labels = ", ".join(filter(None, (labels, *own)))
        yield f"`failoverd_{table.prefix}info`", "gauge", all_labels, f"1. {table.text}"
    for row in table.rows:
        if row.metric == "states":
            text = f"1 for the one it is, 0 for the others. {sentence(row)}"
            yield f"`{metric_name(row, table.prefix)}`", "gauge", f"{labels}, `{row.key}`", text
        elif row.metric in ("gauge", "counter"):
            text = f"1 or 0: {sentence(row)}" if row.type is Type.FLAG else sentence(row)
            yield f"`{metric_name(row, table.prefix)}`", row.metric, labels, text


def _metrics_of_event(kind: Told) -> Iterator[tuple[str, str, str, str]]:
    master = "`master`" if kind.subject == "master" else ""
    labels = f"{master}, `{kind.by}`" if kind.by else master
    yield f"`failoverd_{kind.counter}_total`", "counter", labels, f"How often: {kind.text}"
    for row in kind.fields:
        if row.metric == "histogram":
            yield f"`{metric_name(row)}`", "histogram", master, sentence(row)


TABLES: Mapping[str, Callable[[], Iterable[str]]] = {
    "journal-events": _journal_events,
    "fields": _variables,
    "history-keys": _history_keys,
    "events": _events,
    "roff-events": _roff_events,
    "roff-fields": _roff_variables,
    "metrics": _metrics,
}
