"""The material of histories: the kinds of events with their weights, and the values to draw from."""

from __future__ import annotations

import errno

from failoverd_lab.simkernel import uapi as n

MACS = ("52:54:00:fa:11:01", "52:54:00:fa:11:02", "52:54:00:fa:11:03")
FOREIGN_MAC = "52:54:00:99:99:99"
NAMES = (
    "lan0", "ens3", "ens4", "ens3nsby", "ens5", "ens6", "eth0", "ens3vf", "fo525400fa1102", "fs525400fa1101",
    "ens5nsby", "ens3-standby",
)  # fmt: skip
"""Names that other programs give to devices: of NICs, of masters and slaves, and some that failoverd uses in
passing."""
GUESTS = ("foo", "enp1s0", "lan0", "ens3nsby", "ens3-standby", "fo-x")
"""Alternative names that other programs give."""
ADDRESSES = (
    "10.9.{p}.4/24", "10.0.{p}.77/24", "192.168.{p}.1/32", "10.0.{p}.2/16", "169.254.{p}.9/16",
    "fd00:{p}::77/64", "fd00:99:{p}::1/64", "fe80::{p}:9/64",
)  # fmt: skip
ROUTES = (
    ("10.50.{p}.0/24", "10.0.{p}.1"),
    ("10.51.{p}.0/24", ""),
    ("10.52.{p}.0/24", "10.0.{p}.1"),
    ("fd00:50:{p}::/64", "fd00:{p}::1"),
)
CALLS = {"drain": 3, "undrain": 2, "switch": 2, "release": 2, "adopt": 3, "rename": 2}
"""The orders of administrators, and their weights."""

ERRNOS = (
    errno.EBUSY, errno.EINVAL, errno.ENODEV, errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP, errno.ENOMEM, errno.ENOBUFS,
    errno.EAGAIN, errno.EINTR, errno.ENOSPC, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOENT,
    errno.ESRCH, errno.EACCES, errno.ENOTEMPTY, errno.ERANGE, errno.EIO, errno.EMSGSIZE,
)  # fmt: skip
"""The errors with which rtnetlink, bonding and drivers refuse."""
REFUSABLE = (
    n.RTM_NEWLINK, n.RTM_DELLINK, n.RTM_SETLINK, n.RTM_NEWADDR, n.RTM_DELADDR, n.RTM_NEWROUTE, n.RTM_DELROUTE,
    n.RTM_NEWQDISC, n.RTM_DELQDISC, n.RTM_NEWTFILTER, n.RTM_DELTFILTER, n.RTM_NEWLINKPROP, n.RTM_DELLINKPROP,
)  # fmt: skip

WEIGHTS: dict[str, float] = {
    "plug": 6, "unplug": 5, "carrier": 6, "flap": 3, "admin": 4, "bounce": 2, "rename": 3, "swap": 1, "grab": 2,
    "ungrab": 2, "compete": 1, "free": 2, "mtu": 2, "address": 4, "no-address": 2, "route": 2, "no-route": 1,
    "bond-option": 2, "altname": 1, "no-altname": 1, "no-master": 1, "mac": 1, "vlan": 1, "no-vlan": 1, "qdisc": 1,
    "filter": 1, "xdp": 1, "refuse": 2, "overrun": 2, "tiny": 1, "late": 1, "reorder": 1, "dumps": 1, "disk": 1,
    "unsendable": 1, "unheard": 1, "udev-slow": 1, "kill": 2, "kill-in": 3, "ambush": 3, "stop": 1, "start": 4,
    "restart": 2, "jump": 1, "suspend": 1, "reload": 1, "no-bond": 0.5, "order": 6, "foreign-option": 0.5,
}  # fmt: skip
"""The weight of each kind of event."""

RUDE = frozenset({
    "bond-option", "no-altname", "no-master", "mac", "qdisc", "filter", "xdp", "refuse", "grab", "compete", "no-bond",
})  # fmt: skip
"""Interference of other programs with failoverd's devices. Nearly half of the histories have none: they are judged
harder."""
