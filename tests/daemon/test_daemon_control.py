from __future__ import annotations

import json
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from privatenet import private_net

from failoverd.cli.client import NotDoneError, call
from failoverd.core.call_answers import CallError
from failoverd.core.calls import CALLS
from failoverd.daemon import control
from failoverd.daemon.control import CLIENTS, LINE, PACE, PATIENCE, REST

STATUS = b'{"call": "status"}\n'


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may enter, which pytest's own is not."""
    where = Path(tempfile.mkdtemp(prefix="failoverd-test-"))
    where.chmod(0o755)
    yield where
    shutil.rmtree(where)


async def echo(call: str, *arguments: str) -> dict[str, Any]:
    """Carries out every call by saying what it was."""
    if arguments == ("refuse",):
        raise CallError("not this one")
    return {"call": call, "arguments": list(arguments)}


def with_server(path: Path, body: Callable[[], Awaitable[None]], carry_out: control.Serve = echo, **run: Any) -> None:
    """Run `body` while the control socket at `path` is served."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, control.listen(path), carry_out)
            with trio.fail_after(60):
                await body()
            nursery.cancel_scope.cancel()

    trio.run(main, **run)


async def ask(path: Path, line: bytes) -> Any:
    """One line out, and the answer."""
    async with await trio.open_unix_socket(path) as stream:
        try:
            await stream.send_all(line)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass
        return json.loads(await answer(stream))


async def answer(stream: trio.SocketStream) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        data += await stream.receive_some(1 << 16) or b"\n"
    return data


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"call": "status", "arguments": []}\n', {"ok": {"call": "status", "arguments": []}}),
        (b'{"call": "explain", "arguments": ["ens4"]}', {"ok": {"call": "explain", "arguments": ["ens4"]}}),
        (b'{"call": "explain", "arguments": ["refuse"]}\n', {"error": {"text": "not this one", "kind": "Failed"}}),
        (b'{"call": "explain", "arguments": ["\\udcff"]}\n', {"ok": {"call": "explain", "arguments": ["\udcff"]}}),
    ],
)
def test_a_call_and_its_answer(tmp_path: Path, line: bytes, found: object) -> None:
    async def body() -> None:
        assert await ask(tmp_path / "control", line) == found

    with_server(tmp_path / "control", body)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\n", "a request is one line of JSON"),
        (b"", "a request is one line of JSON"),
        (b"status\n", "a request is one line of JSON"),
        (b"\xff\xfe\0\n", "a request is one line of JSON"),
        (b"[" * (LINE - 1) + b"\n", "a request is one line of JSON"),
        (b'{"call": "status"}{"call": "status"}\n', "a request is one line of JSON"),
        (b"[]\n", "there is no call None"),
        (b'{"call": ["status"]}\n', "there is no call ['status']"),
        (b'{"call": "reboot"}\n', "there is no call 'reboot'; there are status, explain, release, adopt"),
        (b'{"call": "explain", "arguments": [7]}\n', "the arguments are a list of texts"),
        (b"x" * (LINE + 1), "a request has at most 4096 bytes"),
        (b"x" * 1_000_000, "a request has at most 4096 bytes"),
    ],
)
def test_what_is_no_call(tmp_path: Path, line: bytes, words: str) -> None:
    async def body() -> None:
        assert (await ask(tmp_path / "control", line))["error"]["text"].startswith(words)
        assert "ok" in await ask(tmp_path / "control", STATUS)

    with_server(tmp_path / "control", body)


def test_a_thousand_malformed_calls(tmp_path: Path) -> None:
    chance = random.Random(7)

    async def body() -> None:
        for _ in range(1000):
            line = bytearray(b'{"call": "explain", "arguments": ["ens4"]}\n')
            for _ in range(chance.randint(1, 4)):
                line[chance.randrange(len(line))] = chance.randrange(256)
            found = await ask(tmp_path / "control", bytes(line))
            assert found.keys() in ({"ok"}, {"error"})
        assert "ok" in await ask(tmp_path / "control", STATUS)

    with_server(tmp_path / "control", body)


def test_a_line_in_pieces(tmp_path: Path) -> None:
    async def body() -> None:
        async with await trio.open_unix_socket(tmp_path / "control") as stream:
            for byte in STATUS:
                await stream.send_all(bytes([byte]))
                await trio.testing.wait_all_tasks_blocked()
            assert b"ok" in await answer(stream)

    with_server(tmp_path / "control", body)


def test_silence_is_cut_off(tmp_path: Path) -> None:
    async def body() -> None:
        async with await trio.open_unix_socket(tmp_path / "control") as stream:
            before = trio.current_time()
            assert await stream.receive_some(1) == b""
            assert trio.current_time() - before == pytest.approx(PATIENCE)

    with_server(tmp_path / "control", body, clock=trio.testing.MockClock(autojump_threshold=0.05))


def test_a_client_that_does_not_read_its_answer_is_cut_off(tmp_path: Path) -> None:
    async def long(call: str, *arguments: str) -> dict[str, Any]:
        return {"text": "x" * 4_000_000}

    async def body() -> None:
        async with await trio.open_unix_socket(tmp_path / "control") as stream:
            await stream.send_all(STATUS)
            await trio.sleep(PATIENCE + 1)
            assert not (await answer(stream)).endswith(b"}\n")

    with_server(tmp_path / "control", body, long, clock=trio.testing.MockClock(autojump_threshold=0.05))


def test_a_client_that_is_gone_before_its_answer(tmp_path: Path) -> None:
    async def body() -> None:
        for line in (b"", b"{", STATUS):
            async with await trio.open_unix_socket(tmp_path / "control") as stream:
                await stream.send_all(line)
        assert "ok" in await ask(tmp_path / "control", STATUS)

    with_server(tmp_path / "control", body)


def test_those_who_are_too_many_are_told_so_and_the_others_served(tmp_path: Path) -> None:
    async def body() -> None:
        path = tmp_path / "control"
        most = CLIENTS if os.geteuid() == 0 else control.EACH
        silent = [await trio.open_unix_socket(path) for _ in range(most)]
        await trio.testing.wait_all_tasks_blocked()
        assert await ask(path, STATUS) == {"error": {"text": "too many clients at once; try again", "kind": "Busy"}}
        for stream in silent:
            await stream.send_all(STATUS)
            assert b"ok" in await answer(stream)
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert "ok" in await ask(path, STATUS)

    with_server(tmp_path / "control", body)


def test_many_clients_at_once_all_get_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    answers: list[str] = []

    def one() -> None:
        try:
            answers.append(call("explain", "x")["arguments"][0])
        except NotDoneError as error:
            answers.append(str(error))

    async def body() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(trio.to_thread.run_sync, one)

    with_server(tmp_path / "control", body)
    assert len(answers) == 300
    assert set(answers) <= {"x", "too many clients at once; try again"}


CLIENT = """
import os, socket, sys
if os.geteuid() == 0:
    os.setresuid(*3 * (int(sys.argv[3]),))
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    if sys.argv[2] == "hold":
        print("held", flush=True)
        sys.stdin.read()
    else:
        try:
            sock.sendall(sys.argv[2].encode() + b"\\n")
        except BrokenPipeError:
            pass
        print(sock.makefile().readline())
