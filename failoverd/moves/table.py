"""What moves how, by kinds: one table for the plan, the refusals and --dry-run.

    cloned  a new device like it is made in the other namespace
    moved   the kernel moves the device itself
    ""      it keeps the master where it is

What is not read is not cloned, and what cannot be cloned is not lost either: the move is refused before anything is
touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from failoverd.kinds import Bond, Bridge, Dummy, Ipvlan, Macvlan, Vlan, Vrf
from failoverd.kinds.macvlan import SOURCE
from failoverd.links.marks import PREFIX as DECLARED
from failoverd.model.links import Link
from failoverd.moves.items import Seen
from failoverd.plan import inet_sets

CLONED, MOVED, KEPT = "cloned", "moved", ""

HARDWARE = "hardware"
KINDS: Mapping[str, str] = {
    HARDWARE: MOVED,
    Bond.kind: CLONED,
    Vlan.kind: CLONED,
    Macvlan.kind: CLONED,
    Ipvlan.kind: CLONED,
    Dummy.kind: CLONED,
    Bridge.kind: CLONED,
    Vrf.kind: CLONED,
}
"""By rtnl's kind. What is not here keeps the master where it is."""


CANNOT = "cannot be cloned yet"
UNMOVED: Mapping[str, str] = {
    "": "stays",
    "veth": "would end with the other namespace",
    "tun": "a program has open",
    Bond.kind: "is a master of its own",
}
"""Why devices of a kind are not moved, which stand beside the master."""


def obstacle(link: Link, tree: Sequence[Link], seen: Seen) -> str:
    """Return why this device, one of those on the master, keeps the master where it is, with what to do; or ""."""
    if why := seen.odd_ports.get(link.ifindex):
        return f"{link.name}: {why}; take it out first"
    return _in_use(link, tree, seen) or _controlled(link, seen) or _routed(link, seen)


def _place(link: Link, tree: Sequence[Link]) -> str:
    """Return where a device is, in words."""
    above = next((one for one in tree if one.ifindex == link.master and one.kind != Bond.kind), None)
    return f"is in the {above.kind} {above.name}, too," if above is not None else "stands on it"


def _in_use(link: Link, tree: Sequence[Link], seen: Seen) -> str:
    name, members = link.name, {one.ifindex for one in tree}
    if KINDS.get(link.kind, KEPT) != CLONED or (isinstance(link.info, Bond) and link is not tree[0]):
        where = _place(link, tree)
        return (
            f"{name} {where} and is a {link.kind or 'NIC'}, which {UNMOVED.get(link.kind, CANNOT)}; take it away first"
        )
    if link.link and link.link not in members:
        below = seen.links.get(link.link)
        return (
            f"{name} stands on {below.name if below is not None else 'another device'}, which stays; take it out first"
        )
    if any(altname.startswith(DECLARED) for altname in link.altnames):
        return f"{name} is a declared link's, which is made on the master at home; withdraw that first"
    if link.master and link.master not in members:
        above = seen.links.get(link.master)
        what = f"the {above.kind} {above.name}" if above is not None else "another device"
        return f"{name} is in {what}, which cannot be cloned yet; take it out first"
    if isinstance(link.info, Macvlan) and link.info.mode == SOURCE:
        return f"{name} is a macvlan in source mode, whose list of MACs cannot be read; take it away first"
    return ""


def _controlled(link: Link, seen: Seen) -> str:
    name = link.name
    if link.xdp:
        return f"an XDP program is attached to {name}, and would be lost; detach it first"
    if link.tc.slot:
        return f"{name} has a {link.tc.slot} qdisc, whose filters cannot be cloned; take it away first (tc qdisc del)"
    if link.tc.root and link.ifindex not in seen.qdiscs:
        return f"the qdisc {link.tc.root} of {name} cannot be cloned; take it away first (tc qdisc del)"
    return ""


def _routed(link: Link, seen: Seen) -> str:
    name, inet = link.name, seen.inet_of(link)
    if why := inet_sets.unmovable_reason(inet):
        return f"{name}: {why}; take that route away or write it without the object"
    for route in inet.routes:
        if any(hop.ifindex != link.ifindex for hop in route.hops):
            return f"the route to {route} goes through {name} and other devices; take it away first"
    return ""
