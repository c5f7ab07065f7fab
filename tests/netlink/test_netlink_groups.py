"""Multicast reports: which groups are in them, that a router understands them, and that the kernel's lists are read."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
import trio
from privatenet import private_net
from test_netlink_announce import do, open_inet
from veths import make_veth

from failoverd.model.inet import Address
from failoverd.model.requests import Rename, SetUp
from failoverd.netlink.announce import announce
from failoverd.netlink.groups import Groups, of_all, parse_igmp, parse_igmp6, read_groups, reports
from failoverd_lab.membership import reported

MAC = bytes.fromhex("525400aabbcc")
FOUR, SIX = socket.inet_aton("192.0.2.1"), socket.inet_pton(socket.AF_INET6, "fe80::2")
GROUP4, GROUP6 = socket.inet_aton("239.129.2.3"), socket.inet_pton(socket.AF_INET6, "ff05::123")
IGMP = b"""\
Idx	Device    : Count Querier	Group    Users Timer	Reporter
1	lo        :     1      V3
				010000E0     1 0:00000000		0
2	ens3      :     2      V3
				030281EF     1 0:00000000		0
				010000E0     1 0:00000000		0
7	v7        :     2      V2
				070281EF     1 0:00000000		1
8	old       :     1      V1
				010000E0     1 0:00000000		0
