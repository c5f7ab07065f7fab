"""The facts about an interface: the nouns of the inventory."""

from __future__ import annotations

from failoverd.dataclass import dataclass

NO_NAMES: tuple[str, ...] = ()

OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
"""IFLA_OPERSTATE (linux/if.h, IF_OPER_*) in libvirt's words, which are sysfs's."""


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """A bridge's options."""

    stp: bool = False
    """Whether it runs the spanning tree protocol, the kernel's or another program's."""

    forward_delay: int = 1500
    """In hundredths of a second."""


@dataclass(frozen=True, slots=True)
class BondOptions:
    """A bond's options; times in milliseconds."""

    mode: str = ""
    """In the kernel's word, "" for one that is unknown here."""

    primary: int = 0
    """The ifindex of the preferred slave, 0 for none."""

    miimon: int = 0
    updelay: int = 0
    downdelay: int = 0

    netif_carrier: bool = True
    """Whether the carrier comes from the driver's notifications (use_carrier), and not from an ioctl."""

    arp_interval: int = 0

    arp_validate: str = ""
    """none, active, backup, all; "" for one that libvirt has no word for."""

    arp_target: str = ""
    """The first IPv4 target, "" for none."""


@dataclass(frozen=True, slots=True)
class VlanOptions:
    """A VLAN's options."""

    id: int = 0


Options = BridgeOptions | BondOptions | VlanOptions


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as last seen in RTM_NEWLINK; MACs are lower-case with colons, of any length, "" for none."""

    ifindex: int
    name: str
    """Bytes that are not UTF-8 are kept as surrogates."""

    kind: str = ""
    """rtnl's kind, "" for hardware and lo."""

    mac: str = ""
    permanent_mac: str = ""

    up: bool = False
    """IFF_UP: what an administrator asked for."""

    running: bool = False
    """IFF_RUNNING: operstate is up or unknown."""

    carrier: bool = False
    """IFF_LOWER_UP."""

    operstate: str = "unknown"
    mtu: int = 0

    master: int = 0
    """The ifindex of the bridge, bond or VRF it is a part of; 0 for none."""

    lower: int = 0
    """The ifindex of the interface it stands on; 0 for none, and for one in another network namespace."""

    altnames: tuple[str, ...] = NO_NAMES
    options: Options | None = None

    @property
    def is_active(self) -> bool:
        """netcf's rule: up and running. A bridge is active while it is up, also without a port that has a carrier."""
        return self.up and (self.running or self.kind == "bridge")


@dataclass(frozen=True, slots=True)
class IpAddress:
    """An interface's own address (not its peer's)."""

    family: int
    """4 or 6."""

    text: str
    prefix: int
    """Bits, as in the kernel."""

    from_router: bool = False
    """Whether a router advertisement made it."""


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """One default route of table main: a multipath route is several of them."""

    family: int
    """4 or 6."""

    ifindex: int
    """0 if a nexthop object has it."""

    metric: int = 0

    gateway: str = ""
    """An address, of IPv6 also if the family is 4 (RTA_VIA); "" for a route without one."""

    source: str = ""
    """RTA_PREFSRC: the kernel drops the route with this address. "" for none."""

    protocol: int = 0
    """RTPROT_*: the origin of the route."""

    nexthop: int = 0
    """The id of its nexthop object, 0 for none."""


RTPROT_RA, RTPROT_DHCP = 9, 16
