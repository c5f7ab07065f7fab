"""What would be asked of the kernel for declared links, without asking: a look of its own, and links/forecast.py.

It needs no daemon, and disturbs none: namespaces are asked for and looked at by connections of its own. Nothing is
made, also no namespace that is declared with `create`. What failoverd-netns does for a question is to give a namespace
that has none a number (RTM_NEWNSID), as for the daemon.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

import trio

from failoverd.config.links.attachments import laid_under
from failoverd.config.links.snapshot import LARGEST_SNAPSHOT, Merged, merged, offers_in
from failoverd.config.regular import read_regular
from failoverd.config.spec import Config
from failoverd.core.call_answers import macs_of_masters
from failoverd.core.state import State
from failoverd.daemon.attachments import AttachmentStore
from failoverd.daemon.dryrun import Foreseen
from failoverd.daemon.links import FAILURES, identity_of, joined_masters
from failoverd.daemon.namespaces import UNKNOWN, Namespaces
from failoverd.daemon.open_namespace import OpenNamespace
from failoverd.daemon.paths import Paths
from failoverd.daemon.ports import can_rename_live
from failoverd.dataclass import dataclass
from failoverd.links.findings import Answers, Batch
from failoverd.links.forecast import Forecast, foretell
from failoverd.links.picture import Interest, Picture
from failoverd.links.state import LinksState
from failoverd.model.declared import OWN, Declared, NamespaceRef
from failoverd.model.links import Link
from failoverd.model.linkstatus import LinkState, LinkStatus
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import Request
from failoverd.netlink.exchange import Exchange
from failoverd.plan.predict.places import Places, new_namespace

FOUND_WITHIN = 20.0
"""Seconds for failoverd-netns to tell what references lead to; systemd may have to start it."""
UNSEEN = 1 << 20
"""The first number of a namespace that would be made: above those that the kernel gives."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a running daemon says of its links: ends as it has them (name, kind, device, namespace, ports), and how far
    they are."""

    declared: Declared
    statuses: Mapping[str, LinkStatus]


NOTHING = Before({}, {})


@dataclass(frozen=True, slots=True)
class LinksForecast:
    """What would be asked, and what it was made of."""

    forecast: Forecast
    merged: Merged
    """The links of all sources."""

    created: Collection[str]
    """The names of the namespaces that failoverd-netns would make."""

    namespaces: Mapping[Place, str]
    """The places, as declarations name them."""


class Doors(Protocol):
    """The way into namespaces (daemon/namespaces.py)."""

    def open(self, place: Place) -> OpenNamespace:
        """Open a namespace; blocks. Raises NamespaceGoneError, OSError."""


class World:
    """The namespaces: looked at once each, and then as they would be. Blocks. `leads` says where references lead, and
    `devices` are those of failoverd's own namespace that would be other than they are by then."""

    def __init__(
        self, doors: Doors, leads: Mapping[NamespaceRef, Place | Absent], devices: Mapping[int, Link], live: bool
    ) -> None:
        self._doors, self._leads, self._devices = doors, leads, devices
        self._places = Places(live)
        self.namespaces: dict[Place, str] = {HERE: str(OWN)}
        self.created: dict[NamespaceRef, Place] = {}

    def place(self, ref: NamespaceRef) -> Place | Absent:
        """See links/forecast.py."""
        found = self._leads.get(replace(ref, create=False), UNKNOWN)
        if isinstance(found, Absent) and found.reason == "namespace-absent" and ref.create:
            if ref not in self.created:
                self.created[ref] = Place(UNSEEN + len(self.created))
                self._places.add(self.created[ref], new_namespace())
            found = self.created[ref]
        if isinstance(found, Place):
            self.namespaces.setdefault(found, str(ref))
        return found

    def look(self, place: Place, interest: Interest) -> Picture | None:
        """See links/forecast.py."""
        if place not in self._places.machines:
            try:
                with self._doors.open(place) as opened:
                    machine = self._places.add(place, Exchange(opened.socket).look(interest))
            except FAILURES:
                return None
            for ifindex, link in self._devices.items() if place.is_own else ():
                if ifindex in machine.links or ifindex in interest.ifindexes:
                    machine.links[ifindex] = link
        return self._places.look(place, interest)

    def make(self, batch: Batch, before: Callable[[Request], int]) -> Answers:
        """See links/forecast.py."""
        return self._places.make(batch, before)

    def name(self, place: Place, ifindex: int) -> str:
        """See links/forecast.py."""
        return self._places.name(place, ifindex)


def is_wanted(config: Config, paths: Paths) -> bool:
    """Return whether anything declares a link, or has declared one before."""
    sources = config.declared or config.etcd.enabled
    return bool(sources) or any(path.exists() for path in (paths.links, paths.attachments))


async def foretell_links(config: Config, paths: Paths, pairs: Foreseen, before: Before = NOTHING) -> LinksForecast:
    """Return what would be done for the links of this configuration, of etcd and of pods, when the pairs are as they
    are foreseen to be. Raises OSError."""
    found, is_complete = await trio.to_thread.run_sync(_declared, config, paths, pairs.state)
    doors = Namespaces(paths.door)
    ends = (*found.declared.values(), *before.declared.values())
    refs = frozenset(replace(end.namespace, create=False) for end in ends) - {OWN}
    leads: dict[NamespaceRef, Place | Absent] = {OWN: HERE}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(doors.run)
        doors.watch(refs)
        with trio.move_on_after(FOUND_WITHIN if refs else 0):
            async for ref, to in doors.changes():
                leads[ref] = to
                if refs <= leads.keys():
                    break
        world = World(doors, leads, pairs.changed(), can_rename_live(os.uname().release))
        state = LinksState(identity_of(paths.runtime), renames_live=can_rename_live(os.uname().release))
        state.declared, state.statuses, state.masters = (
            before.declared,
            {**before.statuses},
            joined_masters(pairs.state),
        )
        released = frozenset(name for name, row in before.statuses.items() if row.state is LinkState.RELEASED)
        forecast = await trio.to_thread.run_sync(foretell, state, found.declared, world, is_complete, released)
        nursery.cancel_scope.cancel()
    return LinksForecast(forecast, found, [ref.value for ref in world.created], world.namespaces)


def _declared(config: Config, paths: Paths, state: State) -> tuple[Merged, bool]:
    """Return the links of all sources, as the daemon would read them, and whether all have spoken."""
    found, is_complete = Merged(config.declared), True
    if config.etcd.enabled:
        try:
            offers = offers_in(read_regular(paths.fleet, LARGEST_SNAPSHOT))
            found = merged(config.declared, offers, config.etcd_allow)
        except (OSError, ValueError):
            is_complete = False
    store = AttachmentStore(paths.attachments, paths.detached)
    return laid_under(found, store.kept(), macs_of_masters(state)), is_complete and store.is_whole
