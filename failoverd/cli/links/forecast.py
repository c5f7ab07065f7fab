"""`failoverctl links --dry-run` and `links check FILE --dry-run`: what a reload would ask of the kernel for links."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import trio

from failoverd.cli.client import NoDaemonError, NotDoneError, call
from failoverd.cli.commands import DONE, REFUSED
from failoverd.cli.links.check import mistakes
from failoverd.cli.links.graph import place_name
from failoverd.cli.show import rows, text
from failoverd.cli.tables import terminal_text
from failoverd.config.errors import ConfigError
from failoverd.config.load import load, load_beside
from failoverd.daemon.dryrun import dry_run
from failoverd.daemon.linkforecast import NOTHING, Before, LinksForecast, foretell_links
from failoverd.daemon.paths import Paths
from failoverd.model.declared import DeviceRef, End, NamespaceRef
from failoverd.model.linkstatus import LinkState, LinkStatus
from failoverd.netlink.fetch import InterruptedDumpError
from failoverd.netlink.frames import NetlinkError

Row = dict[str, Any]

UNFORETOLD = ("no-carrier", "address-tentative")
"""Reasons of which a foretold device may be free, or not: wires and neighbours decide."""

_NUMBERED = re.compile(r"network namespace (\d+)")


def forecast(path: str, names: Collection[str], as_json: bool) -> tuple[int, Row, list[str]]:
    """Foretell a reload; with this file beside the configuration's, if one is named. Returns the exit code, a document
    and lines. Raises NotDoneError."""
    try:
        config = load_beside(Path(path)) if path else load()
    except ConfigError as error:
        return REFUSED, mistakes(error, as_json) | {"created": [], "requests": [], "links": []}, []
    paths = Paths.from_environment()

    async def look() -> LinksForecast:
        return await foretell_links(config, paths, await dry_run(config, paths), _before())

    try:
        found = trio.run(look)
    except (OSError, NetlinkError, InterruptedDumpError) as error:
        raise NotDoneError(f"cannot look at this machine's devices: {error}; try it as root") from error
    if unknown := [name for name in names if name not in {row.name for row in _statuses(found)}]:
        raise NotDoneError(f"no link {unknown[0]!r} is declared; failoverctl links --dry-run lists them", "NoSuchLink")
    return DONE, {"problems": []} | document(found, names), lines_of(found, names)


def _before() -> Before:
    """Return what a running daemon has; nothing where there is none."""
    try:
        told = rows(call("links"), "links")
    except (NoDaemonError, NotDoneError):
        return NOTHING
    return Before({text(row, "name"): _end(row) for row in told}, {text(row, "name"): _status(row) for row in told})


def _end(row: Row) -> End:
    """Return an end as far as a row has it: what a change to another declaration leaves behind follows from that."""
    by, _, value = text(row, "namespace").partition(" ")
    ports = [str(port).partition(":") for port in row.get("ports") or ()]
    return End(
        text(row, "name"),
        text(row, "kind"),
        text(row, "device"),
        # A declaration of etcd's that cannot be used has a row, and no namespace.
        NamespaceRef(by or "own", value),
        ports=tuple(DeviceRef(by, value) for by, _, value in ports),
    )


def _status(row: Row) -> LinkStatus:
    ifindex = row.get("ifindex")
    # Of the states, only this one matters: the administrator has ordered it.
    state = LinkState.RELEASED if text(row, "state") == LinkState.RELEASED.value else LinkState.READY
    name, kind, device, namespace = (text(row, key) for key in ("name", "kind", "device", "namespace"))
    return LinkStatus(name, kind, device, namespace, state, ifindex=ifindex if isinstance(ifindex, int) else 0)


def document(found: LinksForecast, names: Collection[str] = ()) -> Row:
    """Return the forecast as JSON; of these links alone, if any are named."""
    asked = {one.name for one in found.forecast.asked}
    requests = [
        {"link": one.name, "namespace": found.namespaces[one.place], "requests": _named(one.requests, found)}
        for one in found.forecast.asked
        if not names or one.name in names
    ]
    keys = ("name", "kind", "device", "namespace", "reason", "detail")
    links = [
        {key: getattr(row, key) for key in keys} | {"state": row.state.value, "changes": row.name in asked}
        for row in _statuses(found)
        if not names or row.name in names
    ]
    return {"created": [*found.created], "requests": requests, "links": links}


def lines_of(found: LinksForecast, names: Collection[str] = ()) -> list[str]:
    """Return the same as lines."""
    return [terminal_text(line) for line in _lines(document(found, names))]


def _lines(told: Row) -> Iterator[str]:
    yield from (f"make the network namespace {name}" for name in told["created"])
    for asked in told["requests"]:
        yield f"{asked['link']}, in {_place(asked['namespace'])}:"
        yield from (f"  {words}" for words in asked["requests"])
    if not told["requests"]:
        yield "no link is declared" if not told["links"] else "nothing to do for links"
    for row in told["links"]:
        if row["state"] != "ready" and not (row["changes"] and row["reason"] in UNFORETOLD):
            reason = f" ({row['reason']})" if row["reason"] else ""
            yield f"{row['name']}: {row['state']}{': ' if row['detail'] else ''}{row['detail']}{reason}"


def _place(namespace: str) -> str:
    name = place_name(namespace)
    return name if namespace == "own" else f"the {name}"


def _statuses(found: LinksForecast) -> Sequence[LinkStatus]:
    rows = [row for _, row in sorted(found.forecast.statuses.items())]
    return found.merged.overlaid(rows)


def _named(requests: Sequence[str], found: LinksForecast) -> list[str]:
    """Return requests with the names of namespaces, of which they know the numbers."""
    names = {place.nsid: _place(name) for place, name in found.namespaces.items()}
    return [_NUMBERED.sub(lambda match: names.get(int(match[1]), match[0]), words) for words in requests]
