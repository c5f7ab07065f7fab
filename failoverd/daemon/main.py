"""The daemon: the nursery that holds the engine, udev's monitor, the control socket, D-Bus, the watchdog, the signals.

Ending is quick. A bond goes on without us and is not touched; where traffic control leads the traffic to a VF, nobody
but us would notice if that went, so it is led back first. Only one failoverd runs in a network namespace, held
by a lock on a file in the runtime directory. Where one of the tasks fails, all end, and whoever started us does so
again: a daemon that goes on with half of itself looks well and is not.
"""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from failoverd.config.changes import diff
from failoverd.config.errors import ConfigError
from failoverd.config.spec import Config
from failoverd.core.calls import CALLS, CallError
from failoverd.core.choice import rejudge
from failoverd.core.state import State
from failoverd.daemon import control
from failoverd.daemon.engine import Engine, Outside
from failoverd.daemon.notify import Notifier, watchdog_period
from failoverd.daemon.places import Places, StartError
from failoverd.daemon.store import DiskStore
from failoverd.model.events import Event, TimePassed
from failoverd.model.signals import Signal
from failoverd.netlink.announce import announce
from failoverd.netlink.conversation import Complete
from failoverd.netlink.devices import Devices
from failoverd.netlink.transport import EVENTS, KernelSocket
from failoverd.netlink.udev import Udev

if TYPE_CHECKING:
    from failoverd.daemon.dbus import Presence

log = logging.getLogger("failoverd")


async def run(
    config: Config,
    places: Places,
    load: Callable[[], Config],
    *,
    complete: Complete | None = None,
    udev: Udev | None = None,
) -> None:
    """Run until SIGTERM or SIGINT. `load` reads the configuration anew for SIGHUP.

    `complete` and `udev` are for who runs it on devices that only stand for hardware; it finds its own otherwise.

    Raises StartError, and where a task fails what that raised, in a group or not as the release of trio has it.
    """
    with places.lock():
        try:
            link_socket = await KernelSocket.open(EVENTS, config.netlink.receive_buffer)
        except OSError as error:
            raise StartError(f"cannot open a netlink socket: {error.strerror}; run it as root in the guest") from error
        try:
            await _live(config, places, load, link_socket, complete or Devices().complete, udev or Udev())
        finally:
            link_socket.close()


async def _live(
    config: Config,
    places: Places,
    load: Callable[[], Config],
    link_socket: KernelSocket,
    complete: Complete,
    udev: Udev,
) -> None:
    period = watchdog_period()
    notifier = Notifier(period)

    def serve(call: str, argument: str) -> Awaitable[dict[str, Any]]:
        return _carry_out(engine, call, argument)

    def reload() -> Awaitable[list[str]]:
        return _reload(engine, load, notifier, link_socket)

    presence = _presence(serve, reload) if config.dbus.enabled else None

    def on_step(state: State) -> None:
        _after_step(state, notifier)
        if presence is not None:
            presence.stepped(state)

    def on_signal(signal: Signal) -> None:
        if presence is not None:
            presence.signalled(signal)

    outside = Outside(
        link_socket=link_socket,
        open_inet=partial(KernelSocket.open, strict=True),
        complete=complete,
        is_udev_done=udev.is_done,
        announce=partial(announce, partial(KernelSocket.open, strict=True)),
        store=DiskStore(places.runtime, places.state),
        on_signal=on_signal,
        on_step=on_step,
    )
    engine = Engine(config, outside)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.run, partial(_ready, engine, notifier))
            nursery.start_soon(_listen_to_udev, udev, engine)
            nursery.start_soon(_serve, places.control, serve)
            if presence is not None:
                nursery.start_soon(presence.run)
            nursery.start_soon(_keep_stepping, engine, period)
            async for number in signals:
                if number == signal.SIGHUP:
                    await reload()
                    continue
                name = signal.Signals(number).name
                log.info("ending on %s; the pairs stay joined", name)
                notifier.stopping()
                await engine.retire()
                nursery.cancel_scope.cancel()
                break


