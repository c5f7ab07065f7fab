"""Work that takes longer than a step may: looking up addresses or files, announcing. Each job is a task of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from failoverd.daemon.path_probes import OpenProbe, PathProbes, Silence
from failoverd.model.actions import Announce, AskConfigurer, AskMode, FetchInet, ProbePaths
from failoverd.model.events import Announced, ConfigurerSeen, Event, InetSeen, ModeSeen
from failoverd.model.health import Mode
from failoverd.model.links import Link
from failoverd.netlink.fetch import InterruptedDumpError, Opener, fetch_inet
from failoverd.netlink.frames import NetlinkError

log = logging.getLogger("failoverd")

FETCH_PAUSE = 0.1
"""Seconds between two tries to look up a configuration."""
ANNOUNCE_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two repeated announcements; doubled after a failure, up to the longest."""
LONGEST_ANNOUNCING = 60.0
"""Seconds after which a failing announcement is given up, so that what waits for its end goes on."""

Announcer = Callable[[Mapping[int, str], Mapping[int, int]], Awaitable[Sequence[str]]]
"""Announces these devices (ifindex: MAC) and the hosts behind those that are a bridge's port (ifindex: the bridge's),
and returns the failures as sentences."""
Configurers = Callable[[Link, str], Awaitable[str]]
"""Returns why the configurer of this NIC (such as networkd) could not follow to a bond of this name, or ""."""
Closely = Callable[[int], Awaitable[str]]
"""Finds users of a device that no link of this network namespace shows, in words, or "" (hanging.py)."""
ReadMode = Callable[[str], Awaitable[Mode]]
"""Reads the speed and the duplex of a device by its name; the driver may take long to answer."""
Tell = Callable[[Event], Awaitable[None]]


async def unseen(_ifindex: int) -> str:
    """Find nothing."""
    return ""


class Background:
    """Runs the jobs in `nursery` and tells the engine their results. A failing job must not end the engine."""

    def __init__(
        self,
        nursery: trio.Nursery,
        open_inet: Opener,
        announce: Announcer,
        configurers: Configurers,
        closely: Closely = unseen,
        open_probe: OpenProbe = Silence,
        read_mode: ReadMode | None = None,
    ) -> None:
        self._nursery = nursery
        self._read_mode = read_mode
        self._configurers = configurers
        self._open_inet = open_inet
        self._announce = announce
        self._closely = closely
        self._path_probes = PathProbes(nursery, open_inet, open_probe)
        self._told: set[tuple[str, type[Exception]]] = set()
        self._latest: dict[str, Announce] = {}

    def do(self, action: FetchInet | AskConfigurer | AskMode | Announce | ProbePaths, tell: Tell) -> None:
        """Begin the job; its result goes to `tell`."""
        match action:
            case FetchInet():
                self._nursery.start_soon(self._fetch, action, tell)
            case AskConfigurer(nic, name):
                self._nursery.start_soon(self._look, nic, name, tell)
            case AskMode():
                if self._read_mode is not None:
                    self._nursery.start_soon(self._ask_mode, action, self._read_mode, tell)
            case ProbePaths():
                self._path_probes.do(action, tell)
            case Announce(mac):
                self._latest[mac] = action
                self._nursery.start_soon(self._repeat, action, tell)

    async def _fetch(self, action: FetchInet, tell: Tell) -> None:
        """Look up a configuration. It is needed before anything is changed, so this never gives up."""
        owner = str(action.owner)
        while True:
            try:
                hanging = {i: await self._hanging(owner, i) for i in action.closely}
                inet = await fetch_inet(self._open_inet, action.ifindexes)
            except (OSError, NetlinkError, InterruptedDumpError) as error:
                log.warning("%s: cannot read the addresses and routes: %s; trying again", owner, error)
            except Exception as error:
                self._broke(owner, "looking up the addresses and routes, which is tried again", error)
            else:
                await tell(InetSeen(action.owner, inet, hanging))
                return
            await trio.sleep(FETCH_PAUSE)

    async def _hanging(self, owner: str, ifindex: int) -> str:
        try:
            return await self._closely(ifindex)
        except Exception as error:
            self._broke(owner, "looking for what hangs on the NIC, which is joined all the same", error)
            return ""

    async def _look(self, nic: Link, name: str, tell: Tell) -> None:
        try:
            why = await self._configurers(nic, name)
        except Exception as error:
            self._broke(nic.perm_mac, "looking up what configures the NIC, so no bond is made", error)
            why = f"what configures {nic.name} could not be found out ({error!r})"
        await tell(ConfigurerSeen(nic.ifindex, nic.name, why))

    async def _ask_mode(self, action: AskMode, read: ReadMode, tell: Tell) -> None:
        try:
            mode = await read(action.name)
        except Exception as error:
            self._broke(action.mac, f"reading the speed of {action.name}, which stays unknown", error)
        else:
            await tell(ModeSeen(action.mac, action.ifindex, mode))

    async def _repeat(self, action: Announce, tell: Tell) -> None:
        """Announce at least as often as asked, until an announcement succeeds: an administrator pulls a drained VF once
        told that it did. While it goes on failing, a later announcement of the pair takes over."""
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
        # If a later announcement has taken over, a failure is that one's to report.
        await tell(Announced(action.mac, is_done or self._latest[action.mac] is not action))

    def _is_over(self, action: Announce, latest: float) -> bool:
        return self._latest[action.mac] is not action or trio.current_time() >= latest

    async def _announce_once(self, action: Announce) -> tuple[bool, Sequence[str]]:
        """Return whether it was sent, and the failures as sentences."""
        try:
            return True, await self._announce(dict(action.devices), dict(action.ports))
        except (OSError, NetlinkError, InterruptedDumpError) as error:
            return False, [f"the addresses cannot be announced: {error}"]
        except Exception as error:
            self._broke(action.mac, "announcing, so the neighbours may send to the wrong NIC for a while", error)
            return False, []

    def _broke(self, whose: str, what: str, error: Exception) -> None:
        """Log an error that no code expected. It may come back ten times a second, so each kind is logged once."""
        level = logging.DEBUG if (what, type(error)) in self._told else logging.ERROR
        self._told.add((what, type(error)))
        log.log(level, "%s: this failed: %s; please report it", whose, what, exc_info=error)
