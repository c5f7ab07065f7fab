"""New devices, by their kind.

Of a device that is created in another network namespace, the part that this one has is predicted: the refusals, and the
near end of a veth.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.kinds import Bond, Info, Ipvlan, Macvlan, NewDevice, Veth, VethPair, Vlan, Vrf
from failoverd.model.links import Link
from failoverd.model.requests import CreateLink
from failoverd.plan.predict.machine import Machine, RefusedError

MAX_MTU = 65535
VRF_MTU = 65575
"""IP6_MAX_MTU: an IPv6 header and the longest payload (drivers/net/vrf.c, vrf_setup)."""


def create(machine: Machine, request: CreateLink) -> None:
    """rtnl_newlink_create()."""
    new, info = request.device, request.info
    if isinstance(info, Bond) and not machine.bonding:
        raise RefusedError(errno.EOPNOTSUPP)
    if _is_here(machine, new):
        if new.ifindex in machine.links:
            raise RefusedError(errno.EEXIST)
        machine.free_name(new.name)
    if isinstance(info, VethPair):
        _create_pair(machine, new, info.peer)
    elif isinstance(info, Vlan):
        _create_vlan(machine, new, info)
    elif isinstance(info, Macvlan | Ipvlan):
        _create_on(machine, new, info)
    elif isinstance(info, Vrf):
        if not info.table:
            raise RefusedError(errno.EINVAL)
        _put(machine, new, _link(machine, replace(new, mtu=new.mtu or VRF_MTU), info))
    else:
        _put(machine, new, _link(machine, new, info))


def _create_pair(machine: Machine, new: NewDevice, peer: NewDevice) -> None:
    """veth_newlink(). An ifindex for the far end counts only if the near end was given one, too."""
    peer = peer if new.ifindex else replace(peer, ifindex=0)
    is_far, is_near = _is_here(machine, peer), _is_here(machine, new)
    if is_far:
        if peer.ifindex in machine.links:
            raise RefusedError(errno.EBUSY)
        machine.free_name(peer.name)
    if peer.name == new.name and is_far and is_near:
        raise RefusedError(errno.EEXIST)
    _put(machine, peer, far := _link(machine, peer, Veth()))
    _put(machine, new, near := _link(machine, new, _other_end(machine, peer, far)))
    _put(machine, new, replace(near, link=far.ifindex if is_far else 0))
    _put(machine, peer, replace(far, link=near.ifindex if is_near else 0, info=_other_end(machine, new, near)))


def _other_end(machine: Machine, new: NewDevice, link: Link) -> Veth:
    """Return what the one end tells of the other. An ifindex in another namespace is 0 if it was not asked for."""
    return Veth(link.ifindex, None if new.place is None or _is_here(machine, new) else new.place.nsid)


def _create_vlan(machine: Machine, new: NewDevice, info: Vlan) -> None:
    """vlan_newlink(). Unless it is given others, it has its lower device's MAC and MTU."""
    lower = machine.link(new.lower)
    if any(x.link == lower.ifindex and _is_same(x.info, info) for x in machine.links.values()):
        raise RefusedError(errno.EEXIST)
    like = replace(new, mac=new.mac or lower.mac, mtu=new.mtu or lower.mtu)
    _put(machine, new, replace(_link(machine, like, info), link=lower.ifindex))


def _is_same(there: Info | None, info: Vlan) -> bool:
    return isinstance(there, Vlan) and (there.protocol, there.id) == (info.protocol, info.id)


def _create_on(machine: Machine, new: NewDevice, info: Macvlan | Ipvlan) -> None:
    """macvlan_common_newlink(), ipvlan_link_new(). It has its lower device's MTU; an ipvlan has its MAC, too.

    On a device of its own kind it gets that one's lower device.
    """
    lower = machine.link(new.lower)
    if isinstance(lower.info, type(info)):
        lower = machine.link(lower.link)
    if new.mtu > lower.mtu:
        raise RefusedError(errno.EINVAL)
    if isinstance(info, Ipvlan):
        new = replace(new, mac=lower.mac)
    made = _link(machine, replace(new, mtu=new.mtu or lower.mtu), info)
    _put(machine, new, replace(made, link=lower.ifindex))


def _link(machine: Machine, new: NewDevice, info: Info) -> Link:
    """Return a new device that is down. A random MAC is not predicted."""
    ifindex = new.ifindex or (_next(machine) if _is_here(machine, new) else 0)
    mtu = new.mtu or 1500
    return Link(ifindex, new.name, new.mac, mtu=mtu, max_mtu=MAX_MTU, kind=info.kind, info=info, link_local=True)


def _put(machine: Machine, new: NewDevice, link: Link) -> None:
    """Add a device to this namespace, if it is one of it."""
    if _is_here(machine, new):
        machine.put(link)


def _is_here(machine: Machine, new: NewDevice) -> bool:
    return new.place in (None, machine.place)


def _next(machine: Machine) -> int:
    """dev_new_index()."""
    machine.last += 1
    while machine.last in machine.links:
        machine.last += 1
    return machine.last
