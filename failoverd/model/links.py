"""Network devices as the kernel describes them, and their tc filters."""

from __future__ import annotations

from failoverd.dataclass import dataclass
from failoverd.kinds import Info

IFNAMSIZ = 15
"""Longest device name in bytes (linux/if.h: IFNAMSIZ is 16 with its NUL)."""

ETHER = 1
"""ARPHRD_ETHER, the only hardware type that is paired."""

PEERS = frozenset({"veth", "netkit", "vxcan"})
"""Kinds whose `link` is the other end, not a lower device."""

BYSTANDERS = frozenset({"veth", "netkit", "dummy", "ifb", "tun", "wireguard", "nlmon"})
"""Kinds of devices that are in no pair, have no lower device and are no master: those of containers, virtual machines
and VPNs. failoverd knows only that they exist, and their names.
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """A tc filter on a device's clsact (or ingress) qdisc, at one `hook` ("ingress", "egress") and one priority.

    `redirect` is the ifindex of the device that it sends everything to, 0 for a filter that does anything else or whose
    device is gone. `ours` says that it bears failoverd's cookie.
    """

    hook: str
    pref: int
    handle: int
    kind: str
    redirect: int = 0
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Tc:
    """The traffic control of a device.

    `slot` is the kind of the qdisc in the ingress slot ("clsact", "ingress", ""). `root` is the kind of a root qdisc
    that another program has set, "" for the kernel's default.
    """

    slot: str = ""
    root: str = ""
    filters: frozenset[Filter] = frozenset()


@dataclass(frozen=True, slots=True)
class Qdisc:
    """A root qdisc that can be made again as it is: without classes, and without filters."""

    kind: str
    handle: int
    options: bytes = b""
    """TCA_OPTIONS, as the kernel tells them."""

    def __str__(self) -> str:
        """the qdisc fq"""
        return f"the qdisc {self.kind}"


NO_NAMES: frozenset[str] = frozenset()
NO_TC = Tc()
"""Shared by all links: a machine may have thousands of them, and an empty set of its own takes as much memory as a
link.
"""


@dataclass(frozen=True, slots=True)
class Link:
    """One network device as in its last RTM_NEWLINK. MACs are in lower case with colons, "" for none.

    State: `up` is IFF_UP (the administrator's wish), `carrier` is IFF_LOWER_UP (the medium's state), `operational` says
    that the whole kernel has been told of its carrier (IFLA_OPERSTATE; the link watch does that, later), `medium` is
    IFLA_CARRIER, which some drivers know also while the device is down. `mii_up` is the bond's own opinion of a slave
    (IFLA_BOND_SLAVE_MII_STATUS), true for any other device. `carrier_losses` is the number of times it has lost its
    carrier (IFLA_CARRIER_DOWN_COUNT), seen or not.

    Kind: `kind` is rtnl's ("" for hardware), `info` the options of the kinds that have a file in kinds/ (None for
    BYSTANDERS, of which only the necessary is read), `bus` and `parent` are IFLA_PARENT_DEV_BUS_NAME and _NAME,
    `driver` is the name that ethtool reports. `link` is the lower device (of a VLAN, of a macvlan), `master` the upper
    one; 0 for none.

    `link_local` says that the kernel gives it an IPv6 link-local address by itself, `xdp` that an XDP program is
    attached. `promiscuous` is the administrator's wish, `promiscuity` the number of users for which it takes in every
    frame: a capture, a bridge.
    """

    ifindex: int
    name: str
    mac: str = ""
    perm_mac: str = ""
    up: bool = False
    carrier: bool = False
    operational: bool = True
    medium: bool = True
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
    info: Info | None = None
    altnames: frozenset[str] = NO_NAMES
    standby_feature: bool = False
    carrier_losses: int = 0
    all_multicast: bool = False
    promiscuous: bool = False
    promiscuity: int = 0
    link_local: bool = False
    xdp: bool = False
    tc: Tc = NO_TC
