"""New devices, by their kind."""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.kinds import Bond, Info, NewDevice, Veth, VethPair, Vlan
from failoverd.model.links import Link
from failoverd.model.requests import CreateLink
from failoverd.plan.predict.machine import Machine, RefusedError

MAX_MTU = 65535


def create(machine: Machine, request: CreateLink) -> None:
    """rtnl_newlink_create()."""
    new, info = request.device, request.info
    if isinstance(info, Bond) and not machine.bonding:
        raise RefusedError(errno.EOPNOTSUPP)
    if new.ifindex in machine.links:
        raise RefusedError(errno.EEXIST)
    machine.free_name(new.name)
    if isinstance(info, VethPair):
        _create_pair(machine, new, info.peer)
    elif isinstance(info, Vlan):
        _create_vlan(machine, new, info)
    else:
        machine.put(_link(machine, new, info))


def _create_pair(machine: Machine, new: NewDevice, peer: NewDevice) -> None:
    """veth_newlink(). An ifindex for the far end counts only if the near end was given one, too."""
    peer = peer if new.ifindex else replace(peer, ifindex=0)
    if peer.ifindex in machine.links:
        raise RefusedError(errno.EBUSY)
    if peer.name == new.name:
        raise RefusedError(errno.EEXIST)
    machine.free_name(peer.name)
    machine.put(far := _link(machine, peer, Veth()))
    machine.put(near := _link(machine, new, Veth(far.ifindex)))
    machine.put(replace(near, link=far.ifindex))
    machine.put(replace(far, link=near.ifindex, info=Veth(near.ifindex)))


def _create_vlan(machine: Machine, new: NewDevice, info: Vlan) -> None:
    """vlan_newlink(). Unless it is given others, it has its lower device's MAC and MTU."""
    lower = machine.link(new.lower)
    if any(x.link == lower.ifindex and x.info == info for x in machine.links.values()):
        raise RefusedError(errno.EEXIST)
    like = replace(new, mac=new.mac or lower.mac, mtu=new.mtu or lower.mtu)
    machine.put(replace(_link(machine, like, info), link=lower.ifindex))


def _link(machine: Machine, new: NewDevice, info: Info) -> Link:
    """Return a new device that is down. A random MAC is not predicted."""
    ifindex = new.ifindex or _next(machine)
    mtu = new.mtu or 1500
    return Link(ifindex, new.name, new.mac, mtu=mtu, max_mtu=MAX_MTU, kind=info.kind, info=info, link_local=True)


def _next(machine: Machine) -> int:
    """dev_new_index()."""
    machine.last += 1
    while machine.last in machine.links:
        machine.last += 1
    return machine.last
