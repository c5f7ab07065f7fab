"""What declared links read of a device, beside what pyroute2's codec makes of the same bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import kernelbytes as kernel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.model.links import Link
from failoverd.netlink.frames import Message, NetlinkError, split
from failoverd.netlink.links import read_link
from failoverd.netlink.slim import read_device

READ = ("ifindex", "name", "mac", "up", "carrier", "mtu", "master", "link", "kind", "info", "altnames")
MAC = "52:54:00:aa:bb:cc"

numbers = st.integers(0, 2**31 - 1)
names = st.binary(max_size=15).filter(lambda raw: b"\0" not in raw)


def info(kind: bytes, options: bytes) -> bytes:
    """IFLA_LINKINFO."""
    return kernel.attr(18, kernel.attr(1, kind + b"\0") + kernel.attr(2, options))


kinds = st.one_of(
    st.just(b""),
    st.sampled_from([info(kind, b"") for kind in (b"veth", b"dummy", b"wireguard", b"bridge")]),
    numbers.map(lambda tag: info(b"vlan", kernel.attr(1, struct.pack("=H", tag % 4096)) + kernel.attr(5, b"\x81\0"))),
    numbers.map(lambda mode: info(b"macvlan", kernel.number(1, mode))),
    numbers.map(lambda table: info(b"vrf", kernel.number(1, table))),
)
altnames = st.lists(names, max_size=4).map(
    lambda found: kernel.attr(52 | 0x8000, b"".join(kernel.attr(53, name + b"\0") for name in found)) if found else b""
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Devices of the kinds that are declared, and others, with attributes in any order."""
    attrs = [kernel.number(kind, draw(numbers)) for kind in (5, 10, 37) if draw(st.booleans())]
    attrs += [draw(kinds), draw(altnames)]
    flags = draw(st.sampled_from([0, 1, 0x10000, 0x10001]))
    return kernel.link(draw(numbers), draw(names), *draw(st.permutations(attrs)), state=flags)


def only(raw: bytes) -> Message:
    (message,) = split(raw)
    return message


def picked(link: Link) -> Iterator[object]:
    return (getattr(link, field) for field in READ)


@given(messages())
def test_it_reads_what_the_codec_reads(raw: bytes) -> None:
    message = only(raw)
    assert list(picked(read_device(message))) == list(picked(read_link(message)))


@given(st.binary(max_size=120))
def test_garbage_is_read_or_refused(garbage: bytes) -> None:
    try:
        read_device(only(kernel.message(16, struct.pack("=BxHiII", 0, 1, 7, 0, 0) + garbage)))
    except NetlinkError:
        return


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (kernel.message(16, b"1234"), "a link message of 20 bytes"),
        (kernel.link(7, b"eth0", kernel.attr(4, b"\1")), "attribute 4 of a link has 1 bytes"),
        (kernel.link(7, b"eth0", info(b"vlan", kernel.attr(1, b"\1"))), "the options of a vlan"),
    ],
)
def test_what_is_too_short_is_an_error_with_a_text(raw: bytes, words: str) -> None:
    with pytest.raises(NetlinkError, match=words):
        read_device(only(raw))
