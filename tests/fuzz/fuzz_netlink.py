"""Datagrams of the kernel, to the conversation and to each reader by itself.

An input is a list of datagrams. They come into a conversation that knows a joined pair and has asked for all devices:
what cannot be read is answered by asking again, and must not be held on to. Then each message goes to those who read
its kind elsewhere, who may say NetlinkError and nothing else; what they have read can be written.
"""

from __future__ import annotations

import contextlib

import kernelbytes as kernel
from fuzzing import Harness, joined, parts

from failoverd.inventory.rows import line_of, row_of
from failoverd.inventory.stock import Stock
from failoverd.inventory.xml import lines_of
from failoverd.model.links import Link
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import SetMtu
from failoverd.model.settings import ATTRIBUTES
from failoverd.netlink import elsewhere, inventory, sockdiag
from failoverd.netlink.bridge_hosts import learned, taken_in
from failoverd.netlink.bystanders import read_bystander
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.frames import Message, NetlinkError, build, read_done, read_error, split
from failoverd.netlink.inet import read_address, read_route, write_address, write_route
from failoverd.netlink.inventory import read_default, read_interface, read_ip, read_nexthop, read_prefix
from failoverd.netlink.links import head, raw_name, read_link, read_underlay
from failoverd.netlink.lookahead import MOST
from failoverd.netlink.neighbours import read_label, read_neighbour, write_label, write_neighbour
from failoverd.netlink.rules import read_rule, write_rule
from failoverd.netlink.settings import read_settings, write_setting
from failoverd.netlink.tc import Table

MAC = "52:54:00:aa:bb:cc"
UP = kernel.UP | kernel.LOWER_UP


def one(data: bytes) -> None:
    """See the module."""
    datagrams = list(parts(data))
    _talk(datagrams)
    for datagram in datagrams:
        with contextlib.suppress(NetlinkError):
            for message in split(datagram):
                _read(message)


def _talk(datagrams: list[bytes]) -> None:
    talk = Conversation(lambda link: link)
    talk.resync(0.0)
    for datagram in (nics(1), kernel.done(1), kernel.done(2), *(kernel.done(seq) for seq in range(3, 7))):
        list(talk.feed(datagram, 0.0))
    talk.request(Ticket(PairOf(MAC), Part.MOVE, 1), (SetMtu(2, 1400),), 0.0)
    talk.peek(2)
    for number, datagram in enumerate(datagrams):
        # The kernel may say that it will not list its devices: a documented end.
        with contextlib.suppress(OSError):
            if number % 2:
                list(talk.feed(datagram, float(number)))
            else:
                talk.queue(datagram)
                list(talk.foresee())
                list(talk.work(float(number)))
        assert not talk.is_behind
        assert talk.has_room
        assert sum(map(len, talk.out)) < 1 << 12, "what is asked must not grow with what is told"
        talk.out.clear()
    talk.overdue(1e9, 5.0)
    assert MOST < 1 << 24


def _read(message: Message) -> None:
    for reader in READERS:
        with contextlib.suppress(NetlinkError):
            reader(message)


def _address(message: Message) -> None:
    write_address(read_address(message))


def _route(message: Message) -> None:
    route = read_route(message)
    if route is not None:
        write_route(route)


def _neighbour(message: Message) -> None:
    neighbour = read_neighbour(message)
    if neighbour is not None:
        write_neighbour(neighbour)


def _label(message: Message) -> None:
    write_label(read_label(message))


def _rule(message: Message) -> None:
    rule = read_rule(message)
    (again,) = split(build(message.type, 0, 1, write_rule(rule)))
    assert read_rule(again) == rule


def _settings(message: Message) -> None:
    for name, value in read_settings(message):
        if name in ATTRIBUTES:
            write_setting(name, value)


def _link(message: Message) -> None:
    head(message)
    link = read_link(message)
    _is_a_link(link)
    bystander = read_bystander(message)
    if bystander is not None:
        _is_a_link(bystander)


def _is_a_link(link: Link) -> None:
    """What is compared, sorted, hashed and written elsewhere has its type."""
    hash(link)
    texts = (link.name, link.mac, link.perm_mac, link.kind, link.slave_kind, link.bus, link.parent, *link.altnames)
    assert all(isinstance(text, str) for text in texts)
    numbers = (link.ifindex, link.mtu, link.max_mtu, link.master, link.link, link.hardware, link.carrier_losses)
    assert all(isinstance(number, int) for number in numbers)
    raw_name(link.name)


def _table(message: Message) -> None:
    table = Table()
    table.take(message)
    table.forget_target(3)
    hash(table.tc())


def _number(message: Message) -> None:
    elsewhere._nsid(message)


def _own_errors(message: Message) -> None:
    read_done(message)
    read_error(message)


def _inventory(message: Message) -> None:
    """The inventory's readers, and what is made of what they have read."""
    stock = Stock()
    for read in (read_ip, read_prefix, read_nexthop):
        with contextlib.suppress(NetlinkError):
            read(message)
    with contextlib.suppress(NetlinkError):
        stock.set_routes(read_default(message))
    stock.see(read_interface(message))
    for entry in stock.in_order():
        line_of(entry)
        row_of(stock, entry)
        with contextlib.suppress(ValueError):
            "".join(lines_of(stock, entry)).encode()


