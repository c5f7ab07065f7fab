"""failoverd-libvirt: what it asks the daemon, what it answers, and what it does with clients that are up to no good."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from controlfake import Fake, ok
from libvirtclient import OPEN, call, error_of, number, replies, text
from libvirtservice import libvirt_service

from failoverd.cli import libvirt, libvirtserver, libvirtsource
from failoverd.cli.client import NoDaemonError, NotDoneError
from failoverd.cli.libvirtserver import CLIENTS, EACH, Server
from failoverd.cli.libvirtsource import FEW, Source
from failoverd.libvirt.errors import LibvirtError
from failoverd.libvirt.messages import LONGEST

ROWS = [["eth0", True, "52:54:00:00:00:01"], ["eth1", False, None], ["\x01", True, None]]
NAMES = ("eth0", "eth1")


class Inventory:
    """A daemon that has these interfaces, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.generation = 5
        self.rows: list[list[Any]] = list(ROWS)
        self.sure = True
        self.fails: Exception | None = None

    def __call__(self, *words: str) -> bytes:
        self.asked.append(words)
        if self.fails:
            raise self.fails
        return json.dumps(self.answer(*words)).encode()

    def answer(self, question: str, *arguments: str) -> dict[str, Any]:
        head = {"generation": self.generation, "sure": self.sure}
        if question == "interfaces":
            assert arguments[:2] == ("table", "all")
            known = arguments[2] == str(self.generation)
            return head | ({"unchanged": True} if known else {"interfaces": self.rows})
        names = [row[0] for row in self.rows if row[0] != "\x01"]
        if question == "interface-xml":
            # As the daemon does it: by another word, too.
            names = [name for name in names if name in arguments] or (["eth0"] if arguments == ("alt",) else [])
        refused = [] if names else [f"there is no interface {arguments[0]!r}"]
        return head | {"documents": [document(name) for name in names], "refused": refused}

    def of(self, question: str) -> int:
        return sum(words[0] == question for words in self.asked)


def document(name: str) -> str:
    return f"<interface type='ethernet' name='{name}'>\n</interface>\n"


Body = Callable[[Path, Inventory], Awaitable[None]]


def served(place: Path, body: Body, idle: float = 1000.0) -> None:
    """With a server on a socket, which asks an inventory of the test's."""

    async def main() -> None:
        inventory = Inventory()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(place / "sock"))
            sock.listen(4096)
            sock.setblocking(False)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Server(Source(inventory), idle).run, [sock])
                with trio.fail_after(20):
                    await body(place / "sock", inventory)
                nursery.cancel_scope.cancel()

    trio.run(main)


class Client:
    """A client that is well behaved, unless it is told otherwise."""

    def __init__(self, path: Path, stream: trio.SocketStream) -> None:
        self.stream = stream

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stream.aclose()

    async def ask(self, procedure: int, payload: bytes = b"") -> bytes:
        """The payload of the answer, which must be no error."""
        status, found = await self.call(procedure, payload)
        assert status == 0, error_of(found)
        return found

    async def call(self, procedure: int, payload: bytes = b"") -> tuple[int, bytes]:
        await self.stream.send_all(call(procedure, payload))
        (reply,) = replies(await self.bytes())
        assert (reply.version, reply.procedure, reply.type, reply.serial) == (1, procedure, 1, 7)
        return reply.status, reply.payload

    async def bytes(self) -> bytes:
        """One whole message."""
        data = b""
        while len(data) < 4 or len(data) < int.from_bytes(data[:4], "big"):
            more = await self.stream.receive_some(1 << 20)
            if not more:
                raise EOFError(data)
            data += more
        return data

    async def is_ended(self) -> bool:
        """Wait for the other end to close it; nothing must come before."""
        try:
            return await self.stream.receive_some(1) == b""
        except trio.BrokenResourceError:
            return True


async def connect(path: Path) -> Client:
    sock = trio.socket.socket(socket.AF_UNIX)
    await sock.connect(str(path))
    return Client(path, trio.SocketStream(sock))


async def opened(path: Path) -> Client:
    client = await connect(path)
    assert await client.ask(66) == number(1) + number(0)
    assert await client.ask(1, OPEN) == b""
    return client


async def sent_before_the_end(client: Client, pieces: Sequence[bytes], pause: float = 0.0) -> int:
    """Send until the other end closes the connection. How many pieces it has taken."""
    for sent, piece in enumerate(pieces):
        try:
            await client.stream.send_all(piece)
        except trio.BrokenResourceError:
            return sent
        await trio.sleep(pause)
    return len(pieces)


def test_a_list_and_each_of_it(tmp_path: Path) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            found = await client.ask(284, number(1) + number(0))
            eth0, eth1 = text("eth0") + text("52:54:00:00:00:01"), text("eth1") + text("")
            assert found == number(2) + eth0 + eth1 + number(2)
            assert await client.ask(156, eth0) == number(1)
            assert await client.ask(156, eth1) == number(0)
            assert await client.ask(130, eth1 + number(0)) == text(document("eth1"))
            assert await client.ask(2) == b""

    served(tmp_path, body)


