"""The daemon's client with a doorkeeper that does not behave: what it then knows, and that it goes on."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from doorkeeper import client

from failoverd.daemon.namespaces import AGAIN, Namespaces
from failoverd.daemon.open_namespace import NamespaceGoneError
from failoverd.model.declared import OWN, NamespaceRef
from failoverd.model.places import HERE, Place
from failoverd.netns.protocol import (
    Found,
    Watch,
    Written,
    pack_findings,
    pack_opened,
    pack_written,
    read_request,
)

RED, BLUE = NamespaceRef("name", "red"), NamespaceRef("name", "blue")
PLACE = Place(3, 17)
FOUND = pack_findings({RED: Found(PLACE, 815)})[0]
Serve = Callable[[trio.socket.SocketType], Awaitable[None]]


@asynccontextmanager
async def door(path: Path, serve: Serve) -> AsyncIterator[None]:
    """Connections to this path are served by that."""
    path.unlink(missing_ok=True)
    with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        await listener.bind(str(path))
        listener.listen(8)
        async with trio.open_nursery() as nursery:

            async def accept() -> None:
                while True:
                    sock, _ = await listener.accept()
                    with sock:
                        await serve(sock)

            nursery.start_soon(accept)
            yield
            nursery.cancel_scope.cancel()


def test_our_own_namespace_needs_no_doorkeeper(tmp_path: Path) -> None:
    async def told() -> None:
        async with client(tmp_path / "none", [OWN]) as one:
            with trio.fail_after(1):
                while (OWN, HERE) not in one.told:
                    await trio.sleep(0.01)
            assert one.namespaces.now(OWN) == HERE

    trio.run(told)


@pytest.mark.parametrize("answer", [b"", b"garbage", b'{"opened":true}', b'{"found":[[1]]}'])
def test_one_that_answers_something_else_is_tried_again(tmp_path: Path, answer: bytes) -> None:
    """An answer of no bytes is the end of the connection."""
    answers = [answer, FOUND]

    async def serve(sock: trio.socket.SocketType) -> None:
        await sock.recv(1 << 16)
        if said := answers.pop(0):
            await sock.send(said)
        if not answers:
            await trio.sleep_forever()

    async def told() -> None:
        async with door(tmp_path / "door", serve), client(tmp_path / "door", [RED]) as one:
            await one.absent(RED, "door-closed")
            assert await one.place(RED) == PLACE

    trio.run(told)


def test_one_that_ends_leaves_what_was_known_until_the_next(tmp_path: Path) -> None:
    """It ends with something unread, which is a reset. The next one is told which process was meant."""
    asked: list[Watch] = []

    async def told() -> None:
        is_to_end = trio.Event()

        async def serve(sock: trio.socket.SocketType) -> None:
            request = read_request(await sock.recv(1 << 16))
            assert isinstance(request, Watch)
            asked.append(request)
            await sock.send(FOUND)
            await is_to_end.wait()
            if len(asked) > 1:
                await trio.sleep_forever()

        async with door(tmp_path / "door", serve), client(tmp_path / "door", [RED]) as one:
            assert await one.place(RED) == PLACE
            one.watch(RED, BLUE)
            await trio.testing.wait_all_tasks_blocked()
            is_to_end.set()
            with trio.fail_after(2 + AGAIN):
                while len(asked) < 2:
                    await trio.sleep(0.01)
            assert asked[1].started == {RED: 815}
            assert [what for reference, what in one.told if reference == RED] == [PLACE]

    trio.run(told)


def test_a_place_that_nothing_leads_to_is_gone(tmp_path: Path) -> None:
    with pytest.raises(NamespaceGoneError) as caught:
        Namespaces(tmp_path / "none").open(PLACE)
    assert caught.value.absent.reason == "namespace-absent"


def test_a_doorkeeper_that_passes_no_files(tmp_path: Path) -> None:
    watching: list[trio.socket.SocketType] = []

    async def serve(sock: trio.socket.SocketType) -> None:
        if isinstance(read_request(await sock.recv(1 << 16)), Watch):
            await sock.send(FOUND)
            watching.append(sock.dup())
        else:
            await sock.send(pack_opened())

    async def told() -> None:
        async with door(tmp_path / "door", serve), client(tmp_path / "door", [RED]) as one:
            place = await one.place(RED)
            with pytest.raises(NamespaceGoneError, match="no files"):
                await trio.to_thread.run_sync(one.namespaces.open, place)
            watching.pop().close()

    trio.run(told)


@pytest.mark.parametrize("answer", [b"garbage", pack_written(Written((0, 0))), pack_opened()])
def test_a_doorkeeper_that_does_not_say_what_was_written(tmp_path: Path, answer: bytes) -> None:
    async def serve(sock: trio.socket.SocketType) -> None:
        if isinstance(read_request(await sock.recv(1 << 16)), Watch):
            await sock.send(FOUND)
        else:
            await sock.send(answer)

    async def told() -> None:
        async with door(tmp_path / "door", serve), client(tmp_path / "door", [RED]) as one:
            place = await one.place(RED)
            with pytest.raises(NamespaceGoneError):
                await trio.to_thread.run_sync(one.namespaces.write, place, 5, "ens3", [("ipv4/rp_filter", "1")])

    trio.run(told)
