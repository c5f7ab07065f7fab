"""The daemon's documents as an administrator reads them.

A daemon of another release may leave out a key, add one, or have a state that is unknown here. So the only assumption
is that masters and NICs are lists: a missing value is a dash, an unknown one is shown unchanged.
"""

from __future__ import annotations

import time

from failoverd.cli.client import NoDaemonError
from failoverd.cli.commands import DEGRADED, DONE, NO_PAIR, ON_STANDBY
from failoverd.cli.tables import paint, table, terminal_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = dict[str, Any]

UNDER_WAY = ("on-standby", "joining", "releasing", "alone", "away")
LATEST = 1e11
"""Seconds: a larger number is no time of CLOCK_MONOTONIC."""
NOTHING = "no pair found; failoverctl explain says what was made of every NIC"


def rows(document: Row, key: str) -> list[Row]:
    """Return a list of the document. Raises NoDaemonError if there is none."""
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise NoDaemonError(
            f"the answer has no list of {key}: failoverd {text(document, 'version') or 'there'} is not of this "
            "failoverctl's release; systemctl restart failoverd"
        )
    return found


def text(row: Any, key: str) -> str:
    """Return a value as text, "" for none."""
    value = row.get(key) if isinstance(row, dict) else None
    return "" if value is None or value == [] else "yes" if value is True else "no" if value is False else str(value)


def exit_code(masters: list[Row], named: bool = False) -> int:
    """Return the exit code of the worst of these masters. A released master is skipped, unless it was asked for by
    name. No other master at all is not good: a refused pair has none."""
    states = {text(row, "state") for row in masters} - (set() if named else {"released"})
    if not states:
        return NO_PAIR
    if states == {"accelerated"}:
        return DONE
    return ON_STANDBY if states <= {"accelerated", "released", *UNDER_WAY} else DEGRADED


def find(document: Row, word: str) -> Row | None:
    """Return the master with this name, MAC or ifindex, or with such a slave."""
    for master in rows(document, "masters"):
        devices = [master, master.get("primary"), master.get("standby")]
        words = {text(device, key) for device in devices for key in ("name", "ifindex", "mac")}
        if word and (word in words or word.lower() == text(master, "mac")):
            return master
    return None


def status(masters: list[Row], colour: bool) -> list[str]:
    """Return one line per master."""
    if not masters:
        return [NOTHING]
    lines = [
        [
            text(row, "name"),
            text(row, "state"),
            text(row, "active"),
            text(row.get("primary"), "name"),
            text(row.get("standby"), "name"),
            text(row, "datapath"),
            text(row, "mac"),
            _why(row),
        ]
        for row in masters
    ]
    head = ["MASTER", "STATE", "ACTIVE", "PRIMARY", "STANDBY", "DATAPATH", "MAC", "WHY"]
    return table(head, lines, states=1 if colour else -1)


def explain(document: Row, colour: bool) -> list[str]:
    """Return one line per NIC, with its verdict."""
    keys = ("name", "mac", "driver", "verdict", "reason")
    lines = [[text(row, key) for key in keys] for row in rows(document, "nics")]
    return table(["NIC", "MAC", "DRIVER", "VERDICT", "WHY"], lines, states=3 if colour else -1)


def devices(document: Row) -> list[Row]:
    """Return every NIC with its role, master and state, master by master and then the others."""
    found = []
    for master in rows(document, "masters"):
        name = text(master, "name")
        found.append(_device(master, "master", name, text(master, "state")))
        for role in ("primary", "standby"):
            slave = master.get(role)
            if isinstance(slave, dict):
                state = "active" if text(slave, "name") == text(master, "active") else _ready(slave)
                found.append(_device(slave, role, name, state))
    shown = {text(row, "ifindex") for row in found} - {""}
    others = [row for row in rows(document, "nics") if text(row, "ifindex") not in shown]
    return found + [_device(row, None, None, text(row, "verdict")) for row in others]


def listing(found: list[Row], colour: bool) -> list[str]:
    """Return the same in lines without a head."""
    keys = ("name", "role", "master", "state")
    return table([], [[text(row, key) for key in keys] for row in found], states=3 if colour else -1)


