"""Lines to whoever reads stderr: at once or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from failoverd.bus import rate_limit
from failoverd.bus.rate_limit import BURST, KINDS, PERIOD, RateLimit
from failoverd.daemon import lines as daemon_lines
from failoverd.daemon.lines import INFO_BURST, MOST, Lines


@pytest.fixture
def said() -> Iterator[Callable[[int, str], None]]:
    """Say something to a descriptor."""
    handlers: dict[int, Lines] = {}

    def say(file: int, text: str) -> None:
        if file not in handlers:
            handlers[file] = Lines(file)
        handlers[file].handle(logging.LogRecord("failoverd", logging.INFO, "", 0, text, (), None))

    yield say
    for handler in handlers.values():
        handler.close()
        handler.close()


def ends(kind: str) -> tuple[int, int]:
    if kind == "pipe":
        return os.pipe()
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def everything(reader: int) -> bytes:
    os.set_blocking(reader, False)
    data = b""
    with suppress(BlockingIOError):
        while more := os.read(reader, 1 << 16):
            data += more
    return data


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_nobody_is_waited_for_and_what_is_missing_is_counted(
    kind: str, said: Callable[[int, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "KINDS", 100_000)
    monkeypatch.setattr(daemon_lines, "MOST", 100_000)
    reader, writer = ends(kind)
    for number in range(50_000):
        said(writer, f"line {number}")
    first = everything(reader)
    assert first.startswith(b"INFO: line 0\nINFO: line 1\n")
    said(writer, "again")
    then = everything(reader)
    cut = not first.endswith(b"\n")
    missing = 50_000 - len(first.splitlines())
    assert missing > 0
    assert then == b"\n" * cut + f"WARNING: {missing} lines are missing here: ".encode() + (
        b"they would have had to be waited for\nINFO: again\n"
    )
    os.close(reader)
    said(writer, "nobody is there")
    os.close(writer)


def test_others_flags_stay_as_they_are(said: Callable[[int, str], None]) -> None:
    for kind in ("pipe", "socket"):
        reader, writer = ends(kind)
        said(writer, "x")
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        os.close(reader)
        os.close(writer)


def test_a_file_is_added_to(tmp_path: Path, said: Callable[[int, str], None]) -> None:
    with (tmp_path / "log").open("ab") as file:
        file.write(b"before\n")
        file.flush()
        said(file.fileno(), "ens3\x1b[2J\nERROR: forged \udcff")
    assert (tmp_path / "log").read_bytes() == b"before\nINFO: ens3\\x1b[2J\\nERROR: forged \\udcff\n"


def record(level: int, text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("failoverd", level, "", 0, text, values, None)


def test_trouble_that_does_not_end_is_a_few_lines_a_minute_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines = Lines(writer)
    for _ in range(1000):
        lines.handle(record(logging.WARNING, "the kernel does not take a request: %s", OSError(105, "No buffer space")))
        lines.handle(record(logging.ERROR, "%s: cannot be kept: %s", "52:54:00:00:00:01", "full"))
        now += 0.01
    lines.handle(record(logging.ERROR, "%s: cannot be kept: %s", "52:54:00:00:00:02", "full"))
    said = everything(reader).decode().splitlines()
    assert len(said) == 2 * BURST + 1
    assert said[-1] == "ERROR: 52:54:00:00:00:02: cannot be kept: full", "another pair's trouble is not left out"
    now += PERIOD
    lines.handle(record(logging.ERROR, "%s: cannot be kept: %s", "52:54:00:00:00:01", "still full"))
    assert everything(reader).decode().splitlines() == [
        f"ERROR: {1000 - BURST} more lines like the next one were left out",
        "ERROR: 52:54:00:00:00:01: cannot be kept: still full",
    ]
    lines.close()
    os.close(reader)
    os.close(writer)


def test_what_tells_of_work_has_more_room_and_what_is_asked_for_has_all() -> None:
    reader, writer = os.pipe()
    lines = Lines(writer)
    for _ in range(3 * INFO_BURST):
        lines.handle(record(logging.INFO, "%s: %s", "52:54:00:00:00:01", "look again"))
        lines.handle(record(logging.DEBUG, "%s: %s", "52:54:00:00:00:01", "a request"))
    said = everything(reader).decode().splitlines()
    assert (said.count("INFO: 52:54:00:00:00:01: look again"), said.count("DEBUG: 52:54:00:00:00:01: a request")) == (
        INFO_BURST,
        3 * INFO_BURST,
    )
    lines.close()
    os.close(reader)
    os.close(writer)


def test_kinds_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    limit = RateLimit()
    told = 0
    for number in range(3 * KINDS):
        told += limit.left_out(number) is not None
        assert len(limit._kinds) <= KINDS + 1
    assert told == KINDS + BURST, "those that are too many are one kind together"
    now += PERIOD
    assert [limit.left_out(0) for _ in range(BURST + 1)] == [0] * BURST + [None]


def test_all_lines_together_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names are made up without end, and each line has another one."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with (tmp_path / "log").open("wb") as file:
        lines = Lines(file.fileno())
        for number in range(3 * MOST):
            lines.handle(record(logging.INFO, "%s: %s", f"veth{number % (KINDS // 2)}", "look"))
        lines.handle(record(logging.CRITICAL, "%s", "the end is told"))
        now += PERIOD
        lines.handle(record(logging.INFO, "%s: %s", "veth0", "look"))
        lines.close()
    said = (tmp_path / "log").read_text().splitlines()
    assert said[MOST:] == [
        "CRITICAL: the end is told",
        f"INFO: {2 * MOST} more lines like the next one were left out",
        "INFO: veth0: look",
    ]
