"""Clients where there is no descriptor left for them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from failoverd.daemon import control
from failoverd.daemon.accepting import PAUSE, take_each


class Scarce(trio.abc.Listener[trio.SocketStream]):
    """A listener that has no descriptor for so many tries."""

    def __init__(self, inner: trio.SocketListener, tries: int) -> None:
        self.inner, self.tries = inner, tries

    async def accept(self) -> trio.SocketStream:
        if self.tries:
            self.tries -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await self.inner.accept()

    async def aclose(self) -> None:
        await self.inner.aclose()


def test_it_waits_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"served")

    async def main() -> None:
        before = trio.current_time()
        listener = Scarce(control.listen(tmp_path / "control"), 3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_each, listener, client)
            async with await trio.open_unix_socket(tmp_path / "control") as stream:
                assert await stream.receive_some(10) == b"served"
            nursery.cancel_scope.cancel()
        assert trio.current_time() - before == pytest.approx(3 * PAUSE)
        await listener.aclose()

    trio.run(main, clock=MockClock(autojump_threshold=0.05))
    assert caplog.messages == ["no client can be taken: Too many open files; traffic has no part in it"] * 3
    assert not any(record.exc_info for record in caplog.records)
