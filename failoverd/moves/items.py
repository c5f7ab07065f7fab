"""What a move is about: the master and the devices that stand on it, its NICs, and the journal that has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from enum import Enum

from failoverd.dataclass import dataclass
from failoverd.kinds import Bond, Bridge, Spec, Veth, Vrf
from failoverd.kinds.bond import SIGNATURE
from failoverd.model.declared import NamespaceRef
from failoverd.model.inet import Rule, Setting
from failoverd.model.links import ETHER, Link, Qdisc
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Inet
from failoverd.policy.naming import formers, mark, own_altnames, part_mark

HOLDING = frozenset({Bridge.kind, Vrf.kind})
"""Kinds that have others in them, and go along with these."""


class Toward(Enum):
    """Where a move leads."""

    AWAY = "away"
    HOME = "home"


@dataclass(frozen=True, slots=True)
class Item:
    """A device as it is to be: the master, or one that stands on it."""

    name: str
    info: Spec
    mac: str
    """Lower case with colons."""
    mtu: int
    """In bytes."""
    up: bool
    altnames: tuple[str, ...] = ()
    """Without failoverd's marks."""
    lower: str = ""
    """The name of the item below; "" for the master, and for what has none."""
    master: str = ""
    """The name of the bridge or VRF, an item too, that it is in; "" for none."""
    rest: bytes = b""
    """A bridge's other options (kinds/bridge.py)."""
    promiscuous: bool = False
    all_multicast: bool = False
    inet: Inet = Inet()
    qdisc: Qdisc | None = None
    """Its root qdisc, where it is not the kernel's default."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A NIC of the pair. Its ifindex may change on the way, its name too; its place on the bus does not."""

    parent: str
    """IFLA_PARENT_DEV_NAME."""
    name: str
    formers: tuple[str, ...] = ()
    """The names that it had before failoverd renamed it."""
    carries: bool = False
    """Whether it was the active slave."""
    settings: tuple[Setting, ...] = ()
    """Its settings, which the kernel takes away from what moves."""
    qdisc: Qdisc | None = None
    """Its root qdisc, which the kernel takes away, too."""


