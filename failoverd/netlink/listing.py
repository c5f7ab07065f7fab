"""List the devices once, without listening for events afterwards."""

from __future__ import annotations

import trio

from failoverd.model.events import Synced
from failoverd.model.links import Link
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.known_devices import Complete
from failoverd.netlink.transport import Transport


async def list_links(transport: Transport, complete: Complete) -> tuple[Link, ...]:
    """Return every device of the socket's network namespace. Raises OSError."""
    talk = Conversation(complete)
    talk.resync(trio.current_time())
    while True:
        while talk.out:
            await transport.send(talk.out.pop(0))
        for event in talk.feed(await transport.recv(), trio.current_time()):
            if isinstance(event, Synced):
                return event.links
