"""What failoverctl reads: an answer on the control socket, by its own JSON reader, shown by every command; and a
history, shown in all its shapes.

The reader takes what json takes and refuses the rest. An answer that is none is NoDaemonError, a refusal NotDoneError;
what is printed is made of printable lines. The first byte says which command asks; where an "@" follows, the rest says
what is another value in the daemon's own answer (fuzzing.bent).
"""

from __future__ import annotations

import contextlib
import io
import json
from unittest import mock

from fuzz_control import MAC, machine
from fuzzing import Harness, bent, is_one_line

from failoverd.cli import client, ctl, lanes, quick, timeline, timestrip, watch
from failoverd.cli.arguments import Wanted
from failoverd.cli.history import _row
from failoverd.cli.historyfile import _event, is_new_boot, select
from failoverd.core.calls import CALLS
from failoverd.core.status import status

COMMANDS = ("status", "list", "show", "explain", "drain", "undrain", "switch", "rename", "release", "reload", "watch")
ARGUMENTS = {
    "show": ["ens3"],
    "explain": [],
    "drain": ["ens3"],
    "undrain": ["ens3"],
    "switch": ["ens3", "ens4"],
    "rename": ["a", "b"],
    "release": ["a"],
}


def one(data: bytes) -> None:
    """See the module."""
    which, line = data[:1] or b"\0", data[1:].partition(b"\n")[0]
    if which[0] & 0x80:
        _history(data[1:] if which[0] & 1 else b"\n".join(json.dumps(row).encode() for row in history(data[1:])))
        return
    number = which[0] % len(COMMANDS)
    if line[:1] == b"@":
        line = json.dumps(bent({"ok": DOCUMENTS[number]}, data[2:])).encode()
    _is_json(line)
    command = COMMANDS[number]
    with (
        contextlib.suppress(client.NoDaemonError, client.NotDoneError),
        mock.patch.object(client, "_exchange", return_value=line),
    ):
        _show(command)


def _show(command: str) -> None:
    if command == "watch":
        _watch()
        return
    code, document, lines = ctl.RUN[command](Wanted(command, True, ARGUMENTS.get(command, []), {"--color": "never"}))
    assert isinstance(code, int)
    assert all(map(is_one_line, lines)), lines
    quick.dumps(document)


def _is_json(line: bytes) -> None:
    """Both readers say the same of it; a document is then written as json writes it."""
    text = line.decode(errors="surrogateescape")
    try:
        theirs = json.loads(text)
    except (ValueError, RecursionError):
        with contextlib.suppress(ValueError, RecursionError):
            # White space in front is what the quick one does not take.
            ours = quick.loads(text)
            raise AssertionError(f"only failoverctl takes {text!r}: {ours!r}") from None
        return
    if not line.startswith(tuple(blank.encode() for blank in quick.BLANK)):
        with contextlib.suppress(RecursionError):
            ours = quick.loads(text)
            assert repr(ours) == repr(theirs)


def _watch() -> None:
    told: list[str] = []

    def tell(_kind: str, words: str, _row: object) -> None:
        told.append(words)

    follower = watch._Follower()
    follower.begin(tell)
    follower.look(tell)
    stream = io.StringIO()
    lines = watch._lines(stream)
    for words in told:
        lines("x", words, None)
    assert all(is_one_line(line) for line in stream.getvalue().split("\n"))


def _history(data: bytes) -> None:
    events = [event for event in map(_event, data.split(b"\n")) if event is not None]
    for before, event in zip([None, *events], events, strict=False):
        cells = _row(event, is_new_boot(before, event))
        assert all(isinstance(cell, str) for cell in cells)
    select(events, "ens3", 0.0, 3)
    record = lanes.follow(events, 1e10, "", 0.0, "")
    strip = timestrip.strip(record, columns=100, utf8=True)
    assert all(is_one_line(line) for line in strip.split("\n")), strip
    timeline.svg(record)


STATE = machine()
LAST = {"monotonic": 5.0, "silence_seconds": 0.5, "from": "a", "to": "b", "reason": "x"}
MASTER = status(STATE)["masters"][0] | {"last_failover": LAST, "drained": True, "drain_ends": 7.5}
STATUS = status(STATE) | {"masters": [MASTER]}
DOCUMENTS = (
    STATUS,
    STATUS,
    STATUS,
    CALLS["explain"].run(STATE, (), 0.0).document,
    {"mac": MAC, "master": "ens3", "active": "a\n", "drained": True, "drain_ends": 5.0},
    {"mac": MAC, "master": "ens3"},
    {"master": "ens3", "active": "ens4"},
    {"ifindex": 3, "old_name": "a", "new_name": "b"},
    {"mac": MAC},
    {"changes": ["[join] retry: 1 -> 2"]},
    STATUS,
)
"""What a daemon answers to each of COMMANDS."""
PAIR = {"time": 1.5, "monotonic": 2.5, "master": "ens3", "mac": MAC, "boot": "x"}
EVENTS = (
    {"event": "started", "time": 1.0, "monotonic": 1.0, "version": "1", "boot": "x"},
    PAIR | {"event": "joined", "active": "a"},
    PAIR | {"event": "failed-over", "from": "a", "to": "b", "silence_seconds": 0.5, "reason": "x"},
    PAIR | {"event": "link-renamed", "old_name": "a", "new_name": "c", "role": "primary"},
    PAIR | {"event": "released"},
    {"event": "stopped", "time": 3.0, "monotonic": 3.0, "reason": "SIGTERM", "boot": "y"},
)


def history(data: bytes) -> list[object]:
    """Events, with other values in them."""
    rows = bent(list(EVENTS), data)
    return rows if isinstance(rows, list) else [rows]


def seeds() -> list[bytes]:
    """A daemon's answers to each command, a refusal, and a history."""
    return [
        *(bytes([number]) + json.dumps({"ok": document}).encode() for number, document in enumerate(DOCUMENTS)),
        *(bytes([number]) + b"@" + bytes([9, 3, 12, 7]) for number in range(len(DOCUMENTS))),
        b"\0" + json.dumps({"error": {"text": "no", "kind": "Failed"}}).encode(),
        b"\x80" + bytes([9, 3, 12, 7]),
        b"\x81" + b"\n".join(json.dumps(row).encode() for row in EVENTS),
    ]


WORDS = (
    b"Infinity",
    b"NaN",
    b"1e999",
    b"1" + b"0" * 400,
    b"9" * 5000,
    b"null",
    b"[]",
    b"{}",
    b"true",
    b"-1",
    b'"\\u001b[2J"',
    b'"\\ud800"',
    b"\n",
)

HARNESS = Harness("answer", one, seeds, WORDS, 8192)
