"""What the inventory reads out of the kernel's messages, and what it refuses to read."""

from __future__ import annotations

import socket
import struct

import kernelbytes as kernel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.inventory.facts import BondOptions, BridgeOptions, DefaultRoute, Interface, IpAddress, VlanOptions
from failoverd.inventory.gateways import Nexthop
from failoverd.netlink.frames import Message, NetlinkError, split
from failoverd.netlink.inventory import (
    read_default,
    read_interface,
    read_ip,
    read_nexthop,
    read_prefix,
)

UP, RUNNING, LOWER_UP = 0x1, 0x40, 0x10000
V4, V6 = socket.inet_pton(socket.AF_INET, "10.0.0.1"), socket.inet_pton(socket.AF_INET6, "2001:db8::1")
NEWADDR, NEWROUTE, NEWNEXTHOP = 20, 24, 104


def one(raw: bytes) -> Message:
    (message,) = split(raw)
    return message


def linkinfo(kind: bytes, *options: bytes) -> bytes:
    return kernel.attr(18, kernel.attr(1, kind + b"\0") + kernel.attr(2, b"".join(options)))


def test_a_link() -> None:
    raw = kernel.link(
        7,
        b"eth\xff",
        kernel.attr(1, bytes(range(6))),
        kernel.attr(54, bytes(6)),
        kernel.number(4, 1400),
        kernel.number(5, 3),
        kernel.number(10, 9),
        kernel.attr(16, b"\x06"),
        kernel.attr(52, kernel.attr(53, b"zz\0") + kernel.attr(53, b"aa\0")),
        state=UP | RUNNING | LOWER_UP,
    )
    assert read_interface(one(raw)) == Interface(
        ifindex=7,
        name="eth\udcff",
        mac="00:01:02:03:04:05",
        permanent_mac="00:00:00:00:00:00",
        up=True,
        running=True,
        carrier=True,
        operstate="up",
        mtu=1400,
        master=9,
        lower=3,
        altnames=("aa", "zz"),
    )


def test_what_is_not_told() -> None:
    assert read_interface(one(kernel.link(7, b"x"))) == Interface(7, "x")
    assert read_interface(one(kernel.link(7, b"x", kernel.attr(16, b"\x63")))).operstate == "unknown"


@pytest.mark.parametrize("more", [kernel.number(37, 5), linkinfo(b"veth")])
def test_a_link_elsewhere_or_the_other_end_is_nothing_below(more: bytes) -> None:
    assert read_interface(one(kernel.link(7, b"x", kernel.number(5, 3), more))).lower == 0


@pytest.mark.parametrize(
    ("info", "options"),
    [
        (linkinfo(b"bridge", kernel.number(1, 200), kernel.number(5, 2)), BridgeOptions(stp=True, forward_delay=200)),
        (linkinfo(b"vlan", kernel.attr(1, struct.pack("=H", 4094))), VlanOptions(4094)),
        (
            linkinfo(
                b"bond",
                kernel.attr(1, b"\x01"),
                kernel.number(3, 100),
                kernel.number(4, 200),
                kernel.number(5, 300),
                kernel.attr(6, b"\0"),
                kernel.number(11, 4),
            ),
            BondOptions("active-backup", 4, 100, 200, 300, netif_carrier=False, arp_validate="none"),
        ),
        (
            linkinfo(
                b"bond",
                kernel.attr(1, b"\x09"),
                kernel.number(7, 1000),
                kernel.attr(8, kernel.attr(0, V4) + kernel.attr(1, b"\x0a\0\0\x02")),
                kernel.number(9, 5),
            ),
            BondOptions("", arp_interval=1000, arp_target="10.0.0.1"),
        ),
        (linkinfo(b"dummy", kernel.number(1, 200)), None),
    ],
)
def test_the_options_of_its_kind(info: bytes, options: object) -> None:
    assert read_interface(one(kernel.link(7, b"x", info))).options == options


def address(family: int, *attrs: bytes, flags: int = 0) -> Message:
    return one(kernel.message(NEWADDR, struct.pack("=BBBBI", family, 24, flags, 0, 7) + b"".join(attrs)))


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (address(2, kernel.attr(1, b"\x0a\0\0\x09"), kernel.attr(2, V4)), IpAddress(4, "10.0.0.1", 24)),
        (address(10, kernel.attr(1, V6)), IpAddress(6, "2001:db8::1", 24)),
        (address(10, kernel.attr(1, V6), kernel.number(8, 0x100)), IpAddress(6, "2001:db8::1", 24, True)),
        (address(10, kernel.attr(1, V6), kernel.attr(11, b"\x02")), IpAddress(6, "2001:db8::1", 24, True)),
        (address(10, kernel.attr(1, V6), kernel.attr(11, b"\x01")), IpAddress(6, "2001:db8::1", 24)),
        (address(10, kernel.attr(1, V4)), None),
        (address(2), None),
        (address(12, kernel.attr(1, V4)), None),
    ],
)
def test_an_address(message: Message, found: IpAddress | None) -> None:
    assert read_ip(message) == (7, found)


