"""Bonding: the device itself, and how slaves come and go (drivers/net/bonding/bond_main.c of 6.1).

The messages come in the kernel's order: a slave is seen up before it is seen with a master, and without a master before
it is seen down. The active slave is selected in bondelect.py.
"""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.bondelect import (
    ACTIVE_BACKUP,
    FOM_ACTIVE,
    bond_of,
    change_active,
    select,
    set_carrier,
    set_state,
    start_monitor,
    take_mac,
)
from failoverd_lab.simkernel.bondoptions import apply
from failoverd_lab.simkernel.devices import INTERNAL, close, open_, set_mac, set_mtu
from failoverd_lab.simkernel.net import Event, LinkKind, Net
from failoverd_lab.simkernel.state import Bond, BondPort, Device, Refused
from failoverd_lab.simkernel.uppers import is_taken


class Bonding(LinkKind):
    """The kind "bond"."""

    name = "bond"
    master = True

    def create(self, net: Net, device: Device, _attrs: dict[int, bytes], data: bytes) -> None:
        """See LinkKind."""
        device.bond = Bond()
        device.flags |= n.IFF_MASTER
        apply(net, device, data)

    def change(self, net: Net, device: Device, data: bytes) -> None:
        """See LinkKind."""
        apply(net, device, data)

    def open(self, net: Net, device: Device) -> None:
        """bond_open(): the monitor starts."""
        start_monitor(net, device)

    def stop(self, _net: Net, device: Device) -> None:
        """bond_close(): the monitor stops. The carrier stays as it was."""
        bond = bond_of(device)
        bond.announcements_left = 0
        if bond.monitor is not None:
            bond.monitor.cancel()

    def set_mtu(self, net: Net, device: Device, mtu: int) -> None:
        """bond_change_mtu(): every slave first; where one refuses, those before it go back."""
        done: list[Device] = []
        try:
            for slave in bond_of(device).slaves:
                set_mtu(net, slave, mtu)
                done.append(slave)
        except Refused:
            for slave in done:
                set_mtu(net, slave, device.mtu)
            raise Refused(errno.EINVAL) from None

    def set_mac(self, net: Net, device: Device, mac: bytes) -> None:
        """bond_set_mac_address(): with fail_over_mac=active it does nothing and reports success."""
        bond = bond_of(device)
        if bond.mode == ACTIVE_BACKUP and bond.fail_over_mac == FOM_ACTIVE:
            return
        device.mac = mac
        if bond.fail_over_mac == 0:
            for slave in bond.slaves:
                set_mac(net, slave, mac)

    def add_slave(self, net: Net, master: Device, device: Device) -> None:
        """See LinkKind."""
        enslave(net, master, device)

    def del_slave(self, net: Net, master: Device, device: Device) -> None:
        """See LinkKind."""
        release(net, master, device)

    def removed(self, net: Net, device: Device) -> None:
        """bond_uninit()."""
        for slave in list(bond_of(device).slaves):
            _detach(net, device, slave)
            close(net, slave, INTERNAL)


def enslave(net: Net, master: Device, device: Device) -> None:
    """bond_enslave(). The bond opens the slave itself, and gives it its MTU. Raises Refused."""
    bond = bond_of(master)
    if is_taken(net, device):
        raise Refused(errno.EBUSY, "Device is in use and cannot be enslaved")
    if device is master:
        raise Refused(errno.EPERM, "Cannot enslave bond to itself.")
    if device.up:
        raise Refused(errno.EPERM, "Device can not be enslaved while up")
    if bond.slaves and bond.slaves[0].type != device.type:
        raise Refused(errno.EINVAL, "Device type is different from other slaves")
    if not bond.slaves and master.assigned == "random":
        take_mac(net, master, device)
    port = BondPort(device.mac, device.mtu)
    _fit_in(net, master, device, port)
    device.port = port
    if bond.mode != ACTIVE_BACKUP:
        port.state = n.BOND_STATE_ACTIVE
    # Without a monitor every slave counts as up ("check for initial state").
    port.link = n.BOND_LINK_UP if device.carrier or not bond.miimon else n.BOND_LINK_DOWN
    device.master = master
    bond.slaves.append(device)
    net.announce_link(device)
    net.announce_link(device)
    net.announce_link(master)
    set_carrier(net, master)
    select(net, master)


def _fit_in(net: Net, master: Device, device: Device, port: BondPort) -> None:
    """MTU, MAC, IFF_SLAVE, open. In the messages of these steps the device has no master yet."""
    bond = bond_of(master)
    try:
        set_mtu(net, device, master.mtu)
    except Refused as error:
        raise Refused(error.code) from None
    try:
        if not (bond.mode == ACTIVE_BACKUP and bond.fail_over_mac):
            set_mac(net, device, master.mac)
        device.slave = True
        open_(net, device, INTERNAL)
    except Refused as error:
        device.slave = False
        set_mtu(net, device, port.original_mtu)
        raise Refused(error.code) from None


def release(net: Net, master: Device, device: Device, unregistering: bool = False) -> None:
    """__bond_release_one(): out of the bond, another one becomes active at once, and the device is closed."""
    bond = bond_of(master)
    port = _detach(net, master, device)
    if not bond.slaves:
        master.assigned = "random"
        master.mac = net.system.random_mac()
        net.announce_link(master)
        net.announce_link(master)
    if not unregistering:
        close(net, device, INTERNAL)
    if not (bond.mode == ACTIVE_BACKUP and bond.fail_over_mac == FOM_ACTIVE):
        set_mac(net, device, port.perm)
    if device.mtu != port.original_mtu:
        device.mtu = port.original_mtu
        if not unregistering:
            net.announce_link(device)
    if bond.slaves:
        net.announce_link(master)


def _detach(net: Net, master: Device, device: Device) -> BondPort:
    bond, port = bond_of(master), device.port
    if port is None:
        raise TypeError(f"{device.name} is no slave")
    set_state(net, device, n.BOND_STATE_BACKUP)
    bond.slaves.remove(device)
    if bond.primary is device:
        bond.primary = None
    device.master = device.port = None
    net.announce_link(device)
    device.slave = False
    if bond.active is device:
        change_active(net, master, None)
        select(net, master)
    set_carrier(net, master)
    return port


def bond_follows(net: Net, event: Event, device: Device) -> None:
    """bond_slave_netdev_event(): a slave that vanishes is released at once; a renamed primary is forgotten."""
    if device.master is None or device.port is None:
        return
    if event is Event.UNREGISTER:
        release(net, device.master, device, unregistering=True)
    elif event is Event.CHANGENAME and bond_of(device.master).primary is device:
        bond_of(device.master).primary = None
        select(net, device.master)
