"""Read device speeds, rarely and in a thread.

The kernel asks the driver under the lock that every rtnetlink request needs (RTNL), so a question can take long. It is
repeated only when carrier, state or name have changed.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from failoverd.core.document import Document
from failoverd.netlink.devices import read_speed

UNKNOWN = 0
"""What `read_speed` says where the driver does not know, or the device is gone."""


class Speeds:
    """The speeds of the slaves in the status document, as last read."""

    def __init__(self, ask: Callable[[str], int] = read_speed) -> None:
        self._ask = ask
        self._known: dict[int, tuple[object, int]] = {}

    def of(self, ifindex: int) -> int:
        """Return the known speed of this device."""
        return self._known.get(ifindex, (None, UNKNOWN))[1]

    async def look(self, document: Document) -> None:
        """Read the speeds of the devices whose speed may have changed."""
        slaves = [master[role] for master in document["masters"] for role in ("primary", "standby") if master[role]]
        before, self._known = self._known, {}
        for slave in slaves:
            about = (slave["name"], slave["up"], slave["carrier"])
            known = before.get(slave["ifindex"])
            if known is None or known[0] != about:
                value = await trio.to_thread.run_sync(self._ask, slave["name"]) if slave["carrier"] else UNKNOWN
                known = (about, value)
            self._known[slave["ifindex"]] = known
