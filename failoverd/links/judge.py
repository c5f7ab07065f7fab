"""What is to be said and done about all declared links at one moment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from failoverd.kinds import Veth
from failoverd.links.findings import Batch, Finding, pending
from failoverd.links.pairs import far_device, judge_pair
from failoverd.links.picture import Device
from failoverd.links.sight import Sight
from failoverd.links.singles import judge_single
from failoverd.model.declared import End
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import DeleteMarked

VETH = "veth"

UNKNOWN = frozenset({"door-closed", "runtime-unreachable"})
"""Reasons that say nothing of a namespace itself: only that it could not be asked for. Nothing is deleted for them."""


def judge(sight: Sight, attempts: Mapping[str, int], names: Collection[str] | None = None) -> dict[str, Finding]:
    """Return what is to be said of these declared ends, and of those at the other ends of their veths; of all for None.

    `attempts`: how often the making of each has failed.
    """
    findings: dict[str, Finding] = {}
    claims = _claims(sight)
    for name, end in sight.declared.items():
        if name in findings or (names is not None and name not in names):
            continue
        if name in sight.released:
            detail = "it is left as it is; take it out of the configuration, or delete its device, then links resync"
            findings[name] = Finding(LinkState.RELEASED, "", detail)
        elif claimant := claims.get(name):
            why = f"the link {claimant} is to have the name {end.device} in the same network namespace"
            findings[name] = Finding(LinkState.CONFLICT, "name-claimed", f"{why}; give one of them another `device`")
        elif end.kind != VETH:
            findings[name] = judge_single(sight, end, attempts.get(name, 0))
        elif isinstance(peer := _peer(sight, end, claims), Absent):
            findings[name] = pending(peer)
        else:
            near, far = nearer_first(sight, end, peer)
            findings[near.name], findings[far.name] = judge_pair(sight, near, far, attempts.get(near.name, 0))
    return findings


def concerned(sight: Sight) -> dict[Place, set[str]]:
    """Return which ends a change in each namespace concerns: those that belong there, or whose peer, lower device or
    port does."""
    found: dict[Place, set[str]] = {}
    for name, end in sight.declared.items():
        others = [end.peer, *(ref.value for ref in (end.lower, *end.ports) if ref is not None and ref.by == "link")]
        places = [sight.place_of(one) for one in (end, *map(sight.declared.get, others)) if one is not None]
        for place in (*places, *((HERE,) if end.lower is not None else ())):
            if isinstance(place, Place):
                found.setdefault(place, set()).add(name)
    return found


def nearer_first(sight: Sight, one: End, other: End) -> tuple[End, End]:
    """Return both ends of a pair, the nearer one first: that in failoverd's own namespace, else that of lesser name."""

    def distance(end: End) -> tuple[bool, str]:
        place = sight.place_of(end)
        return not (isinstance(place, Place) and place.is_own), end.name

    near, far = sorted((one, other), key=distance)
    return near, far


def _peer(sight: Sight, end: End, claims: Mapping[str, str]) -> End | Absent:
    """Return a veth's other end, or why there is none."""
    peer = sight.declared.get(end.peer)
    if peer is None:
        return Absent("no-peer", f"its other end [link.{end.peer}] is not declared yet")
    if peer.kind != VETH:
        return Absent("peer-invalid", f"its other end [link.{peer.name}] is declared as a {peer.kind}, not as a veth")
    if peer.peer != end.name:
        return Absent("peer-names-another", f"its other end [link.{peer.name}] names {peer.peer} as its peer")
    if claimant := claims.get(peer.name):
        return Absent("peer-conflict", f"its other end {peer.name} is in conflict with the link {claimant}")
    return peer


def _claims(sight: Sight) -> dict[str, str]:
    """Return the ends whose name in a namespace an earlier declaration has, and by which: found by what references lead
    to, so that two ways to name one namespace do not hide it."""
    first: dict[tuple[Place, str], str] = {}
    claims: dict[str, str] = {}
    for name, end in sight.declared.items():
        place = sight.place_of(end)
        if isinstance(place, Place) and (holder := first.setdefault((place, end.device), name)) != name:
            claims[name] = holder
    return claims


def removals(sight: Sight, findings: Mapping[str, Finding]) -> Iterator[Batch]:
    """Yield what deletes the devices that bear our mark and are not wanted, or not now: those of ends that are no
    longer declared, or that wait for something.

    A veth in another namespace is deleted through its nearer end, or where that is proven to be ours.
    """
    for place, picture in sight.pictures.items():
        for name, device in picture.marked(sight.identity):
            if not _is_wanted(sight, name, place, findings) and _is_proven(sight, name, place, device):
                also = next((other for other in sight.pictures if far_device(sight, other, device)), None)
                yield Batch(place, name, (DeleteMarked(sight.identity.mark(name)),), also=also)


def _is_wanted(sight: Sight, name: str, place: Place, findings: Mapping[str, Finding]) -> bool:
    if name in sight.released:
        return True
    end, finding = sight.declared.get(name), findings.get(name)
    if end is None or finding is None:
        return not sight.is_complete
    if finding.state is LinkState.PENDING:
        return finding.reason in UNKNOWN
    return sight.place_of(end) in {place, None}


def _is_proven(sight: Sight, name: str, place: Place, device: Device) -> bool:
    """Whether a mark in this place is ours for certain."""
    if place.is_own or not isinstance(device.link.info, Veth):
        return True
    near = (far_device(sight, other, device) for other in sight.pictures)
    return any(one is not None and sight.identity.marked(one.link.altnames) not in {"", name} for one in near)
