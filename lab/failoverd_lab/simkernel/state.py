"""The simulated kernel's state: devices, ports, addresses, routes. Plain records; the code that changes them is
elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.tcstate import Qdisc
from failoverd_lab.simkernel.timers import Timer

if TYPE_CHECKING:
    from failoverd_lab.simkernel.net import Net


class Refused(Exception):  # noqa: N818  (it is an answer, not a fault)
    """A request that the kernel refuses: the errno, and the ext-ack text where the real kernel has one."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


@dataclass(eq=False, slots=True)
class Address:
    """An address on a device. Times are the kernel clock's (seconds); None means never."""

    family: int
    local: bytes
    prefixlen: int
    scope: int
    flags: int = 0
    address: bytes = b""
    label: str = ""
    broadcast: bytes = b""
    metric: int = 0
    proto: int = 0
    created: float = 0.0
    updated: float = 0.0
    preferred_until: float | None = None
    valid_until: float | None = None

    @property
    def secondary(self) -> bool:
        """Whether an older address of the same subnet is the primary one (IPv4)."""
        return bool(self.flags & n.IFA_F_SECONDARY)

    @property
    def tentative(self) -> bool:
        """Whether duplicate address detection is still under way (IPv6)."""
        return bool(self.flags & n.IFA_F_TENTATIVE)


@dataclass(eq=False, slots=True)
class Bond:
    """The options of a bond and its slaves in order. Times in milliseconds, as bonding counts them."""

    mode: int = 0
    miimon: int = 0
    updelay: int = 0
    downdelay: int = 0
    fail_over_mac: int = 0
    num_peer_notif: int = 1
    all_slaves_active: int = 0
    peer_notif_delay: int = 0
    lp_interval: int = 1
    primary: Device | None = None
    primary_reselect: int = 0
    slaves: list[Device] = field(default_factory=list)
    active: Device | None = None
    announcements_left: int = 0
    monitor: Timer | None = None


@dataclass(eq=False, slots=True)
class BridgeOptions:
    """A bridge's options; `forward_delay` in hundredths of a second."""

    forward_delay: int = 1500
    stp: int = 0
    vlan_filtering: int = 0


@dataclass(eq=False, slots=True)
class BondPort:
    """A bond's view of one of its slaves; `link` is the monitor's last opinion, not the carrier itself."""

    perm: bytes
    original_mtu: int
    state: int = n.BOND_STATE_BACKUP
    link: int = n.BOND_LINK_DOWN
    failures: int = 0


@dataclass(eq=False, slots=True)
class Device:
    """A network device. `carrier` is netif_carrier_ok(), `medium` the other end of a NIC's wire.

    `operstate` follows the carrier only when the link watch has run. `assigned` is the origin of its MAC
    (addr_assign_type): "permanent", "random", "set" by a request, or "stolen" from a slave. `conf` has its sysctls
    (conf.py). `lower` is what a VLAN, a macvlan or an ipvlan stands on, `vlan_id` is a VLAN's, `options` is the
    IFLA_INFO_DATA of the kinds in uppers.py, `peer` is a veth's other end. `gen_mode` is IN6_ADDR_GEN_MODE_*,
    `xdp` XDP_ATTACHED_*. `net` is its namespace; those of `lower` and `peer` may be others.
    """

    net: Net = field(init=False)
    index: int
    name: str
    mac: bytes
    kind: str = ""
    flags: int = n.IFF_BROADCAST | n.IFF_MULTICAST
    type: int = n.ARPHRD_ETHER
    perm: bytes = b""
    bus: str = ""
    parent: str = ""
    driver: str = ""
    mtu: int = 1500
    min_mtu: int = 68
    max_mtu: int = 65535
    medium: bool = False
    carrier: bool = False
    operstate: int = n.IF_OPER_DOWN
    registered: bool = False
    watched: bool = False
    ups: int = 0
    downs: int = 0
    assigned: str = "permanent"
    altnames: list[str] = field(default_factory=list)
    master: Device | None = None
    port: BondPort | None = None
    slave: bool = False
    bond: Bond | None = None
    ports: list[Device] = field(default_factory=list)
    forwarding: bool = False
    lower: Device | None = None
    vlan_id: int = 0
    options: list[bytes] = field(default_factory=list)
    peer: Device | None = None
    bridge: BridgeOptions | None = None
    gen_mode: int = n.IN6_ADDR_GEN_MODE_EUI64
    token: bytes = bytes(16)
    ipv6_ready: bool = False
    conf: dict[str, int] = field(default_factory=dict)
    queue_length: int = 1000
    group: int = 0
    alias: str = ""
    xdp: int = n.XDP_ATTACHED_NONE
    xdp_program: int = 0
    root: Qdisc = field(default_factory=Qdisc)
    ingress: Qdisc = field(default_factory=Qdisc)
    ingress_queue: bool = False
    v4: list[Address] = field(default_factory=list)
    v6: list[Address] = field(default_factory=list)

    @property
    def up(self) -> bool:
        """IFF_UP."""
        return bool(self.flags & n.IFF_UP)

    @property
    def running(self) -> bool:
        """Whether frames can pass: up, and with a carrier."""
        return self.up and self.carrier

    def reported_flags(self) -> int:
        """dev_get_flags(): IFF_RUNNING and IFF_LOWER_UP are computed."""
        flags = self.flags | (n.IFF_SLAVE if self.slave else 0)
        if self.up and self.operstate in (n.IF_OPER_UP, n.IF_OPER_UNKNOWN):
            flags |= n.IFF_RUNNING
        return flags | (n.IFF_LOWER_UP if self.running else 0)


@dataclass(frozen=True, slots=True)
class Hop:
    """One next hop; `gateway` is b"" for a route on the link."""

    oif: int
    gateway: bytes = b""
    flags: int = 0
    weight: int = 0


@dataclass(eq=False, slots=True)
class Route:
    """A route; one hop, or several for multipath. `dst` has as many bytes as the family's addresses."""

    family: int
    dst: bytes
    dst_len: int
    table: int
    protocol: int
    scope: int
    type: int
    hops: tuple[Hop, ...] = ()
    tos: int = 0
    priority: int = 0
    prefsrc: bytes = b""
    metrics: bytes = b""
    pref: int = 0
    expires: float | None = None

    def leads_through(self, index: int) -> bool:
        """Return whether any hop leaves by this device."""
        return any(hop.oif == index for hop in self.hops)

    def same_place(self, other: Route) -> bool:
        """Return whether table, prefix and TOS are the same: the key of the routing tables."""
        return (self.family, self.table, self.dst, self.dst_len, self.tos) == (
            (other.family, other.table, other.dst, other.dst_len, other.tos)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A neighbour, or with `proxy` an address that the machine answers for."""

    index: int
    family: int
    dst: bytes
    proxy: bool
    state: int = 0
    lladdr: bytes = b""


@dataclass(frozen=True, slots=True)
class Label:
    """An address label."""

    index: int
    prefix: bytes
    length: int
    label: int
