"""A real failoverd process in a network namespace of its own, for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from privatenet import inside

PATIENCE = 20.0
"""Seconds a daemon may take for anything."""


class Daemon:
    """`python -m failoverd` with its directories below `where`, and the service manager's end of its socket."""

    def __init__(
        self,
        where: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        into: Sequence[str] = tuple(inside()),
    ) -> None:
        """`into` is the command that it is started by; without words it is in the namespace of the test."""
        self.where = where
        self.log = where / "log"
        self.heard: list[str] = []
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.settimeout(0.05)
        notify = where / "notify"
        notify.unlink(missing_ok=True)
        self._manager.bind(str(notify))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*into, sys.executable, "-m", "failoverd", *options],
                env=os.environ | places(where) | {"NOTIFY_SOCKET": str(notify)} | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._manager.close()

    def text(self) -> str:
        """What it has logged, and its forerunners in the same place."""
        return self.log.read_text()

    def hears(self, words: str, times: int = 1) -> None:
        """Wait until the service manager has had so many messages with these words."""
        self.until(lambda: sum(words in message for message in self.heard) >= times, f"{words!r} for the manager")

    def says(self, words: str, times: int = 1) -> None:
        """Wait until the log has these words so many times."""
        self.until(lambda: self.text().count(words) >= times, f"{words!r} in the log")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until that holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"no {what}; the manager heard {self.heard}, the log is\n{self.text()}"
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.text()}"
            try:
                self.heard.append(self._manager.recv(4096).decode())
            except TimeoutError:
                continue


def places(where: Path) -> dict[str, str]:
    """The environment that gives a daemon and its clients their directories below `where`, and no bus."""
    return {
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={where / 'bus'}",
        "RUNTIME_DIRECTORY": str(where / "run"),
        "STATE_DIRECTORY": str(where / "state"),
        "FAILOVERD_CONTROL": str(where / "run" / "control"),
    }
