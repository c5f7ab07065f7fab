"""A session such as SSH's: one TCP stream with data both ways that outlives adoption, unplug, replug and migration.

The host's end is the user-space TCP of QEMU (see slirp.py). No byte may be lost, doubled or out of order, and
the stream may not end.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio
from pairguest import ADDRESS, VF, pair_guest, run
from slirp import slirp

from failoverd_lab import install

pytestmark = pytest.mark.vm

ECHO = """
import socket, sys
server = socket.create_server(("10.111.0.2", 7000))
open("/run/echo.ready", "w").close()
stream, _ = server.accept()
while data := stream.recv(65536):
    stream.sendall(data)
stream.close()
"""
PACE = 0.01


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Talk:
    """The host's end of the stream."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.sent = bytearray()
        self.heard = bytearray()
        self.over = trio.Event()

    async def say(self) -> None:
        number = 0
        while not self.over.is_set():
            word = b"%08d\n" % number
            self.sent += word
            await self.stream.send_all(word)
            number += 1
            await trio.sleep(PACE)
        await self.stream.send_eof()

    async def hear(self) -> None:
        while data := await self.stream.receive_some(65536):
            self.heard += data

    async def goes_on(self) -> None:
        """Everything said so far has come back."""
        goal = len(self.sent)
        with trio.fail_after(30):
            while len(self.heard) < goal:
                await trio.sleep(PACE)


def test_a_tcp_stream_outlives_everything(tmp_path: Path) -> None:
    async def test() -> None:
        port = free_port()
        forward = f",hostfwd=tcp:127.0.0.1:{port}-{ADDRESS}:7000"
        async with pair_guest() as pair, slirp(pair.switch, tmp_path, forward):
            await pair.guest.put("/run/echo.py", ECHO.encode())
            await pair.shell("systemd-run --quiet --unit=echo python3 /run/echo.py")
            await pair.shell("until [ -e /run/echo.ready ]; do sleep 0.1; done")
            talk = Talk(await trio.open_tcp_stream("127.0.0.1", port))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk.say)
                nursery.start_soon(talk.hear)
                await talk.goes_on()
                await install.start(pair.guest)
                await pair.accelerated()
                await talk.goes_on()
                await pair.guest.unplug("vf")
                await pair.on_standby()
                await talk.goes_on()
                await pair.guest.plug(VF)
                await pair.accelerated()
                await talk.goes_on()
                await pair.guest.unplug("vf")
                await pair.on_standby()
                await pair.guest.migrate()
                await talk.goes_on()
                await pair.guest.plug(VF)
                await pair.accelerated()
                await talk.goes_on()
                talk.over.set()
            assert talk.heard == talk.sent
            assert len(talk.sent) > 5000

    run(test)
