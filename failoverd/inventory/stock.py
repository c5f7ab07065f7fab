"""All interfaces, how they hang together, and what has to be looked at again before it is reported.

Events are not the whole truth: the kernel drops IPv4 routes without an event (net/ipv4/fib_frontend.c, fib_disable_ip;
fib_semantics.c, fib_sync_down_addr), and nexthop objects too (nexthop.c, nexthop_flush_dev). And only a dump has the
order of addresses. So an event's facts about a link are taken as they are, and an event about addresses or routes only
says *that* they are to be looked at again (`Stale`), when the next question comes: without a question nothing is looked
at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import field

from failoverd.dataclass import dataclass
from failoverd.inventory.facts import DefaultRoute, Interface, IpAddress

TUNNELS = frozenset(
    ("erspan", "gre", "gretap", "ip6erspan", "ip6gre", "ip6gretap", "ip6tnl", "ipip", "sit", "vti", "vti6")
)
"""Kinds whose MTU the kernel may set after it has told of a new one, without telling again (net/ipv4/ip_tunnel.c,
ip_tunnel_init_net, for each device that a tunnel's module makes: gre0, gretap0, erspan0). It tells and sets under one
hold of the RTNL lock, which an answer about the link waits for: so it is asked for this link once more.
"""
FAR = 8
"""How many masters on top of each other are followed: the kernel's own limit (net/core/dev.c, MAX_NEST_DEV)."""


@dataclass(slots=True)
class Entry:
    """One interface, and the answers made of it: kept as bytes until something in it changes."""

    seen: Interface
    addresses: tuple[IpAddress, ...] = ()
    speed: int | None = None
    """Mb/s, 0 for unknown; None if it has to be read."""

    leased: bool = False
    """Whether a DHCP client's own file says that it has leased an IPv4 address."""

    role: tuple[str, str] = ("", "")
    """The name of its pair, and its role there."""

    line: bytes | None = None
    """Its row in the table."""

    row: bytes | None = None
    """Its row in the JSON document."""

    document: bytes | None = None
    """Its XML document."""

    def has_ipv4(self, text: str = "") -> bool:
        """Return whether it has this IPv4 address, or without a text any."""
        return any(one.family == 4 and text in ("", one.text) for one in self.addresses)


@dataclass(slots=True)
class Stale:
    """The parts that have to be looked at again."""

    everything: bool = True
    """Links, addresses and routes."""

    links: set[int] = field(default_factory=set)
    """These interfaces themselves: what was told of them was not all."""

    addresses: set[int] = field(default_factory=set)
    """The addresses of these interfaces."""

    routes: set[int] = field(default_factory=set)
    """The default routes through these interfaces."""

    all_routes: bool = False

    def __bool__(self) -> bool:
        return self.everything or self.all_routes or bool(self.links or self.addresses or self.routes)


class Stock:
    """All interfaces; see the module. `generation` grows with every change, from the number given."""

    def __init__(self, generation: int = 0) -> None:
        self.entries: dict[int, Entry] = {}
        self.routes: list[DefaultRoute] = []
        self.stale = Stale()
        self.generation = generation
        self._leased: frozenset[int] = frozenset()
        self._paired: frozenset[int] = frozenset()
        self._parts: dict[int, set[int]] = {}
        self._above: dict[int, set[int]] = {}
        self._order: list[Entry] | None = None
        self._ways: dict[int, list[DefaultRoute]] = {}

    def see(self, seen: Interface) -> None:
        """Take in a new or changed interface."""
        entry = self.entries.get(seen.ifindex)
        if entry is None:
            entry = self.entries[seen.ifindex] = Entry(seen)
            self.stale.addresses.add(seen.ifindex)
            self._order = None
            if seen.kind in TUNNELS:
                self.stale.links.add(seen.ifindex)
        elif entry.seen == seen:
            return
        before, entry.seen = entry.seen, seen
        is_renamed = before.name != seen.name or before is seen
        if is_renamed:
            self._order = None
        if (before.name, before.carrier, before.operstate) != (seen.name, seen.carrier, seen.operstate):
            entry.speed = None
        if (before.up and not seen.up) or before.master != seen.master:
            self._doubt_routes(seen.ifindex)
        self._forget_made(before, is_renamed)
        self._unlink(before)
        self._parts.setdefault(seen.master, set()).add(seen.ifindex)
        self._above.setdefault(seen.lower, set()).add(seen.ifindex)
        self._forget_made(seen, is_renamed)

    def lose(self, ifindex: int) -> None:
        """Remove an interface that is gone."""
        entry = self.entries.pop(ifindex, None)
        if entry is None:
            return
        self._order = None
        self._doubt_routes(ifindex)
        self._forget_made(entry.seen, is_renamed=True)
        self._unlink(entry.seen)
        self.stale.links.discard(ifindex)
        self.stale.addresses.discard(ifindex)

    def keep_only(self, ifindexes: Iterable[int]) -> None:
        """Keep only these interfaces, as a whole dump has named no others."""
        for ifindex in self.entries.keys() - set(ifindexes):
            self.lose(ifindex)

    def addresses_changed(self, ifindex: int, lost: str) -> None:
        """An address came, changed, or went: a `lost` address may have taken routes with it."""
        if ifindex not in self.entries:
            return
        self.stale.addresses.add(ifindex)
        if lost:
            self._doubt_routes(ifindex)
            self.stale.routes.update(route.ifindex for route in self.routes if route.source == lost)

    def route_changed(self, routes: Iterable[DefaultRoute]) -> None:
        """A default route came, went, or replaced another one, which the event does not name.

        A route with only a nexthop object may lead anywhere.
        """
        concerned = {route.ifindex for route in (*routes, *self.routes)}
        self.stale.routes |= concerned - {0}
        self.stale.all_routes |= 0 in concerned

    def nexthop_changed(self, nexthop: int) -> None:
        """A nexthop object came, changed or went. A route has only the id of a group, not of its members: so with a
        group every object counts."""
        groups = Counter(route.nexthop for route in self.routes if route.nexthop)
        if nexthop in groups or any(count > 1 for count in groups.values()):
            self.stale.all_routes = True

    def set_addresses(self, ifindex: int, addresses: Iterable[IpAddress]) -> None:
        """Take in an interface's addresses from a dump."""
        entry, now = self.entries.get(ifindex), tuple(addresses)
        if entry is not None and entry.addresses != now:
            entry.addresses = now
            self._forget_own(entry)

    def set_routes(self, routes: Iterable[DefaultRoute], through: int = 0) -> None:
        """Take in the default routes from a dump, all or only those through one interface."""
        kept = [route for route in self.routes if route.ifindex != through] if through else []
        now = [*kept, *routes]
        concerned = {route.ifindex for route in set(now) ^ set(self.routes)}
        self.routes, self._ways = now, {}
        for route in now:
            self._ways.setdefault(route.ifindex, []).append(route)
        for ifindex in concerned:
            if (entry := self.entries.get(ifindex)) is not None:
                self._forget_own(entry)

    def set_speed(self, ifindex: int, about: Interface, speed: int) -> None:
        """Take in the speed of an interface, read while the interface was like `about`."""
        entry = self.entries.get(ifindex)
        if entry is not None and entry.seen is about:
            entry.speed = speed
            self._forget_made(about, is_renamed=False)

    def set_leased(self, ifindexes: frozenset[int]) -> None:
        """Take in the interfaces for which a DHCP client records a lease."""
        concerned, self._leased = self._leased | ifindexes, ifindexes
        for entry in self._entries_of(concerned):
            is_leased = entry.seen.ifindex in ifindexes
            if entry.leased != is_leased:
                entry.leased = is_leased
                self._forget_own(entry)

    def set_roles(self, roles: dict[int, tuple[str, str]]) -> None:
        """Take in the pairs' devices: the pair's name and the role, by ifindex."""
        concerned, self._paired = self._paired | roles.keys(), frozenset(roles)
        for entry in self._entries_of(concerned):
            if entry.role != (role := roles.get(entry.seen.ifindex, ("", ""))):
                entry.role, entry.row = role, None
                self.generation += 1

    def doubt_everything(self) -> None:
        """Look at everything again, as events were lost."""
        self.stale.everything = True

    def take_stale(self) -> Stale:
        """Return what is to be looked at again, and clear it: the caller looks now."""
        stale, self.stale = self.stale, Stale(everything=False)
        return stale

    def in_order(self) -> list[Entry]:
        """Return all interfaces, by name."""
        if self._order is None:
            self._order = sorted(self.entries.values(), key=_by_name)
        return self._order

    def parts(self, ifindex: int) -> list[Interface]:
        """Return the ports, slaves or members of an interface, by name."""
        return [self.entries[part].seen for part in sorted(self._parts.get(ifindex, ()), key=self._name_of)]

    def name(self, ifindex: int) -> str:
        """Return an interface's name, "" for none."""
        entry = self.entries.get(ifindex)
        return entry.seen.name if entry is not None else ""

    def routes_through(self, ifindex: int) -> list[DefaultRoute]:
        """Return the default routes that leave by this interface."""
        return self._ways.get(ifindex, [])

    def _entries_of(self, ifindexes: Iterable[int]) -> Iterator[Entry]:
        return (self.entries[ifindex] for ifindex in ifindexes if ifindex in self.entries)

    def _name_of(self, ifindex: int) -> str:
        return self.entries[ifindex].seen.name

    def _doubt_routes(self, ifindex: int) -> None:
        """Have an interface's routes looked at, but only if it may have lost some: a router's table has a million
        routes, and a dump of it costs time."""
        if ifindex in self._ways:
            self.stale.routes.add(ifindex)

    def _unlink(self, seen: Interface) -> None:
        for index, key in ((self._parts, seen.master), (self._above, seen.lower)):
            found = index.get(key, set())
            found.discard(seen.ifindex)
            if not found:
                index.pop(key, None)

    def _forget_own(self, entry: Entry) -> None:
        entry.line = entry.row = entry.document = None
        self.generation += 1

    def _forget_made(self, seen: Interface, is_renamed: bool) -> None:
        """Forget what was made of it, of its masters, whose documents include it, and of interfaces that name it."""
        self.generation += 1
        if (own := self.entries.get(seen.ifindex)) is not None:
            own.line = own.row = own.document = None
        self._forget_documents(seen.master)
        if is_renamed:
            for ifindex in (*self._parts.get(seen.ifindex, ()), *self._above.get(seen.ifindex, ())):
                entry = self.entries[ifindex]
                entry.row = entry.document = None
                self._forget_documents(entry.seen.master)

    def _forget_documents(self, ifindex: int) -> None:
        """Forget the documents of this interface and of its masters."""
        for _ in range(FAR):
            entry = self.entries.get(ifindex)
            if entry is None:
                return
            entry.document, ifindex = None, entry.seen.master


def _by_name(entry: Entry) -> bytes:
    return entry.seen.name.encode("utf-8", "surrogateescape")
