"""A device by itself: its names, its MTU, the frames that it takes in."""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.kinds import Bond, Ipvlan, Vlan
from failoverd.kinds.bridge import BridgeRest
from failoverd.model.requests import (
    AddAltname,
    ChangeLink,
    DropAltname,
    Rename,
    SetAllMulticast,
    SetLinkLocal,
    SetMac,
    SetPromiscuous,
)
from failoverd.plan.predict.addresses import relabel
from failoverd.plan.predict.machine import Machine, RefusedError


def rename(machine: Machine, request: Rename) -> None:
    """dev_change_name(). IPv4 labels follow (net/ipv4/devinet.c, inetdev_changename)."""
    link = machine.link(request.ifindex)
    if link.up and not machine.live_renames:
        raise RefusedError(errno.EBUSY)
    if request.name != link.name:
        machine.free_name(request.name)
    machine.put(replace(link, name=request.name))
    relabel(machine, link.ifindex, request.name)


def change(machine: Machine, request: ChangeLink) -> None:
    """__rtnl_newlink(), for a device that is there."""
    link = machine.link(request.ifindex)
    if link.kind != request.info.kind:
        raise RefusedError(errno.EOPNOTSUPP)
    if not isinstance(request.info, BridgeRest):
        machine.put(replace(link, info=request.info))


def add_altname(machine: Machine, request: AddAltname) -> None:
    """netdev_name_node_alt_create()."""
    link = machine.link(request.ifindex)
    machine.free_name(request.name)
    machine.put(replace(link, altnames=link.altnames | {request.name}))


def drop_altname(machine: Machine, request: DropAltname) -> None:
    """netdev_name_node_alt_destroy()."""
    link = machine.link(request.ifindex)
    if machine.named(request.name) is None:
        raise RefusedError(errno.ENOENT)
    if request.name not in link.altnames:
        raise RefusedError(errno.EINVAL)
    machine.put(replace(link, altnames=link.altnames - {request.name}))


def set_mtu(machine: Machine, ifindex: int, mtu: int) -> None:
    """A master's MTU is set on its slaves, too (bond_change_mtu), if it is a new one."""
    if machine.link(ifindex).mtu == mtu:
        return
    group = [machine.links[ifindex], *(x for x in machine.links.values() if x.master == ifindex)]
    if any(0 < x.max_mtu < mtu for x in group):
        raise RefusedError(errno.EINVAL)
    for link in reversed(group):
        machine.put(replace(link, mtu=mtu))
        for vlan in [x for x in machine.links.values() if x.link == link.ifindex and isinstance(x.info, Vlan)]:
            machine.put(replace(vlan, mtu=min(vlan.mtu, mtu)))


def set_mac(machine: Machine, request: SetMac) -> None:
    """eth_mac_addr(). The ipvlans on a device have its MAC; a bond may leave it to its slaves (fail_over_mac)."""
    link = machine.link(request.ifindex)
    first, *rest = bytes.fromhex(request.mac.replace(":", ""))
    if first & 1 or not any((first, *rest)):
        raise RefusedError(errno.EADDRNOTAVAIL)
    if isinstance(link.info, Ipvlan):
        raise RefusedError(errno.EOPNOTSUPP)
    if isinstance(link.info, Bond) and link.info.fail_over_mac:
        return
    machine.put(replace(link, mac=request.mac))
    for upper in [x for x in machine.links.values() if x.link == link.ifindex and isinstance(x.info, Ipvlan)]:
        machine.put(replace(upper, mac=request.mac))


def set_all_multicast(machine: Machine, request: SetAllMulticast) -> None:
    """IFF_ALLMULTI."""
    machine.put(replace(machine.link(request.ifindex), all_multicast=request.on))


def set_promiscuous(machine: Machine, request: SetPromiscuous) -> None:
    """IFF_PROMISC, which counts as one of the users that need every frame."""
    link = machine.link(request.ifindex)
    more = request.on - link.promiscuous
    machine.put(replace(link, promiscuous=request.on, promiscuity=link.promiscuity + more))


def set_link_local(machine: Machine, request: SetLinkLocal) -> None:
    """It acts when the device next comes up (net/ipv6/addrconf.c, addrconf_dev_config)."""
    machine.put(replace(machine.link(request.ifindex), link_local=request.on))
