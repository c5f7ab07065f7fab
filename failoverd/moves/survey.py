"""What a move would do, device by device: for --dry-run, and for the refusal before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from failoverd.dataclass import dataclass
from failoverd.kinds import Bridge, Vrf
from failoverd.model.inet import FOREVER
from failoverd.model.links import Link, Qdisc
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Inet
from failoverd.moves.items import Seen, standing
from failoverd.moves.rules import NO_DEVICE, Concerned, called, concerned_rules, users_of
from failoverd.moves.table import CLONED, KEPT, MOVED, obstacle

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


def survey(mac: str, seen: Seen, target: Seen, things: Mapping[int, str], *, is_homeward: bool) -> tuple[Row, ...]:
    """Return what moving this MAC's master would do; nothing where there is no master.

    `target` is the namespace that it would move into. `things` describes what hangs on devices and no device here
    shows, by ifindex.
    """
    master = seen.master(mac)
    if master is None:
        return ()
    tree = standing(master, seen.links)
    found = concerned_rules(tree, seen, target)
    rules = [replace(one, why="made there") if is_homeward else one for one in found]
    return (*(_clone(link, tree, seen, target, things, rules) for link in tree), *_nics(mac, seen, target.links))


def refusal(rows: tuple[Row, ...]) -> str:
    """Return why the move cannot be done, or ""."""
    return next((row.why for row in rows if row.how == KEPT), "")


def _clone(
    link: Link, tree: list[Link], seen: Seen, target: Seen, things: Mapping[int, str], rules: Sequence[Concerned]
) -> Row:
    why = obstacle(link, tree, seen) or _taken(link, target.links)
    if isinstance(link.info, Vrf) and users_of(link.info, target):
        why = why or f"there are routes of others in table {link.info.table} there, which would be in {link.name}"
    if not why and (thing := things.get(link.ifindex)):
        why = f"{link.name}: {thing} and would be cut off; take it away first"
    inet = seen.inet_of(link)
    mine = [one for one in rules if one.device == link.name]
    return Row(
        link.name,
        link.kind,
        KEPT if why else CLONED,
        why,
        tuple(_takes(link, inet, mine, seen.qdiscs.get(link.ifindex))),
        (*_leaves(inet, mine), *_captured(link, tree), *_others_routes(link, tree, seen)),
    )


def _nics(mac: str, seen: Seen, target: LinkTable) -> Iterator[Row]:
    for nic in seen.nics(mac):
        qdisc = seen.qdiscs.get(nic.ifindex)
        why = _taken(nic, target)
        takes = (str(qdisc),) if qdisc is not None else ()
        left = (f"its qdisc {nic.tc.root}",) if nic.tc.root and not takes else ()
        yield Row(nic.name, "hardware", KEPT if why else MOVED, why, takes, left)


def _taken(link: Link, target: LinkTable) -> str:
    for name in (link.name, *sorted(link.altnames)):
        if (other := target.named(name)) is not None:
            what = f"a {other.kind}" if other.kind else "a NIC"
            return f"the name {name} is taken there by {what} (ifindex {other.ifindex}); rename one of them"
    return ""


def _takes(link: Link, inet: Inet, rules: Sequence[Concerned], qdisc: Qdisc | None) -> Iterator[str]:
    """Yield what goes along, counted."""
    given = [route for route in inet.routes if route.protocol != RTPROT_KERNEL]
    counts = (
        (len(inet.addresses), "address", "addresses"),
        (len(given), "route", "routes"),
        (len(inet.neighbours), "permanent neighbour", "permanent neighbours"),
        (len(inet.labels), "address label", "address labels"),
        (sum(not one.why for one in rules), "policy rule", "policy rules"),
    )
    yield from (f"{number} {one if number == 1 else many}" for number, one, many in counts if number)
    if qdisc is not None:
        yield str(qdisc)
    yield f"MTU {link.mtu}"


def _others_routes(link: Link, tree: list[Link], seen: Seen) -> Iterator[str]:
    """Yield what does not go along of a VRF's table."""
    if not isinstance(link.info, Vrf):
        return
    users = users_of(link.info, seen)
    if users & NO_DEVICE:
        yield f"the routes in table {link.info.table} that lead to no device"
    if users - NO_DEVICE - {one.ifindex for one in tree}:
        yield f"the routes of others in table {link.info.table}"


def _leaves(inet: Inet, rules: Sequence[Concerned]) -> Iterator[str]:
    """Yield what does not go along."""
    if (number := sum(address.valid != FOREVER for address in inet.addresses)) > 0:
        what = "an address that expires" if number == 1 else f"{number} addresses that expire"
        yield f"what renews {what}: a DHCP client, router advertisements"
    for why in dict.fromkeys(one.why for one in rules if one.why):
        yield f"{called(one.rule for one in rules if one.why == why)} ({why})"


def _captured(link: Link, tree: list[Link]) -> Iterator[str]:
    """Yield that a program takes in every frame of a device. A bridge does so with its ports, and a device that wants
    them all with the one that it stands on."""
    known = link.promiscuous + sum(one.kind == Bridge.kind and one.ifindex == link.master for one in tree)
    known += sum(one.link == link.ifindex and one.promiscuity > 0 for one in tree)
    if link.promiscuity > known:
        yield "a capture on it, or another program that takes in every frame"
