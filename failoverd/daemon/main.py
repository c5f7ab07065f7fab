"""The daemon: the nursery that holds the engine, udev's monitor, the control socket, the watchdog and the signals.

Ending is quick and changes nothing: the bond goes on without us. Only one failoverd runs in a network namespace, held by a lock
on a file in the runtime directory.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import trio

from failoverd.config.changes import diff
from failoverd.config.errors import ConfigError
from failoverd.config.spec import Config
from failoverd.core.calls import CALLS, CallError
from failoverd.core.state import State
from failoverd.core.status import status
from failoverd.core.world import rejudge
from failoverd.daemon import control
from failoverd.daemon.engine import Engine, Outside
from failoverd.daemon.notify import Notifier, watchdog_period
from failoverd.daemon.store import DiskStore
from failoverd.model.events import Event
from failoverd.netlink.devices import Devices
from failoverd.netlink.transport import RTMGRP_LINK, KernelSocket
from failoverd.netlink.udev import Udev

log = logging.getLogger("failoverd")


class StartError(Exception):
    """failoverd cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Directories: `runtime` goes with a reboot, `state` stays."""

    runtime: Path
    state: Path

    @classmethod
    def from_environment(cls) -> Places:
        """systemd's RUNTIME_DIRECTORY and STATE_DIRECTORY, or the usual places."""
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/failoverd"
        state = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/failoverd"
        return cls(Path(runtime), Path(state))

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.runtime / "control"


async def run(config: Config, places: Places, load: Callable[[], Config]) -> None:
    """Run until SIGTERM or SIGINT. `load` reads the configuration anew for SIGHUP. Raises StartError."""
    lock = _lock(places)
    with lock:
        try:
            link_socket = await KernelSocket.open(RTMGRP_LINK, config.netlink.receive_buffer)
        except OSError as error:
            raise StartError(f"cannot open a netlink socket: {error.strerror}; run it as root in the guest") from error
        notifier = Notifier()
        udev = Udev()
        outside = Outside(
            link_socket=link_socket,
            open_inet=lambda: KernelSocket.open(strict=True),
            complete=Devices().complete,
            is_udev_done=udev.is_done,
            store=DiskStore(places.runtime, places.state),
            on_step=lambda state: _after_step(state, notifier),
        )
        engine = Engine(config, outside)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.run, lambda: notifier.ready(_sentence(engine.state)))
                nursery.start_soon(_listen_to_udev, udev, engine)
                nursery.start_soon(_serve, places.control, engine)
                nursery.start_soon(_keep_stepping, engine)
                async for number in signals:
                    if number == signal.SIGHUP:
                        await _reload(engine, load, notifier)
                        continue
                    log.info("ending on %s; the masters and their traffic stay as they are", signal.Signals(number).name)
                    notifier.stopping()
                    nursery.cancel_scope.cancel()
                    break
        link_socket.close()




def _lock(places: Places) -> IO[Any]:
    """The lock that keeps a second daemon out."""
    path = places.runtime / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="ascii")
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}; run it as root, or set RUNTIME_DIRECTORY") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StartError(f"another failoverd holds {path}; stop it first (systemctl stop failoverd)") from error
    return file


async def _listen_to_udev(udev: Udev, engine: Engine) -> None:
    """Without udev's monitor the deadline of udev_wait does its work."""
    try:
        async for _ in udev.messages():
            engine.udev_spoke()
    except OSError as error:
        log.warning("cannot listen to udev: %s; new NICs wait for their deadline", error)


async def _serve(path: Path, engine: Engine) -> None:
    """The control socket. Without it failoverd does its work all the same."""
    try:
        listener = control.listen(path)
    except OSError as error:
        log.error("%s: %s; failoverctl will not reach this daemon", path, error)
        return

    async def carry_out(call: str, argument: str) -> dict[str, Any]:
        send, receive = trio.open_memory_channel[dict[str, Any] | CallError](1)

        def command(state: State, _now: float) -> Sequence[Event]:
            try:
                document, events = CALLS[call].run(state, argument)
            except CallError as error:
                send.send_nowait(error)
                return ()
            send.send_nowait(document)
            return events

        await engine.tell(command)
        answer = await receive.receive()
        if isinstance(answer, CallError):
            raise answer
        return answer

    await control.serve(listener, carry_out)


async def _keep_stepping(engine: Engine) -> None:
    """Make a step at least as often as the watchdog wants to hear of one."""
    period = watchdog_period()
    while period is not None:
        await trio.sleep(period)
        await engine.tell(lambda _state, _now: ())


def _after_step(state: State, notifier: Notifier) -> None:
    notifier.status(_sentence(state))
    notifier.pet()


def _sentence(state: State) -> str:
    """The state in one line for `systemctl status`."""
    parts = [f"{row['name']} {row['state']} on {row['active'] or 'nothing'}" for row in status(state)["masters"]]
    return ", ".join(parts) or "no pair found yet"


async def _reload(engine: Engine, load: Callable[[], Config], notifier: Notifier) -> None:
    """Take a new configuration, or keep the old one where the new one is wrong."""
    notifier.reloading()
    try:
        config = load()
    except ConfigError as error:
        log.error("the configuration stays as it was: %s", error)
        notifier.ready(_sentence(engine.state))
        return

    def take(state: State, _now: float) -> Sequence[Event]:
        for line in diff(state.config, config):
            log.info("configuration: %s", line)
        state.config = config
        rejudge(state)
        return ()

    await engine.tell(take)
    notifier.ready(_sentence(engine.state))