def test_thousands_of_calls_are_few_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred calls by two clients, while the daemon's answer holds."""
    monkeypatch.setattr(libvirtsource, "FRESH", 1000.0)

    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as one, await opened(path) as two:
            for _ in range(200):
                assert await one.ask(156, text("eth0") + text("")) == number(1)
                assert await two.ask(126) == number(1)
        assert inventory.asked == [("interfaces", "table", "all", "-1")]

    served(tmp_path, body)


def test_a_change_is_seen_when_an_answer_is_no_longer_fresh(tmp_path: Path) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            assert await client.ask(126) == number(1)
            inventory.rows, inventory.generation = [["eth9", True, ""], *ROWS], 6
            began = trio.current_time()
            while await client.ask(126) != number(2):
                assert trio.current_time() < began + 5
            assert inventory.asked[-1] == ("interfaces", "table", "all", "5")

    served(tmp_path, body)


def test_who_goes_through_all_documents_gets_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirtsource, "KEPT", 1000.0)

    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            for _ in range(FEW + 20):
                for name in NAMES:
                    assert await client.ask(130, text(name) + text("") + number(0)) == text(document(name))
            assert inventory.of("interface-xml") == FEW
            assert inventory.of("every-interface-xml") == 1
            # What is new is in no document that is kept.
            inventory.rows, inventory.generation = [["eth9", True, ""], *ROWS], 6
            while (await client.call(128, text("eth9")))[0]:
                pass
            assert await client.ask(130, text("eth9") + text("") + number(0)) == text(document("eth9"))
            assert inventory.of("every-interface-xml") == 2

    served(tmp_path, body)


def test_a_document_of_another_interface_is_not_taken() -> None:
    """The daemon finds `7` also by ifindex, and a name may be another's alternative name."""

    async def main() -> None:
        source = Source(Inventory())
        with pytest.raises(LibvirtError, match="couldn't find interface named 'alt'"):
            await source.document("alt")
        with pytest.raises(LibvirtError, match="there is no interface 'eth7'"):
            await source.document("eth7")

    trio.run(main)


@pytest.mark.parametrize(
    ("error", "times"),
    [(NoDaemonError("no failoverd answers"), 1), (NotDoneError("too many clients at once; try again"), 3)],
)
def test_what_the_daemon_does_not_answer(tmp_path: Path, error: Exception, times: int) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            inventory.fails = error
            status, payload = await client.call(126)
            assert (status, error_of(payload)) == (1, (9, 26, f"operation failed: {error}"))
            assert len(inventory.asked) == times
            inventory.fails = None
            assert await client.ask(126) == number(1)

    served(tmp_path, body)


def test_an_answer_that_may_lack_something_is_none(tmp_path: Path) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            inventory.sure = False
            status, payload = await client.call(126)
            assert (status, "more than failoverd could take in" in error_of(payload)[2]) == (1, True)

    served(tmp_path, body)


def test_a_ping_is_answered(tmp_path: Path) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            await client.stream.send_all(call(1, program=0x6B656570, kind=2, serial=0))
            (pong,) = replies(await client.bytes())
            assert (pong.procedure, pong.type, pong.serial, pong.payload) == (2, 2, 0, b"")

    served(tmp_path, body)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.0\r\n\r\n", bytes(64), call(126, kind=3), number(LONGEST + 1)], ids=range(4)
)
def test_garbage_ends_its_own_connection_only(tmp_path: Path, data: bytes) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as good, await opened(path) as bad:
            await bad.stream.send_all(data)
            assert await bad.is_ended()
            assert await good.ask(126) == number(1)

    served(tmp_path, body)


def test_a_call_that_breaks_something_ends_its_own_connection_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as good, await opened(path) as bad:
            monkeypatch.setattr(libvirtserver, "answer", lambda *_: 1 / 0)
            await bad.stream.send_all(call(126))
            assert await bad.is_ended()
            monkeypatch.undo()
            assert await good.ask(126) == number(1)

    served(tmp_path, body)
    assert "please report this" in caplog.text


@pytest.mark.parametrize("data", [b"", call(66)[:13], call(66)], ids=["nothing", "half a message", "no opening"])
def test_a_client_has_its_time_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(libvirtserver, "PATIENCE", 0.3)

    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as good, await connect(path) as bad:
            await bad.stream.send_all(data)
            if data == call(66):
                await bad.bytes()
            assert await bad.is_ended()
            assert await good.ask(126) == number(1)

    served(tmp_path, body)


def test_half_a_message_has_its_time_and_no_byte_extends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirtserver, "PATIENCE", 0.3)

    async def body(path: Path, inventory: Inventory) -> None:
        async with await opened(path) as client:
            sent = await sent_before_the_end(client, [bytes([byte]) for byte in call(131, bytes(20000))], 0.01)
            assert 1 < sent < 500

    served(tmp_path, body)