@dataclass(frozen=True, slots=True)
class Record:
    """The journal of a move. After the move it stays for as long as the pair lives in the other namespace."""

    mac: str
    """The pair's permanent MAC."""
    ref: NamespaceRef
    """The namespace that is not failoverd's."""
    toward: Toward
    items: tuple[Item, ...]
    """The master first, and each device behind one that it stands on, is in, or has in it."""
    nics: tuple[Nic, ...]
    home: tuple[Item, ...] = ()
    """The items as they were in failoverd's namespace. They are what is made there if the other namespace ends."""
    is_over: bool = False
    """Whether all of it stands where it leads."""
    rules: tuple[Rule, ...] = ()
    """The policy rules that the other namespace gets copies of. Those in failoverd's are left alone (rules.py)."""
    is_parked: bool = False
    """Whether it waits for its namespace to be there again, with its NICs in failoverd's own and no master."""
    is_by_key: bool = False
    """Whether no order keeps it there, but the configuration."""

    @property
    def master(self) -> Item:
        """The master."""
        return self.items[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The master's names at home."""
        master = (self.home or self.items)[0]
        return (master.name, *master.altnames)


@dataclass(frozen=True, slots=True)
class Seen:
    """One namespace: all of its devices, and the configuration of those that the move is about."""

    links: LinkTable
    inet: Mapping[int, Inet]
    rules: tuple[Rule, ...] = ()
    """The policy rules, in their order."""
    qdiscs: Mapping[int, Qdisc] = field(default_factory=dict)
    """The root qdiscs that can be made again, by ifindex."""
    bridges: Mapping[int, bytes] = field(default_factory=dict)
    """The further options of bridges, by ifindex (netlink/bridges.py)."""
    odd_ports: Mapping[int, str] = field(default_factory=dict)
    """What cannot be cloned of ports of bridges, and of bridges, in words."""
    users: Mapping[tuple[int, int], frozenset[int]] = field(default_factory=dict)
    """Who has routes in the tables that rules lead to, by family and table: ifindexes, 0 for a route without a device.
    Empty where it was not asked for."""

    def inet_of(self, link: Link) -> Inet:
        """Return the configuration of a device, empty where it was not looked at."""
        return self.inet.get(link.ifindex, Inet())

    def nics(self, mac: str) -> list[Link]:
        """Return the hardware with this permanent MAC."""
        return [link for link in self.links.with_mac(mac) if is_nic(link, mac)]

    def master(self, mac: str) -> Link | None:
        """Return the bond that failoverd has made for this MAC."""
        found = self.links.named(mark(mac))
        return found if found is not None and found.kind == Bond.kind else None

    def found(self, record: Record) -> dict[str, Link]:
        """Return the devices that are items, by the items' names: the master by its mark, the others by their names and
        by what they stand on, are in, or have in them."""
        master = self.master(record.mac)
        devices = {record.master.name: master} if master is not None else {}
        for item in record.items[1:]:
            link = self.links.named(item.name)
            if link is None or (link.name, link.kind) != (item.name, item.info.kind):
                continue
            if part_mark(record.mac, item.name) in link.altnames or _is_tied(item, link, devices):
                devices[item.name] = link
        return devices


def _is_tied(item: Item, link: Link, devices: Mapping[str, Link]) -> bool:
    """Whether a device with an item's name belongs to these, which are items."""
    if item.lower:
        return item.lower in devices and link.link == devices[item.lower].ifindex
    if item.master in devices and link.master == devices[item.master].ifindex:
        return True
    return any(device.master == link.ifindex for device in devices.values())


def is_nic(link: Link, mac: str) -> bool:
    """Whether this is hardware with that permanent MAC."""
    return link.perm_mac == mac and not link.kind and link.hardware == ETHER


def standing(master: Link, links: LinkTable) -> list[Link]:
    """Return the master and all that cannot be without it: what stands on it, the bridge or VRF that it is in, what
    else is in that, and so on. Each is behind one that it stands on, is in, or has in it."""
    found = [master]
    for link in found:
        found += [other for other in _beside(link, links) if other not in found]
    return found


def _beside(link: Link, links: LinkTable) -> Iterator[Link]:
    yield from links.uppers(link.ifindex)
    above = links.get(link.master)
    if above is not None and above.kind in HOLDING:
        yield above
    if link.kind in HOLDING:
        yield from (port for port in links.values() if port.master == link.ifindex)


def concerned(mac: str, links: LinkTable) -> list[int]:
    """Return the ifindexes of the devices whose configuration has to be known."""
    seen = Seen(links, {})
    master = seen.master(mac)
    tree = standing(master, links) if master is not None else []
    return [link.ifindex for link in (*tree, *seen.nics(mac))]


def described(seen: Seen, master: Link) -> tuple[Item, ...]:
    """Describe the master and what stands on it, all of kinds that can be cloned."""
    return tuple(_items(seen, standing(master, seen.links)))


def _items(seen: Seen, tree: list[Link]) -> Iterator[Item]:
    names = {link.ifindex: link.name for link in tree}
    for link in tree:
        yield Item(
            name=link.name,
            info=_spec(link),
            mac=link.mac,
            mtu=link.mtu,
            up=link.up,
            altnames=own_altnames(link),
            lower=names.get(link.link, ""),
            master=names.get(link.master, ""),
            rest=seen.bridges.get(link.ifindex, b""),
            promiscuous=link.promiscuous,
            all_multicast=link.all_multicast,
            inet=seen.inet_of(link),
            qdisc=seen.qdiscs.get(link.ifindex),
        )


def _spec(link: Link) -> Spec:
    """Return the options of a new device like this one. A clone begins without what a drain changes for a while."""
    info = link.info
    if info is None or isinstance(info, Veth):
        raise ValueError(f"{link.name} is of no kind that can be cloned")
    return (
        replace(info, active=0, primary=0, hears_both=False, lp_interval=SIGNATURE) if isinstance(info, Bond) else info
    )


def nics_of(seen: Seen, mac: str, master: Link) -> tuple[Nic, ...]:
    """Describe the pair's NICs."""
    active = master.info.active if isinstance(master.info, Bond) else 0
    return tuple(
        Nic(
            nic.parent,
            nic.name,
            formers(nic),
            nic.ifindex == active,
            seen.inet_of(nic).settings,
            seen.qdiscs.get(nic.ifindex),
        )
        for nic in seen.nics(mac)
    )
