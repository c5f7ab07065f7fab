"""Devices up and down, in and out of a master: what bonding does to its slaves (drivers/net/bonding/bond_main.c)."""

from __future__ import annotations

import errno
from dataclasses import replace

from failoverd.kinds import Bond, Veth, Vlan
from failoverd.kinds.bond import HEARING, SIGNATURE
from failoverd.model.links import Link
from failoverd.model.requests import DeleteLink, DeleteMarked, HearAll, MoveLink, SetActive
from failoverd.plan.predict.addresses import come_up, go_down
from failoverd.plan.predict.devices import set_mtu
from failoverd.plan.predict.machine import Machine, RefusedError

LOOPBACK = 772
"""ARPHRD_LOOPBACK."""

MASTERS = frozenset({"bond", "bridge", "team", "vrf"})
"""Kinds of device that can have slaves."""

IMMOVABLE = frozenset({"bond", "bridge", "team", "vrf"})
"""Kinds of device that stay in their network namespace (NETIF_F_NETNS_LOCAL)."""


def set_up(machine: Machine, ifindex: int, up: bool) -> None:
    """dev_open() and dev_close()."""
    link = machine.link(ifindex)
    if link.up == up:
        return
    lower = machine.links.get(link.link)
    if up and isinstance(link.info, Vlan) and lower is not None and not (link.info.is_loose or lower.up):
        # A lower device that is in another namespace is not known here.
        raise RefusedError(errno.ENETDOWN)
    machine.put(replace(link, up=up))
    if up:
        come_up(machine, ifindex, is_slave=link.slave_kind == "bond")
    else:
        go_down(machine, ifindex)
    watch(machine, link.master)
    if up:
        watch(machine, ifindex)
    _follow(machine, ifindex)


def _follow(machine: Machine, ifindex: int) -> None:
    """vlan_device_event(): VLANs go up and down with their device."""
    for vlan in [x for x in machine.links.values() if x.link == ifindex]:
        if isinstance(vlan.info, Vlan) and not vlan.info.is_loose:
            set_up(machine, vlan.ifindex, machine.links[ifindex].up)


def watch(machine: Machine, master: int) -> None:
    """bond_mii_monitor(): let a bond that is up look at its slaves, and choose by that."""
    above = machine.links.get(master)
    if above is not None and above.up and isinstance(above.info, Bond):
        for slave in _slaves(machine, master):
            machine.put(slave)
        _reselect(machine, above.ifindex)


def set_master(machine: Machine, ifindex: int, master: int) -> None:
    """do_set_master(). Not atomic: the old master is left first, whatever happens afterwards."""
    link = machine.link(ifindex)
    if link.master == master:
        return
    release(machine, ifindex)
    if not master:
        return
    above = machine.links.get(master)
    if above is None:
        raise RefusedError(errno.EINVAL)
    if above.kind not in MASTERS:
        raise RefusedError(errno.EOPNOTSUPP)
    link = machine.links[ifindex]
    if isinstance(above.info, Bond):
        _enslave(machine, link, above)
    else:
        machine.put(replace(link, master=master, slave_kind=above.kind))


def _enslave(machine: Machine, link: Link, above: Link) -> None:
    """bond_enslave(): the bond gives a slave its MTU and opens it. The slave gets no link-local address."""
    if link.ifindex == above.ifindex:
        raise RefusedError(errno.EPERM)
    if link.ifindex in machine.busy:
        raise RefusedError(errno.EBUSY)
    if link.up:
        raise RefusedError(errno.EPERM)
    set_mtu(machine, link.ifindex, above.mtu)
    machine.mtus[link.ifindex] = link.mtu
    machine.put(replace(machine.links[link.ifindex], up=True))
    come_up(machine, link.ifindex, is_slave=True)
    _follow(machine, link.ifindex)
    taken = machine.links[link.ifindex]
    machine.put(replace(taken, master=above.ifindex, slave_kind=above.kind, mii_up=taken.carrier))
    _reselect(machine, above.ifindex)


def release(machine: Machine, ifindex: int) -> None:
    """Take a device out of its master. A bond closes a released slave and restores its MTU (__bond_release_one)."""
    link = machine.links[ifindex]
    if not link.master:
        return
    above = machine.links.get(link.master)
    machine.put(replace(link, master=0, slave_kind=""))
    if above is not None and isinstance(above.info, Bond):
        _reselect(machine, above.ifindex)
        machine.put(replace(machine.links[ifindex], up=False, mtu=machine.mtus.pop(ifindex, link.mtu)))
        if link.up:
            go_down(machine, ifindex)
            _follow(machine, ifindex)


