"""What a move would do, device by device: for --dry-run, and for the refusal before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from failoverd.dataclass import dataclass
from failoverd.model.inet import FOREVER, Rule
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Inet
from failoverd.moves.items import Seen, standing
from failoverd.moves.table import CLONED, KEPT, MOVED, obstacle

RT_TABLE_MAIN, RT_TABLE_LOCAL, RT_TABLE_DEFAULT = 254, 255, 253
USUAL_TABLES = frozenset({RT_TABLE_MAIN, RT_TABLE_LOCAL, RT_TABLE_DEFAULT})
RTPROT_KERNEL = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One device of a move."""

    device: str
    kind: str
    """rtnl's kind; "hardware" for a NIC."""
    how: str
    """CLONED, MOVED (by the kernel), or KEPT: it keeps the master where it is."""
    why: str = ""
    """Why it keeps the master where it is."""
    takes: tuple[str, ...] = ()
    """What goes along."""
    leaves: tuple[str, ...] = ()
    """What is lost or left behind."""


def survey(mac: str, seen: Seen, target: LinkTable, things: Mapping[int, str]) -> tuple[Row, ...]:
    """Return what moving this MAC's master would do; nothing where there is no master.

    `target` are the devices of the namespace that it would move into. `things` describes what hangs on devices and no
    device here shows, by ifindex.
    """
    master = seen.master(mac)
    if master is None:
        return ()
    tree = standing(master, seen.links)
    return (*(_clone(link, tree, seen, target, things) for link in tree), *_nics(mac, seen, target))


def refusal(rows: tuple[Row, ...]) -> str:
    """Return why the move cannot be done, or ""."""
    return next((row.why for row in rows if row.how == KEPT), "")


def _clone(link: Link, tree: list[Link], seen: Seen, target: LinkTable, things: Mapping[int, str]) -> Row:
    why = obstacle(link, tree, seen) or _taken(link, target)
    if not why and (thing := things.get(link.ifindex)):
        why = f"{link.name}: {thing} and would be cut off; take it away first"
    inet = seen.inet_of(link)
    return Row(
        link.name,
        link.kind,
        KEPT if why else CLONED,
        why,
        tuple(_takes(link, inet)),
        tuple(_leaves(link, inet, seen.rules)),
    )


def _nics(mac: str, seen: Seen, target: LinkTable) -> Iterator[Row]:
    for nic in seen.nics(mac):
        why = _taken(nic, target)
        left = (f"its qdisc {nic.tc.root}",) if nic.tc.root else ()
        yield Row(nic.name, "hardware", KEPT if why else MOVED, why, (), left)


def _taken(link: Link, target: LinkTable) -> str:
    for name in (link.name, *sorted(link.altnames)):
        if (other := target.named(name)) is not None:
            what = f"a {other.kind}" if other.kind else "a NIC"
            return f"the name {name} is taken there by {what} (ifindex {other.ifindex}); rename one of them"
    return ""


def _takes(link: Link, inet: Inet) -> Iterator[str]:
    """Yield what goes along, counted."""
    given = [route for route in inet.routes if route.protocol != RTPROT_KERNEL]
    counts = (
        (len(inet.addresses), "address", "addresses"),
        (len(given), "route", "routes"),
        (len(inet.neighbours), "permanent neighbour", "permanent neighbours"),
        (len(inet.labels), "address label", "address labels"),
    )
    yield from (f"{number} {one if number == 1 else many}" for number, one, many in counts if number)
    yield f"MTU {link.mtu}"


def _leaves(link: Link, inet: Inet, rules: Iterable[Rule]) -> Iterator[str]:
    """Yield what does not go along."""
    if (number := sum(address.valid != FOREVER for address in inet.addresses)) > 0:
        what = "an address that expires" if number == 1 else f"{number} addresses that expire"
        yield f"what renews {what}: a DHCP client, router advertisements"
    tables = sorted({route.table for route in inet.routes} - USUAL_TABLES)
    if tables:
        what = "table" if len(tables) == 1 else "tables"
        yield f"the rules that lead to {what} {', '.join(map(str, tables))} (ip rule)"
    for priority in sorted({rule.priority for rule in rules if link.name in rule.names}):
        yield f"the rule {priority} that names it (ip rule)"
    if link.promiscuity > link.promiscuous:
        yield "a capture on it, or another program that takes in every frame"
