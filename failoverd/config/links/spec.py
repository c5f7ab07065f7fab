"""Every key of a [link.NAME] table and of the tables in it: its type, limits, default and meaning.

This is the one table of them, as config/spec.py is of the sections: what is checked, the reference page, the man page,
the example file and the reload's log line are made from it. The module is long because it has one row a key. A default
of None means that there is none: the key is needed, or its meaning says what is so without it.

The price of `Annotated` is that this module must not postpone its annotations.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from failoverd.config.keys import Key
from failoverd.config.kinds import Choice, Flag, InvalidValueError, Seconds, Whole
from failoverd.config.links.addresses import Addresses, Gateway, Prefix
from failoverd.config.links.namespaces import AbsolutePath, Container, NamespaceName, reference
from failoverd.config.links.tables import Table, Tables
from failoverd.config.links.values import DeviceName, LinkRef, Mac, Mtu, Reference, References
from failoverd.dataclass import dataclass
from failoverd.model.declared import EXISTING, DeclaredRoute, DeviceRef, NamespaceRef

KINDS = ("veth", "vlan", "macvlan", "ipvlan", "dummy", "bridge", "vrf", EXISTING)
STACKED = ("vlan", "macvlan", "ipvlan")
"""The kinds that stand on a lower device."""

MODES: Mapping[str, tuple[str, ...]] = {
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
}
"""By kind, the default first."""

_PID_MAX = 4_194_304
"""PID_MAX_LIMIT (linux/threads.h) of a 64-bit kernel."""
_U32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace: exactly one of name, pid, path and container. The link waits until there is one."""

    name: Annotated[str | None, Key(NamespaceName(), "The namespace of this name in `ip netns`: /run/netns/NAME.")] = (
        None
    )
    pid: Annotated[
        int | None,
        Key(
            Whole(1, _PID_MAX),
            "The namespace of this process, as failoverd's own /proc numbers it. When the process ends, the reference "
            "is spent, also where its number is used again.",
        ),
    ] = None
    path: Annotated[
        str | None, Key(AbsolutePath(), "The namespace that is mounted here, or /proc/PID/ns/net of a process.")
    ] = None
    container: Annotated[
        str | None,
        Key(
            Container(),
            "The namespace of this container. The containers of a pod share one. Where containers in several "
            "namespaces match, the link waits until one is left.",
        ),
    ] = None
    create: Annotated[
        bool, Key(Flag(), "Whether failoverd makes the namespace if there is none of this name. By name only.")
    ] = False


@dataclass(frozen=True, slots=True)
class Route:
    """A route through the link."""

    to: Annotated[str | None, Key(Prefix(), "The destination. Needed.")] = None
    via: Annotated[str | None, Key(Gateway(), "The gateway. Without it, the destination is on the link.")] = None
    metric: Annotated[
        int, Key(Whole(0, _U32), "The route with the lowest metric is taken. 0 leaves it to the kernel.")
    ] = 0
    table: Annotated[int, Key(Whole(1, _U32), "The routing table; 254 is the main one.")] = 254


def _route(given: Mapping[str, Any]) -> DeclaredRoute:
    if given["to"] is None:
        raise InvalidValueError("it does not say where it leads to")
    via = given["via"] or ""
    if via and (":" in via) != (":" in given["to"]):
        raise InvalidValueError(f"{given['to']} and {via} are not of one family")
    return DeclaredRoute(given["to"], via, given["metric"], given["table"])


