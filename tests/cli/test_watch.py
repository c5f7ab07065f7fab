"""`failoverctl watch`, as a process: at a pipe and on a terminal."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from controlfake import Fake, master, ok, status

COMMAND = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())", "watch"]
PATIENCE = 20.0

ON_STANDBY = master("on-standby", active="ens3nsby", primary=None, failovers=1, reason="the VF is gone")


class Watched:
    """A running watch, and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process, self.text = process, ""
        self._output = output

    def says(self, words: str) -> str:
        """Wait for these words; everything up to them, which counts as read."""
        end = time.monotonic() + PATIENCE
        while words not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"no {words!r} in {self.text!r}"
            if select.select([self._output], [], [], left)[0]:
                part = os.read(self._output, 1 << 16)
                assert part, f"it ended: {self.text!r}"
                self.text += part.decode()
        before, found, self.text = self.text.partition(words)
        return before + found

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def watching(where: Path, *words: str, terminal: bool = False) -> Iterator[Watched]:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))
    environment = os.environ | {"FAILOVERD_CONTROL": str(where / "control"), "TERM": "xterm", "NO_COLOR": ""}
    # Whoever runs the tests in the background has them ignore SIGINT.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([*COMMAND, *words], stdout=theirs, stderr=theirs, env=environment, preexec_fn=heed)
    os.close(theirs)
    try:
        yield Watched(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def line(watched: Watched) -> str:
    return watched.says("\n").rstrip("\n")


def test_a_line_for_each_change(tmp_path: Path) -> None:
    with Fake(tmp_path / "control", status(master())) as fake, watching(tmp_path) as watched:
        first = line(watched)
        moment, _, words = first.partition(" ")
        assert time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")
        assert words == "ens3: accelerated; traffic on ens4; primary ens4; standby ens3nsby"
        fake.answer = status(ON_STANDBY)
        assert line(watched).endswith(
            " ens3: accelerated -> on-standby; traffic ens4 -> ens3nsby; primary ens4 -> none; why: the VF is gone"
        )
        fake.answer = status(ON_STANDBY | {"failovers": 5, "drained": True, "name": "\x1b["})
        assert line(watched).endswith(" \\x1b[: renamed: ens3 -> \\x1b[; drain begun; 4 failovers since the last look")
        fake.answer = status()
        assert line(watched).endswith(": no longer a pair")
        lost = master()["primary"] | {"carrier": False}
        fake.answer = status(master(primary=lost))
        assert line(watched).endswith(" ens3: accelerated; traffic on ens4; primary ens4; standby ens3nsby")
        fake.answer = status(master())
        assert line(watched).endswith(" ens3: primary ens4: carrier")
        assert watched.end(signal.SIGINT) == 0
    assert watched.text == ""


def test_objects(tmp_path: Path) -> None:
    with Fake(tmp_path / "control", status()) as fake, watching(tmp_path, "--json") as watched:
        assert json.loads(line(watched))["event"] == "none"
        for answer, event in ((status(master()), "master"), (status(ON_STANDBY), "changed"), (status(), "gone")):
            fake.answer = answer
            found: dict[str, Any] = json.loads(line(watched))
            assert found["event"] == event
            assert found["master"]["name"] == "ens3"
        assert found["text"] == "ens3: no longer a pair"


def test_a_daemon_that_is_away_and_comes_back(tmp_path: Path) -> None:
    with watching(tmp_path) as watched:
        with Fake(tmp_path / "control", status(master())):
            watched.says("ens3: accelerated")
            line(watched)
        watched.says(" no failoverd answers at ")
        line(watched)
        with Fake(tmp_path / "control", status(ON_STANDBY)) as fake:
            watched.says(" failoverd has been started anew\n")
            watched.says("ens3: accelerated -> on-standby")
            fake.answer = ok({"masters": 7})
            watched.says(" the answer has no list of masters")
            fake.answer = status(ON_STANDBY)
            watched.says(" failoverd answers again\n")
            assert watched.process.poll() is None


def test_a_restart_between_two_looks_is_told_as_well(tmp_path: Path) -> None:
    with Fake(tmp_path / "control", status(master())), watching(tmp_path) as watched:
        watched.says("ens3: accelerated")
        with Fake(tmp_path / "next", status(master())):
            (tmp_path / "next").rename(tmp_path / "control")
            watched.says(" failoverd has been started anew\n")
            (tmp_path / "next").touch()
        (tmp_path / "control").touch()


def test_no_daemon_at_the_beginning(tmp_path: Path) -> None:
    with watching(tmp_path) as watched:
        assert watched.process.wait(PATIENCE) == 3
        watched.says("failoverctl: no failoverd answers")


def test_it_ends_with_its_reader_though_nothing_happens(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with Fake(tmp_path / "control", status(master())):
        environment = os.environ | {"FAILOVERD_CONTROL": str(tmp_path / "control")}
        process = subprocess.Popen(COMMAND, stdout=writer, stderr=subprocess.PIPE, env=environment)
        os.close(writer)
        assert os.read(reader, 1 << 16)
        os.close(reader)
        assert process.communicate(timeout=PATIENCE) == (None, b"")
        assert process.returncode == 0


def test_a_full_disk(tmp_path: Path) -> None:
    with Fake(tmp_path / "control", status(master())), Path("/dev/full").open("wb") as full:
        environment = os.environ | {"FAILOVERD_CONTROL": str(tmp_path / "control")}
        done = subprocess.run(COMMAND, stdout=full, stderr=subprocess.PIPE, env=environment, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (1, b"failoverctl: cannot write the output: No space left on device\n")


@pytest.mark.parametrize("words", [["--color=never"], []])
def test_a_terminal_is_drawn_anew(tmp_path: Path, words: list[str]) -> None:
    with (
        Fake(tmp_path / "control", status(master())) as fake,
        watching(tmp_path, *words, terminal=True) as watched,
    ):
        picture = watched.says("\x1b[J\x1b[?7h")
        assert picture.startswith("\x1b[?7l\x1b[HMASTER")
        assert ("\x1b[32maccelerated" in picture) == (not words)
        fake.answer = status(ON_STANDBY)
        picture = watched.says("\x1b[J")
        assert "accelerated -> on-standby" in picture
        # Both changes, the later one on top.
        assert picture.index("accelerated -> on-standby") < picture.index("primary ens4; standby")
        asked = len(fake.asked)
        end = time.monotonic() + PATIENCE
        while len(fake.asked) < asked + 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert watched.end(signal.SIGINT) == 0
        # Nothing was drawn while nothing changed.
        assert watched.says("\n").replace("^C", "") == "\x1b[?7h\r\n"
