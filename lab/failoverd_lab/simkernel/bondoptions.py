"""A bond's options as IFLA_INFO_DATA sets them: when each may be set, and the kernel's text where it may not.

Follows bond_changelink() in bond_netlink.c for the order and bond_options.c for the rest.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from failoverd_lab.simkernel import bondelect, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.net import Net
from failoverd_lab.simkernel.state import Device, Refused

INVALID = "invalid option value"
HAS_SLAVES = "unable to set option because the bond device has slaves"
IS_UP = "unable to set option because the bond is up"
WRONG_MODE = "option not supported in mode"
INT_MAX = 0x7FFFFFFF


def apply(net: Net, device: Device, data: bytes) -> None:
    """Set the given options, in the kernel's order; those before a refusal stay set. Raises Refused."""
    options = wire.table(data)
    for kind, setter in SETTERS.items():
        if kind in options:
            setter(net, device, wire.number(options[kind]))


def _plain(field: str, highest: int, lowest: int = 0) -> Callable[[Net, Device, int], None]:
    """Return the setter of an option that is a number and may be set at any time."""

    def setter(_net: Net, device: Device, value: int) -> None:
        if not lowest <= value <= highest:
            raise Refused(errno.EINVAL, INVALID)
        setattr(bondelect.bond_of(device), field, value)

    return setter


def _mode(net: Net, device: Device, value: int) -> None:
    _no_slaves(device)
    if device.up:
        raise Refused(errno.EBUSY, IS_UP)
    _plain("mode", 6)(net, device, value)


def _fail_over_mac(net: Net, device: Device, value: int) -> None:
    _no_slaves(device)
    _plain("fail_over_mac", 2)(net, device, value)


def _miimon(net: Net, device: Device, value: int) -> None:
    _plain("miimon", INT_MAX)(net, device, value)
    bondelect.start_monitor(net, device)


def _active_slave(net: Net, device: Device, index: int) -> None:
    bond = bondelect.bond_of(device)
    slave = net.devices.get(index)
    if index and slave is None:
        raise Refused(errno.ENODEV)
    if bond.mode not in (1, 5, 6):
        raise Refused(errno.EACCES, WRONG_MODE)
    if slave is not None and slave not in bond.slaves:
        raise Refused(errno.EINVAL, INVALID)
    try:
        bondelect.choose(net, device, slave)
    except Refused:
        raise Refused(errno.EINVAL, INVALID) from None


def _primary(net: Net, device: Device, index: int) -> None:
    bond = bondelect.bond_of(device)
    bond.primary = next((slave for slave in bond.slaves if slave.index == index), None)
    bondelect.select(net, device, force=True)


def _primary_reselect(net: Net, device: Device, value: int) -> None:
    _plain("primary_reselect", 2)(net, device, value)
    bondelect.select(net, device)


def _no_slaves(device: Device) -> None:
    if bondelect.bond_of(device).slaves:
        raise Refused(errno.ENOTEMPTY, HAS_SLAVES)


SETTERS: dict[int, Callable[[Net, Device, int], None]] = {
    n.IFLA_BOND_MODE: _mode,
    n.IFLA_BOND_ACTIVE_SLAVE: _active_slave,
    n.IFLA_BOND_MIIMON: _miimon,
    n.IFLA_BOND_UPDELAY: _plain("updelay", INT_MAX),
    n.IFLA_BOND_DOWNDELAY: _plain("downdelay", INT_MAX),
    n.IFLA_BOND_PEER_NOTIF_DELAY: _plain("peer_notif_delay", 300_000),
    n.IFLA_BOND_PRIMARY: _primary,
    n.IFLA_BOND_PRIMARY_RESELECT: _primary_reselect,
    n.IFLA_BOND_FAIL_OVER_MAC: _fail_over_mac,
    n.IFLA_BOND_NUM_PEER_NOTIF: _plain("num_peer_notif", 255),
    n.IFLA_BOND_ALL_SLAVES_ACTIVE: _plain("all_slaves_active", 1),
    n.IFLA_BOND_LP_INTERVAL: _plain("lp_interval", INT_MAX, lowest=1),
}
"""The setters by attribute, in bond_changelink()'s order."""
