"""The guest agent's client against a small agent on a port that remembers what nobody fetched."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from failoverd_lab.agent import Agent
from failoverd_lab.host import LabError


class FakeAgent:
    """Answers as qemu-ga does; a command of guest-exec exits after `looks` looks at it."""

    def __init__(self, stream: trio.abc.Stream, looks: int = 0) -> None:
        self.stream = stream
        self.requests: list[tuple[str, Any]] = []
        self.looks = looks
        self.killed: list[str] = []
        self.delay: trio.Event | None = None

    async def run(self) -> None:
        rest = b""
        while more := await self.stream.receive_some():
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                start = b""
                if line.startswith(b"\xff"):
                    start, line = b"\xff", line[1:]
                message = json.loads(line)
                if self.delay is not None:
                    await self.delay.wait()
                answer = self.answer(message["execute"], message["arguments"])
                await self.stream.send_all(start + json.dumps(answer).encode() + b"\n")

    def answer(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.requests.append((command, arguments))
        if command == "guest-sync-delimited":
            return {"return": arguments["id"]}
        if command == "guest-exec":
            if arguments["path"] == "kill":
                self.killed.append(arguments["arg"][-1])
            return {"return": {"pid": 41 + len(self.killed)}}
        if command == "guest-exec-status":
            self.looks -= 1
            if self.killed:
                return {"return": {"exited": True, "signal": 9, "out-data": base64.b64encode(b"so far").decode()}}
            if self.looks >= 0:
                return {"return": {"exited": False}}
            out, err = base64.b64encode(b"out\0").decode(), base64.b64encode(b"err").decode()
            return {"return": {"exited": True, "exitcode": 3, "out-data": out, "err-data": err}}
        if command == "guest-ping":
            return {"return": {}}
        return {"error": {"class": "CommandNotFound", "desc": f"The command {command} has not been found"}}


def talking(test: Callable[[Agent, FakeAgent, trio.Nursery], Awaitable[None]], *, looks: int = 0) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        agent, fake = Agent(), FakeAgent(theirs, looks)
        agent.attach(ours)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fake.run)
            await test(agent, fake, nursery)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_command_runs_to_its_end() -> None:
    async def test(agent: Agent, fake: FakeAgent, nursery: trio.Nursery) -> None:
        done = await agent.run(["ip", "link"], stdin=b"\0in", env={"A": "b c"})
        assert (done.returncode, done.stdout, done.stderr) == (3, b"out\0", b"err")
        with pytest.raises(LabError, match=r"failed \(exit code 3\): err"):
            done.check()
        assert fake.requests[1] == (
            "guest-exec",
            {
                "path": "ip",
                "arg": ["link"],
                "capture-output": True,
                "input-data": base64.b64encode(b"\0in").decode(),
                "env": ["A=b c"],
            },
        )

    talking(test, looks=3)


def test_a_command_that_takes_too_long_is_killed() -> None:
    async def test(agent: Agent, fake: FakeAgent, nursery: trio.Nursery) -> None:
        with pytest.raises(LabError, match=r"sleep 99 in the guest did not end in 2 s and was killed; .*: so far"):
            await agent.run(["sleep", "99"], timeout=2)
        assert fake.killed == ["41"]

    talking(test, looks=10_000)


def test_the_conversation_begins_in_step_whatever_was_left_on_the_port() -> None:
    async def test(agent: Agent, fake: FakeAgent, nursery: trio.Nursery) -> None:
        await fake.stream.send_all(b'{"return": {}}\n\xff{"return": 77}\n{"ret')
        await agent.request("guest-ping")
        await agent.request("guest-ping")
        assert [command for command, _ in fake.requests] == ["guest-sync-delimited", "guest-ping", "guest-ping"]

    talking(test)


def test_a_request_given_up_does_not_leave_its_answer_to_the_next() -> None:
    async def test(agent: Agent, fake: FakeAgent, nursery: trio.Nursery) -> None:
        await agent.request("guest-ping")
        fake.delay = trio.Event()
        with trio.move_on_after(1) as scope:
            await agent.request("guest-exec", {"path": "x"})
        assert scope.cancelled_caught
        fake.delay.set()
        assert await agent.request("guest-ping") == {}

    talking(test)


def test_a_refusal_names_the_command() -> None:
    async def test(agent: Agent, fake: FakeAgent, nursery: trio.Nursery) -> None:
        with pytest.raises(LabError, match="refused guest-nonsense: The command guest-nonsense has not been found"):
            await agent.request("guest-nonsense")
        assert await agent.request("guest-ping") == {}

    talking(test)


def test_requests_wait_while_it_is_held_and_go_to_the_new_stream() -> None:
    async def test(agent: Agent, fake: FakeAgent, nursery: trio.Nursery) -> None:
        await agent.request("guest-ping")
        ours, theirs = trio.testing.memory_stream_pair()
        other = FakeAgent(theirs)
        nursery.start_soon(other.run)
        async with agent.held():
            nursery.start_soon(agent.request, "guest-ping")
            await trio.testing.wait_all_tasks_blocked()
            before = len(fake.requests)
            agent.attach(ours)
        await trio.testing.wait_all_tasks_blocked()
        assert (before, len(fake.requests)) == (2, 2)
        assert [command for command, _ in other.requests] == ["guest-sync-delimited", "guest-ping"]

    talking(test)


def test_when_qemu_is_gone_it_says_so() -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        agent = Agent()
        with pytest.raises(LabError, match="no agent yet"):
            await agent.request("guest-ping")
        agent.attach(ours)
        await theirs.aclose()
        with pytest.raises(LabError, match="QEMU is gone"):
            await agent.request("guest-ping")

    trio.run(main)
