"""`failoverctl links watch`: the links, and then their changes.

It asks twice a second, as `failoverctl watch` does, and says which generation it knows: if nothing has changed, the
daemon answers just that.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from failoverd.cli.client import NoDaemonError, NotDoneError, call
from failoverd.cli.commands import DONE
from failoverd.cli.links.show import NOTHING, why
from failoverd.cli.show import rows, text
from failoverd.cli.tables import terminal_text
from failoverd.cli.watch import INTERVAL, PATIENCE, moment
from failoverd.model.text import device_in

Row = dict[str, Any]
Rows = Mapping[str, Row]

SAID = ("kind", "device", "namespace", "ifindex", "peer", "lower", "made", "repairs")
"""The keys whose changes are told beside the state's."""


def watch(as_json: bool, stream: TextIO) -> int:
    """Follow until Ctrl-C or until the output's reader goes away. Returns the exit code. Raises NoDaemonError if there
    is no daemon at the beginning, and OSError if the output cannot be written."""
    output = select.poll()
    output.register(stream.fileno(), 0)
    document = call("links")
    known = by_name(document)
    if not known:
        _tell(stream, as_json, "none", NOTHING, None)
    for event, words, row in changes({}, known):
        _tell(stream, as_json, event, words, row)
    is_gone = False
    while True:
        stream.flush()
        if output.poll(INTERVAL * 1000):
            return DONE
        try:
            found = call("links", "", text(document, "generation"), patience=PATIENCE)
        except (NoDaemonError, NotDoneError) as error:
            if not is_gone:
                _tell(stream, as_json, "no-daemon", str(error), None)
            is_gone = True
            continue
        if is_gone:
            _tell(stream, as_json, "daemon", "failoverd answers again", None)
        is_gone = False
        if "links" in found:
            document, before, known = found, known, by_name(found)
            for event, words, row in changes(before, known):
                _tell(stream, as_json, event, words, row)


def by_name(document: Row) -> dict[str, Row]:
    """Return the rows of a document by the links' names. Raises NoDaemonError if there are none."""
    return {text(row, "name"): row for row in rows(document, "links")}


def changes(before: Rows, now: Rows) -> Iterator[tuple[str, str, Row]]:
    """Yield the differences: one word, a text, and the row as it is now, or was."""
    for name, row in before.items():
        if name not in now:
            yield "gone", f"{name}: no longer declared", row
    for name, row in now.items():
        old = before.get(name)
        if old is None:
            yield "link", f"{name}: {_stand(row)}, {device_in(text(row, 'device'), text(row, 'namespace'))}", row
        elif words := ", ".join(_differences(old, row)):
            yield "changed", f"{name}: {words}", row


def _stand(row: Row) -> str:
    return f"{text(row, 'state')}{f': {why(row)}' if why(row) else ''}"


def _differences(old: Row, new: Row) -> Iterator[str]:
    if text(old, "state") != text(new, "state"):
        yield f"{text(old, 'state')} -> {_stand(new)}"
    elif why(old) != why(new):
        yield why(new) or "nothing is amiss any more"
    for key in SAID:
        if text(old, key) != text(new, key):
            yield f"{key} {text(old, key) or 'none'} -> {text(new, key) or 'none'}"


def _tell(stream: TextIO, as_json: bool, event: str, words: str, row: Row | None) -> None:
    if as_json:
        stream.write(json.dumps({"time": round(time.time(), 6), "event": event, "text": words, "link": row}) + "\n")
    else:
        stream.write(f"{moment()} {terminal_text(words)}\n")
