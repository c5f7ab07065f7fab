"""Lines to whoever reads stderr: at once or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from failoverd.daemon.lines import Lines


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
def test_nobody_is_waited_for_and_what_is_missing_is_counted(kind: str, said: Callable[[int, str], None]) -> None:
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
