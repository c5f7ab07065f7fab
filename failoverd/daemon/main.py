"""The daemon: the nursery that holds the engine, udev's monitor, the control socket, D-Bus, the watchdog, the signals.

Ending is quick. A bond goes on without us and is not touched; where traffic control leads the traffic to a VF, nobody
but us would notice if that went, so it is led back first. Only one failoverd runs in a network namespace, held
by a lock on a file in the runtime directory. Where one of the tasks fails, all end, and whoever started us does so
again: a daemon that goes on with half of itself looks well and is not.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from failoverd.config.spec import Config
from failoverd.core.answers import CallError
from failoverd.core.state import State
from failoverd.daemon import control
from failoverd.daemon.accepted import Accepted
from failoverd.daemon.asking import carry_out
from failoverd.daemon.behind import Behind
from failoverd.daemon.engine import Engine
from failoverd.daemon.hooks import Hooks
from failoverd.daemon.neighbours import why_no_bond
from failoverd.daemon.notify import Notifier, watchdog_period
from failoverd.daemon.observers import Observers
from failoverd.daemon.outside import Outside
from failoverd.daemon.patience import hold
from failoverd.daemon.places import Places, StartError
from failoverd.daemon.reload import reload_configuration, sentence
from failoverd.daemon.store import DiskStore
from failoverd.daemon.tellers import Tellers
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
    no_bond: Callable[[], str] = why_no_bond,
    accepted: Accepted | None = None,
) -> None:
    """Run until SIGTERM or SIGINT. `load` reads the configuration anew for SIGHUP, in a thread; `accepted` keeps it.

    `complete`, `udev` and `no_bond` are for who runs it on devices that only stand for hardware; it finds its own
    otherwise.

    Raises StartError, and where a task fails what that raised, in a group or not as the release of trio has it.
    """
    with places.lock():
        try:
            link_socket = await KernelSocket.open(EVENTS, config.netlink.receive_buffer)
        except OSError as error:
            raise StartError(f"cannot open a netlink socket: {error.strerror}; run it as root in the guest") from error
        try:
            complete, udev = complete or Devices().complete, udev or Udev()
            accepted = accepted or Accepted(places.accepted, None)
            await _live(config, places, load, link_socket, complete, udev, no_bond, accepted)
        finally:
            link_socket.close()


async def _live(
    config: Config,
    places: Places,
    load: Callable[[], Config],
    link_socket: KernelSocket,
    complete: Complete,
    udev: Udev,
    no_bond: Callable[[], str],
    accepted: Accepted,
) -> None:
    period = watchdog_period()
    notifier = Notifier(period)
    behind = Behind()
    notifier.trouble = accepted.trouble
    accepted.keep(behind)
    observers = Observers(places, lambda: tellers.lost, behind)
    tellers = Tellers((*observers.tellers, Hooks(udev.recorded, places.hooks)))
    listeners: list[Tellers | Presence] = [tellers]

    one_at_a_time = trio.Lock()

    async def reload() -> list[str]:
        async with one_at_a_time:
            changes = await reload_configuration(engine, load, notifier, link_socket)
        accepted.keep(behind)
        return changes

    async def serve(call: str, *arguments: str) -> dict[str, Any]:
        if call == "reload":
            return {"changes": await reload()}
        return await carry_out(engine, call, *arguments)

    def on_step(state: State) -> None:
        notifier.status(sentence(state))
        notifier.pet()
        for listener in listeners:
            listener.stepped(state)

    def on_signal(signal: Signal) -> None:
        for listener in listeners:
            listener.signalled(signal)

    outside = Outside(
        link_socket=link_socket,
        open_inet=partial(KernelSocket.open, strict=True),
        complete=complete,
        is_udev_done=udev.is_done,
        is_udev_idle=udev.is_idle,
        hold=partial(hold, udev),
        udev_name=udev.wanted_name,
        no_bond=no_bond,
        announce=partial(announce, partial(KernelSocket.open, strict=True)),
        store=DiskStore(places.runtime, places.state, behind=behind),
        on_signal=on_signal,
        on_step=on_step,
    )
    engine = Engine(config, outside)
    is_ready = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.run, partial(_ready, engine, notifier, is_ready))
            nursery.start_soon(_listen_to_udev, udev, engine)
            nursery.start_soon(_serve, places.control, serve)
            nursery.start_soon(tellers.run)
            if config.dbus.enabled:
                nursery.start_soon(_be_on_the_bus, is_ready, engine, serve, listeners)
            nursery.start_soon(_keep_stepping, engine, period)
            why = await _obey(signals, reload)
            notifier.stopping()
            await engine.retire()
            await tellers.tell()
            nursery.cancel_scope.cancel()
    observers.stopped(why)


async def _obey(signals: AsyncIterator[int], reload: Callable[[], Awaitable[list[str]]]) -> str:
    """Reload on SIGHUP; return the name of the signal by which failoverd shall end."""
    while (number := await anext(signals)) == signal.SIGHUP:
        with contextlib.suppress(CallError):
            await reload()
    name = signal.Signals(number).name
    log.info("ending on %s; the pairs stay joined", name)
    return name


async def _be_on_the_bus(
    is_ready: trio.Event, engine: Engine, serve: control.Serve, listeners: list[Tellers | Presence]
) -> None:
    """The modules of D-Bus take a while to load, and neither READY nor a step waits for that."""

    def load() -> type[Presence]:
        from failoverd.daemon.dbus import Presence

        return Presence

    await is_ready.wait()
    try:
        kind = await trio.to_thread.run_sync(load)
    except Exception as error:
        # Whatever a library that is not whole raises: it must not end a daemon that can do without.
        log.warning("not on D-Bus, as it cannot be loaded (%r); traffic has no part in it", error)
        return
    _settle_memory()
    presence = kind(serve)
    listeners.append(presence)
    presence.stepped(engine.state)
    await presence.run()


def _ready(engine: Engine, notifier: Notifier, is_ready: trio.Event) -> None:
    _settle_memory()
    notifier.ready(sentence(engine.state))
    is_ready.set()


def _settle_memory() -> None:
    """All modules and devices are there, and stay: no later garbage collection has to look at them, least of all one
    that falls between a carrier loss and its answer."""
    gc.collect()
    gc.freeze()


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


async def _keep_stepping(engine: Engine, period: float | None) -> None:
    """Make a step at least as often as the watchdog wants to hear of one."""
    while period is not None:
        await trio.sleep(period)
        await engine.tell(lambda _state, _now: ())
