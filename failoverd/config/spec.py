"""The configuration as the other rooms read it: frozen, each key with its type, default and meaning.

This is the one table of keys. The reader, the reference page, the example file and the reload's log line are all
derived from it (see `keys`), so a key that is added here is known, checked and documented everywhere. The module is
long because it has one row a key. `Config()` is the configuration of a machine without any file.

The defaults stand where a reader of the code expects them, and mypy knows each key by its type; the price is
`Annotated`, which is why this module must not postpone its annotations.
"""

from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

from failoverd.config.keys import Key
from failoverd.config.kinds import Choice, Flag, Seconds, Suffix, Text, Whole, Words
from failoverd.config.patterns import Pattern
from failoverd.dataclass import dataclass

if TYPE_CHECKING:
    from failoverd.model.declared import Declared
    from failoverd.model.residence import Residences


@dataclass(frozen=True, slots=True)
class Master:
    """When a pair gets a master, the device that carries the IP configuration."""

    create: Annotated[
        str,
        Key(
            Choice(("remembered", "always", "paired")),
            'When a master is made. "remembered": when a pair is first seen, and from then on at every '
            'start, VF or no VF. "always": for every paravirtual NIC, so that a VF that comes later needs '
            'no adoption. "paired": only while a VF is seen.',
        ),
    ] = "remembered"
    datapath: Annotated[
        str,
        Key(
            Choice(("auto", "bond", "tc")),
            'How a pair is joined. "bond": by the kernel\'s bonding driver, which carries on by itself while '
            'failoverd is away. "tc": the paravirtual NIC stays the master, and its traffic is redirected to the '
            'VF by traffic control; needs no bonding, and needs failoverd to be there when the VF goes. "auto": '
            "bond; and tc where the kernel has no bonding, or where what configures the machine could not follow to a "
            "bond: NetworkManager is enabled or runs, the file by which systemd-networkd configures the NIC would not "
            "match a bond, nor would a pattern of ifupdown, or a DHCP client (dhclient, dhcpcd, udhcpc) runs on its "
            "own; or where a bond could not be what the NIC is, or something hangs on that. What is joined already "
            "stays as it is.",
        ),
    ] = "auto"


@dataclass(frozen=True, slots=True)
class Tc:
    """The redirection by traffic control, where a pair is joined that way."""

    carrier_poll: Annotated[
        float,
        Key(
            Seconds(0.005, 1),
            "How often the carrier of a VF that carries traffic is looked at. The kernel tells of a lost carrier up "
            "to a second late there.",
        ),
    ] = 0.02


@dataclass(frozen=True, slots=True)
class Announce:
    """Telling the neighbours, where the kernel does not do it itself (a bond does)."""

    times: Annotated[
        int,
        Key(
            Whole(0, 255),
            "How many times every address is announced (gratuitous ARP, unsolicited neighbour advertisement) after "
            "each change of the way traffic takes, 0.1 s apart. 0 announces none.",
        ),
    ] = 1


