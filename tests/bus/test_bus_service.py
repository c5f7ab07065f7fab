"""A service on a bus that is out of its mind: what no dbus-daemon would pass on must not end us, nor fill the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from dbus_next import Message
from malformed import COST_THE_CONNECTION, NAME, REACH_THE_DAEMON, ROOT
from rawbus import build, fields, text

from failoverd.bus import service
from failoverd.bus.dispatch import Asked
from failoverd.bus.faces import Arg, Face, Method
from failoverd.bus.service import Service
from failoverd.bus.tree import Tree
from failoverd.bus.wire import Reader, marshal

FACE = Face(
    "org.failoverd1.Manager",
    "A.",
    methods=(Method("Explain", "E.", takes=(Arg("nic", "s", "N."),)), Method("Drain", "D.", changes=True)),
)
CUT = ("another version of D-Bus", "a length beyond every bound")
"""After these nobody knows where the next message begins."""


class FakeBus:
    """The other end: it lets the service in, gives it its name, and then sends what it is told to send."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._reader = Reader()
        self._found: list[Any] = []

    async def greet(self) -> None:
        for end, answer in ((b"EXTERNAL\r\n", b"DATA\r\n"), (b"DATA\r\n", b"OK 1234\r\n"), (b"BEGIN\r\n", b"")):
            said = b""
            while not said.endswith(end):
                said += await self.stream.receive_some(1)
            await self.stream.send_all(answer)
        for signature, value in (("s", ":1.7"), ("u", 1)):
            call = await self.next()
            reply = Message.new_method_return(call, signature, [value])
            reply.sender, reply.serial = "org.freedesktop.DBus", 1
            await self.stream.send_all(marshal(reply))

    async def next(self) -> Any:
        """The next message of the service's."""
        while not self._found:
            data = await self.stream.receive_some(4096)
            assert data, "the service has hung up"
            self._found += self._reader.feed(data)
        return self._found.pop(0)

    async def answer_to(self, serial: int) -> Message:
        """What the service answers to this call; what it says to others is passed over."""
        while True:
            found = await self.next()
            if found.reply_serial == serial:
                return found


@asynccontextmanager
async def on_a_fake_bus(
    where: Path, done: Callable[[str, int | None], None] = lambda _method, _uid: None
) -> AsyncIterator[Callable[[], Any]]:
    """A service beside this block; the function gives its next connection. `done` hears of what is carried out."""
    sock = trio.socket.socket(trio.socket.AF_UNIX)
    await sock.bind(str(where / "bus"))
    sock.listen(1)

    async def carry_out(asked: Asked, uid: int | None) -> list[Any]:
        done(asked.method.name, uid)
        return []

    async def connected() -> FakeBus:
        taken, _ = await sock.accept()
        bus = FakeBus(trio.SocketStream(taken))
        nursery.start_soon(hold, bus.stream)
        await bus.greet()
        return bus

    async def hold(stream: trio.SocketStream) -> None:
        async with stream:
            await trio.sleep_forever()

    tree = Tree(ROOT.decode(), (FACE,))
    tree.replace({tree.root: {FACE.name: {}}})
    one = Service(NAME.decode(), tree, carry_out, lambda: None)
    with sock, trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            yield connected
            nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    monkeypatch.setattr(service, "FIRST_WAIT", 0.01)


def a_good_call(serial: int) -> bytes:
    header = fields(path=ROOT, interface=FACE.name.encode(), member=b"Explain", destination=NAME, sender=b":1.9")
    return build([*header, *fields(signature=b"s")], text(b""), serial=serial)


def test_a_thousand_messages_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinds = {**COST_THE_CONNECTION, **REACH_THE_DAEMON}
    raw = [build(header, body, **how) for what, (header, body, how) in kinds.items() if what not in CUT]  # type: ignore[arg-type]

    async def main() -> None:
        async with on_a_fake_bus(tmp_path) as connected:
            bus = await connected()
            for number in range(-(-1000 // len(raw))):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(bus.stream.send_all, b"".join(raw) + a_good_call(1000 + number))
                    answer = await bus.answer_to(1000 + number)
                    assert answer.message_type.name == "METHOD_RETURN"

    caplog.set_level(logging.INFO)
    trio.run(main)
    assert len(caplog.records) <= 12, [record.message for record in caplog.records]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_call_is_carried_out_although_its_caller_has_gone(tmp_path: Path, is_there: bool) -> None:
    """As dbus-send goes, which wants no reply. The bus has let him call; who he was is for the log."""
    found = []

    async def main() -> None:
        async with on_a_fake_bus(tmp_path, lambda *what: found.append(what)) as connected:
            bus = await connected()
            header = fields(path=ROOT, interface=FACE.name.encode(), member=b"Drain", destination=NAME, sender=b":1.9")
            await bus.stream.send_all(build(header, flags=1, serial=7) + a_good_call(8))
            while (asked := await bus.next()).member != "GetConnectionUnixUser":
                pass
            if is_there:
                answer = Message.new_method_return(asked, "u", [1000])
            else:
                answer = Message.new_error(asked, "org.freedesktop.DBus.Error.NameHasNoOwner", "no such name")
            answer.sender, answer.serial = "org.freedesktop.DBus", 9
            await bus.stream.send_all(marshal(answer) + a_good_call(10))
            assert (await bus.answer_to(10)).message_type.name == "METHOD_RETURN"
            while ("Drain", 1000 if is_there else None) not in found:
                await trio.sleep(0.01)

    trio.run(main)


@pytest.mark.parametrize("what", CUT)
def test_a_stream_nobody_can_read_is_begun_anew(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    header, body, how = COST_THE_CONNECTION[what]

    async def main() -> None:
        async with on_a_fake_bus(tmp_path) as connected:
            bus = await connected()
            await bus.stream.send_all(build(header, body, **how) + bytes(100))  # type: ignore[arg-type]
            bus = await connected()
            await bus.stream.send_all(a_good_call(7))
            assert (await bus.answer_to(7)).message_type.name == "METHOD_RETURN"

    caplog.set_level(logging.INFO)
    trio.run(main)
    assert [record.message.split(" (")[0] for record in caplog.records].count("the bus is gone") == 1
