"""Run a command of `failoverctl links`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from failoverd.cli.arguments import UsageError, Wanted, parse
from failoverd.cli.client import call
from failoverd.cli.commands import DONE, REFUSED, WRONG_USAGE
from failoverd.cli.links import show
from failoverd.cli.links.table import COMMANDS, LINKS
from failoverd.cli.output import complain, say
from failoverd.cli.quick import dumps
from failoverd.cli.show import rows, text
from failoverd.cli.tables import terminal_text, wants_colour
from failoverd.model.text import device_in

Outcome = tuple[int, dict[str, Any], Sequence[str]]


def links(outer: Wanted) -> int:
    """Parse the words behind `links` and run the command. Returns the exit code. Raises NoDaemonError, NotDoneError."""
    try:
        wanted = parse(LINKS, outer.arguments)
        options = {**outer.options, **wanted.options}
        wanted = Wanted(wanted.command, wanted.named, wanted.arguments, options)
        if "--help" in options or "--version" in options:
            from failoverd.cli.usage import about

            return DONE if say([about(LINKS, wanted)]) else REFUSED
        return ASIDE[wanted.command](wanted) if wanted.command in ASIDE else _once(wanted)
    except UsageError as error:
        from failoverd.cli.usage import wrong

        return complain(wrong(LINKS, error), WRONG_USAGE)


def _once(wanted: Wanted) -> int:
    code, document, lines = RUN[wanted.command](wanted)
    return told(wanted, code, document, lines)


def told(wanted: Wanted, code: int, document: dict[str, Any], lines: Sequence[str]) -> int:
    """Print a result as it is wanted. Returns the exit code; a query that cannot be printed has failed."""
    if "--quiet" in wanted.options:
        return code
    written = say([dumps(document)] if "--json" in wanted.options else lines)
    return code if written or COMMANDS[wanted.command].changes else code or REFUSED


def colour(wanted: Wanted) -> bool:
    """Return whether to colour the output."""
    return sys.stdout is not None and wants_colour(sys.stdout, wanted.options.get("--color", "auto"))


def _list(wanted: Wanted) -> Outcome:
    if "--dry-run" in wanted.options:
        from failoverd.cli.links.forecast import forecast

        return forecast("", wanted.arguments, "--json" in wanted.options)
    document, found = show.asked(*wanted.arguments)
    lines = show.listing(found, colour(wanted))
    return show.exit_code(found), document, lines if wanted.arguments else [*lines, *show.etcd(document.get("etcd"))]


def _show(wanted: Wanted) -> Outcome:
    _, (row,) = show.asked(wanted.arguments[0])
    return DONE, row, show.one(row, colour(wanted))


def _explain(wanted: Wanted) -> Outcome:
    _, all_rows = show.asked()
    if wanted.arguments:
        found = show.picked(all_rows, wanted.arguments)
    else:
        found = [row for row in all_rows if text(row, "state") not in ("ready", "released")]
    by_name = {text(row, "name"): row for row in all_rows}
    explained = [row | {"needs": [text(one, "name") for one in show.needs(row, by_name)]} for row in found]
    return DONE, {"links": explained}, show.explained(found, all_rows, colour(wanted))


def _resync(wanted: Wanted) -> Outcome:
    document = call("links-resync", *wanted.arguments)
    names = document.get("names")
    number = len(names) if isinstance(names, list) else 0
    what = wanted.arguments[0] if wanted.arguments else f"{number} link{'s' if number != 1 else ''}"
    return DONE, document, [terminal_text(f"{what}: looked at again; failoverctl links tells how far")]


def _release(wanted: Wanted) -> Outcome:
    document = call("links-release", *wanted.arguments)
    name, device = text(document, "name"), device_in(text(document, "device"), text(document, "namespace"))
    left = f"Take [link.{name}] out of the configuration as well: it would be in conflict after the next start."
    if text(document, "owner"):
        left = (
            f"It is for {text(document, 'owner')}, and goes with that pod; until then it is in conflict after a start."
        )
    sentences = [f"{name}: released; {device} stays as it is, and is no longer failoverd's.", left]
    return DONE, document, [terminal_text(sentence) for sentence in sentences]


def _stats(wanted: Wanted) -> Outcome:
    document = call("links-stats", *wanted.arguments)
    return DONE, document, show.counters(rows(document, "statistics"))


def _watch(wanted: Wanted) -> int:
    from failoverd.cli.links.watch import watch

    if "--quiet" in wanted.options:
        raise UsageError("watch has nothing to do with --quiet", "watch")
    return watch("--json" in wanted.options, sys.stdout)


def _wait(wanted: Wanted) -> int:
    from failoverd.cli.links.wait import wait

    code, document, lines = wait(wanted.arguments, wanted.options.get("--timeout"))
    return told(wanted, code, document, lines)


def _graph(wanted: Wanted) -> int:
    from failoverd.cli.links.graph import graph

    return graph(wanted)


def _by_etcd(wanted: Wanted) -> int:
    from failoverd.cli.handover import hand_over

    return hand_over(LINKS, wanted)


def _check(wanted: Wanted) -> Outcome:
    if "--dry-run" in wanted.options:
        from failoverd.cli.links.forecast import forecast

        return forecast(wanted.arguments[0], (), "--json" in wanted.options)
    from failoverd.cli.links.check import check

    return check(wanted.arguments[0], "--json" in wanted.options)


RUN: Mapping[str, Callable[[Wanted], Outcome]] = {
    "list": _list,
    "show": _show,
    "explain": _explain,
    "resync": _resync,
    "release": _release,
    "stats": _stats,
    "check": _check,
}

ASIDE: Mapping[str, Callable[[Wanted], int]] = {
    "watch": _watch,
    "wait": _wait,
    "graph": _graph,
    "accept": _by_etcd,
    "put": _by_etcd,
    "get": _by_etcd,
    "del": _by_etcd,
    "import-ligato": _by_etcd,
}
"""Commands that print as they go, or to a file."""