def test_a_client_that_does_not_read_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirtserver, "PATIENCE", 0.3)

    async def body(path: Path, inventory: Inventory) -> None:
        inventory.rows = [[f"v{n}", True, "52:54:00:00:00:01"] for n in range(10000)]
        async with await opened(path) as good, await opened(path) as bad:
            # Its answers are some 400 kB each, so that few of them fill the socket's buffer.
            assert await sent_before_the_end(bad, [call(284, number(1) + number(0))] * 100000) < 100000
            assert await good.ask(126) == number(10000)

    served(tmp_path, body)


def test_one_user_has_so_many_clients_and_all_users_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uids: Iterator[int]

    async def body(path: Path, inventory: Inventory) -> None:
        nonlocal uids
        uids = iter([1000] * EACH + [1000] + [1001] * EACH + [1002] * EACH + [1003] * (CLIENTS - 3 * EACH) + [1004, 0])
        clients = [await opened(path) for _ in range(EACH)]
        assert await (await connect(path)).is_ended()
        clients += [await opened(path) for _ in range(CLIENTS - EACH)]
        assert await (await connect(path)).is_ended()
        clients.append(await opened(path))
        assert [await client.ask(126) for client in clients] == [number(1)] * (CLIENTS + 1)
        # Room is made by one that goes, whoever it was.
        await clients[0].stream.aclose()
        with trio.fail_after(5):
            while True:
                uids = iter([1000])
                client = await connect(path)
                try:
                    assert await client.ask(66)
                    break
                except (EOFError, trio.BrokenResourceError):
                    continue

    monkeypatch.setattr(libvirtserver, "_peer_uid", lambda _stream: next(uids))
    served(tmp_path, body)


def test_it_ends_when_there_has_been_no_client_for_a_while(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(tmp_path / "sock"))
            sock.listen(9)
            sock.setblocking(False)
            async with trio.open_nursery() as nursery:
                server = Server(Source(Inventory()), 0.2)
                over = trio.Event()

                async def run() -> None:
                    await server.run([sock])
                    over.set()

                nursery.start_soon(run)
                client = await opened(tmp_path / "sock")
                with trio.move_on_after(1):
                    await over.wait()
                assert not over.is_set()
                await client.stream.aclose()
                with trio.fail_after(10):
                    await over.wait()

    trio.run(main)


@contextlib.contextmanager
def process(place: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The program, with a daemon that has two interfaces."""
    inventory = Inventory()
    answer = Fake(place / "control", lambda asked: ok(inventory.answer(asked["call"], *asked["arguments"])))
    with answer, libvirt_service(place, place / "control", *options) as program:
        yield program, place / "sock"


def asked_plainly(path: Path) -> bytes:
    """What the program answers a client that opens, asks for the number of interfaces, and goes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 20, 0))
        sock.connect(str(path))
        sock.settimeout(20)
        sock.sendall(call(66) + call(1, OPEN) + call(126))
        data = b""
        while len(data) < 28 + 8 + 28 + 28 + 4:
            data += sock.recv(4096) or pytest.fail("closed")
        return replies(data)[-1].payload


def test_the_program_serves_what_systemd_hands_over_and_ends(tmp_path: Path) -> None:
    with process(tmp_path, "--idle", "0.3") as (program, path):
        assert asked_plainly(path) == number(1)
        assert program.wait(20) == 0


def test_ten_thousand_connections_cost_nothing_that_stays(tmp_path: Path) -> None:
    """In waves of five hundred, without a word or with half of one."""
    with process(tmp_path) as (program, path):
        assert asked_plainly(path) == number(1)
        before = _resident(program.pid)
        for wave in range(20):
            sockets = [_connected(path, call(66)[: wave % 2 * 13]) for _ in range(500)]
            assert len(list(Path(f"/proc/{program.pid}/fd").iterdir())) < CLIENTS + 20
            for sock in sockets:
                sock.close()
        deadline = time.monotonic() + 20
        while len(list(Path(f"/proc/{program.pid}/fd").iterdir())) > 20:
            assert time.monotonic() < deadline, "those that have gone are still served"
            time.sleep(0.05)
        assert asked_plainly(path) == number(1)
        grown = _resident(program.pid) - before
        assert grown < 4096, "KiB of resident memory"
        assert program.poll() is None


def _connected(path: Path, data: bytes) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    # A socket with Python's timeout would not wait for room in the queue.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 20, 0))
    sock.connect(str(path))
    with contextlib.suppress(OSError):
        sock.sendall(data)
    return sock


def _resident(pid: int) -> int:
    """Resident memory in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def test_by_hand_it_says_how_it_is_started(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    assert libvirt.main([]) == 2
    assert "systemctl start failoverd-libvirt.socket" in capsys.readouterr().err
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "3")
    assert libvirt.main([]) == 2
    assert libvirt.main(["--idle", "0"]) == 2
    assert libvirt.main(["--help"]) == 0