def pair(row: Row, colour: bool) -> list[str]:
    """Return one pair in words."""
    facts = [(label, words) for label, words in _facts(row) if words]
    width = max(len(label) for label, _ in facts)
    head = f"{terminal_text(text(row, 'name'))}: {paint(terminal_text(text(row, 'state')), colour)}"
    return [head, *(f"  {label:<{width}}  {terminal_text(words)}" for label, words in facts)]


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    yield "traffic", f"on {text(row, 'active')}" if text(row, "active") else "on nothing"
    yield "why", text(row, "reason")
    yield "place", _place(row)
    yield "drain", _drain(row)
    yield "damping", _damping(row)
    for role in ("primary", "standby"):
        yield role, _slave(row.get(role))
    yield "datapath", text(row, "datapath")
    yield "MAC", text(row, "mac")
    yield "MTU", text(row, "mtu")
    yield "ifindex", text(row, "ifindex")
    yield "failovers", text(row, "failovers")
    yield "last", _last(row.get("last_failover"))


def _slave(slave: Any) -> str:
    if not isinstance(slave, dict):
        return "none"
    where = " at ".join(word for word in (text(slave, "driver"), text(slave, "parent_device")) if word)
    parts = [
        where,
        "up" if slave.get("up") else "down",
        "carrier" if slave.get("carrier") else "no carrier",
        f"MTU {text(slave, 'mtu')}",
        "" if slave.get("fit") else "cannot carry",
    ]
    return f"{text(slave, 'name')}: {', '.join(part for part in parts if part)}"


def _last(last: Any) -> str:
    if not isinstance(last, dict):
        return ""
    silence, at = last.get("silence_seconds"), _moment(last.get("monotonic"))
    parts = [
        f"{span(time.monotonic() - at)} ago" if at is not None else "",
        f"{text(last, 'from') or 'nothing'} -> {text(last, 'to') or 'nothing'}",
        text(last, "reason"),
        f"no slave carried for {silence * 1000:.1f} ms" if isinstance(silence, float) and silence else "",
    ]
    return ", ".join(part for part in parts if part)


def span(seconds: float) -> str:
    """Return a length of time in words."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _why(row: Row) -> str:
    waits = f"it is {_place(row)}" if text(row, "move_pending") else ""
    return "; ".join(words for words in (text(row, "reason"), _drain(row) if ends_in(row) else "", waits) if words)


def _place(row: Row) -> str:
    """Return where a master is to be and by whose will, and why it is not there; "" where nothing was said."""
    by = text(row, "wanted_by")
    if not by:
        return ""
    where = text(row, "wanted_namespace")
    wanted = f"to be in the network namespace {where}" if where else "to be at home"
    waits = text(row, "move_pending")
    return f"{wanted}, by {'an' if by == 'order' else 'the'} {by}" + (f"; it waits: {waits}" if waits else "")


def _drain(row: Row) -> str:
    return f"ends {ends_in(row) or 'with undrain or the next VF'}" if row.get("drained") else ""


def _damping(row: Row) -> str:
    until = _moment(row.get("suppressed_until"))
    if not row.get("suppressed") or until is None:
        return ""
    return f"the VF is suppressed for {max(0.0, until - time.monotonic()):.0f} s more, or until reset-damping"


def ends_in(row: Row) -> str:
    """Return when a drain ends by itself, in words, "" for never."""
    until = _moment(row.get("drain_ends"))
    return f"in {max(0.0, until - time.monotonic()):.0f} s" if until is not None else ""


def _moment(at: Any) -> float | None:
    """Return a time of the daemon's clock, None if the value cannot be one: JSON has numbers of any length, and NaN."""
    return float(at) if isinstance(at, int | float) and abs(at) < LATEST else None


def _ready(slave: Row) -> str:
    return "ready" if slave.get("fit") else "unfit"


def _device(row: Row, role: str | None, master: str | None, state: str) -> Row:
    return {"name": text(row, "name"), "ifindex": row.get("ifindex"), "role": role, "master": master, "state": state}
