"""The door to the inventory: opened by a question, closed when there is none, and nothing before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
import trio
import trio.testing
from daemonprocess import Daemon, places
from privatenet import inside

from failoverd.core.call_answers import CallError
from failoverd.daemon import control
from failoverd.daemon.inventory import KEPT, Inventory
from failoverd.daemon.picture import Picture


class FakePicture:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.is_open = True
        self.drained = 0
        self.told = trio.Event()
        self.fails: BaseException | None = None

    def close(self) -> None:
        self.is_open = False

    async def heard(self) -> None:
        await self.told.wait()
        self.told = trio.Event()

    async def drain(self) -> None:
        self.drained += 1
        if self.fails:
            raise self.fails

    async def answer(self, question: str, arguments: Sequence[str], roles: dict[int, Any]) -> list[bytes]:
        await trio.lowlevel.checkpoint()
        if self.fails:
            raise self.fails
        return [json.dumps([question, *arguments, roles]).encode()]


Body = Callable[[Inventory, list[FakePicture]], Awaitable[None]]


def with_inventory(body: Body) -> None:
    """With a clock that goes on by itself."""

    async def main() -> None:
        opened: list[FakePicture] = []

        async def open_one() -> Picture:
            opened.append(FakePicture())
            return cast(Picture, opened[-1])

        inventory = Inventory(open_one, lambda: {7: ("ens3", "primary")})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inventory.run)
            await body(inventory, opened)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_it_is_opened_by_the_first_question_and_closed_after_a_while_without_one() -> None:
    async def body(inventory: Inventory, opened: list[FakePicture]) -> None:
        await trio.sleep(1000)
        assert opened == []
        assert await inventory.ask("interfaces", ["json"]) == [b'["interfaces", "json", {"7": ["ens3", "primary"]}]']
        await trio.sleep(KEPT - 1)
        await inventory.ask("interfaces", ["json"])
        await trio.sleep(KEPT - 1)
        assert [one.is_open for one in opened] == [True]
        await trio.sleep(2)
        assert [one.is_open for one in opened] == [False]
        await inventory.ask("interfaces", ["json"])
        assert [one.is_open for one in opened] == [False, True]
        await trio.sleep(KEPT + 1)
        assert [one.is_open for one in opened] == [False, False]

    with_inventory(body)


def test_what_is_told_between_two_questions_is_taken_in() -> None:
    async def body(inventory: Inventory, opened: list[FakePicture]) -> None:
        await inventory.ask("interfaces", ["json"])
        for number in range(1, 4):
            opened[0].told.set()
            await trio.sleep(1)
            assert opened[0].drained == number

    with_inventory(body)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(12, "Cannot allocate memory"), "the kernel does not tell its interfaces: Cannot allocate memory"),
        (ZeroDivisionError(), "failed over this question"),
    ],
)
def test_what_fails_is_the_questions_error_and_the_next_one_begins_anew(
    error: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(inventory: Inventory, opened: list[FakePicture]) -> None:
        await inventory.ask("interfaces", ["json"])
        opened[0].fails = error
        with pytest.raises(CallError, match=words):
            await inventory.ask("interfaces", ["json"])
        assert not opened[0].is_open
        await inventory.ask("interfaces", ["json"])
        assert opened[1].is_open

    with_inventory(body)


def test_a_refusal_is_passed_on_and_costs_nothing() -> None:
    async def body(inventory: Inventory, opened: list[FakePicture]) -> None:
        await inventory.ask("interfaces", ["json"])
        opened[0].fails = CallError("no")
        with pytest.raises(CallError, match="no"):
            await inventory.ask("interfaces", ["json"])
        assert opened[0].is_open

    with_inventory(body)


def test_a_question_that_is_cut_leaves_no_half_of_a_dump_behind() -> None:
    async def body(inventory: Inventory, opened: list[FakePicture]) -> None:
        await inventory.ask("interfaces", ["json"])
        with trio.CancelScope() as scope:
            scope.cancel()
            await inventory.ask("interfaces", ["json"])
        with trio.CancelScope() as scope:
            opened[0].fails = None
            scope.deadline = trio.current_time()
            await inventory.ask("interfaces", ["json"])
        await inventory.ask("interfaces", ["json"])
        assert opened[-1].is_open
        assert all(not one.is_open for one in opened[:-1])

    with_inventory(body)


def test_a_socket_that_fails_between_two_questions_is_opened_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def body(inventory: Inventory, opened: list[FakePicture]) -> None:
        await inventory.ask("interfaces", ["json"])
        opened[0].fails = OSError(5, "Input/output error")
        opened[0].told.set()
        await trio.sleep(1)
        assert not opened[0].is_open
        assert "the inventory's socket fails (Input/output error)" in caplog.text
        await inventory.ask("interfaces", ["json"])
        opened[1].fails = ZeroDivisionError()
        opened[1].told.set()
        await trio.sleep(1)
        assert "failed over what the kernel has told" in caplog.text
        await inventory.ask("interfaces", ["json"])
        await trio.sleep(KEPT + 1)
        assert [one.is_open for one in opened] == [False, False, False]

    with_inventory(body)


def test_nothing_of_it_is_loaded_before_the_first_question() -> None:
    rooms = (
        "daemon.picture",
        "daemon.inventory_look",
        "daemon.inventory_answers",
        "inventory.stock",
        "netlink.inventory",
    )
    heavy = tuple(f"failoverd.{room}" for room in rooms)
    command = (
        f"import sys, failoverd.cli.daemon, failoverd.daemon.main; sys.exit(any(n in sys.modules for n in {heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_the_control_socket_passes_questions_on_and_refuses_what_they_do_not_take(tmp_path: Path) -> None:
    async def ask(question: str, arguments: Sequence[str]) -> list[bytes]:
        if arguments and arguments[0] == "nosuch":
            raise CallError("there is none")
        return [b'{"asked": ', json.dumps([question, *arguments]).encode(), b"}"]

    async def never(call: str, *arguments: str) -> dict[str, Any]:
        raise AssertionError((call, arguments))

    async def exchange(line: bytes) -> Any:
        async with await trio.open_unix_socket(tmp_path / "control") as stream:
            await stream.send_all(line)
            data = b""
            while not data.endswith(b"\n"):
                data += await stream.receive_some(100)
            return json.loads(data)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, control.listen(tmp_path / "control"), never, ask)
            found = await exchange(b'{"call": "interfaces", "arguments": ["table", "active"]}\n')
            assert found == {"ok": {"asked": ["interfaces", "table", "active"]}}
            found = await exchange(b'{"call": "interface-xml", "arguments": ["nosuch"]}\n')
            assert found == {"error": {"text": "there is none", "kind": "Failed"}}
            found = await exchange(b'{"call": "interfaces", "arguments": ["xml"]}\n')
            assert found["error"]["text"] == "interfaces takes table|list|json [all|active|inactive [generation]]"
            found = await exchange(b'{"call": "nosuch"}\n')
            assert "interfaces, interface, interface-xml" in found["error"]["text"]
            nursery.cancel_scope.cancel()

    with pytest.raises(CallError, match="nothing here answers interfaces"):
        trio.run(control.no_inventory, "interfaces", [])
    trio.run(main)


def test_a_real_daemon_answers(tmp_path: Path) -> None:
    """From the command line to the kernel and back."""

    def ctl(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from failoverd.cli.ctl import main; raise SystemExit(main())", *words]
        return subprocess.run(command, env=os.environ | places(tmp_path), capture_output=True, text=True, check=False)

    make = "link add br0 type bridge\nlink add v0 type veth peer name v1\nlink set v1 master br0\nlink set br0 up\n"
    begin = ["sh", "-c", f'printf "{make}" | ip -batch - && exec "$@"', "sh"]
    with Daemon(tmp_path, into=inside(*begin)) as daemon:
        daemon.hears("READY=1")
        done = ctl("interfaces")
        assert [line.split()[:2] for line in done.stdout.splitlines()[2:]] == [
            ["br0", "active"],
            ["lo", "inactive"],
            ["v0", "inactive"],
            ["v1", "inactive"],
        ]
        document = json.loads(ctl("interfaces", "--json").stdout)
        assert {row["name"]: row["master"] for row in document["interfaces"]}["v1"] == "br0"
        root = ElementTree.fromstring(ctl("interface-xml", "--all").stdout)
        assert [one.get("name") for one in root] == ["br0", "lo", "v0", "v1"]
        assert [one.get("name") for one in root[0].iter("interface")] == ["br0", "v1"]
        missing = ctl("interface-xml", "nosuch")
        assert (missing.returncode, missing.stdout) == (1, "")
        assert daemon.end() == 0
