"""Taking a new configuration while the engine goes on with its work."""

from __future__ import annotations

import socket as sockets
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from test_daemon_engine import FIRST, Machine, joined, on_a_machine, socket

from failoverd.config.spec import Config, Failback
from failoverd.core.call_answers import CallError
from failoverd.daemon.calls import carry_out
from failoverd.daemon.notify import Notifier
from failoverd.daemon.reload import reload_configuration

NEW = replace(Config(), failback=Failback(hold_down=3.0))


def test_nobody_waits_for_the_files_but_who_asked() -> None:
    async def body(machine: Machine) -> None:
        await machine.until(joined(FIRST))
        begun, go = threading.Event(), threading.Event()

        def load() -> Config:
            begun.set()
            assert go.wait(20), "the engine stood still"
            return NEW

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reload_configuration, machine.engine, load, Notifier(), socket(machine))
            while not begun.is_set():
                await trio.sleep(0)
            assert (await carry_out(machine.engine, "status"))["masters"]
            assert machine.engine.state.config == Config()
            go.set()
        assert machine.engine.state.config == NEW

    on_a_machine(body)


def test_nobody_waits_for_a_manager_that_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

    async def body(machine: Machine) -> None:
        notifier = Notifier()
        notifier.ready("")
        for number in range(5000):
            notifier.status(f"{number}")
        before = time.monotonic()
        await reload_configuration(machine.engine, lambda: NEW, notifier, socket(machine))
        assert time.monotonic() - before < 0.5

    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        on_a_machine(body)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), OSError(24, "Too many open files")])
def test_what_breaks_over_a_reload_is_the_calls_error(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks for one must not end the daemon by what is in a file."""

    def load() -> Config:
        raise error

    async def body(machine: Machine) -> None:
        with pytest.raises(CallError, match=f"could not be read \\({type(error).__name__}\\)") as caught:
            await reload_configuration(machine.engine, load, Notifier(), socket(machine))
        assert caught.value.kind == "ConfigurationInvalid"
        assert machine.engine.state.config == Config()
        assert (await carry_out(machine.engine, "status"))["masters"] is not None

    on_a_machine(body)
    assert "the configuration stays as it was" in caplog.text
