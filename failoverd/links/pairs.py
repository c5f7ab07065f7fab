"""Veth pairs: two ends that name each other, each in a namespace of its own.

A pair is made in one datagram, sent in the namespace of its *nearer* end (failoverd's own, where one of them is there):
both devices, with the MACs and ifindexes that they shall have, the far one straight into its namespace, and the mark on
the near one. A kill between that and the far end's mark is found by the near one.

The nearer end is what proves a pair to be ours. In a container anybody with root there can write our mark on any
device; so a far end counts only if it is the other end of a marked near one.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.dataclass import dataclass
from failoverd.kinds import NewDevice, Veth, VethPair
from failoverd.links.differences import as_it_is, at_once, mac_of
from failoverd.links.findings import Batch, Finding, looking, pending, taken
from failoverd.links.marks import ifindex_for
from failoverd.links.picture import Device
from failoverd.links.sight import Sight
from failoverd.model.declared import End
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import Absent, Place
from failoverd.model.requests import CreateLink, DeleteMarked, Request

Findings = tuple[Finding, Finding]
"""Of the nearer end and of the far one."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Both ends, with the namespaces that they belong into."""

    near: End
    far: End
    here: Place
    there: Place


def judge_pair(sight: Sight, near: End, far: End, attempt: int) -> Findings:
    """Return what is to be said of both ends. `attempt`: how often the making of the pair has failed."""
    here, there = sight.place_of(near), sight.place_of(far)
    if isinstance(here, Absent):
        return pending(here), pending(there if isinstance(there, Absent) else _of_the_other(near, here))
    if isinstance(there, Absent):
        return pending(_of_the_other(far, there)), pending(there)
    if here is None or there is None or not {here, there} <= sight.pictures.keys():
        return looking(), looking()
    wire = Wire(near, far, here, there)
    device = sight.device_of(near)
    if device is None:
        return _to_make(sight, wire, attempt)
    other = far_device(sight, there, device)
    if other is None:
        removal = Batch(here, near.name, (DeleteMarked(sight.identity.mark(near.name)),), also=there)
        gone = "its other end is not where it was declared; the pair is made anew"
        return Finding(LinkState.MAKING, "", gone, (removal,)), Finding(LinkState.MAKING, "", gone)
    first, second = as_it_is(sight, near, here, device, peer=far), as_it_is(sight, far, there, other, peer=near)
    return _with(first, second), _with(second, first)


def _with(one: Finding, other: Finding) -> Finding:
    """Return the finding of one end: it cannot have a carrier while the other one is on its way."""
    is_waiting = one.reason == "no-carrier" and other.state is LinkState.MAKING
    return replace(one, state=LinkState.MAKING) if is_waiting else one


def far_device(sight: Sight, place: Place, near: Device) -> Device | None:
    """Return the other end of a veth, if it is in that namespace: each says that it is the other's peer."""
    info = near.link.info
    other = sight.pictures[place].at(info.peer) if isinstance(info, Veth) else None
    back = other.link.info if other is not None else None
    return other if isinstance(back, Veth) and back.peer == near.link.ifindex else None


def _of_the_other(other: End, why: Absent) -> Absent:
    return Absent(why.reason, f"its other end {other.name} waits: {why.detail}")


def _to_make(sight: Sight, wire: Wire, attempt: int) -> Findings:
    """Return the findings of a pair that is not there."""
    near, far = wire.near, wire.far
    stranger, far_stranger = sight.pictures[wire.here].named(near.device), sight.pictures[wire.there].named(far.device)
    if stranger is not None:
        mine = taken(near, wire.here, stranger, sight.identity.mark(near.name))
        return mine, _far_taken(sight, wire, far_stranger) if far_stranger is not None else _held_up(near, mine)
    if far_stranger is not None:
        its = _far_taken(sight, wire, far_stranger)
        return _held_up(far, its), its
    also = None if wire.here == wire.there else wire.there
    index = ifindex_for(sight.identity.mark(far.name), attempt)
    then = Batch(wire.there, far.name, tuple(at_once(sight, far, wire.there, index)))
    batch = Batch(wire.here, near.name, _made(sight, wire, attempt), makes=True, also=also, then=then)
    return Finding(LinkState.MAKING, batches=(batch,)), Finding(LinkState.MAKING)


def _far_taken(sight: Sight, wire: Wire, stranger: Device) -> Finding:
    return taken(wire.far, wire.there, stranger, sight.identity.mark(wire.far.name))


def _held_up(other: End, why: Finding) -> Finding:
    detail = f"its other end {other.name} is in conflict: {why.detail}"
    return Finding(LinkState.PENDING, "peer-conflict", detail, doubt=why.doubt)


def _made(sight: Sight, wire: Wire, attempt: int) -> tuple[Request, ...]:
    near, far = wire.near, wire.far
    mark, far_mark = (sight.identity.mark(end.name) for end in (near, far))
    index = ifindex_for(mark, attempt)
    device = NewDevice(near.device, mac_of(sight, near), near.mtu, index)
    place = None if wire.here == wire.there else wire.there
    peer = NewDevice(far.device, mac_of(sight, far), far.mtu, ifindex_for(far_mark, attempt), place=place)
    return CreateLink(device, VethPair(peer)), *at_once(sight, near, wire.here, index)
