"""What takes longer than a step may: looking up a configuration, announcing addresses. Each is a task of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from failoverd.model.events import Event, InetSeen
from failoverd.netlink.fetch import InterruptedDumpError, Opener, fetch_inet
from failoverd.netlink.frames import NetlinkError

log = logging.getLogger("failoverd")

FETCH_PAUSE = 0.1
"""Seconds between two tries to look up a configuration."""
ANNOUNCE_PAUSE = 0.1
"""Seconds between two announcements of the same."""

Announcer = Callable[[Mapping[int, str]], Awaitable[Sequence[str]]]
"""Announces every address of these devices (ifindex: MAC), and returns what could not be sent, in words."""


class Errands:
    """Runs them in `nursery`. `announcing` counts those that are under way; `on_done` is called after each."""

    def __init__(self, nursery: trio.Nursery, open_inet: Opener, announce: Announcer) -> None:
        self.announcing = 0
        self._nursery = nursery
        self._open_inet = open_inet
        self._announce = announce

    def fetch(self, mac: str, ifindexes: tuple[int, ...], tell: Callable[[Event], Awaitable[None]]) -> None:
        """Look the configuration of these devices up, and tell it."""
        self._nursery.start_soon(self._fetch, mac, ifindexes, tell)

    def announce(self, mac: str, devices: Mapping[int, str], times: int, on_done: Callable[[], None]) -> None:
        """Announce the addresses of these devices so many times."""
        self.announcing += 1
        self._nursery.start_soon(self._repeat, mac, devices, times, on_done)

    async def _fetch(self, mac: str, ifindexes: tuple[int, ...], tell: Callable[[Event], Awaitable[None]]) -> None:
        """It is needed before anything is changed, so there is no giving up."""
        while True:
            try:
                inet = await fetch_inet(self._open_inet, ifindexes)
            except (OSError, NetlinkError, InterruptedDumpError) as error:
                log.warning("%s: cannot read the addresses and routes: %s; trying again", mac, error)
                await trio.sleep(FETCH_PAUSE)
            else:
                await tell(InetSeen(mac, inet))
                return

    async def _repeat(self, mac: str, devices: Mapping[int, str], times: int, on_done: Callable[[], None]) -> None:
        for number in range(times):
            await trio.sleep(ANNOUNCE_PAUSE if number else 0)
            try:
                troubles = await self._announce(devices)
            except (OSError, NetlinkError, InterruptedDumpError) as error:
                troubles = [f"the addresses cannot be read: {error}"]
            for trouble in troubles:
                log.warning("%s: the neighbours may send to the wrong NIC for a while: %s", mac, trouble)
        self.announcing -= 1
        on_done()