@dataclass(frozen=True, slots=True)
class KernelFailover:
    """Pairs the kernel has joined itself (net_failover), where the hypervisor offers the standby feature."""

    close_hole: Annotated[
        bool,
        Key(
            Flag(),
            "While a VF is plugged in and has no carrier, the kernel drops everything that comes in. With true, "
            "failoverd hands what the standby receives to the master meanwhile, by a tc filter. With false it "
            "only says that the pair is degraded.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Bond:
    """The kernel bond that a master is."""

    miimon: Annotated[
        int,
        Key(
            Whole(10, 10_000, "milliseconds"),
            "How often the bond itself looks at its slaves' carrier. The daemon acts on the kernel's events "
            "and is faster; this is the safety net while the daemon is not running.",
        ),
    ] = 100
    peer_notifications: Annotated[
        int,
        Key(
            Whole(0, 255),
            "How many gratuitous ARPs and unsolicited neighbour advertisements the bond sends after each "
            "change of its active slave (num_grat_arp and num_unsol_na). 0 sends none: peers and switches "
            "then find the guest's new path late.",
        ),
    ] = 1


@dataclass(frozen=True, slots=True)
class Failback:
    """The way back to the VF."""

    automatic: Annotated[
        bool,
        Key(
            Flag(),
            "Whether traffic goes back to the VF by itself. With false it stays on the paravirtual NIC "
            "until that one fails.",
        ),
    ] = True
    hold_down: Annotated[
        float,
        Key(
            Seconds(0, 3600),
            "How long a VF must have shown a steady carrier before traffic goes back to it. Each loss of "
            "carrier starts the wait anew.",
        ),
    ] = 1.0


@dataclass(frozen=True, slots=True)
class Damping:
    """A VF that flaps is left to the paravirtual NIC until it has been steady. Each failure of the VF counts 1000."""

    enabled: Annotated[
        bool,
        Key(
            Flag(),
            "Whether flaps are damped. A failure is a lost carrier, also one that only the kernel has counted, an "
            "unplug, or whatever else keeps the VF from carrying; what is done under a drain is none. With false "
            "every failure is followed, and [failback] hold_down alone delays the way back.",
        ),
    ] = True
    half_life: Annotated[
        float,
        Key(
            Seconds(1, 86_400),
            "The time in which what a failure counts for halves. With the defaults, failures 79 s or farther apart "
            "never come to anything.",
        ),
    ] = 300.0
    suppress: Annotated[
        int,
        Key(
            Whole(1000, 1_000_000),
            "With more than this the VF does not carry any more as long as the paravirtual NIC can. With the default "
            "that is the seventh failure in quick succession (RFC 7196 advises 6000 at least), so a VF that flaps "
            "all the time costs 13 switches.",
        ),
    ] = 6000
    reuse: Annotated[
        int,
        Key(
            Whole(1, 1_000_000),
            "When no more than this is left, the VF carries again after its hold-down. Less than suppress. With the "
            "defaults that is so 10 to 15 minutes after the last failure.",
        ),
    ] = 1500
    max_suppress: Annotated[
        float,
        Key(
            Seconds(1, 86_400),
            "How long after its last failure a VF is kept from carrying at the longest, however often it has failed. "
            "Long enough that the penalty could fall from suppress to reuse.",
        ),
    ] = 900.0


@dataclass(frozen=True, slots=True)
class Path:
    """Path truth: whether anything answers through each slave, as a link may be up and lead nowhere. Off by default."""

    enabled: Annotated[
        bool,
        Key(
            Flag(),
            "Whether targets are asked for (by ARP, or neighbour solicitation) through both slaves. When only one "
            "slave's path answers, that one carries; when neither does, nothing changes. The slave that does not "
            "carry asks from a MAC of its own, the pair's with some bits of the first byte changed, so that switches "
            "do not learn the pair's MAC there. A host that lets no other MAC through (spoof checking, port security) "
            "keeps such a slave's path unknown: it is taken for good, and once its path was dead it is left until its "
            "link has been down or another VF is plugged in.",
        ),
    ] = False
    targets: Annotated[
        tuple[str, ...],
        Key(
            Words('addresses, or "gateway"'),
            'Who is asked: IPv4 and IPv6 addresses of the master\'s own subnets, untagged, and "gateway" for the '
            "gateways of the master's default routes. One answer is enough.",
        ),
    ] = ("gateway",)
    interval: Annotated[
        float,
        Key(Seconds(0.1, 60), "How often. An answer has half of that time to come."),
    ] = 1.0
    misses: Annotated[
        int,
        Key(
            Whole(1, 100),
            "After how many rounds in which only the other slave's path has answered a path is dead, if it has not "
            "answered in between. With the default, traffic has left it within 2.5 intervals.",
        ),
    ] = 2


@dataclass(frozen=True, slots=True)
class Degraded:
    """What is told of a pair that carries and is not as it should be."""

    vf_deadline: Annotated[
        float,
        Key(
            Seconds(0, 604_800),
            "How long after a VF was unplugged none may be there before the pair is degraded: one that never came "
            "back after a migration. 0 for ever. Only of a VF that was seen since the boot.",
        ),
    ] = 600.0


@dataclass(frozen=True, slots=True)
class Join:
    """Joining a pair: how long to wait for what, and when to try again."""

    carrier_wait: Annotated[
        float,
        Key(
            Seconds(0, 3600),
            "How long a VF may take to show a carrier before the join goes on with the paravirtual NIC alone.",
        ),
    ] = 5.0
    udev_wait: Annotated[
        float,
        Key(
            Seconds(0, 60),
            "How long udev may take to be done with a new NIC before failoverd touches it all the same; five times as "
            "long for a paravirtual NIC that is to be joined, whose name becomes the master's. As long as that "
            "such a NIC waits for systemd-networkd to let go of it before it is enslaved, if the VF carries.",
        ),
    ] = 2.0
    retry: Annotated[
        float,
        Key(
            Seconds(0.1, 3600),
            "How long until a step that the kernel refused is tried again. Doubles each time up to retry_max.",
        ),
    ] = 10.0
    retry_max: Annotated[
        float, Key(Seconds(0.1, 86_400), "The longest wait between two tries. Never less than retry.")
    ] = 300.0


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which NICs are looked at, and as what."""

    paravirtual_buses: Annotated[
        tuple[str, ...],
        Key(
            Words("bus names"),
            "A NIC on one of these buses is a paravirtual NIC. One of hv_netvsc is its driver's to join, all the same.",
        ),
    ] = ("virtio", "xen", "vmbus")
    paravirtual_drivers: Annotated[
        tuple[str, ...],
        Key(
            Words("driver names"),
            "A PCI NIC with one of these drivers counts as a paravirtual NIC, too, where no NIC of its MAC "
            "is on such a bus: vmxnet3 is a PCI device.",
        ),
    ] = ("virtio_net", "vmxnet3", "xen_netfront", "hv_netvsc")
    ignore: Annotated[
        tuple[str, ...],
        Key(
            Words("device names, patterns of names or MACs"),
            'NICs that are never touched, by name, by a shell pattern of names such as "eth1*", or by MAC.',
        ),
    ] = ()
    ignore_drivers: Annotated[
        tuple[str, ...], Key(Words("driver names"), "NICs with one of these drivers are never touched.")
    ] = ()


@dataclass(frozen=True, slots=True)
class Netlink:
    """Talking to the kernel."""

    receive_buffer: Annotated[
        int,
        Key(
            Whole(65_536, 268_435_456, "bytes"),
            "The receive buffer of the socket that listens for events. When it overflows, events are lost "
            "and failoverd looks at every device again.",
        ),
    ] = 8_388_608
    request_timeout: Annotated[
        float,
        Key(Seconds(0.1, 60), "How long the kernel may take to answer a request before it counts as failed."),
    ] = 3.0


@dataclass(frozen=True, slots=True)
class Naming:
    """Names of devices. What failoverd has renamed gets its former name back when the pair is released."""

    master: Annotated[
        str,
        Key(
            Pattern(("nic", "mac")),
            "What the master is called. {nic} is the name of the paravirtual NIC, {mac} their MAC without colons. With "
            "the default it takes the NIC's name, so that all that names it goes on working.",
        ),
    ] = "{nic}"
    standby_suffix: Annotated[
        str,
        Key(
            Suffix(8),
            "What is put behind the master's name to name the standby: with the default, the NIC of master "
            "ens3 is ens3nsby, as udev names it under the kernel's own failover. Where that is too long or taken, the "
            "NIC is called fs and its MAC, and the name is an alternative one.",
        ),
    ] = "nsby"
    primary: Annotated[
        str,
        Key(
            Pattern(("master", "mac"), optional=True),
            'What the VF is called, such as "{master}vf". Empty: as it is. Where that is too long, it is an '
            "alternative name. A VF that another program renames afterwards is left as it is; where its new name has "
            "this form, too, until failoverd is started anew.",
        ),
    ] = ""
    altnames: Annotated[
        bool,
        Key(
            Flag(),
            "Whether the slaves bear their roles as alternative names: of the master ens3 they are ens3-standby and "
            "ens3-primary, whatever else they are called. Other alternative names of slaves that end so are removed.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Links:
    """The links that are declared as [link.NAME]."""

    retry_max: Annotated[
        float,
        Key(
            Seconds(0.1, 86_400),
            "The longest wait until what the kernel refused of a link is tried again, if nothing happens before. The "
            "first one is 0.1, and each is twice the one before it.",
        ),
    ] = 60.0
    going_wait: Annotated[
        float,
        Key(
            Seconds(0, 60),
            "How long hooks may take to let go of a link's device before it is removed.",
        ),
    ] = 2.0
    history_lost: Annotated[
        str,
        Key(
            Choice(("keep", "obey")),
            "What becomes of links that are missing in etcd if their deletion was not seen, as etcd's history was "
            'lost: compacted too far, restored, wiped. "keep": they stay, and are suspect, until '
            '"failoverctl links accept". "obey": they are removed.',
        ),
    ] = "keep"


_PATH = r"/[^\x00-\x1f\x7f]{0,4094}"


@dataclass(frozen=True, slots=True)
class Etcd:
    """Links that are declared in etcd, for a fleet of machines. The package failoverd-etcd reads them."""

    enabled: Annotated[bool, Key(Flag(), "Whether links that etcd declares for this machine are made.")] = False
    endpoints: Annotated[
        tuple[str, ...],
        Key(
            Words("endpoints as etcdctl takes them: a URL, or a host and a port"),
            "The members of the etcd cluster. One that does not answer is passed over.",
        ),
    ] = ()
    prefix: Annotated[
        str,
        Key(
            Text(r"/[!-~]{0,254}[!-.0-~]", 'a text such as "/failoverd/v1", without a slash at its end'),
            "What all keys begin with. The links of a node are below PREFIX/nodes/NODE/links/.",
        ),
    ] = "/failoverd/v1"
    node: Annotated[
        str,
        Key(
            Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", "a name of letters, digits, '.', '_' and '-'"),
            "The name of this machine in etcd. Empty: the host's name.",
        ),
    ] = ""
    ca: Annotated[
        str,
        Key(
            Text(_PATH, "an absolute path"),
            "The file of the certificates that sign etcd's. Empty: those that the system trusts.",
        ),
    ] = ""
    cert: Annotated[
        str, Key(Text(_PATH, "an absolute path"), "The file of this machine's certificate. Empty: it has none.")
    ] = ""
    key: Annotated[
        str, Key(Text(_PATH, "an absolute path"), "The file of its key, which failoverd-etcd has to be able to read.")
    ] = ""
    user: Annotated[
        str,
        Key(
            Text(r"[!-~]{1,255}", "the name of a user of etcd"), "The user of etcd. Empty: none, or the certificate's."
        ),
    ] = ""
    password_file: Annotated[
        str,
        Key(
            Text(_PATH, "an absolute path"),
            "The file with that user's password in its first line, which failoverd-etcd has to be able to read.",
        ),
    ] = ""
    publish_status: Annotated[
        bool,
        Key(
            Flag(),
            "Whether what has become of the links, and how the failover masters are, is written below "
            "PREFIX/status/NODE/. It goes with the machine: after a minute without it, etcd deletes it.",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class EtcdAllow:
    """What etcd may declare on this machine. The rest is refused, and what was accepted before stays in force."""

    kinds: Annotated[tuple[str, ...], Key(Words("kinds of link"), "The kinds of link.")] = ("veth",)
    devices: Annotated[
        tuple[str, ...],
        Key(
            Words('patterns for names, such as "fo-*"'),
            "What devices in failoverd's own network namespace may be called.",
        ),
    ] = ("*",)
    namespaces: Annotated[
        tuple[str, ...],
        Key(
            Words('patterns for "own", "name:NAME", "pid:PID", "path:PATH" and "container:CONTAINER"'),
            "The network namespaces that devices may be in.",
        ),
    ] = ("own", "name:*", "container:*")
    default_routes: Annotated[
        bool,
        Key(
            Flag(),
            "Whether default routes may be declared, and routes to nearly as much (prefixes shorter than 8).",
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Dbus:
    """The system bus."""

    enabled: Annotated[
        bool,
        Key(
            Flag(),
            "Whether failoverd is on the system bus as org.failoverd1. It works without a bus, too, and where the bus "
            "does not let it have that name, as org.failoverd1.conf is not installed. Looked at when failoverd starts.",
        ),
    ] = True


@dataclass(frozen=True, slots=True)
class Log:
    """What is logged."""

    level: Annotated[
        str, Key(Choice(("debug", "info", "warning", "error")), "The least grave message that is logged.")
    ] = "info"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, one attribute for each section."""

    master: Master = field(default_factory=Master)
    bond: Bond = field(default_factory=Bond)
    tc: Tc = field(default_factory=Tc)
    announce: Announce = field(default_factory=Announce)
    kernel_failover: KernelFailover = field(default_factory=KernelFailover)
    failback: Failback = field(default_factory=Failback)
    damping: Damping = field(default_factory=Damping)
    path: Path = field(default_factory=Path)
    degraded: Degraded = field(default_factory=Degraded)
    join: Join = field(default_factory=Join)
    pairing: Pairing = field(default_factory=Pairing)
    netlink: Netlink = field(default_factory=Netlink)
    naming: Naming = field(default_factory=Naming)
    links: Links = field(default_factory=Links)
    etcd: Etcd = field(default_factory=Etcd)
    etcd_allow: EtcdAllow = field(default_factory=EtcdAllow)
    dbus: Dbus = field(default_factory=Dbus)
    log: Log = field(default_factory=Log)

    declared: "Declared" = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """The links of all [link.NAME]. No section: their keys are in links/spec.py, which is imported only for them."""

    residences: "Residences" = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Where masters are to live: all [master.NAME]. Their keys are in residence.py, which is imported only for them."""