"""


def as_nobody(path: Path, line: str, uid: int = 65534) -> subprocess.Popen[str]:
    """A client that is not root, whoever runs the tests."""
    command = [sys.executable, "-I", "-S", "-c", CLIENT, str(path), line, str(uid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("name", "answered"),
    [("status", '{"ok": '), ("explain", '{"ok": '), ("release", "release is root's"), ("adopt", "adopt is root's")],
)
def test_everybody_may_read_and_only_root_may_change(place: Path, name: str, answered: str) -> None:
    async def body() -> None:
        arguments = ["ens3"] if CALLS[name].takes else []
        with as_nobody(place / "control", json.dumps({"call": name, "arguments": arguments})) as client:
            out, _ = await trio.to_thread.run_sync(client.communicate)
        assert answered in out

    with_server(place / "control", body)


@private_net
def test_root_may_change() -> None:
    """Root of the namespace the daemon is in is root enough, as it is for the kernel."""
    with tempfile.TemporaryDirectory() as where:
        path = Path(where) / "control"

        async def body() -> None:
            assert "ok" in await ask(path, b'{"call": "release", "arguments": ["ens3"]}\n')

        with_server(path, body)


@pytest.mark.skipif(os.geteuid() != 0, reason="two users are needed to tell them apart")
def test_nobody_keeps_root_or_another_user_out(place: Path) -> None:
    async def body() -> None:
        path = place / "control"
        holders = [as_nobody(path, "hold") for _ in range(CLIENTS)]
        try:
            for holder in holders:
                assert holder.stdout is not None
                assert await trio.to_thread.run_sync(holder.stdout.readline) == "held\n"
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert "ok" in await ask(path, STATUS)
            with as_nobody(path, STATUS.decode().strip()) as client:
                out, _ = await trio.to_thread.run_sync(client.communicate)
            assert "too many clients" in out
            with as_nobody(path, STATUS.decode().strip(), uid=1) as client:
                out, _ = await trio.to_thread.run_sync(client.communicate)
            assert '{"ok": ' in out
        finally:
            for holder in holders:
                assert holder.stdout is not None
                holder.communicate()

    with_server(place / "control", body)


def test_other_users_questions_take_a_part_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of questions is answered at a pace, a flood of clients looked at at another; root waits for neither."""
    uid, took, begun = 1000, 0.02, []

    async def slow(call: str, *arguments: str) -> dict[str, Any]:
        begun.append(trio.current_time())
        await trio.sleep(took)
        return {}

    async def body() -> None:
        nonlocal uid, took
        path = tmp_path / "control"
        async with trio.open_nursery() as nursery:
            for _ in range(control.EACH):
                nursery.start_soon(ask, path, STATUS)
        assert [round(later - sooner, 6) for sooner, later in pairwise(begun)] == [took * (1 + REST)] * 3
        begun.clear()
        uid = 0
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(ask, path, STATUS)
        assert len(set(begun)) == 1
        uid, took = 1000, 10.0
        silent = [await trio.open_unix_socket(path) for _ in range(control.EACH)]
        began = trio.current_time()
        for _ in range(50):
            assert "too many" in (await ask(path, STATUS))["error"]["text"]
        assert trio.current_time() - began >= 49 * PACE
        for stream in silent:
            await stream.aclose()

    monkeypatch.setattr(control, "_peer_uid", lambda _stream: uid)
    with_server(tmp_path / "control", body, slow, clock=trio.testing.MockClock(autojump_threshold=0.02))


