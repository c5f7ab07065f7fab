"""`failoverctl history`: the past events as a table, as JSON, as a strip of text or as a picture.

It reads a file and needs no daemon. The picture's modules are loaded only for a picture.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from failoverd.cli.arguments import UsageError, Wanted
from failoverd.cli.historyfile import Event, HistoryError, boot_id, is_new_boot, local, place, read, select
from failoverd.cli.tables import table
from failoverd.model.text import device_in

FAILED = 1


def history(wanted: Wanted) -> int:
    """Show the history. Returns the exit code: 0, or 1 if there is none or the picture cannot be written."""
    options = wanted.options
    drawn = options.keys() & {"--strip", "--svg"}
    if "--json" in options and drawn:
        raise UsageError(f"{drawn.pop()} is a picture, and there is none in JSON: leave --json out", "history")
    if len(drawn) > 1:
        raise UsageError("--strip and --svg are two pictures of the same: leave one out", "history")
    path = place()
    try:
        events = read(path)
    except HistoryError as error:
        print(f"failoverctl: {error}", file=sys.stderr)
        return FAILED
    if drawn:
        return _draw(events, options)
    found = select(events, options.get("--master", ""), options.get("--since", 0.0), options.get("--last"))
    if "--json" in options:
        print(json.dumps(found, indent=2))
    else:
        pairs = zip([None, *events], events, strict=False)
        boots = {id(event) for before, event in pairs if is_new_boot(before, event)}
        subject = "MASTER OR LINK" if any("link" in event for event in found) else "MASTER"
        head = ["TIME", "EVENT", subject, "FROM", "TO", "SILENCE", "REASON"]
        print("\n".join(table(head, [_row(event, id(event) in boots) for event in found])))
    return 0


def _row(event: Event, is_new: bool) -> list[str]:
    milliseconds = event.get("silence_seconds", 0.0) * 1000
    silence = f"{milliseconds:.1f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"
    return [
        local(event["time"]),
        event["event"],
        event.get("master", event.get("link", "")),
        event.get("from", event.get("old_name", "")),
        event.get("to", event.get("new_name", event.get("active", ""))),
        silence if milliseconds else "",
        event.get("detail", event.get("reason", "")) or _words(event, is_new),
    ]


def _words(event: Event, is_new: bool) -> str:
    """Return the text for an event that has no reason."""
    if event["event"] == "started":
        version = event.get("version", "")
        return f"failoverd {version}, {'after a boot' if is_new else 'again'}".replace("  ", " ")
    if "link" in event:
        return device_in(event.get("device", ""), event.get("namespace", ""))
    return f"the {event['role']}" if event["event"] == "link-renamed" and event.get("role") else ""


def _draw(events: Sequence[Event], options: Mapping[str, Any]) -> int:
    """Draw the strip or the picture of which slave carried. They need the events before `since` too, to know which
    slave carried then."""
    from failoverd.cli.lanes import follow

    now = time.time()
    record = follow(events, now, boot_id(), options.get("--since", 0.0), options.get("--master", ""))
    if "--strip" in options:
        import shutil

        from failoverd.cli.timestrip import strip

        is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(strip(record, columns=shutil.get_terminal_size((100, 24)).columns, utf8=is_utf8))
        return 0
    from failoverd.cli.timeline import svg

    return _write(svg(record), options["--svg"])


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