"""
IGMP6 = b"""\
1    lo              ff020000000000000000000000000001     1 0000000C 0
2    ens3            ff050000000000000000000000000123     1 00000004 0
2    ens3            ff0200000000000000000001ff000002     1 00000004 0
2    ens3            ff020000000000000000000000000001     1 0000000C 0
2    ens3            ff010000000000000000000000000001     1 00000008 0
"""
LOCAL = Address(2, 10, 64, 253, 0x80, SIX)


def words(frames: list[bytes]) -> list[list[str]]:
    return [[str(group) for group in reported(frame)] for frame in frames]


def test_the_kernels_list_names_devices_and_then_their_groups() -> None:
    assert parse_igmp(IGMP) == {
        1: ((), 0),
        2: ((GROUP4,), 0),
        7: ((socket.inet_aton("239.129.2.7"),), 0x16),
        8: ((), 0x12),
    }


def test_what_never_leaves_the_machine_is_not_reported() -> None:
    solicited = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:2")
    assert parse_igmp6(IGMP6) == {2: (GROUP6, solicited)}


def test_a_device_without_groups_and_a_kernel_without_ipv6(tmp_path: Path) -> None:
    (tmp_path / "igmp").write_bytes(IGMP)
    assert read_groups([2, 9], tmp_path) == {2: Groups((GROUP4,)), 9: Groups()}
    (tmp_path / "igmp6").write_bytes(IGMP6)
    assert read_groups([2], tmp_path)[2].six[0] == GROUP6
    assert of_all({2: "x"}, tmp_path / "none")[0] == {}
    assert "cannot be read" in of_all({2: "x"}, tmp_path / "none")[1]


ODD = ["Åb".encode(), b"\x1c9\x85", b"a\xff\x1d\x1e\x1f7", b"V2"]
"""In text of one kind or another each but the last would be cut in two, or not be text."""


@pytest.mark.parametrize("name", ODD)
def test_a_device_may_be_called_what_it_likes(name: bytes) -> None:
    assert parse_igmp(IGMP.replace(b"ens3", name)) == parse_igmp(IGMP)
    assert parse_igmp6(IGMP6.replace(b"ens3", name)) == parse_igmp6(IGMP6)


@pytest.mark.parametrize("file", ["igmp", "igmp6"])
@pytest.mark.parametrize(
    "raw",
    [
        b"first\nx\tens3      :     1      V3\n",
        b"first\n\t\t\t\t030281EF     1 0:00000000\t\t0\n",
        b"first\n1\tlo        :     1      V3\n\t\t\t\t1030281EF     1 0:00000000\t\t0\n",
        b"first\n1 lo odd\n \n",
        b"\t\n\t\n",
    ],
)
def test_a_list_of_another_form_is_told_of(tmp_path: Path, file: str, raw: bytes) -> None:
    (tmp_path / "igmp").write_bytes(IGMP)
    (tmp_path / file).write_bytes(raw)
    found, trouble = of_all({2: "x"}, tmp_path)
    assert found == {}
    assert trouble.startswith("the multicast groups cannot be read: ")


def test_a_report_is_what_a_router_understands() -> None:
    """`reported` passes over what has a bad checksum or another TTL than 1."""
    found = reports(MAC, [Address(2, 2, 24, 0, 0, FOUR), LOCAL], Groups((GROUP4, bytes([239, 1, 1, 1])), (GROUP6,)))
    assert words(found) == [["239.129.2.3", "239.1.1.1"], ["ff05::123"]]
    igmp, mld = found
    assert igmp[:12] == bytes.fromhex("01005e000016") + MAC
    assert igmp[26:34] == FOUR + bytes([224, 0, 0, 22])
    assert igmp[34:38] == bytes([0x94, 4, 0, 0]), "without a router alert routers pass it over (RFC 3376, 4)"
    assert mld[:12] == bytes.fromhex("333300000016") + MAC
    assert mld[22:38] == SIX
    assert mld[54:62] == bytes([58, 0, 5, 2, 0, 0, 1, 0])


@pytest.mark.parametrize("flags", [0x40, 0x08])
def test_a_report_has_no_source_that_is_not_sure(flags: int) -> None:
    addresses = [Address(2, 10, 64, 253, flags, SIX), Address(2, 10, 64, 0, 0, b"\x20" + SIX[1:])]
    igmp, mld = reports(MAC, addresses, Groups((GROUP4,), (GROUP6,)))
    assert (igmp[26:30], mld[22:38]) == (bytes(4), bytes(16))


def test_an_old_router_is_told_one_by_one() -> None:
    found = reports(MAC, [], Groups((GROUP4, bytes([239, 1, 1, 1])), (), 0x16))
    assert words(found) == [["239.129.2.3"], ["239.1.1.1"]]
    assert [frame[:6] for frame in found] == [bytes.fromhex("01005e010203"), bytes.fromhex("01005e010101")]
    assert [frame[30:34] for frame in found] == [GROUP4, bytes([239, 1, 1, 1])]


def test_many_groups_are_several_reports_and_none_is_none() -> None:
    four = tuple(struct.pack("!I", 0xEF000000 + number) for number in range(400))
    six = tuple(GROUP6[:12] + struct.pack("!I", number) for number in range(130))
    found = reports(MAC, [], Groups(four, six))
    assert [len(one) for one in words(found)] == [150, 150, 100, 60, 60, 10]
    assert max(map(len, found)) < 1514
    assert reports(MAC, [LOCAL], Groups()) == []


@private_net
def test_the_real_kernels_groups_are_reported_by_their_device() -> None:
    async def main() -> list[bytes]:
        first, second = await make_veth("v0", "v1")
        await do(SetUp(first, True), SetUp(second, True))
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
        ):
            four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", GROUP4, bytes(4), first))
            six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack("16si", GROUP6, first))
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear:
                ear.bind(("v1", 0))
                ear.settimeout(10)
                assert await announce(open_inet, {first: "52:54:00:aa:bb:cc"}, {}) == []
                heard: list[bytes] = []
                while len(heard) < 3:
                    frame = ear.recv(2000)
                    heard += [frame] if frame[6:12] == MAC else []
        return heard

    heard = trio.run(main)
    groups = {str(group) for frame in heard for group in reported(frame)}
    assert {"239.129.2.3", "ff05::123"} <= groups


@private_net
def test_the_real_kernels_lists_are_read_whatever_its_devices_are_called() -> None:
    """Both of a pair are up, and so are in some groups by themselves."""

    async def main() -> None:
        for number, raw in enumerate(ODD):
            first, second = await make_veth(f"v{number}", f"w{number}")
            await do(Rename(first, raw.decode("utf-8", "surrogateescape")), SetUp(first, True), SetUp(second, True))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four:
                membership = struct.pack("4s4si", GROUP4, bytes(4), first)
                four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
                # The kernel joins a device to its IPv6 groups in its own time.
                with trio.fail_after(10):
                    while True:
                        found, trouble = of_all({first: "x", second: "y"})
                        if found[first].six and found[second].six:
                            break
                        await trio.sleep(0.02)
            assert (trouble, found[first].four, found[second].four) == ("", (GROUP4,), ())

    trio.run(main)
