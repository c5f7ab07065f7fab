"""What the kernel says of a network device, and of the bond it may be or be in."""

from __future__ import annotations

from dataclasses import dataclass, field

IFNAMSIZ = 15
"""Longest device name in bytes (linux/if.h: IFNAMSIZ is 16 with its NUL)."""

ETHER = 1
"""ARPHRD_ETHER, the only hardware type that is ever paired."""


@dataclass(frozen=True, slots=True)
class Bond:
    """A bond's options, as IFLA_INFO_DATA tells them (linux/if_link.h, IFLA_BOND_*).

    `active` is the ifindex of the active slave, 0 for none; `miimon` is in milliseconds; `mode` 1 is
    active-backup; `fail_over_mac` 1 is "active": the bond follows its slaves and writes no slave's MAC. `hears_both`:
    it takes in what comes to a slave that does not carry, too.
    """

    mode: int = 0
    active: int = 0
    miimon: int = 0
    fail_over_mac: int = 0
    primary: int = 0
    hears_both: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A tc filter on a device's clsact (or ingress) qdisc: on which `hook` ("ingress", "egress"), at which priority.

    `redirect` is the ifindex of the device it sends everything to, 0 for a filter that does anything else. `ours` says
    that it bears failoverd's cookie.
    """

    hook: str
    pref: int
    handle: int
    kind: str
    redirect: int = 0
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Tc:
    """What traffic control does on a device: the kind of the qdisc in the ingress slot ("clsact", "ingress", ""), the
    kind of a root qdisc somebody put there ("" for the kernel's own), and the filters."""

    slot: str = ""
    root: str = ""
    filters: frozenset[Filter] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """One network device as last seen in RTM_NEWLINK; MACs are lower-case with colons, "" for none.

    `up` is IFF_UP (what an administrator asked for), `carrier` is IFF_LOWER_UP (what the medium says).
    `kind` is rtnl's ("" for hardware), `bus` and `parent` are IFLA_PARENT_DEV_BUS_NAME and _NAME, `driver`
    is what ethtool calls it. `link` is the device below (a VLAN's, a macvlan's), `master` the one above; 0 for
    none. `mii_up` is the bond's own opinion of a slave (IFLA_BOND_SLAVE_MII_STATUS), true for anything else.
    `carrier_losses` is how often it has lost its carrier (IFLA_CARRIER_DOWN_COUNT), seen or not. `link_local` says that
    the kernel gives it an IPv6 link-local address by itself, `xdp` that an XDP program is on it. `promiscuous` is what
    an administrator asked for, `promiscuity` for how many it takes in every frame: a capture, a bridge.
    """

    ifindex: int
    name: str
    mac: str = ""
    perm_mac: str = ""
    up: bool = False
    carrier: bool = False
    mtu: int = 1500
    max_mtu: int = 0
    master: int = 0
    link: int = 0
    kind: str = ""
    slave_kind: str = ""
    bus: str = ""
    parent: str = ""
    driver: str = ""
    hardware: int = ETHER
    mii_up: bool = True
    bond: Bond | None = None
    altnames: frozenset[str] = field(default_factory=frozenset)
    standby_feature: bool = False
    carrier_losses: int = 0
    all_multicast: bool = False
    promiscuous: bool = False
    promiscuity: int = 0
    link_local: bool = False
    xdp: bool = False
    tc: Tc = field(default_factory=Tc)
