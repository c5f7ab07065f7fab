"""What takes longer than a step may: looking up a configuration, announcing addresses. Each is a task of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from failoverd.model.actions import Announce
from failoverd.model.events import Announced, Event, InetSeen
from failoverd.netlink.fetch import InterruptedDumpError, Opener, fetch_inet
from failoverd.netlink.frames import NetlinkError

log = logging.getLogger("failoverd")

FETCH_PAUSE = 0.1
"""Seconds between two tries to look up a configuration."""
ANNOUNCE_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two announcements of the same; doubled up to the longest where the last one has failed."""
LONGEST_ANNOUNCING = 60.0
"""Seconds after which it is given up, so that whatever waits for its end goes on."""

Announcer = Callable[[Mapping[int, str], Mapping[int, int]], Awaitable[Sequence[str]]]
"""Announces these devices (ifindex: MAC) and who is behind those that are a bridge's port (ifindex: the bridge's), and
returns what could not be sent, in words."""
Tell = Callable[[Event], Awaitable[None]]


class Errands:
    """Runs them in `nursery`; what comes of each is told the engine. None that fails may take the engine with it."""

    def __init__(self, nursery: trio.Nursery, open_inet: Opener, announce: Announcer) -> None:
        self._nursery = nursery
        self._open_inet = open_inet
        self._announce = announce
        self._told: set[tuple[str, type[Exception]]] = set()
        self._latest: dict[str, Announce] = {}

    def fetch(self, mac: str, ifindexes: tuple[int, ...], tell: Tell) -> None:
        """Look the configuration of these devices up, and tell it."""
        self._nursery.start_soon(self._fetch, mac, ifindexes, tell)

    def announce(self, action: Announce, tell: Tell) -> None:
        """Announce so many times, the last of which succeeds: whoever drains a VF pulls it when he hears that it did.
        Where it goes on failing, the next announcement of the pair takes over."""
        self._latest[action.mac] = action
        self._nursery.start_soon(self._repeat, action, tell)

    async def _fetch(self, mac: str, ifindexes: tuple[int, ...], tell: Tell) -> None:
        """It is needed before anything is changed, so there is no giving up."""
        while True:
            try:
                inet = await fetch_inet(self._open_inet, ifindexes)
            except (OSError, NetlinkError, InterruptedDumpError) as error:
                log.warning("%s: cannot read the addresses and routes: %s; trying again", mac, error)
            except Exception as error:
                self._broke(mac, "looking up the addresses and routes, which is tried again", error)
            else:
                await tell(InetSeen(mac, inet))
                return
            await trio.sleep(FETCH_PAUSE)

    async def _repeat(self, action: Announce, tell: Tell) -> None:
        number, pause, said, is_done = 0, ANNOUNCE_PAUSE, set[str](), False
        latest = trio.current_time() + LONGEST_ANNOUNCING
        while number < action.times or not (is_done or self._is_over(action, latest)):
            await trio.sleep(pause if number else 0)
            number += 1
            is_done, troubles = await self._announce_once(action)
            for trouble in (one for one in troubles if one not in said):
                log.warning("%s: the neighbours may send to the wrong NIC for a while: %s", action.mac, trouble)
            said.update(troubles)
            pause = ANNOUNCE_PAUSE if number < action.times else min(pause * 2, LONGEST_PAUSE)
        # Of one that has been taken over, the other one tells.
        await tell(Announced(action.mac, is_done or self._latest[action.mac] is not action))

    def _is_over(self, action: Announce, latest: float) -> bool:
        return self._latest[action.mac] is not action or trio.current_time() >= latest

    async def _announce_once(self, action: Announce) -> tuple[bool, Sequence[str]]:
        """Whether it was done, and what did not go well, in words."""
        try:
            return True, await self._announce(dict(action.devices), dict(action.ports))
        except (OSError, NetlinkError, InterruptedDumpError) as error:
            return False, [f"the addresses cannot be announced: {error}"]
        except Exception as error:
            self._broke(action.mac, "announcing, so the neighbours may send to the wrong NIC for a while", error)
            return False, []

    def _broke(self, mac: str, what: str, error: Exception) -> None:
        """What nobody has thought of. It will come again, maybe ten times a second, so each kind is said once."""
        level = logging.DEBUG if (what, type(error)) in self._told else logging.ERROR
        self._told.add((what, type(error)))
        log.log(level, "%s: this failed: %s; please report it", mac, what, exc_info=error)
