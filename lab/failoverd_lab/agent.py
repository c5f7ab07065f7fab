"""A client for the QEMU guest agent: commands run in the guest without any network.

The agent answers one request at a time, in order, on a virtio-serial port that has no connections: the answer to a
former client may still come out. So every conversation begins with guest-sync-delimited, and so does the next request
after one that was cancelled half-way (QEMU: docs/interop/qemu-ga-ref, "guest-sync-delimited").
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from failoverd_lab.host import LabError

POLL = (0.02, 0.2)
"""Seconds between two looks at a running command: the first and the longest wait. Each look costs the guest some
CPU."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command in the guest. A command killed by a signal has the negative signal as its returncode."""

    returncode: int
    stdout: bytes
    stderr: bytes

    def check(self) -> Completed:
        """Return this, if it succeeded. Raises LabError with the command's output."""
        if self.returncode != 0:
            said = (self.stderr or self.stdout).decode(errors="replace").strip()
            raise LabError(f"a command in the guest failed (exit code {self.returncode}): {said}")
        return self


class Agent:
    """One guest's agent. `attach` gives it its first stream, and another one after a migration."""

    def __init__(self) -> None:
        self._stream: trio.abc.Stream | None = None
        self._rest = b""
        self._lock = trio.Lock()
        self._synced = False
        self._ids = itertools.count(1)

    def attach(self, stream: trio.abc.Stream) -> None:
        """Talk to the agent on this stream from now on."""
        self._stream, self._rest, self._synced = stream, b"", False

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold requests back: nothing is on its way when the guest moves to another QEMU."""
        async with self._lock:
            yield

    async def request(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Send one request, and return its answer. Raises LabError when the agent refuses, or is gone."""
        async with self._lock:
            if not self._synced:
                await self._sync()
            self._synced = False
            await self._send({"execute": command, "arguments": dict(arguments or {})})
            answer = json.loads(await self._until(b"\n"))
            self._synced = True
        if "error" in answer:
            raise LabError(f"the guest agent refused {command}: {answer['error'].get('desc', '')}")
        return answer["return"]

    async def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a command in the guest, as root, to its end.

        `timeout` is in seconds. Raises LabError if the command cannot be started, or is killed for taking longer;
        a failure of the command itself is in the returncode.
        """
        arguments: dict[str, Any] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if stdin:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        if env:
            arguments["env"] = [f"{key}={value}" for key, value in env.items()]
        pid = (await self.request("guest-exec", arguments))["pid"]
        with trio.move_on_after(timeout):
            return _completed(await self._ended(pid))
        await self.request("guest-exec", {"path": "kill", "arg": ["-KILL", str(pid)]})
        said = _completed(await self._ended(pid))
        output = (said.stdout + said.stderr).decode(errors="replace")[-2000:]
        raise LabError(f"{' '.join(argv)} in the guest did not end in {timeout:g} s and was killed; it said: {output}")

    async def _ended(self, pid: int) -> Mapping[str, Any]:
        pause, most = POLL
        while True:
            status: Mapping[str, Any] = await self.request("guest-exec-status", {"pid": pid})
            if status["exited"]:
                return status
            await trio.sleep(pause)
            pause = min(most, pause * 1.5)

    async def _sync(self) -> None:
        number = next(self._ids)
        await self._send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, before=b"\xff")
        while True:
            await self._until(b"\xff")
            if json.loads(await self._until(b"\n")).get("return") == number:
                return

    async def _send(self, message: Mapping[str, Any], before: bytes = b"") -> None:
        if self._stream is None:
            raise LabError("the guest has no agent yet")
        try:
            await self._stream.send_all(before + json.dumps(message).encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise LabError("the guest's QEMU is gone, and its agent with it") from None

    async def _until(self, end: bytes) -> bytes:
        assert self._stream is not None
        while end not in self._rest:
            try:
                more = await self._stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                more = b""
            if not more:
                raise LabError("the guest's QEMU is gone, and its agent with it")
            self._rest += more
        found, _, self._rest = self._rest.partition(end)
        return found


def _completed(status: Mapping[str, Any]) -> Completed:
    return Completed(
        status["exitcode"] if "exitcode" in status else -status.get("signal", 0),
        base64.b64decode(status.get("out-data", "")),
        base64.b64decode(status.get("err-data", "")),
    )