def route(*attrs: bytes, family: int = 2, dst: int = 0, src: int = 0, tos: int = 0, table: int = 254) -> Message:
    head = struct.pack("=BBBBBBBBI", family, dst, src, tos, table, 16, 0, 1, 0)
    return one(kernel.message(NEWROUTE, head + b"".join(attrs)))


def hop(ifindex: int, flags: int, *attrs: bytes) -> bytes:
    inner = b"".join(attrs)
    return struct.pack("=HBBi", 8 + len(inner), flags, 0, ifindex) + inner


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (
            route(kernel.number(4, 7), kernel.attr(5, V4), kernel.number(6, 100), kernel.attr(7, b"\x0a\0\0\x02")),
            [DefaultRoute(4, 7, 100, "10.0.0.1", "10.0.0.2", 16)],
        ),
        (
            route(kernel.number(4, 7), kernel.attr(18, struct.pack("=H", 10) + V6)),
            [DefaultRoute(4, 7, 0, "2001:db8::1", protocol=16)],
        ),
        (route(kernel.number(30, 5)), [DefaultRoute(4, 0, protocol=16, nexthop=5)]),
        (
            route(kernel.attr(9, hop(3, 0, kernel.attr(5, V4)) + hop(4, 1, kernel.attr(5, V4)) + hop(5, 16))),
            [DefaultRoute(4, 3, 0, "10.0.0.1", protocol=16), DefaultRoute(4, 5, protocol=16)],
        ),
        (
            route(kernel.number(4, 7), kernel.number(15, 254), family=10, table=252),
            [DefaultRoute(6, 7, protocol=16)],
        ),
        (route(kernel.number(4, 7), dst=24), []),
        (route(kernel.number(4, 7), src=64), []),
        (route(kernel.number(4, 7), tos=8), []),
        (route(kernel.number(4, 7), table=77), []),
        (route(kernel.number(4, 7), kernel.number(15, 1000), table=252), []),
        (route(kernel.number(4, 7), family=28), []),
    ],
)
def test_a_default_route(message: Message, found: list[DefaultRoute]) -> None:
    assert list(read_default(message)) == found


def test_a_hop_that_is_cut_is_no_route() -> None:
    with pytest.raises(NetlinkError):
        read_default(route(kernel.attr(9, struct.pack("=HBBi", 99, 0, 0, 3))))


def prefix(family: int, dst: int, protocol: int) -> Message:
    head = struct.pack("=BBBBBBBBI", family, dst, 0, 0, 254, protocol, 0, 1, 0)
    return one(kernel.message(NEWROUTE, head + kernel.number(4, 7)))


@pytest.mark.parametrize(
    ("message", "ifindex"),
    [(prefix(10, 64, 2), 7), (prefix(10, 0, 2), 0), (prefix(10, 64, 3), 0), (prefix(2, 24, 2), 0)],
)
def test_the_prefix_of_an_address_that_is_not_told_yet(message: Message, ifindex: int) -> None:
    assert read_prefix(message) == ifindex


def test_a_nexthop_object() -> None:
    def nexthop(*attrs: bytes) -> Message:
        return one(kernel.message(NEWNEXTHOP, struct.pack("=BBBxI", 2, 0, 0, 0) + b"".join(attrs)))

    assert read_nexthop(nexthop(kernel.number(1, 5), kernel.number(5, 7), kernel.attr(6, V4))) == Nexthop(
        5, 7, "10.0.0.1"
    )
    group = struct.pack("=IBBHIBBH", 5, 0, 0, 0, 6, 0, 0, 0)
    assert read_nexthop(nexthop(kernel.number(1, 9), kernel.attr(2, group))) == Nexthop(9, members=(5, 6))


@pytest.mark.parametrize("read", [read_ip, read_default, read_nexthop, read_prefix])
def test_a_message_that_is_too_short(read: object) -> None:
    assert callable(read)
    with pytest.raises(NetlinkError):
        read(one(kernel.message(NEWADDR, b"\0\0")))


def test_a_number_of_an_odd_length() -> None:
    with pytest.raises(NetlinkError):
        read_interface(one(kernel.link(7, b"x", kernel.attr(4, b"\0\0\0"))))


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused(garbage: bytes) -> None:
    for read in (read_ip, read_default, read_nexthop, read_prefix):
        try:
            read(one(kernel.message(NEWADDR, garbage)))
        except NetlinkError:
            continue
    try:
        read_interface(one(kernel.link(7, b"x", garbage)))
    except NetlinkError:
        return