def delete(machine: Machine, request: DeleteLink) -> None:
    """Delete a device, with the devices stacked on it. Its slaves are released. Hardware cannot be deleted."""
    if not machine.link(request.ifindex).kind:
        raise RefusedError(errno.EOPNOTSUPP)
    remove(machine, request.ifindex)


def delete_marked(machine: Machine, request: DeleteMarked) -> None:
    """rtnl_dellink() by a name."""
    if (link := machine.named(request.altname)) is None:
        raise RefusedError(errno.ENODEV)
    delete(machine, DeleteLink(link.ifindex))


def move(machine: Machine, request: MoveLink) -> None:
    """__dev_change_net_namespace(): the device vanishes here. What it finds there is not predicted.

    The other end of a veth stays, and knows it by its new number if that was asked for.
    """
    link = machine.link(request.ifindex)
    if request.place == machine.place:
        return
    if link.kind in IMMOVABLE or link.hardware == LOOPBACK:
        raise RefusedError(errno.EINVAL)
    set_up(machine, link.ifindex, False)
    release(machine, link.ifindex)
    machine.forget(link.ifindex)
    other = machine.links.get(link.info.peer) if isinstance(link.info, Veth) and link.info.nsid is None else None
    if other is not None:
        far = Veth(request.new_ifindex or link.ifindex, request.place.nsid)
        machine.links[other.ifindex] = replace(other, link=0, info=far)


def remove(machine: Machine, ifindex: int) -> None:
    """unregister_netdevice(): close it, take it out of its master, remove it; a veth's other end goes with it."""
    set_up(machine, ifindex, False)
    release(machine, ifindex)
    for slave in [x.ifindex for x in machine.links.values() if x.master == ifindex]:
        release(machine, slave)
    info = machine.links[ifindex].info
    machine.forget(ifindex)
    uppers = [x.ifindex for x in machine.links.values() if x.link == ifindex]
    uppers += [info.peer] if isinstance(info, Veth) and info.nsid is None else []
    for upper in uppers:
        if upper in machine.links:
            remove(machine, upper)


def set_active(machine: Machine, request: SetActive) -> None:
    """bond_option_active_slave_set(). A slave can only replace another active one, not where none can carry."""
    above = _bond(machine, request.ifindex)
    slave = machine.link(request.slave)
    assert isinstance(above.info, Bond)
    if slave.master == above.ifindex and slave.ifindex == above.info.active:
        return
    if slave.master != above.ifindex or not (above.info.active and slave.mii_up and slave.up):
        raise RefusedError(errno.EINVAL)
    _activate(machine, above, slave.ifindex)


def hear_all(machine: Machine, request: HearAll) -> None:
    """IFLA_BOND_ALL_SLAVES_ACTIVE, and the mark that goes with it."""
    link = _bond(machine, request.ifindex)
    assert isinstance(link.info, Bond)
    sign = HEARING if request.on else SIGNATURE
    machine.put(replace(link, info=replace(link.info, hears_both=request.on, lp_interval=sign)))


def _bond(machine: Machine, ifindex: int) -> Link:
    """Return a device that is to take a bond's options. One of another kind refuses them."""
    link = machine.link(ifindex)
    if not isinstance(link.info, Bond):
        raise RefusedError(errno.EOPNOTSUPP)
    return link


def _reselect(machine: Machine, master: int) -> None:
    """bond_select_active_slave(): the active slave is replaced only if it cannot carry, by the slave longest in the
    bond.
    """
    above = machine.links[master]
    assert isinstance(above.info, Bond)
    seen = [slave for slave in _slaves(machine, master) if slave.mii_up]
    if above.info.active in [slave.ifindex for slave in seen]:
        machine.put(above)
    else:
        _activate(machine, above, next((slave.ifindex for slave in seen if slave.up), 0))


def _slaves(machine: Machine, master: int) -> list[Link]:
    """Return the slaves in the order in which they were enslaved."""
    places = {ifindex: place for place, ifindex in enumerate(machine.mtus, 1)}
    found = [link for link in machine.links.values() if link.master == master]
    return sorted(found, key=lambda link: places.get(link.ifindex, 0))


def _activate(machine: Machine, above: Link, slave: int) -> None:
    assert isinstance(above.info, Bond)
    machine.put(replace(above, info=replace(above.info, active=slave)))
