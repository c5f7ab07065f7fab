"""The processes in the netns world's guest: the daemon, and the guest's side of the probes.

They die with the lab, and use files in one directory: the daemon's configuration, its state, and the shelf that says
which NIC each device stands for.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio

import failoverd
from failoverd_lab import guestprobe, netnsdaemon
from failoverd_lab.host import LabError, spawn, tail
from failoverd_lab.install import toml
from failoverd_lab.lan import PEER
from failoverd_lab.namespaces import Namespace
from failoverd_lab.traffic import Diary, diary

PATIENCE = 20.0
"""Seconds within which a process has to start, to answer or to end."""


class NetnsDaemon:
    """The daemon. `log` is the output of this process and its predecessors. `bus`: see `netnsdaemon`."""

    def __init__(self, namespace: Namespace, directory: Path, config: Mapping[str, Any], bus: str = "") -> None:
        self._namespace = namespace
        self.directory = directory
        self._bus = bus
        self._logs: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(config)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the configuration's file."""
        (self.directory / netnsdaemon.CONFIG).write_text(toml(config), encoding="utf-8")

    @property
    def pid(self) -> int:
        """Its process ID. Raises LabError while it is not running."""
        if self._process is None:
            raise LabError("the daemon is not running; start it first")
        return self._process.pid

    @property
    def log(self) -> str:
        """See above."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in self._logs)

    async def start(self) -> None:
        """Start the daemon, and wait until it is ready. Raises LabError."""
        log = self.directory / f"daemon-{len(self._logs)}.log"
        self._logs.append(log)
        notify = self.directory / "notify"
        notify.unlink(missing_ok=True)
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            await manager.bind(os.fspath(notify))
            command = [sys.executable, "-m", netnsdaemon.__name__, os.fspath(self.directory), self._bus]
            with self._namespace.inside():
                self._process = spawn(command, stderr=log, env=_environment() | {"NOTIFY_SOCKET": os.fspath(notify)})
            with trio.move_on_after(PATIENCE):
                while self._process.poll() is None:
                    with trio.move_on_after(0.1):
                        if b"READY=1" in await manager.recv(4096):
                            return
        why = "ended" if self._process.poll() is not None else f"was not ready within {PATIENCE:g} s"
        raise LabError(f"the daemon {why}: {tail(log.read_bytes())}")

    async def ask(self, call: str, *arguments: str) -> dict[str, Any] | None:
        """Return the document that failoverctl would get; None while no daemon listens. Raises LabError when it
        refuses."""
        line = await self.told(call, *arguments)
        if line is None:
            return None
        answer: dict[str, dict[str, Any]] = json.loads(line) if line else {}
        if "error" in answer:
            raise LabError(f"the daemon refuses {' '.join((call, *arguments))}: {answer['error']['text']}")
        return answer.get("ok")

    async def told(self, call: str, *arguments: str) -> bytes | None:
        """Return the daemon's answer as it came, which may take milliseconds to read where there are many links; None
        while no daemon listens. Raises LabError when it does not answer."""
        request = json.dumps({"call": call, "arguments": arguments}).encode() + b"\n"
        path = os.fspath(netnsdaemon.paths(self.directory).control)
        line = b""
        with trio.move_on_after(PATIENCE) as patience:
            try:
                async with await trio.open_unix_socket(path) as stream:
                    await stream.send_all(request)
                    async for part in stream:
                        line += part
            except (OSError, trio.BrokenResourceError):
                return None
        if patience.cancelled_caught:
            raise LabError(f"the daemon does not answer {call!r} within {PATIENCE:g} s: {tail(self.log.encode())}")
        return line

    def send(self, number: signal.Signals) -> None:
        """Send the daemon a signal. Raises LabError while it is not running."""
        os.kill(self.pid, number)

    async def end(self, number: signal.Signals) -> None:
        """End the daemon by this signal, and wait until nothing of it is left; does nothing if there is none."""
        process, self._process = self._process, None
        if process is not None:
            await _end(process, number)


class Probes:
    """The guest's side of the traffic, from `start` to `stop`."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self._namespace = namespace
        self._output = directory / "probes.json"
        self._log = directory / "probes.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, rate: float) -> None:
        """Send and receive `rate` probes a second."""
        command = [sys.executable, guestprobe.__file__, PEER[0], str(rate), os.fspath(self._output)]
        with self._namespace.inside():
            self._process = spawn(command, stderr=self._log)

    async def stop(self) -> Diary:
        """Stop the probes, and return their record; an empty one if they were not running. Raises LabError."""
        process, self._process = self._process, None
        if process is None:
            return Diary()
        await _end(process, signal.SIGTERM)
        try:
            return diary(json.loads(self._output.read_text(encoding="ascii")))
        except FileNotFoundError:
            raise LabError(f"the guest's probes broke down: {tail(self._log.read_bytes())}") from None


async def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """End a process by this signal, or kill it if that does not help."""
    if process.poll() is None:
        process.send_signal(number)
        with trio.move_on_after(PATIENCE):
            while process.poll() is None:
                await trio.sleep(0.005)
        if process.poll() is None:
            process.kill()
    process.wait()


def _environment() -> dict[str, str]:
    """Return an environment in which the process imports the same packages as this one, wherever the lab was
    started."""
    ours = [os.fspath(Path(package).parents[1]) for package in (failoverd.__file__, __file__)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [*ours, os.environ.get("PYTHONPATH", "")]))}
