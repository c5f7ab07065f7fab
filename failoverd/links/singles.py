"""Devices that are one end each: VLANs, macvlans, ipvlans, dummies, bridges, VRFs, and those that others make.

One that stands on a lower device is made in that one's namespace and moves from there into its own, all in one
datagram: created under its mark's ifindex, marked, moved. Others are made where they belong.
"""

from __future__ import annotations

from failoverd.kinds import Bridge, Ipvlan, Macvlan, NewDevice
from failoverd.kinds.macvlan import PASSTHRU
from failoverd.links.differences import as_it_is, at_once, mac_of
from failoverd.links.findings import Batch, Finding, looking, pending, taken
from failoverd.links.marks import ifindex_for
from failoverd.links.picture import Device
from failoverd.links.sight import Sight
from failoverd.model.declared import EXISTING, End, Options
from failoverd.model.linkstatus import LinkState
from failoverd.model.places import HERE, Absent, Place
from failoverd.model.requests import AddAltname, CreateLink, DeleteMarked, MoveLink, Request


def judge_single(sight: Sight, end: End, attempt: int) -> Finding:
    """Return what is to be said of an end that is no veth."""
    place = sight.place_of(end)
    if isinstance(place, Absent):
        return pending(place)
    if place is None or place not in sight.pictures:
        return looking()
    below = sight.lookup(end.lower, HERE) if end.lower is not None else (place, 0)
    if isinstance(below, Absent):
        return pending(below)
    device = sight.device_of(end)
    if device is None:
        return _to_make(sight, end, place, below, attempt)
    if _has_to_be_made_anew(end, place, device, below):
        removal = Batch(place, end.name, (DeleteMarked(sight.identity.mark(end.name)),))
        return Finding(LinkState.MAKING, "", "it cannot be changed in place, and is made anew", (removal,))
    return as_it_is(sight, end, place, device)


def _to_make(sight: Sight, end: End, place: Place, below: tuple[Place, int], attempt: int) -> Finding:
    if end.kind == EXISTING:
        return pending(Absent("device-absent", f"there is no device {end.device}; it is waited for"))
    stranger = sight.pictures[place].named(end.device)
    if stranger is not None:
        return taken(end, place, stranger, sight.identity.mark(end.name))
    batch = Batch(below[0], end.name, _made(sight, end, place, below, attempt), makes=True, also=place)
    return Finding(LinkState.MAKING, batches=(batch,))


def _made(sight: Sight, end: End, place: Place, below: tuple[Place, int], attempt: int) -> tuple[Request, ...]:
    assert end.options is not None
    mark = sight.identity.mark(end.name)
    index = ifindex_for(mark, attempt)
    moves = below[0] != place
    # Under a passing name: in this namespace, another device may have the one that it shall have there.
    name = f"fo{index:x}" if moves else end.device
    device = NewDevice(name, mac_of(sight, end), end.mtu, index, lower=below[1])
    made = CreateLink(device, end.options)
    if moves:
        return made, AddAltname(index, mark), MoveLink(index, place, new_ifindex=index, name=end.device)
    return made, *at_once(sight, end, place, index)


def _has_to_be_made_anew(end: End, place: Place, device: Device, below: tuple[Place, int]) -> bool:
    link = device.link
    if end.kind == EXISTING:
        return False
    if link.kind != end.kind:
        return True
    stands_elsewhere = end.lower is not None and below[0] == place and link.link != below[1]
    return stands_elsewhere or (link.info != end.options and not _can_change(link.info, end.options))


def _can_change(there: object, wanted: Options | None) -> bool:
    """Whether the kernel changes these options in place: a bridge's, the mode of an ipvlan, and that of a macvlan
    unless it is passthru (macvlan_changelink, ipvlan_nl_changelink, br_changelink).

    A bridge's VLAN filtering is only turned on so: kinds/bridge.py does not write that it is off.
    """
    if isinstance(there, Macvlan) and isinstance(wanted, Macvlan):
        return PASSTHRU not in {there.mode, wanted.mode}
    if isinstance(there, Bridge) and isinstance(wanted, Bridge):
        return wanted.vlan_filtering or not there.vlan_filtering
    return isinstance(wanted, Ipvlan)
