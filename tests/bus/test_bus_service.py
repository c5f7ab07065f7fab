"""A service on a bus that is out of its mind: what no dbus-daemon would pass on must not end us, nor fill the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from struct import pack
from typing import Any

import pytest
import trio
from dbus_next import Message
from malformed import COST_THE_CONNECTION, NAME, REACH_THE_DAEMON, ROOT
from rawbus import ERROR, RETURN, build, fields, text

from failoverd.bus import service
from failoverd.bus.dispatch import Asked
from failoverd.bus.interfaces import Arg, Interface, Method
from failoverd.bus.service import Service
from failoverd.bus.tree import Tree
from failoverd.bus.waiting import EACH
from failoverd.bus.wire import Reader, read

INTERFACE = Interface(
    "org.failoverd1.Manager",
    "A.",
    methods=(Method("Explain", "E.", takes=(Arg("nic", "s", "N."),)), Method("Drain", "D.", changes=True)),
)
INTERFACE_NAME = INTERFACE.name.encode()
CUT = ("another version of D-Bus", "a length beyond every bound")
"""After these nobody knows where the next message begins."""


def reply(call: Message, body: bytes, kind: int = RETURN, **more: bytes) -> bytes:
    """The bus's own answer to a call of the service's."""
    return build(fields(reply_serial=call.serial, sender=b"org.freedesktop.DBus", **more), body, kind=kind)


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
        for signature, body in ((b"s", text(b":1.7")), (b"u", pack("<I", 1))):
            call = await self.next()
            await self.stream.send_all(reply(call, body, signature=signature))

    async def next(self) -> Any:
        """The next message of the service's."""
        while not self._found:
            data = await self.stream.receive_some(4096)
            assert data, "the service has hung up"
            self._found += map(read, self._reader.feed(data))
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

    tree = Tree(ROOT.decode(), (INTERFACE,))
    tree.replace({tree.root: {INTERFACE.name: {}}})
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


def a_good_call(serial: int, flags: int = 0) -> bytes:
    header = fields(path=ROOT, interface=INTERFACE.name.encode(), member=b"Explain", destination=NAME, sender=b":1.9")
    return build([*header, *fields(signature=b"s")], text(b""), serial=serial, flags=flags)


def test_a_thousand_messages_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinds = {**COST_THE_CONNECTION, **REACH_THE_DAEMON}
    sender = fields(sender=b":1.8")
    raw = [build([*header, *sender], body, **how) for what, (header, body, how) in kinds.items() if what not in CUT]  # type: ignore[arg-type]

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
            header = fields(path=ROOT, interface=INTERFACE_NAME, member=b"Drain", destination=NAME, sender=b":1.9")
            await bus.stream.send_all(build(header, flags=1, serial=7) + a_good_call(8))
            while (asked := await bus.next()).member != "GetConnectionUnixUser":
                pass
            if is_there:
                answer = reply(asked, pack("<I", 1000), signature=b"u")
            else:
                gone = b"org.freedesktop.DBus.Error.NameHasNoOwner"
                answer = reply(asked, text(b"no such name"), ERROR, error_name=gone, signature=b"s")
            await bus.stream.send_all(answer + a_good_call(10))
            assert (await bus.answer_to(10)).message_type.name == "METHOD_RETURN"
            while ("Drain", 1000 if is_there else None) not in found:
                await trio.sleep(0.01)

    trio.run(main)


def test_what_nobody_awaits_is_not_computed_and_orders_come_first(tmp_path: Path) -> None:
    """Of a flood in one go what nobody awaits is passed over, a user's share is answered, and the rest is refused."""
    found: list[str] = []

    async def main() -> None:
        async with on_a_fake_bus(tmp_path, lambda method, _uid: found.append(method)) as connected:
            bus = await connected()
            explain = [a_good_call(100 + number) for number in range(EACH + 5)]
            unheard = [a_good_call(number, flags=1) for number in range(1, 50)]
            header = fields(path=ROOT, interface=INTERFACE_NAME, member=b"Drain", destination=NAME, sender=b":1.8")
            await bus.stream.send_all(b"".join([*unheard, *explain, build(header, serial=7)]))
            answers: dict[int, str | None] = {}
            while len(answers) < len(explain) + 1:
                if (message := await bus.next()).member == "GetConnectionUnixUser":
                    await bus.stream.send_all(reply(message, pack("<I", 1000), signature=b"u"))
                else:
                    answers[message.reply_serial] = message.error_name
            refused = [serial for serial, error in answers.items() if error]
            assert refused == list(range(100 + EACH, 105 + EACH))
            assert {answers[serial] for serial in refused} == {"org.freedesktop.DBus.Error.LimitsExceeded"}
            assert found.count("Explain") == EACH
            # He who orders is looked up first, for the log.
            assert found.index("Drain") < EACH // 2

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
