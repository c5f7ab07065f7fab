from __future__ import annotations

import struct

import kernelbytes as kernel
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from privatenet import private_net

from failoverd.kinds import Bond, Bridge, Veth, Vlan
from failoverd.model.links import Link
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import Rename
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.frames import Message, NetlinkError, split
from failoverd.netlink.links import head, raw_name, read_link, text
from failoverd.netlink.listing import list_links
from failoverd.netlink.transport import KernelSocket

TICKET = Ticket(PairOf("52:54:00:aa:bb:cc"), Part.MOVE)

MAC = "52:54:00:aa:bb:cc"
MASTER = kernel.number(10, 9)


def read(raw: bytes) -> Link:
    (message,) = split(raw)
    return read_link(message)


def test_a_nic() -> None:
    names = (b"enp1s0\0", b"a-very-long-alternative-name\0")
    altnames = kernel.attr(52 | 0x8000, b"".join(kernel.attr(53, name) for name in names))
    raw = kernel.nic(7, b"ens4", MAC, b"pci", altnames, MASTER, kernel.attr(56, b"0000:01:00.0\0"), state=0x10001)
    assert read(raw) == Link(
        7,
        "ens4",
        mac=MAC,
        perm_mac=MAC,
        up=True,
        carrier=True,
        mtu=1500,
        master=9,
        bus="pci",
        parent="0000:01:00.0",
        altnames=frozenset({"enp1s0", "a-very-long-alternative-name"}),
    )


def test_a_bond() -> None:
    data = kernel.attr(1, b"\1") + kernel.number(2, 7) + kernel.number(3, 100) + kernel.attr(13, b"\1")
    info = kernel.attr(18, kernel.attr(1, b"bond\0") + kernel.attr(2, data))
    found = read(kernel.link(9, b"ens3", info))
    assert (found.kind, found.info) == ("bond", Bond(mode=1, active=7, miimon=100, fail_over_mac=1))


def of_kind(kind: bytes, options: bytes) -> bytes:
    """IFLA_LINKINFO."""
    return kernel.attr(18, kernel.attr(1, kind + b"\0") + kernel.attr(2, options))


def test_the_kinds_with_options_of_their_own() -> None:
    below, far = kernel.number(5, 3), kernel.number(37, 4)
    tag = kernel.attr(1, struct.pack("=H", 7)) + kernel.attr(5, b"\x81\0")
    assert read(kernel.link(9, b"ens3.7", below, of_kind(b"vlan", tag))).info == Vlan(7)
    assert read(kernel.link(9, b"br0", of_kind(b"bridge", kernel.number(5, 1)))).info == Bridge(0, stp=True)
    assert read(kernel.link(9, b"v0", below, of_kind(b"veth", b""))).info == Veth(3)
    assert read(kernel.link(9, b"v0", below, far, of_kind(b"veth", b""))).info == Veth(3, 4)


def test_an_option_without_its_number_is_an_error_with_a_text() -> None:
    with pytest.raises(NetlinkError, match="the options of a bond: unpack_from requires"):
        read(kernel.link(9, b"ens3", of_kind(b"bond", kernel.attr(3, b"\1"))))


@pytest.mark.parametrize(("mii", "up"), [(b"\0", True), (b"\2", False)])
def test_a_bonds_opinion_of_its_slave(mii: bytes, up: bool) -> None:
    info = kernel.attr(18, kernel.attr(4, b"bond\0") + kernel.attr(5, kernel.attr(2, mii)))
    found = read(kernel.link(7, b"ens4", info, MASTER))
    assert (found.slave_kind, found.mii_up) == ("bond", up)


def test_a_kind_that_is_not_known_keeps_its_data_to_itself() -> None:
    info = kernel.attr(18, kernel.attr(1, b"vxlan\0") + kernel.attr(2, b"\1\2\3") + kernel.attr(5, b"\7\7\7\7"))
    found = read(kernel.link(7, b"vx0", info))
    assert (found.kind, found.info) == ("vxlan", None)


@pytest.mark.parametrize("raw", [b"eth0", b"\xff\xfe0", b"\x1b[31m", "ü".encode(), b"%d"])
def test_a_name_survives_whatever_its_bytes_are(raw: bytes) -> None:
    assert raw_name(read(kernel.link(7, raw)).name) == raw + b"\0"


@given(st.binary(max_size=15).filter(lambda raw: b"\0" not in raw))
def test_names_go_there_and_back(raw: bytes) -> None:
    assert raw_name(text(raw + b"\0")) == raw + b"\0"


def test_a_device_below_that_is_in_another_namespace_is_none_of_ours() -> None:
    below = kernel.number(5, 2)
    assert read(kernel.link(7, b"mv0", below)).link == 2
    assert read(kernel.link(7, b"mv0", below, kernel.number(37, 0))).link == 0