def _presence(
    serve: Callable[[str, str], Awaitable[dict[str, Any]]], reload: Callable[[], Awaitable[list[str]]]
) -> Presence:
    """failoverd on the system bus. Its modules take a while to load, which is spared where nobody wants them."""
    from failoverd.daemon.dbus import Presence

    return Presence(serve, reload)


def _ready(engine: Engine, notifier: Notifier) -> None:
    """All modules and devices are there, and stay: no later garbage collection has to look at them, least of all one
    that falls between a carrier loss and its answer."""
    gc.collect()
    gc.freeze()
    notifier.ready(_sentence(engine.state))


async def _listen_to_udev(udev: Udev, engine: Engine) -> None:
    """Without udev's monitor the deadline of udev_wait does its work."""
    try:
        async for _ in udev.messages():
            engine.udev_spoke()
    except OSError as error:
        log.warning("cannot listen to udev: %s; new NICs wait for their deadline", error)


async def _serve(path: Path, serve: control.Serve) -> None:
    """The control socket. Without it failoverd does its work all the same."""
    try:
        listener = control.listen(path)
    except OSError as error:
        log.error("%s: %s; failoverctl will not reach this daemon", path, error)
        return
    await control.serve(listener, serve)


async def _carry_out(engine: Engine, call: str, argument: str) -> dict[str, Any]:
    """Have the engine carry out a call between two of its steps. Raises CallError."""
    send, receive = trio.open_memory_channel[dict[str, Any] | CallError](1)

    def command(state: State, _now: float) -> Sequence[Event]:
        try:
            document, events = CALLS[call].run(state, argument)
        except CallError as error:
            send.send_nowait(error)
            return ()
        except Exception:
            # Whoever asks must not be able to end a daemon that others depend on.
            log.exception("the call %s %r failed; please report this", call, argument)
            send.send_nowait(CallError("failoverd failed over this call; its log says more"))
            return ()
        send.send_nowait(document)
        return events

    await engine.tell(command)
    answer = await receive.receive()
    if isinstance(answer, CallError):
        raise answer
    return answer


async def _keep_stepping(engine: Engine, period: float | None) -> None:
    """Make a step at least as often as the watchdog wants to hear of one."""
    while period is not None:
        await trio.sleep(period)
        await engine.tell(lambda _state, _now: ())


def _after_step(state: State, notifier: Notifier) -> None:
    notifier.status(_sentence(state))
    notifier.pet()


def _sentence(state: State) -> str:
    """The state in one line for `systemctl status`. Made after every step, so it looks at the pairs alone."""
    parts = []
    for mac, found in sorted(state.judgements.pairs.items()):
        if master := state.link(found.master):
            active = state.name(state.active(found)) or "nothing"
            parts.append(f"{master.name} {state.pairs[mac].state} on {active}")
    return ", ".join(parts) or "no pair found yet"


async def _reload(
    engine: Engine, load: Callable[[], Config], notifier: Notifier, link_socket: KernelSocket
) -> list[str]:
    """Take a new configuration, or keep the old one where the new one is wrong. Gives what is wrong with it."""
    notifier.reloading()
    try:
        config = load()
    except ConfigError as error:
        for problem in error.problems:
            log.error("the configuration stays as it was: %s", problem)
        notifier.ready(_sentence(engine.state))
        return [str(problem) for problem in error.problems]

    def take(state: State, _now: float) -> Sequence[Event]:
        for line in diff(state.config, config):
            log.info("configuration: %s", line)
        if config.netlink.receive_buffer != state.config.netlink.receive_buffer:
            link_socket.resize(config.netlink.receive_buffer)
        state.config = config
        rejudge(state)
        notifier.ready(_sentence(state))
        return (TimePassed(),)

    await engine.tell(take)
    return []
