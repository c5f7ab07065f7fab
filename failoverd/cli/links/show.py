"""Declared links as an administrator reads them: a table, one in words, and why it is not ready.

As in cli/show.py, a daemon of another release may leave out a key or have a state that is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from failoverd.cli.client import NotDoneError, call
from failoverd.cli.commands import DEGRADED, DONE
from failoverd.cli.links.table import NO_LINK, WAITING
from failoverd.cli.show import LATEST, rows, span, text
from failoverd.cli.tables import paint, table, terminal_text
from failoverd.core.link_facts import COUNTERS
from failoverd.model.text import device_in

Row = dict[str, Any]

NOTHING = "no link is declared; [link.NAME] in the configuration declares one (man 5 failoverd.toml)"
PEER_REASONS = ("no-peer", "peer-invalid", "peer-names-another", "peer-conflict")
ON_ITS_WAY = ("pending", "making", "removing")


def asked(*names: str) -> tuple[Row, list[Row]]:
    """Ask the daemon, and return its answer with the rows of these links, or of all. Raises NoDaemonError, and
    NotDoneError for a name that is not declared."""
    document = call("links", *(names if len(names) == 1 else ()))
    found = rows(document, "links")
    if len(names) > 1:
        found = picked(found, names)
        document = document | {"links": found}
    return document, found


def picked(found: Sequence[Row], names: Iterable[str]) -> list[Row]:
    """Return the rows with these names, in their order. Raises NotDoneError."""
    by_name = {text(row, "name"): row for row in found}
    for name in names:
        if name not in by_name:
            raise NotDoneError(f"no link {name!r} is declared; failoverctl links lists them", "NoSuchLink")
    return [by_name[name] for name in names]


def exit_code(found: Sequence[Row]) -> int:
    """Return the exit code for the worst of these links."""
    if not found:
        return NO_LINK
    states = {text(row, "state") for row in found} - {"ready", "released"}
    if not states:
        return DONE
    return WAITING if states <= {*ON_ITS_WAY} else DEGRADED


def listing(found: Sequence[Row], colour: bool) -> list[str]:
    """Return one line for each link; with the pods, where any is a pod's."""
    if not found:
        return [NOTHING]
    keys = ["name", "kind", "device", "namespace", "state"]
    head = ["LINK", "KIND", "DEVICE", "NAMESPACE", "STATE", "WHY"]
    if any(text(row, "owner") for row in found):
        keys.append("owner")
        head.insert(5, "POD")
    lines = [[*(text(row, key) for key in keys), why(row)] for row in found]
    return table(head, lines, states=4 if colour else -1)


def etcd(contact: Any) -> list[str]:
    """Return a line that says how it stands with etcd, none where that is not enabled."""
    if not isinstance(contact, dict):
        return []
    since = _seconds(contact.get("since"))
    long = f" for {span(max(0.0, time.time() - since))}" if since else ""
    if contact.get("connected"):
        return [
            terminal_text(f"etcd: connected to {text(contact, 'endpoint')}{long}, revision {text(contact, 'revision')}")
        ]
    kept = "what it declared last stays in force"
    return [terminal_text(f"etcd: not connected{long}; {kept}: {text(contact, 'trouble')}")]


def why(row: Row) -> str:
    """Return why it is not ready, in words, "" for nothing to say."""
    return text(row, "detail") or text(row, "reason")


def one(row: Row, colour: bool) -> list[str]:
    """Return one link in words."""
    facts = [(label, words) for label, words in _facts(row) if words]
    width = max((len(label) for label, _ in facts), default=0)
    head = f"{terminal_text(text(row, 'name'))}: {paint(terminal_text(text(row, 'state')), colour)}"
    return [head, *(f"  {label:<{width}}  {terminal_text(words)}" for label, words in facts)]


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    yield "why", why(row)
    yield "reason", text(row, "reason")
    yield "since", moment(row.get("since"))
    yield "kind", text(row, "kind")
    yield "device", device_in(text(row, "device"), text(row, "namespace"))
    yield "ifindex", text(row, "ifindex") if row.get("ifindex") else ""
    yield "other end", text(row, "peer")
    yield "stands on", text(row, "lower")
    yield "ports", ", ".join(map(str, ports)) if isinstance(ports := row.get("ports"), list) else ""
    yield "pod", owner(row)
    yield "declared", text(row, "source")
    yield "attempts", attempts(row)
    yield "made", _times(row.get("made"))
    yield "repaired", _times(row.get("repairs"))


