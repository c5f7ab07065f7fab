"""How fast devices are. The kernel asks the driver for it under the lock that every rtnetlink request needs (RTNL), so
the question can take long: it is asked in a thread, and again only when carrier, state or name are others than before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from failoverd.core.status import Document

UNKNOWN = 0
LIMIT = 2**32 - 1


def from_sysfs(name: str) -> int:
    """Megabits a second (/sys/class/net/NAME/speed), UNKNOWN where the driver does not know or the device is gone."""
    try:
        value = int(Path("/sys/class/net", name, "speed").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return UNKNOWN
    return value if 0 < value < LIMIT else UNKNOWN


class Speeds:
    """The speeds of the slaves in the status document, as last asked."""

    def __init__(self, ask: Callable[[str], int] = from_sysfs) -> None:
        self._ask = ask
        self._known: dict[int, tuple[object, int]] = {}

    def of(self, ifindex: int) -> int:
        """What is known of this device."""
        return self._known.get(ifindex, (None, UNKNOWN))[1]

    async def look(self, document: Document) -> None:
        """Ask for those that may have another speed than before."""
        slaves = [master[role] for master in document["masters"] for role in ("primary", "standby") if master[role]]
        before, self._known = self._known, {}
        for slave in slaves:
            about = (slave["name"], slave["up"], slave["carrier"])
            known = before.get(slave["ifindex"])
            if known is None or known[0] != about:
                value = await trio.to_thread.run_sync(self._ask, slave["name"]) if slave["carrier"] else UNKNOWN
                known = (about, value)
            self._known[slave["ifindex"]] = known
