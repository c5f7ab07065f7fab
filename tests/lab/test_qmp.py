"""The QMP client against a small server that speaks as QEMU does."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from failoverd_lab.qmp import Qmp, QmpClosedError, QmpError

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}


class Server:
    """QEMU's side of the stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.rest = b""

    async def say(self, *messages: dict[str, Any]) -> None:
        await self.stream.send_all(b"".join(json.dumps(message).encode() + b"\r\n" for message in messages))

    async def hear(self) -> dict[str, Any]:
        while b"\n" not in self.rest:
            more = await self.stream.receive_some()
            assert more
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def greet(self) -> None:
        await self.say(GREETING)
        assert (await self.hear())["execute"] == "qmp_capabilities"
        await self.say({"return": {}})


def connected(test: Callable[[Qmp, Server, trio.Nursery], Awaitable[None]]) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        qmp, server = Qmp(ours), Server(theirs)
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.greet)
                await qmp.negotiate()
                nursery.start_soon(qmp.run)
                await test(qmp, server, nursery)
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_answers_find_who_asked_whatever_their_order() -> None:
    async def test(qmp: Qmp, server: Server, nursery: trio.Nursery) -> None:
        got: dict[str, Any] = {}

        async def ask(command: str) -> None:
            got[command] = await qmp.execute(command, {"about": command})

        nursery.start_soon(ask, "one")
        nursery.start_soon(ask, "two")
        asked = [await server.hear(), await server.hear()]
        for command in reversed(asked):
            assert command["arguments"] == {"about": command["execute"]}
            await server.say({"return": f"for {command['execute']}", "id": command["id"]})
        await trio.testing.wait_all_tasks_blocked()
        assert got == {"one": "for one", "two": "for two"}

    connected(test)


def test_a_refusal_names_the_command_and_qemus_words() -> None:
    async def test(qmp: Qmp, server: Server, nursery: trio.Nursery) -> None:
        async def refuse() -> None:
            command = await server.hear()
            error = {"class": "DeviceNotFound", "desc": "Device 'vf.9' not found"}
            await server.say({"error": error, "id": command["id"]})

        nursery.start_soon(refuse)
        with pytest.raises(QmpError, match=r"refused device_del \{\"id\": \"vf.9\"\}: Device 'vf.9' not found"):
            await qmp.execute("device_del", {"id": "vf.9"})

    connected(test)


def test_an_event_is_caught_even_when_it_comes_before_the_answer() -> None:
    async def test(qmp: Qmp, server: Server, nursery: trio.Nursery) -> None:
        async def unplug() -> None:
            command = await server.hear()
            await server.say(
                {"event": "DEVICE_DELETED", "data": {"path": "/machine/peripheral/other/port"}},
                {"event": "DEVICE_DELETED", "data": {"device": "vf.2", "path": "x"}},
                {"event": "DEVICE_DELETED", "data": {"device": "vf.1", "path": "y"}},
                {"return": {}, "id": command["id"]},
            )

        nursery.start_soon(unplug)
        gone = qmp.watch("DEVICE_DELETED", device="vf.1")
        await qmp.execute("device_del", {"id": "vf.1"})
        assert await gone.wait() == {"device": "vf.1", "path": "y"}

    connected(test)


def test_a_watch_may_name_several_values_and_is_answered_once() -> None:
    async def test(qmp: Qmp, server: Server, nursery: trio.Nursery) -> None:
        ended = qmp.watch("MIGRATION", status=("completed", "failed"))
        resumed = qmp.watch("RESUME")
        for status in ("active", "failed", "completed"):
            await server.say({"event": "MIGRATION", "data": {"status": status}})
        await server.say({"event": "RESUME"})
        assert await ended.wait() == {"status": "failed"}
        assert await resumed.wait() == {}

    connected(test)


def test_when_qemu_exits_everyone_who_waits_is_told() -> None:
    async def test(qmp: Qmp, server: Server, nursery: trio.Nursery) -> None:
        told: list[str] = []

        async def wait(what: Callable[[], Awaitable[Any]]) -> None:
            with pytest.raises(QmpClosedError):
                await what()
            told.append("told")

        gone = qmp.watch("DEVICE_DELETED")
        nursery.start_soon(wait, gone.wait)
        nursery.start_soon(wait, lambda: qmp.execute("quit"))
        assert (await server.hear())["execute"] == "quit"
        await server.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["told", "told"]
        with pytest.raises(QmpClosedError, match="was told: cont"):
            await qmp.execute("cont")
        with pytest.raises(QmpClosedError, match="RESUME will not come"):
            await qmp.watch("RESUME").wait()

    connected(test)


@pytest.mark.parametrize("greeted", [False, True])
def test_a_qemu_that_exits_at_once_is_told_apart(greeted: bool) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        if greeted:
            await Server(theirs).say(GREETING)
        await theirs.send_stream.aclose()
        with trio.fail_after(10), pytest.raises(QmpClosedError, match="before it was ready"):
            await Qmp(ours).negotiate()

    trio.run(main)


def test_who_gives_up_waiting_disturbs_nobody() -> None:
    async def test(qmp: Qmp, server: Server, nursery: trio.Nursery) -> None:
        with trio.move_on_after(0):
            await qmp.execute("never")
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when_asked, server, scope)
            await qmp.execute("slow")
        answers = trio.Event()

        async def answer() -> None:
            command = await server.hear()
            await server.say({"return": "late", "id": command["id"] - 1}, {"return": 5, "id": command["id"]})
            answers.set()

        nursery.start_soon(answer)
        assert await qmp.execute("quick") == 5
        assert answers.is_set()

    connected(test)


async def _cancel_when_asked(server: Server, scope: trio.CancelScope) -> None:
    assert (await server.hear())["execute"] == "slow"
    scope.cancel()
