"""A new configuration for a running daemon, and the state in one line, in which the service manager hears of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from failoverd.config.changes import diff
from failoverd.config.errors import ConfigError
from failoverd.config.spec import Config
from failoverd.core.answers import CallError
from failoverd.core.choice import rejudge
from failoverd.core.ordercalls import PATIENCE
from failoverd.core.state import State
from failoverd.daemon.asking import take_turn
from failoverd.daemon.engine import Engine
from failoverd.daemon.notify import Notifier
from failoverd.model.events import Event, TimePassed
from failoverd.netlink.transport import KernelSocket

log = logging.getLogger("failoverd")


def sentence(state: State) -> str:
    """The state in one line for `systemctl status`. Made after every step, so it looks at the pairs alone."""
    parts = []
    for mac, found in sorted(state.judgements.pairs.items()):
        if master := state.link(found.master):
            active = state.name(state.active(found)) or "nothing"
            parts.append(f"{master.name} {state.pairs[mac].state} on {active}")
    return ", ".join(parts) or "no pair found yet"


async def reload_configuration(
    engine: Engine, load: Callable[[], Config], notifier: Notifier, link_socket: KernelSocket
) -> list[str]:
    """Take a new configuration; gives what is different in it. Where it is wrong the old one is kept.

    It is read in a thread, as a disk may keep whoever reads. Raises CallError.
    """
    notifier.reloading()
    try:
        config = await trio.to_thread.run_sync(load)
    except ConfigError as error:
        for problem in error.problems:
            log.error("the configuration stays as it was: %s", problem)
        notifier.reloaded(sentence(engine.state))
        raise CallError("; ".join(map(str, error.problems)), "ConfigurationInvalid") from error
    changes = [str(change) for change in diff(engine.state.config, config)]

    def take(state: State, _now: float) -> Sequence[Event]:
        for line in changes:
            log.info("configuration: %s", line)
        if config.netlink.receive_buffer != state.config.netlink.receive_buffer:
            link_socket.resize(config.netlink.receive_buffer)
        state.config = config
        engine.look_around()
        rejudge(state)
        notifier.trouble = ""
        notifier.reloaded(sentence(state))
        return (TimePassed(),)

    with trio.move_on_after(PATIENCE):
        await take_turn(engine, take)
        return changes
    raise CallError(f"the new configuration has not been taken within {PATIENCE:g} s; it will be", "TimedOut")
