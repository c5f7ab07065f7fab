"""`failoverctl history`: what happened, as a table, as JSON, as a strip of text or as a picture.

It reads a file and needs no daemon. The picture's modules are loaded only for who wants one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from failoverd.cli.historyfile import Event, HistoryError, boot_id, is_new_boot, local, moment, place, read, select
from failoverd.cli.tables import table

FAILED = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `history` beside failoverctl's own; cli/commands.py tells of them."""
    parser.add_argument("--master", default="", metavar="NAME", help="only events of this master (its name or MAC)")
    parser.add_argument("--since", type=_moment, default=0.0, metavar="WHEN", help="2h, 3d, '2026-11-21 17:35'")
    parser.add_argument("--last", type=_count, metavar="N", help="only the last N events")
    shapes = parser.add_mutually_exclusive_group()
    shapes.add_argument("--strip", action="store_true", help="who carried, in one line for each master")
    shapes.add_argument("--svg", metavar="FILE", help="draw who carried into FILE; - prints it")


def run(options: argparse.Namespace) -> int:
    """Show the history. Returns the exit code: 0, or 1 where there is none or the picture cannot be written."""
    path = place()
    try:
        events = read(path)
    except HistoryError as error:
        print(f"failoverctl: {error}", file=sys.stderr)
        return FAILED
    if options.svg or options.strip:
        return _draw(events, options)
    found = select(events, options.master, options.since, options.last)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        pairs = zip([None, *events], events, strict=False)
        boots = {id(event) for before, event in pairs if is_new_boot(before, event)}
        head = ["TIME", "EVENT", "MASTER", "FROM", "TO", "SILENCE", "REASON"]
        print("\n".join(table(head, [_row(event, id(event) in boots) for event in found])))
    return 0


def _row(event: Event, is_new: bool) -> list[str]:
    milliseconds = event.get("silence_usec", 0) / 1000
    silence = f"{milliseconds:.1f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"
    return [
        local(event["at"]),
        event["event"],
        event.get("master", ""),
        event.get("from", ""),
        event.get("to", event.get("active", "")),
        silence if milliseconds else "",
        event.get("reason", "") or _words(event, is_new),
    ]


def _words(event: Event, is_new: bool) -> str:
    """What stands in place of a reason."""
    if event["event"] == "started":
        version = event.get("version", "")
        return f"failoverd {version}, {'after a boot' if is_new else 'again'}".replace("  ", " ")
    return f"the {event['role']}" if event["event"] == "renamed" and event.get("role") else ""


def _draw(events: Sequence[Event], options: argparse.Namespace) -> int:
    """The shapes that show who carried. They need what was before `since` too, to know who carried then."""
    from failoverd.cli.lanes import follow

    now = time.time()
    record = follow(events, now, boot_id(), options.since, options.master)
    if options.strip:
        import shutil

        from failoverd.cli.timestrip import strip

        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(strip(record, columns=shutil.get_terminal_size((100, 24)).columns, utf8=is_utf8))
        return 0
    from failoverd.cli.timeline import svg

    return _write(svg(record), options.svg)


def _write(text: str, path: str) -> int:
    if path == "-":
        sys.stdout.write(text)
        return 0
    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - as in historyfile
            file.write(text)
    except OSError as error:
        print(f"failoverctl: {path}: {error.strerror}; the picture was not written", file=sys.stderr)
        return FAILED
    return 0


def _moment(text: str) -> float:
    try:
        return moment(text, time.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of events")
    return int(text)