@dataclass(frozen=True, slots=True)
class Link:
    """A network device that failoverd makes, configures, keeps and removes as declared here, in any network namespace.
    It waits for what it needs: its other end, its namespace, its lower device. NAME identifies it on this machine; a
    NAME with a dot is written in quotes. A veth is two such tables that name each other, which may be in files of two
    authors, or one table with the other end as its `peer`.
    """

    enabled: Annotated[
        bool,
        Key(Flag(), "With false the link is withdrawn, as if no file had it: what failoverd made for it is removed."),
    ] = True
    kind: Annotated[
        str | None,
        Key(
            Choice(KINDS),
            'The kind of device. Needed. "existing" is one that another program makes, and failoverd only configures.',
        ),
    ] = None
    peer: Annotated[
        str | None,
        Key(
            LinkRef(),
            "The other end of a veth. Needed. It is another link, which names this one; nothing is made until both are "
            "declared. Or it is a table, [link.NAME.peer], with the keys of the other end from `device` on; it is then "
            "the link NAME.peer.",
            of=("veth",),
        ),
    ] = None
    device: Annotated[
        str | None,
        Key(
            DeviceName(),
            "The name of the device in its namespace. Without it, the NAME of the link; needed where that cannot be "
            "the name of a device.",
        ),
    ] = None
    namespace: Annotated[
        NamespaceRef | None,
        Key(
            Table(Namespace, reference, "a table with exactly one of name, pid, path and container"),
            "The network namespace of the device. Without it, failoverd's own. A later file replaces the whole table.",
        ),
    ] = None
    lower: Annotated[
        DeviceRef | None,
        Key(
            Reference(),
            "The lower device. Needed. On a master the link is made when the pair has been joined, and follows the "
            'master. A "device:" is one in failoverd\'s own namespace.',
            of=STACKED,
        ),
    ] = None
    id: Annotated[int | None, Key(Whole(1, 4094), "The VLAN ID. Needed.", of=("vlan",))] = None
    protocol: Annotated[
        str, Key(Choice(("802.1Q", "802.1ad")), "The protocol of the tag; 802.1ad is for an outer one.", of=("vlan",))
    ] = "802.1Q"
    mode: Annotated[
        str | None,
        Key(
            Choice(tuple(mode for modes in MODES.values() for mode in modes)),
            "How devices on one lower device reach each other; for an ipvlan, on which layer. Without it, "
            '"bridge" for a macvlan and "l2" for an ipvlan. All ipvlans of a lower device have one mode.',
            of=tuple(MODES),
        ),
    ] = None
    table: Annotated[
        int | None, Key(Whole(1, _U32), "The routing table of the devices in it. Needed.", of=("vrf",))
    ] = None
    stp: Annotated[bool, Key(Flag(), "Whether the bridge runs the spanning tree protocol.", of=("bridge",))] = False
    forward_delay: Annotated[
        float,
        Key(
            Seconds(0, 30),
            "How long a port listens, and then learns, before it forwards, each. At least 2 with stp.",
            of=("bridge",),
        ),
    ] = 15.0
    vlan_filtering: Annotated[bool, Key(Flag(), "Whether its ports have VLANs of their own.", of=("bridge",))] = False
    ports: Annotated[
        tuple[DeviceRef, ...],
        Key(
            References(),
            'The ports of a bridge, or the devices of a VRF. A "device:" is one in the same namespace.',
            of=("bridge", "vrf"),
        ),
    ] = ()
    up: Annotated[bool, Key(Flag(), "Whether the device is set up.")] = True
    mac: Annotated[
        str | None,
        Key(
            Mac(),
            "The MAC. Without it, one derived from the machine's identity and the link's NAME, so that it is the same "
            "whenever the device is made; an existing device keeps its own.",
            of=tuple(kind for kind in KINDS if kind != "ipvlan"),
        ),
    ] = None
    mtu: Annotated[int, Key(Mtu(), "The MTU. 0 leaves it as it is.")] = 0
    addresses: Annotated[tuple[str, ...], Key(Addresses(), "The addresses of the device.")] = ()
    routes: Annotated[
        tuple[DeclaredRoute, ...],
        Key(
            Tables(Table(Route, _route, "a table with `to`, and a `via` of the same family if any")),
            "Routes through the device.",
        ),
    ] = ()
    foreign_addresses: Annotated[
        str,
        Key(
            Choice(("keep", "remove")),
            "Whether addresses that other programs gave the device stay on it.",
        ),
    ] = "keep"
