"""Take a new configuration into a running daemon, and report it to the service manager.

`systemctl reload` is `failoverctl reload`: it returns when the configuration is taken, and fails with the
configuration's errors. SIGHUP reloads too, without an answer (units/failoverd.service).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from failoverd.config.changes import diff
from failoverd.config.errors import ConfigError
from failoverd.config.spec import Config
from failoverd.core.call_answers import CallError
from failoverd.core.inputs import Configured, Input
from failoverd.core.ordercalls import PATIENCE
from failoverd.core.state import State
from failoverd.core.status import masters
from failoverd.daemon.calls import take_turn
from failoverd.daemon.engine import Engine
from failoverd.daemon.notify import Notifier, sentence
from failoverd.model.events import Event
from failoverd.netlink.transport import KernelSocket

log = logging.getLogger("failoverd")


async def reload_configuration(
    engine: Engine, load: Callable[[], Config], notifier: Notifier, link_socket: KernelSocket
) -> list[str]:
    """Take a new configuration and return the differences. If it is wrong, the old one is kept.

    It is read in a thread, as a disk may block. Raises CallError.
    """
    notifier.reloading()
    try:
        config = await trio.to_thread.run_sync(load)
    except ConfigError as error:
        for problem in error.problems:
            log.error("the configuration stays as it was: %s", problem)
        notifier.reloaded(sentence(masters(engine.state)))
        raise CallError("; ".join(map(str, error.problems)), "ConfigurationInvalid") from error
    except Exception as error:
        # Out of memory while reading a file, for example: a request to reload must not end the daemon.
        log.exception("the configuration stays as it was, for it could not be read; please report this")
        notifier.reloaded(sentence(masters(engine.state)))
        text = f"the configuration could not be read ({type(error).__name__}); the log says more"
        raise CallError(text, "ConfigurationInvalid") from error
    changes = [str(change) for change in diff(engine.state.config, config)]

    def take(state: State, _now: float) -> Sequence[Event | Input]:
        for line in changes:
            log.info("configuration: %s", line)
        if config.netlink.receive_buffer != state.config.netlink.receive_buffer:
            link_socket.resize(config.netlink.receive_buffer)
        notifier.trouble = ""
        notifier.reloaded(sentence(masters(state)))
        return (Configured(config),)

    with trio.move_on_after(PATIENCE):
        await take_turn(engine, take)
        return changes
    raise CallError(f"the new configuration has not been taken within {PATIENCE:g} s; it will be", "TimedOut")