def owner(row: Row) -> str:
    """Return the pod that an attachment is for, with its network; "" for other links."""
    network = f" ({text(row, 'network')})" if text(row, "network") else ""
    return f"{text(row, 'owner')}{network}" if text(row, "owner") else ""


def attempts(row: Row) -> str:
    """Return how often it was tried in vain, and when it is tried again, "" for never."""
    number, at = row.get("attempts"), _seconds(row.get("next_try"))
    if not isinstance(number, int) or not number:
        return ""
    again = f", again in {span(at - time.time())}" if at else ""
    return f"{_times(number)} in vain{again}"


def _times(number: Any) -> str:
    if not isinstance(number, int) or not number:
        return ""
    return "once" if number == 1 else f"{number} times"


def moment(at: Any) -> str:
    """Return a time in local time, and how long ago it was."""
    since = _seconds(at)
    if not since:
        return ""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))}, {span(time.time() - since)} ago"


def _seconds(at: Any) -> float:
    """Return a time as the daemon told it, 0 if the value cannot be one."""
    return float(at) if isinstance(at, int | float) and 0 < at < LATEST else 0.0


def needs(row: Row, by_name: Mapping[str, Row]) -> list[Row]:
    """Return the links that this one waits for: its other end, if that is what the reason is about, and what it stands
    on."""
    if text(row, "state") in ("ready", "released"):
        return []
    peer, lower = by_name.get(text(row, "peer")), by_name.get(text(row, "lower").removeprefix("link:"))
    found = [peer] if peer is not None and _is_about(row, peer) else []
    found += [lower] if lower is not None else []
    return [other for other in found if other is not row and text(other, "state") != "ready"]


def _is_about(row: Row, peer: Row) -> bool:
    """Return whether a link waits for its other end. The daemon says so by a code, or by quoting that end's reason."""
    quoted = text(peer, "detail")
    is_quoted = quoted != text(row, "detail") and quoted in text(row, "detail")
    return text(row, "reason") in PEER_REASONS or bool(quoted and is_quoted)


def chain(row: Row, by_name: Mapping[str, Row]) -> list[tuple[int, Row]]:
    """Return the link, and what it waits for, each with its depth. None comes twice: two ends wait for each other."""
    found: list[tuple[int, Row]] = []
    rest, seen = [(0, row)], {text(row, "name")}
    while rest:
        depth, now = rest.pop(0)
        found.append((depth, now))
        more = [other for other in needs(now, by_name) if text(other, "name") not in seen]
        seen |= {text(other, "name") for other in more}
        rest[:0] = [(depth + 1, other) for other in more]
    return found


def explained(wanted: Sequence[Row], all_rows: Sequence[Row], colour: bool) -> list[str]:
    """Return why these links are not ready, and what would end that. One that another waits for stands below that."""
    by_name = {text(row, "name"): row for row in all_rows}
    lines: list[str] = []
    told: set[str] = set()
    needed = {text(one, "name") for row in wanted for one in needs(row, by_name)}
    for row in sorted(wanted, key=lambda row: text(row, "name") in needed):
        if text(row, "name") in told:
            continue
        for depth, found in chain(row, by_name):
            told.add(text(found, "name"))
            margin = "  " * depth
            said = terminal_text(f"{text(found, 'name')}: ")
            lines.append(f"{margin}{said}{paint(terminal_text(text(found, 'state')), colour)}{_told(found)}")
            if more := attempts(found):
                lines.append(f"{margin}  tried {more}")
    return lines or ["every link is ready" if all_rows else NOTHING]


def _told(row: Row) -> str:
    place = device_in(text(row, "device"), text(row, "namespace"))
    place += f" for {owner(row)}" if owner(row) else ""
    reason = text(row, "reason")
    return terminal_text("".join((f", {place}", f": {why(row)}" if why(row) else "", f" ({reason})" if reason else "")))


def counters(found: Sequence[Row]) -> list[str]:
    """Return the counters, a line for each end."""
    if not found:
        return ["no declared link has a device"]
    keys = ("name", "device", "namespace", *COUNTERS)
    head = [key.replace("_", " ").upper() for key in ("link", *keys[1:])]
    return table(head, [[text(row, key) for key in keys] for row in found])
