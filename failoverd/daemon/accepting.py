"""Accept clients of a Unix socket, also when the process is out of file descriptors.

trio.serve_listeners logs a traceback ten times a second in that case.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

log = logging.getLogger("failoverd")

PAUSE = 0.1
"""Seconds until the next try when a client could not be accepted."""


async def take_each(
    listener: trio.abc.Listener[trio.SocketStream],
    client: Callable[[trio.SocketStream], Awaitable[None]],
    pace: float = 0.0,
) -> None:
    """Start `client` for each connection, until cancelled; `pace` is in seconds from one to the next."""
    async with trio.open_nursery() as nursery:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                log.warning("no client can be taken: %s; traffic has no part in it", error.strerror)
                await trio.sleep(PAUSE)
            else:
                nursery.start_soon(client, stream)
                await trio.sleep(pace)