READERS = (
    _inventory,
    _own_errors,
    _link,
    read_underlay,
    _settings,
    _address,
    _route,
    _neighbour,
    _label,
    _rule,
    lambda message: learned(message, 9, 2),
    lambda message: taken_in(message, 2),
    sockdiag._inet,
    sockdiag._packet,
    _number,
    _table,
    inventory.read_interface,
    inventory.read_ip,
    inventory.read_default,
    inventory.read_prefix,
    inventory.read_nexthop,
)
"""Who reads the kernel's messages. Each gets every message: a kind is no promise of what is in it."""


def nics(seq: int) -> bytes:
    """A pair's two NICs and its bond, as a dump has them."""
    bond = kernel.attr(18, kernel.attr(1, b"bond\0") + kernel.attr(2, kernel.attr(1, b"\1") + kernel.number(11, 2)))
    slave = kernel.attr(18, kernel.attr(4, b"bond\0") + kernel.attr(5, kernel.attr(2, b"\0")))
    raw = bytes.fromhex(MAC.replace(":", ""))
    return (
        kernel.nic(2, b"ens3nsby", MAC, b"virtio", kernel.number(10, 9), slave, seq=seq, flags=2, state=UP)
        + kernel.nic(3, b"ens4", MAC, b"pci", kernel.number(10, 9), slave, seq=seq, flags=2, state=UP)
        + kernel.link(9, b"ens3", kernel.attr(1, raw), bond, seq=seq, flags=2, state=UP)
    )


def seeds() -> list[bytes]:
    """One of each message."""
    text = bytes.fromhex("0a000001")
    names = kernel.attr(52 | 0x8000, kernel.attr(53, b"enp1s0\0") + kernel.attr(53, b"\xff\xfe\0"))
    spec = kernel.attr(26, kernel.attr(2, kernel.attr(1, bytes(130))) + kernel.attr(10, inet6()))
    veth = kernel.attr(18, kernel.attr(1, b"veth\0"))
    vlan = kernel.attr(18, kernel.attr(1, b"vlan\0") + kernel.attr(2, kernel.attr(1, b"\7\0") + kernel.number(2, 1)))
    bridge = kernel.attr(18, kernel.attr(1, b"bridge\0") + kernel.attr(2, kernel.number(5, 0) + kernel.attr(7, b"\1")))
    address = kernel.message(20, b"\2\x18\x80\0" + b"\2\0\0\0" + kernel.attr(1, text) + kernel.attr(2, text))
    lifetime = kernel.attr(6, b"\x10\x0e\0\0\x10\x0e\0\0" + bytes(8)) + kernel.number(8, 0x80)
    hop = b"\x10\0\0\1\2\0\0\0" + kernel.attr(5, text)
    route = b"\2\x18\0\0\xfe\3\0\1" + bytes(4)
    return [
        joined(nics(0), kernel.link(9, b"", kind=17)),
        joined(
            kernel.nic(3, b"ens4", MAC, b"pci", names, spec, kernel.number(33, 1), state=0), kernel.ack(7, 16, "no")
        ),
        joined(kernel.link(12, b"veth0", veth, names), kernel.link(13, b"v7", vlan, kernel.number(5, 2))),
        joined(kernel.link(14, b"br0", bridge), kernel.link(3, b"ens4", family=7)),
        joined(address, kernel.message(20, b"\x0a\x40\0\0\2\0\0\0" + kernel.attr(1, bytes(16)) + lifetime)),
        joined(kernel.message(24, route + kernel.attr(1, text) + kernel.number(4, 2) + kernel.number(15, 254))),
        joined(
            kernel.message(24, route + kernel.attr(9, hop * 2) + kernel.attr(12, bytes(8) + b"\x10\0\0\0" + bytes(20)))
        ),
        joined(kernel.message(28, b"\2\0\0\0\2\0\0\0\x80\0\0\1" + kernel.attr(1, text) + kernel.attr(2, b"\2" * 6))),
        joined(kernel.message(28, b"\7\0\0\0\4\0\0\0\2\0\0\0" + kernel.attr(2, b"\2" * 6) + kernel.number(9, 9))),
        joined(
            kernel.message(72, b"\x0a\0\x40\0\2\0\0\0" + bytes(4) + kernel.attr(1, bytes(16)) + kernel.number(2, 5))
        ),
        joined(kernel.tc(kernel.NEWQDISC, 2, kernel.INGRESS_SLOT, b"clsact", handle=0xFFFF0000)),
        joined(
            kernel.tc(
                kernel.NEWTFILTER,
                2,
                kernel.EGRESS,
                b"u32",
                kernel.mirred(3, 1, b"failoverd"),
                handle=0x80000800,
                pref=64023,
            )
        ),
        joined(kernel.done(8), kernel.done(8, 12), kernel.message(4, b"")),
        joined(kernel.message(88, bytes(4) + kernel.number(1, 3)), kernel.message(20, bytes(72))),
    ]


def inet6() -> bytes:
    """What IPv6 says of a device: its sysctls, a token, how it makes addresses."""
    return kernel.attr(2, bytes(240)) + kernel.attr(7, bytes(15) + b"\5") + kernel.attr(8, b"\1")


WORDS = tuple(
    kernel.attr(kind, b"\1\0\0\0") for kind in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 18, 26, 37, 43, 52, 54, 57)
)

HARNESS = Harness("netlink", one, seeds, (*WORDS, b"bond\0", b"vlan\0", b"veth\0", b"bridge\0", b"vxlan\0", b"amt\0"))
