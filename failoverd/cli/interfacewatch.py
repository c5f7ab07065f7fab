"""`failoverctl interfaces --watch`: the interfaces, and then their changes.

It asks twice a second, as `failoverctl watch` does. If nothing has changed, the daemon answers just that.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from typing import Any, TextIO

from failoverd.cli.client import NoDaemonError, NotDoneError, call
from failoverd.cli.commands import DONE
from failoverd.cli.interfaces import STATES, table
from failoverd.cli.tables import terminal_text
from failoverd.cli.watch import INTERVAL, moment

Row = dict[str, Any]

TOLD = ("name", "active", "state", "carrier", "mac", "mtu", "master", "ipv4", "ipv6", "gateway4", "gateway6")
"""The keys whose changes are shown."""


def watch(which: str, as_json: bool, stream: TextIO) -> int:
    """Follow until Ctrl-C or until the output's reader goes away. Returns the exit code. Raises NoDaemonError if there
    is no daemon at the beginning, and OSError if the output cannot be written."""
    output = select.poll()
    output.register(stream.fileno(), 0)
    document = call("interfaces", "json", which)
    known = by_ifindex(document)
    if as_json:
        for row in known.values():
            _tell(stream, True, "interface", "", row)
    else:
        rows = [[row["name"], row["active"], row["mac"] or ""] for row in known.values()]
        stream.write("".join(table(rows)))
    is_gone = False
    while True:
        stream.flush()
        if output.poll(INTERVAL * 1000):
            return DONE
        try:
            found = call("interfaces", "json", which, str(document["generation"]))
        except (NoDaemonError, NotDoneError) as error:
            if not is_gone:
                _tell(stream, as_json, "no-daemon", str(error), None)
            is_gone = True
            continue
        is_gone = False
        if "interfaces" in found:
            document, before, known = found, known, by_ifindex(found)
            for event, words, row in changes(before, known):
                _tell(stream, as_json, event, words, row)


def by_ifindex(document: Row) -> dict[int, Row]:
    """Return the rows of a document by ifindex, as a name may go from one interface to another."""
    return {row["ifindex"]: row for row in document["interfaces"]}


def changes(before: dict[int, Row], now: dict[int, Row]) -> Iterator[tuple[str, str, Row]]:
    """Yield the differences: one word, a text, and the row as it is now, or was."""
    for ifindex, row in before.items():
        if ifindex not in now:
            yield "gone", f"{row['name']}: gone", row
    for ifindex, row in now.items():
        old = before.get(ifindex)
        if old is None:
            yield "new", f"{row['name']}: new, {_said('active', row['active'])}", row
        elif words := [_difference(key, old[key], row[key]) for key in TOLD if old[key] != row[key]]:
            yield "changed", f"{old['name']}: {', '.join(words)}", row


def _difference(key: str, old: Any, new: Any) -> str:
    label = "" if key == "active" else f"{key} "
    return f"{label}{_said(key, old)} -> {_said(key, new)}"


def _said(key: str, value: Any) -> str:
    if key == "active":
        return STATES[bool(value)]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(f"{one['address']}/{one['prefix']}" for one in value) or "none"
    return "none" if value is None else str(value)


def _tell(stream: TextIO, as_json: bool, event: str, words: str, row: Row | None) -> None:
    if as_json:
        found = {"time": round(time.time(), 6), "event": event, "text": words, "interface": row}
        stream.write(json.dumps(found) + "\n")
    else:
        stream.write(f"{moment()} {terminal_text(words)}\n")