def test_a_socket_that_a_former_daemon_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / "control"))

    async def body() -> None:
        assert "ok" in await ask(tmp_path / "control", STATUS)
        assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o666

    with_server(tmp_path / "control", body)


def test_a_file_that_is_no_socket_is_set_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "control"
    path.write_text("precious")

    async def body() -> None:
        assert "ok" in await ask(path, STATUS)

    with_server(path, body)
    assert path.with_name("control.bad").read_text() == "precious"
    assert f"{path}: it is no socket; set aside as control.bad" in caplog.text


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="too long"):
            control.listen(tmp_path / ("x" * 200))

    trio.run(main)


def test_an_order_whose_client_has_gone_is_not_begun(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon stood still, the client waited for as long as it waits, and its line is still here."""
    done: list[str] = []

    async def note(call: str, *_arguments: str) -> dict[str, Any]:
        done.append(call)
        return {}

    async def main() -> None:
        path = tmp_path / "control"
        door = control.listen(path)
        stream = await trio.open_unix_socket(path)
        await stream.send_all(b'{"call": "drain", "arguments": ["ens3"]}\n')
        await stream.aclose()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, door, note)
            assert await ask(path, b'{"call": "undrain", "arguments": ["ens3"]}') == {"ok": {}}
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert done == ["undrain"]
    assert "drain ens3 was not begun: its client did not wait for an answer" in caplog.text