def test_what_the_redirection_has_to_know_of_a_device() -> None:
    def inet6(mode: int) -> bytes:
        """IFLA_AF_SPEC: AF_INET with its settings, AF_INET6 with its flags and IFLA_INET6_ADDR_GEN_MODE."""
        own = kernel.attr(10, kernel.number(1, 7) + kernel.attr(8, bytes([mode])))
        return kernel.attr(26, kernel.attr(2, bytes(8)) + own)

    assert [read(kernel.link(7, b"ens4", inet6(mode))).link_local for mode in range(4)] == [True, False, True, True]
    assert not read(kernel.link(7, b"ens4", kernel.attr(26, kernel.attr(2, bytes(8))))).link_local, "it has no IPv6"
    assert not read(kernel.link(7, b"ens4")).link_local
    assert read(kernel.link(7, b"ens4", state=0x200)).all_multicast
    assert not read(kernel.link(7, b"ens4", state=0x10101)).all_multicast
    assert read(kernel.link(7, b"ens4", state=0x100)).promiscuous
    assert not read(kernel.link(7, b"ens4", state=0x10201)).promiscuous
    assert read(kernel.link(7, b"ens4", kernel.number(30, 2))).promiscuity == 2
    assert read(kernel.link(7, b"ens4", kernel.attr(43, kernel.attr(2, b"\1") + kernel.number(1, 5)))).xdp
    assert not read(kernel.link(7, b"ens4", kernel.attr(43, kernel.attr(2, b"\0")))).xdp
    assert read(kernel.link(7, b"ens4", kernel.number(48, 12))).carrier_losses == 12


@pytest.mark.parametrize(
    ("attrs", "medium"), [((), True), ((kernel.attr(33, b"\1"),), True), ((kernel.attr(33, b"\0"),), False)]
)
def test_what_a_driver_says_of_its_link_while_it_is_down(attrs: tuple[bytes, ...], medium: bool) -> None:
    assert read(kernel.link(7, b"ens4", *attrs)).medium == medium


def test_a_message_too_short_for_a_device() -> None:
    with pytest.raises(NetlinkError):
        head(Message(16, 0, 0, kernel.message(16, b"1234")))


def test_an_attribute_without_its_number_is_an_error_with_a_text() -> None:
    with pytest.raises(NetlinkError, match="MTU is b"):
        read(kernel.link(7, b"eth0", kernel.attr(4, b"")))


KINDS = kernel.attr(1, b"bond\0") + kernel.attr(2, kernel.number(3, 100)) + kernel.attr(4, b"bond\0")
BOND_SLAVE = kernel.attr(18, KINDS)
WHOLE = kernel.nic(7, b"ens4", MAC, b"pci", kernel.attr(52, kernel.attr(53, b"enp1s0\0")), BOND_SLAVE, MASTER)


@given(st.lists(st.tuples(st.integers(16, len(WHOLE) - 1), st.integers(0, 255)), max_size=8))
def test_a_damaged_message_is_read_or_refused(damage: list[tuple[int, int]]) -> None:
    raw = bytearray(WHOLE)
    for at, byte in damage:
        raw[at] = byte
    try:
        found = read(bytes(raw))
    except NetlinkError:
        return
    assert {type(found.mtu), type(found.master), type(found.mii_up), type(found.name)} == {int, bool, str}


@given(st.binary(max_size=120))
def test_garbage_is_read_or_refused(garbage: bytes) -> None:
    try:
        read(kernel.message(16, struct.pack("=BxHiII", 0, 1, 7, 0, 0) + garbage))
    except NetlinkError:
        return


@private_net
def test_the_real_kernels_devices() -> None:
    async def look() -> tuple[Link, ...]:
        sock = await KernelSocket.open()
        try:
            return await list_links(sock, lambda link: link)
        finally:
            sock.close()

    (lo,) = trio.run(look)
    assert (lo.ifindex, lo.name, lo.mtu, lo.hardware, lo.up) == (1, "lo", 65536, 772, False)


@private_net
def test_the_real_kernel_takes_odd_names_and_gives_them_back() -> None:
    async def rename() -> str:
        sock = await KernelSocket.open()
        try:
            talk = Conversation(lambda link: link)
            talk.request(TICKET, (Rename(1, text(b"\xff\x1b[7m")),), 0.0)
            await sock.send(talk.out.pop())
            events = list(talk.feed(await sock.recv(), 0.0))
            assert "(0, '')" in repr(events)
            return (await list_links(sock, lambda link: link))[0].name
        finally:
            sock.close()

    assert raw_name(trio.run(rename)) == b"\xff\x1b[7m\0"


def test_an_attribute_that_is_cut_is_said_in_one_line_and_not_by_the_codec(caplog: pytest.LogCaptureFixture) -> None:
    """The codec would log a traceback for it, as often as it comes, and go on with its bytes for a text."""
    cut = struct.pack("=HHHH", 8, 18, 400, 1)
    with pytest.raises(NetlinkError):
        read(kernel.link(3, b"ens4", cut))
    words = kernel.attr(18, struct.pack("=HH", 60000, 4) + b"bond\0\0\0\0")
    with pytest.raises(NetlinkError):
        read(kernel.link(3, b"ens4", words))
    assert caplog.text == ""
