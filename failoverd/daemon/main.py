"""The daemon: the nursery with the engine, udev's monitor, the control socket, D-Bus, the watchdog and the signals.

Ending is quick. A bond works on without failoverd and is not touched. If traffic control leads the traffic to a VF, the
VF's loss would go unnoticed without failoverd, so the traffic is led back first. Only one failoverd runs in a network
namespace (daemon/onlyone.py), and only one with a runtime directory (a lock on a file there). If one of the tasks
fails, all end, and systemd starts failoverd again: a daemon that goes on with half of its tasks looks healthy and is
not.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from failoverd.config.spec import Config
from failoverd.core.call_answers import CallError
from failoverd.core.state import State
from failoverd.core.status import masters
from failoverd.daemon import control
from failoverd.daemon.calls import carry_out, take_turn
from failoverd.daemon.clock import process_age
from failoverd.daemon.configured import configured
from failoverd.daemon.configurers import bond_obstacle
from failoverd.daemon.declared import DeclaredLinks, load_fleet, load_links
from failoverd.daemon.disk_writer import DiskWriter
from failoverd.daemon.engine import Engine
from failoverd.daemon.fanout import Fanout
from failoverd.daemon.hanging import hanging
from failoverd.daemon.hooks import Hooks
from failoverd.daemon.inventory import Inventory, load_picture, roles_of
from failoverd.daemon.last_good_config import LastGoodConfig
from failoverd.daemon.linkcalls import CALLED, LinkCalls
from failoverd.daemon.moveorders import CALLED as MOVE_CALLS
from failoverd.daemon.moveorders import MoveOrders, load_moves
from failoverd.daemon.nic_waits import hold
from failoverd.daemon.notify import Notifier, sentence, watchdog_period
from failoverd.daemon.onlyone import only_one, say_who_we_are
from failoverd.daemon.paths import Paths, StartError
from failoverd.daemon.ports import Ports, can_rename_live
from failoverd.daemon.reading import NoBond, Reading, read_in_thread
from failoverd.daemon.records import Records
from failoverd.daemon.reload import reload_configuration
from failoverd.daemon.store import DiskStore
from failoverd.model.events import AboutPair
from failoverd.model.signals import Signal
from failoverd.netlink.announce import announce
from failoverd.netlink.devices import Devices, read_mode
from failoverd.netlink.known_devices import Complete
from failoverd.netlink.probe import Probe
from failoverd.netlink.sockdiag import NETLINK_SOCK_DIAG
from failoverd.netlink.transport import EVENTS, KernelSocket
from failoverd.netlink.udev import Udev

if TYPE_CHECKING:
    from failoverd.daemon.dbus.presence import Presence

log = logging.getLogger("failoverd")


async def run(
    config: Config,
    paths: Paths,
    load: Callable[[], Config],
    *,
    complete: Complete | None = None,
    udev: Udev | None = None,
    no_bond: NoBond = bond_obstacle,
    last_good_config: LastGoodConfig | None = None,
) -> None:
    """Run until SIGTERM or SIGINT. `load` reads the configuration anew for SIGHUP, in a thread; `last_good_config`
    keeps it.

    `complete`, `udev` and `no_bond` are for callers with devices that only stand for hardware; without them the real
    ones are used.

    Raises StartError, and the exception of a task that fails, in a group or not depending on the release of trio.
    """
    with only_one() as our_name, paths.lock():
        try:
            link_socket = await KernelSocket.open(EVENTS, config.netlink.receive_buffer)
        except OSError as error:
            raise StartError(f"cannot open a netlink socket: {error.strerror}; run it as root in the guest") from error
        try:
            complete, udev = complete or Devices().complete, udev or Udev()
            last_good_config = last_good_config or LastGoodConfig(paths.last_good_config, None)
            await _live(config, paths, load, link_socket, complete, udev, no_bond, last_good_config, our_name)
        finally:
            link_socket.close()


async def _live(
    config: Config,
    paths: Paths,
    load: Callable[[], Config],
    link_socket: KernelSocket,
    complete: Complete,
    udev: Udev,
    no_bond: NoBond,
    last_good_config: LastGoodConfig,
    our_name: socket.socket,
) -> None:
    period = watchdog_period()
    notifier = Notifier(period)
    disk_writer = DiskWriter()
    notifier.trouble = last_good_config.trouble
    last_good_config.keep(disk_writer)
    link_calls = LinkCalls(lambda: links)
    records = Records(paths, lambda: fanout.lost, disk_writer, link_calls.rows, lambda: links.etcd())
    fanout = Fanout((notifier, *records.receivers, Hooks(udev.recorded, paths.hooks)))
    listeners: list[Fanout | Presence] = [fanout]

    one_at_a_time = trio.Lock()

    async def reload() -> list[str]:
        async with one_at_a_time:
            changes = await reload_configuration(engine, load, notifier, link_socket)
        links.configure(engine.state.config)
        moves.configure(engine.state.config.residences)
        last_good_config.keep(disk_writer)
        return changes

    async def serve(call: str, *arguments: str) -> dict[str, Any]:
        if call == "reload":
            return {"changes": await reload()}
        objection = await link_calls.objection(call, arguments)
        if (beside := others.get(call)) is not None:
            objection(engine.state)
            return await beside(call, *arguments)
        return await carry_out(engine, call, *arguments, objection=objection)

    def on_step(state: State) -> None:
        notifier.pet()
        links.stepped(state)
        moves.stepped(state)
        for listener in listeners:
            listener.stepped(state)

    def on_signal(signal: Signal) -> None:
        links.signalled(signal)
        for listener in listeners:
            listener.signalled(signal)

    look = partial(
        hanging, partial(KernelSocket.open, strict=True), partial(KernelSocket.open, protocol=NETLINK_SOCK_DIAG)
    )
    ports = Ports(
        link_socket=link_socket,
        open_inet=partial(KernelSocket.open, strict=True),
        complete=complete,
        is_udev_done=udev.is_done,
        is_udev_idle=udev.is_idle,
        hold=partial(hold, udev),
        udev_name=udev.wanted_name,
        is_plain=udev.is_plain,
        configured=partial(read_in_thread, configured),
        no_bond=Reading(no_bond).ask,
        read=read_in_thread,
        hanging=lambda ifindex: links.with_pods(ifindex, look),
        renames_live=can_rename_live(os.uname().release),
        took_to_begin=process_age(),
        open_probe=Probe,
        read_mode=lambda name: read_in_thread(partial(read_mode, name)),
        announce=partial(announce, partial(KernelSocket.open, strict=True)),
        store=DiskStore(paths.runtime, paths.state, disk_writer=disk_writer),
        on_signal=on_signal,
        on_step=on_step,
    )
    engine = Engine(config, ports)
    inventory = Inventory(
        partial(load_picture, partial(KernelSocket.open, strict=True)), lambda: roles_of(engine.state)
    )
    moves: MoveOrders = MoveOrders(
        paths.away,
        partial(
            load_moves,
            paths.door,
            paths.away,
            lambda: engine.state,
            partial(_say_away, engine),
            ports.hanging,
            lambda mac, owner: links.apart(mac, owner),
        ),
    )
    links: DeclaredLinks = DeclaredLinks(
        partial(load_links, paths, on_signal),
        paths.links,
        partial(load_fleet, paths, fanout.touched),
        paths.attachments,
        paths.detached,
        moves,
    )
    links.configure(config)

    moves.configure(config.residences)
    others: dict[str, control.Serve] = {
        **dict.fromkeys(CALLED, link_calls.serve),
        **dict.fromkeys(MOVE_CALLS, moves.serve),
    }
    is_ready = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.run, partial(_ready, engine, notifier, is_ready))
            nursery.start_soon(_listen_to_udev, udev, engine)
            nursery.start_soon(_serve, paths.control, serve, inventory.ask)
            nursery.start_soon(inventory.run)
            nursery.start_soon(links.run, is_ready)
            nursery.start_soon(moves.run, is_ready)
            nursery.start_soon(say_who_we_are, our_name)
            nursery.start_soon(fanout.run)
            if config.dbus.enabled:
                nursery.start_soon(_be_on_the_bus, is_ready, engine, serve, inventory.ask, link_calls.names, listeners)
            nursery.start_soon(_keep_stepping, engine, period)
            why = await _obey(signals, reload)
            notifier.stopping()
            await engine.retire()
            await fanout.tell()
            nursery.cancel_scope.cancel()
    records.stopped(why)


async def _say_away(engine: Engine, event: AboutPair) -> None:
    """Tell the engine where a pair is, or is to be; returns when it has taken that in."""
    await take_turn(engine, lambda _state, _now: (event,))


async def _obey(signals: AsyncIterator[int], reload: Callable[[], Awaitable[list[str]]]) -> str:
    """Reload on SIGHUP; return the name of the signal that ends failoverd."""
    while (number := await anext(signals)) == signal.SIGHUP:
        with contextlib.suppress(CallError):
            await reload()
    name = signal.Signals(number).name
    log.info("ending on %s; the pairs stay joined", name)
    return name


async def _be_on_the_bus(
    is_ready: trio.Event,
    engine: Engine,
    serve: control.Serve,
    ask: control.Ask,
    link_names: Callable[[], Iterable[str]],
    listeners: list[Fanout | Presence],
) -> None:
    """Load D-Bus and stay on the bus. Its modules take a while to load, and neither READY nor a step waits for that."""

    def load() -> type[Presence]:
        from failoverd.daemon.dbus.presence import Presence

        return Presence

    await is_ready.wait()
    try:
        kind = await trio.to_thread.run_sync(load)
    except Exception as error:
        # A damaged library can raise anything, and must not end a daemon that can do without it.
        log.warning("not on D-Bus, as it cannot be loaded (%r); traffic has no part in it", error)
        return
    _settle_memory()
    presence = kind(serve, ask=ask, link_names=link_names)
    listeners.append(presence)
    presence.stepped(engine.state)
    await presence.run()


def _ready(engine: Engine, notifier: Notifier, is_ready: trio.Event) -> None:
    _settle_memory()
    notifier.ready(sentence(masters(engine.state)))
    is_ready.set()


def _settle_memory() -> None:
    """Freeze the garbage collector's view of what is loaded. All modules and devices exist by now and stay, so no later
    collection has to look at them, least of all one between a carrier loss and the response."""
    gc.collect()
    gc.freeze()


async def _listen_to_udev(udev: Udev, engine: Engine) -> None:
    """Pass udev's messages to the engine. Without the monitor, udev_wait's deadlines apply."""
    try:
        async for _ in udev.messages():
            engine.udev_spoke()
    except OSError as error:
        log.warning("cannot listen to udev: %s; new NICs wait for their deadline", error)


async def _serve(path: Path, serve: control.Serve, ask: control.Ask) -> None:
    """Serve the control socket. Without it failoverd still does its work."""
    try:
        listener = control.listen(path)
    except OSError as error:
        log.error("%s: %s; failoverctl will not reach this daemon", path, error)
        return
    await control.serve(listener, serve, ask)


async def _keep_stepping(engine: Engine, period: float | None) -> None:
    """Make a step at least as often as the watchdog expects one."""
    while period is not None:
        await trio.sleep(period)
        await engine.tell(lambda _state, _now: ())
