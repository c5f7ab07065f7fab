"""A container runtime as its clients see it: Docker's API over a Unix socket, with containers that a test names.

Answers are as those of Docker 20 and 26: a list and descriptions of a known length, a stream of events in chunks,
errors with a message. A container is any process of the test's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio


class FakeRuntime:
    """The containers and the clients that follow its events. `is_deaf`: it takes questions and answers none."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.questions: list[str] = []
        self.is_deaf = False
        self._followers: set[trio.SocketStream] = set()

    def add(self, known: str, pid: int, **details: Any) -> str:
        """A container that runs; `details` are `name`, `labels`, `env` and `network`. Tells nobody. Its full id."""
        known = known.ljust(64, "0")
        self.containers[known] = {
            "Id": known,
            "Name": f"/{details.get('name', known[:6])}",
            "State": {"Status": "running", "Running": True, "Paused": False, "Pid": pid, "ExitCode": 0},
            "Config": {"Labels": details.get("labels", {}), "Env": details.get("env")},
            "HostConfig": {"NetworkMode": details.get("network", "default")},
        }
        return known

    async def start(self, known: str, pid: int, **details: Any) -> str:
        """The same, and its event."""
        full = self.add(known, pid, **details)
        await self.tell("start", full)
        return full

    async def die(self, known: str, *events: str) -> None:
        """Its process has ended; these events are told, `die` alone without any."""
        self.containers[known]["State"] = {"Status": "exited", "Running": False, "Pid": 0, "ExitCode": 137}
        for event in events or ("die",):
            await self.tell(event, known)

    async def tell(self, action: str, known: str) -> None:
        """Tell an event to those who follow."""
        actor = {"ID": known, "Attributes": {"image": "web", "name": known[:6]}}
        event = {"status": action, "id": known, "from": "web", "Type": "container", "Action": action, "Actor": actor}
        line = json.dumps(event | {"scope": "local", "time": 1, "timeNano": 1}).encode() + b"\n"
        for stream in list(self._followers):
            # In two chunks, as any border between two is possible.
            await stream.send_all(b"%x\r\n%s\r\n" % (7, line[:7]) + b"%x\r\n%s\r\n" % (len(line) - 7, line[7:]))

    async def cut(self) -> None:
        """End the streams of events."""
        for stream in list(self._followers):
            self._followers.discard(stream)
            await stream.aclose()

    async def serve(self, stream: trio.SocketStream) -> None:
        raw = b""
        try:
            while not raw.endswith(b"\r\n\r\n"):
                if not (data := await stream.receive_some(4096)):
                    return
                raw += bytes(data)
            path = raw.split(b" ")[1].decode().partition("?")[0]
            self.questions.append(path)
            if self.is_deaf:
                await trio.sleep_forever()
            if path == "/events":
                await self._events(stream)
            else:
                await stream.send_all(self._answer(path))
                await stream.aclose()
        except trio.BrokenResourceError:
            pass

    async def _events(self, stream: trio.SocketStream) -> None:
        head = ("HTTP/1.1 200 OK", "Api-Version: 1.41", "Content-Type: application/json", "Transfer-Encoding: chunked")
        await stream.send_all("\r\n".join([*head, "", ""]).encode())
        self._followers.add(stream)
        while stream in self._followers:
            try:
                if not await stream.receive_some(1):
                    self._followers.discard(stream)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return

    def _answer(self, path: str) -> bytes:
        words = path.strip("/").split("/")
        if path == "/containers/json":
            running = [one for one in self.containers.values() if one["State"]["Running"]]
            return _answer("200 OK", [{"Id": one["Id"], "Names": [one["Name"]], "State": "running"} for one in running])
        if len(words) == 3 and words[1] in self.containers:
            return _answer("200 OK", self.containers[words[1]])
        return _answer("404 Not Found", {"message": f"No such container: {words[1]}"})


def _answer(status: str, document: Any) -> bytes:
    body = json.dumps(document).encode()
    head = ("Api-Version: 1.41", "Content-Type: application/json", "Connection: close", f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status}", *head, "", ""]).encode() + body


@asynccontextmanager
async def listening(runtime: FakeRuntime, path: Path) -> AsyncIterator[None]:
    """The runtime at this socket."""
    path.unlink(missing_ok=True)
    sock = trio.socket.socket(trio.socket.AF_UNIX)
    await sock.bind(str(path))
    sock.listen(64)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, runtime.serve, [trio.SocketListener(sock)])
        yield
        nursery.cancel_scope.cancel()
