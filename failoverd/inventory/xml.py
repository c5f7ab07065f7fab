"""An interface as libvirt's clients read it: the live XML document of `virsh iface-dumpxml`.

Elements and their order are libvirt's (src/conf/interface_conf.c). Its interface.rng says what is permitted, and is the
same file in 9.0 and 11.3. A bridge has no link and no MAC there; a bond no MAC, and only Ethernet interfaces as slaves;
an interface in a bridge or a bond no MTU and no addresses. `start` is about a configuration, and there is none.

Two things do not fit the schema and are written all the same: a bond without slaves (in a bridge it is an Ethernet
interface, so that the bridge's document is valid), and a name with characters other than ASCII letters, digits and
`_.-`. What XML cannot have at all (a name that is not UTF-8, or has a control character) is refused, or left out with a
comment if it is a part of another interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from failoverd.inventory.facts import BondOptions, BridgeOptions, Interface, VlanOptions
from failoverd.inventory.gateways import gateway, has_autoconf, has_dhcp
from failoverd.inventory.naming import xml_obstacle
from failoverd.inventory.rows import has_dhcp4, type_of
from failoverd.inventory.stock import Entry, Stock
from failoverd.model.text import printable

MAC_LENGTH = 17
"""Characters of a MAC of six bytes; the schema has no MAC of another length (tun, gre, InfiniBand)."""
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"}


def lines_of(stock: Stock, entry: Entry) -> Iterator[str]:
    """Yield the lines of its document, to be joined in slices: a bridge may have thousands of ports.

    Raises ValueError, with the reason, if its name cannot be in XML.
    """
    if why := xml_obstacle(entry.seen.name):
        raise ValueError(why)
    return _interface(stock, entry, type_of(stock, entry))


def _interface(stock: Stock, entry: Entry, kind: str) -> Iterator[str]:
    """Yield an interface that is not a part of another one."""
    seen = entry.seen
    yield f"<interface type='{kind}' name='{escaped(seen.name)}'>"
    yield f"  <mtu size='{seen.mtu}'/>"
    yield from _inside(_protocols(stock, entry))
    yield from _inside(_own(stock, entry, kind))
    yield "</interface>"


def _part(stock: Stock, entry: Entry, kind: str) -> Iterator[str]:
    """Yield a port or a slave: its own elements, without MTU and addresses."""
    yield f"<interface type='{kind}' name='{escaped(entry.seen.name)}'>"
    yield from _inside(_own(stock, entry, kind))
    yield "</interface>"


def _own(stock: Stock, entry: Entry, kind: str) -> Iterator[str]:
    """Yield what follows the addresses: the link, and the elements of the type."""
    seen = entry.seen
    if kind == "bridge":
        yield from _bridge(stock, seen)
        return
    speed = f" speed='{entry.speed}'" if entry.speed and seen.operstate == "up" else ""
    yield f"<link{speed} state='{seen.operstate}'/>"
    if kind == "bond":
        yield from _bond(stock, seen)
    elif kind == "vlan":
        yield f"<vlan tag='{seen.options.id if isinstance(seen.options, VlanOptions) else 0}'>"
        yield f"  <interface name='{escaped(stock.name(seen.lower))}'/>"
        yield "</vlan>"
    elif len(seen.mac) == MAC_LENGTH:
        yield f"<mac address='{seen.mac}'/>"


def _protocols(stock: Stock, entry: Entry) -> Iterator[str]:
    """Yield the address families. A family without any facts has no element."""
    routes = stock.routes_through(entry.seen.ifindex)
    for family in (4, 6):
        lines = ["<autoconf/>"] if family == 6 and has_autoconf(entry.addresses, routes) else []
        if has_dhcp4(entry, routes) if family == 4 else has_dhcp(routes, 6):
            lines.append("<dhcp/>")
        addresses = [one for one in entry.addresses if one.family == family]
        lines += [f"<ip address='{one.text}' prefix='{one.prefix}'/>" for one in addresses]
        way = gateway(routes, family)
        if way and (":" in way) == (family == 6):
            lines.append(f"<route gateway='{way}'/>")
        if lines:
            yield f"<protocol family='ipv{family}'>"
            yield from _inside(lines)
            yield "</protocol>"


def _bridge(stock: Stock, seen: Interface) -> Iterator[str]:
    options = seen.options if isinstance(seen.options, BridgeOptions) else BridgeOptions()
    head = f"<bridge stp='{'on' if options.stp else 'off'}' delay='{options.forward_delay / 100:g}'"
    ports = list(_parts(stock, stock.parts(seen.ifindex), frozenset({"bond", "vlan"})))
    yield from _around(head, "bridge", ports)


def _bond(stock: Stock, seen: Interface) -> Iterator[str]:
    options = seen.options if isinstance(seen.options, BondOptions) else BondOptions()
    slaves = sorted(stock.parts(seen.ifindex), key=lambda slave: slave.ifindex != options.primary)
    mode = f" mode='{options.mode}'" if options.mode else ""
    lines = [*_monitor(options), *_parts(stock, slaves, frozenset())]
    yield from _around(f"<bond{mode}", "bond", lines)


def _monitor(options: BondOptions) -> Iterator[str]:
    """Yield how a bond monitors its slaves. The kernel has one of the two at a time."""
    if options.miimon:
        delays = f" downdelay='{options.downdelay}' updelay='{options.updelay}'"
        carrier = "netif" if options.netif_carrier else "ioctl"
        yield f"<miimon freq='{options.miimon}'{delays} carrier='{carrier}'/>"
    elif options.arp_interval and options.arp_target:
        validate = f" validate='{options.arp_validate}'" if options.arp_validate else ""
        yield f"<arpmon interval='{options.arp_interval}' target='{options.arp_target}'{validate}/>"


def _parts(stock: Stock, parts: Iterable[Interface], kinds: frozenset[str]) -> Iterator[str]:
    """Yield ports or slaves; those of these kinds under their own type, all others as ethernet."""
    for seen in parts:
        entry = stock.entries[seen.ifindex]
        kind = type_of(stock, entry)
        if xml_obstacle(seen.name):
            yield f"<!-- {_comment(seen.name)} is left out: its name cannot be in XML -->"
        else:
            is_meant = kind in kinds and (kind != "bond" or _has_slaves(stock, seen))
            yield from _part(stock, entry, kind if is_meant else "ethernet")


def _has_slaves(stock: Stock, seen: Interface) -> bool:
    """Return whether a bond can be valid. Its bridge would be as invalid as a bond without slaves."""
    return any(not xml_obstacle(slave.name) for slave in stock.parts(seen.ifindex))


def _around(head: str, tag: str, lines: list[str]) -> Iterator[str]:
    if not lines:
        yield f"{head}/>"
        return
    yield f"{head}>"
    yield from _inside(lines)
    yield f"</{tag}>"


def _inside(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def escaped(text: str) -> str:
    """Return a text as it is written in an attribute."""
    return "".join(ESCAPES.get(c, c) for c in text)


def _comment(name: str) -> str:
    """Return a name for a comment, which cannot have two dashes in a row."""
    return printable(name).encode("ascii", "backslashreplace").decode().replace("-", "\\x2d")
