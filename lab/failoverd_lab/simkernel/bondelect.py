"""Select the active slave of a bond, and report it (drivers/net/bonding/bond_main.c of 6.1).

The simulated kernel supports active-backup with miimon, the mode that failoverd uses. Other modes have no active slave
here, and updelay and downdelay are kept but not waited for. A slave's `port.link` is the monitor's opinion as of its
last tick, and the kernel goes by it: between a carrier loss and the tick, a slave without carrier is still "up".
"""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.devices import mac_changed
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Bond, Device, Refused

ACTIVE_BACKUP = n.BOND_MODE_ACTIVEBACKUP
RESELECT_ALWAYS = 0
FOM_ACTIVE = 1
"""fail_over_mac=active: the bond takes its active slave's MAC, and a slave's MAC is never written."""


def bond_of(device: Device) -> Bond:
    """Return the bond's part of a device that is known to be a bond."""
    if device.bond is None:
        raise TypeError(f"{device.name} is no bond")
    return device.bond


def select(net: Net, master: Device, force: bool = False) -> None:
    """bond_select_active_slave(). `force` is for a primary that was just named."""
    bond = bond_of(master)
    if bond.mode != ACTIVE_BACKUP:
        return
    best = _best(bond, net.release, force)
    if best is not bond.active:
        change_active(net, master, best)
        set_carrier(net, master)


def choose(net: Net, master: Device, device: Device | None) -> None:
    """bond_option_active_slave_set(). Raises Refused for a slave the monitor holds for down."""
    bond = bond_of(master)
    if device is None:
        change_active(net, master, None)
        select(net, master)
        return
    if device is bond.active:
        return
    port = device.port
    if port is None or bond.active is None or port.link != n.BOND_LINK_UP or not device.running:
        raise Refused(errno.EINVAL)
    change_active(net, master, device)


def start_monitor(net: Net, master: Device) -> None:
    """bond_work_init_all(): the first look at once, then every miimon milliseconds."""
    bond = bond_of(master)
    if bond.monitor is not None:
        bond.monitor.cancel()
    if bond.miimon and master.up:
        bond.monitor = net.timers.at(net.now, lambda: _tick(net, master))


def _tick(net: Net, master: Device) -> None:
    """bond_mii_monitor()."""
    bond = bond_of(master)
    bond.monitor = net.timers.at(net.now + bond.miimon / 1000, lambda: _tick(net, master))
    failed = [s for s in bond.slaves if s.port and s.port.link == n.BOND_LINK_UP and not s.running]
    back = [s for s in bond.slaves if s.port and s.port.link == n.BOND_LINK_DOWN and s.running]
    for slave in failed:
        _set_link(net, slave, n.BOND_LINK_DOWN)
        set_state(net, slave, n.BOND_STATE_BACKUP)
    for slave in back:
        _set_link(net, slave, n.BOND_LINK_UP)
    if bond.active in failed or (back and (bond.active is None or bond.primary in back)):
        select(net, master)
    else:
        _announce(net, master)
    set_carrier(net, master)


def _best(bond: Bond, release: tuple[int, int], force: bool) -> Device | None:
    """bond_find_best_slave() and bond_choose_primary_or_current().

    Since 6.0 each slave has a priority, and with equal priorities the first slave that is up counts as the preferred
    one. So whenever the kernel reconsiders (a slave comes, the active one goes), another active slave has to give way
    to it, unless primary_reselect is "failure".
    """
    up = [slave for slave in bond.slaves if slave.port and slave.port.link == n.BOND_LINK_UP]
    current = bond.active if bond.active in up else None
    first = next((slave for slave in up if slave.up), None)
    preferred = bond.primary if bond.primary in up else first if release >= (6, 0) else None
    if current is None:
        return preferred or first
    if preferred is None or (bond.primary_reselect != RESELECT_ALWAYS and not force):
        return current
    return preferred


def change_active(net: Net, master: Device, new: Device | None) -> None:
    """bond_change_active_slave()."""
    bond = bond_of(master)
    old, bond.active = bond.active, new
    if old is not None:
        set_state(net, old, n.BOND_STATE_BACKUP)
    if new is None:
        return
    set_state(net, new, n.BOND_STATE_ACTIVE)
    if bond.fail_over_mac == FOM_ACTIVE:
        take_mac(net, master, new)
    net.announce_link(master)
    if master.up:
        bond.announcements_left = bond.num_peer_notif * _spacing(bond)
        _announce(net, master)


def _spacing(bond: Bond) -> int:
    """Return the monitor ticks between two announcements (peer_notif_delay)."""
    return max(1, bond.peer_notif_delay // max(1, bond.miimon))


def _announce(net: Net, master: Device) -> None:
    """bond_should_notify_peers(): not before the bond has a carrier, nor while the slave's carrier change is still
    unreported."""
    bond = bond_of(master)
    if bond.active is None or not bond.announcements_left or not master.carrier or bond.active.watched:
        return
    turn = bond.announcements_left % _spacing(bond) == 0
    bond.announcements_left -= 1
    if turn:
        net.announce_link(master)
        net.call(Event.NOTIFY_PEERS, master)


def take_mac(net: Net, master: Device, slave: Device) -> None:
    master.mac, master.assigned = slave.mac, "stolen"
    mac_changed(net, master)


def set_carrier(net: Net, master: Device) -> None:
    """bondset_carrier(): on while any slave is up in the monitor's opinion."""
    slaves = bond_of(master).slaves
    net.watch.set_carrier(master, any(s.port and s.port.link == n.BOND_LINK_UP for s in slaves))


def set_state(net: Net, slave: Device, state: int) -> None:
    if slave.port is not None and slave.port.state != state:
        slave.port.state = state
        net.announce_link(slave)


def _set_link(net: Net, slave: Device, link: int) -> None:
    if slave.port is not None:
        slave.port.link = link
        slave.port.failures += link == n.BOND_LINK_DOWN
        net.announce_link(slave)
