"""A small client for the QEMU Machine Protocol, as far as the lab needs it.

After `negotiate`, one task reads (`run`) and any task may send commands: answers are matched by their id, so commands
are pipelined. Events that no task waits for are dropped. To wait for an event without losing it to a race, `watch`
before the command that causes it:

    gone = qmp.watch("DEVICE_DELETED", device="vf.1")
    await qmp.execute("device_del", {"id": "vf.1"})
    await gone.wait()
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import trio

from failoverd_lab.host import LabError


class QmpError(LabError):
    """QEMU refused a command; the text has the command and QEMU's own message."""


class QmpClosedError(LabError):
    """The connection ended: QEMU has exited."""


class Answer:
    """A future answer to a command, or a future event."""

    def __init__(self) -> None:
        self._came = trio.Event()
        self._value: Any = None
        self._error: LabError | None = None

    def set(self, value: Any = None, error: LabError | None = None) -> None:
        """Set the value or the error, and wake the waiting task."""
        self._value, self._error = value, error
        self._came.set()

    async def wait(self) -> Any:
        """Wait for the answer, and return its value. Raises QmpError or QmpClosedError."""
        await self._came.wait()
        if self._error is not None:
            raise self._error
        return self._value


class Qmp:
    """One QMP connection. After `negotiate`, answers come only while `run` is running."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._rest = b""
        self._answers: dict[int, Answer] = {}
        self._watches: list[tuple[str, Mapping[str, Any], Answer]] = []
        self._sending = trio.Lock()
        self._last = 0
        self._closed = False

    async def negotiate(self) -> None:
        """Wait for QEMU's greeting and leave capabilities mode. Raises QmpClosedError if QEMU ends instead."""
        greeting = await self._message()
        if greeting is not None:
            await self._stream.send_all(b'{"execute": "qmp_capabilities"}\n')
        if greeting is None or await self._message() is None:
            raise QmpClosedError("QEMU exited before it was ready for commands")

    async def run(self) -> None:
        """Read until QEMU closes the connection, or cancelled."""
        async with self._stream:
            try:
                while (message := await self._message()) is not None:
                    self._dispatch(message)
            finally:
                self._closed = True
                self._end()

    async def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run a command and return its answer. Raises QmpError, or QmpClosedError when QEMU is gone."""
        if self._closed:
            raise QmpClosedError(f"QEMU is gone; it was told: {command}")
        self._last += 1
        answer = self._answers[self._last] = Answer()
        message = {"execute": command, "arguments": dict(arguments or {}), "id": self._last}
        try:
            async with self._sending:
                await self._stream.send_all(json.dumps(message).encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise QmpClosedError(f"QEMU is gone; it was told: {command}") from None
        try:
            return await answer.wait()
        except QmpError as error:
            raise QmpError(f"QEMU refused {command} {json.dumps(message['arguments'])}: {error}") from None

    def watch(self, event: str, **match: Any) -> Answer:
        """Return the next event of this name whose data has all of `match`; its wait() returns the data.

        A tuple in `match` stands for any of its members.
        """
        answer = Answer()
        if self._closed:
            answer.set(error=QmpClosedError(f"QEMU is gone; {event} will not come"))
        self._watches.append((event, match, answer))
        return answer

    async def _message(self) -> Mapping[str, Any] | None:
        """Return the next message (each is a line), None when QEMU is gone."""
        while b"\n" not in self._rest:
            try:
                more = await self._stream.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not more:
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        message: Mapping[str, Any] = json.loads(line)
        return message

    def _dispatch(self, message: Mapping[str, Any]) -> None:
        if "event" in message:
            self._event(message["event"], message.get("data", {}))
            return
        answer = self._answers.pop(message.get("id", 0), None)
        if answer is None:
            return
        if "error" in message:
            answer.set(error=QmpError(message["error"].get("desc", "")))
        else:
            answer.set(message["return"])

    def _event(self, name: str, data: Mapping[str, Any]) -> None:
        for watch in list(self._watches):
            event, match, answer = watch
            if event == name and all(_fits(data.get(key), wanted) for key, wanted in match.items()):
                self._watches.remove(watch)
                answer.set(data)

    def _end(self) -> None:
        for answer in (*self._answers.values(), *(answer for _, _, answer in self._watches)):
            answer.set(error=QmpClosedError("QEMU exited"))
        self._answers.clear()
        self._watches.clear()


def _fits(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, tuple) else bool(value == wanted)
