"""Frames against what a Linux guest really sent (captured on the lab's switch), and against themselves."""

from __future__ import annotations

import ipaddress

import pytest

from failoverd_lab.frames import (
    Neighbour,
    Station,
    Udp,
    answer,
    ask,
    checksum,
    echo,
    echoed,
    mac,
    parse,
    udp,
)

GUEST, PEER = mac("52:54:00:12:34:56"), mac("52:54:00:00:00:01")
V4, V6 = ipaddress.ip_address("10.0.0.2"), ipaddress.ip_address("fd00::2")
PEER4, PEER6 = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fd00::1")

UDP4 = bytes.fromhex(
    "525400000001525400123456080045000028efa440004011371e0a0000020a0000011b611b610014d81a666f76720000000000000005"
)
UDP6 = bytes.fromhex(
    "52540000000152540012345686dd60066ec500141140fd000000000000000000000000000002"
    "fd0000000000000000000000000000011b611b610014f218666f76720000000000000005"
)
ARP_REQUEST = bytes.fromhex("ffffffffffff525400123456080600010800060400015254001234560a0000020000000000000a000009")
GRATUITOUS = bytes.fromhex("ffffffffffff525400123456080600010800060400015254001234560a0000020000000000000a000002")
SOLICITATION = bytes.fromhex(
    "3333ff00000952540012345686dd6000000000203afffd000000000000000000000000000002ff0200000000000000000001ff000009"
    "8700f8cc00000000fd0000000000000000000000000000090101525400123456"
)
DUPLICATE_CHECK = bytes.fromhex(
    "3333ff12345652540012345686dd6000000000203aff00000000000000000000000000000000ff0200000000000000000001ff123456"
    "870077ad00000000fe80000000000000505400fffe1234560e01d1f7de798dda"
)
UNSOLICITED = bytes.fromhex(
    "33330000000152540012345686dd6000000000203afffd000000000000000000000000000002ff020000000000000000000000000001"
    "8800d5dd20000000fd0000000000000000000000000000020201525400123456"
)
RARP = bytes.fromhex("ffffffffffff525400123456803500010800060400035254001234560000000052540012345600000000") + bytes(18)
MLD = bytes.fromhex(
    "33330000001652540012345686dd600000000024000100000000000000000000000000000000ff0200000000000000000000000000163a00"
    "0502000001008f006f880000000104000000ff0200000000000000000001ff000002"
)


def test_what_a_guest_sends_is_understood() -> None:
    payload = b"fovr" + bytes(7) + b"\x05"
    assert parse(UDP4) == Udp(V4, PEER4, 7009, 7009, payload)
    assert parse(UDP6) == Udp(V6, PEER6, 7009, 7009, payload)
    assert parse(ARP_REQUEST) == Neighbour("arp", True, GUEST, V4, ipaddress.ip_address("10.0.0.9"), False)
    assert parse(SOLICITATION) == Neighbour("nd", True, GUEST, V6, ipaddress.ip_address("fd00::9"), False)
    link_local = ipaddress.ip_address("fe80::5054:ff:fe12:3456")
    assert parse(DUPLICATE_CHECK) == Neighbour("nd", True, GUEST, None, link_local, False)


def test_announcements_are_told_from_answers() -> None:
    assert parse(GRATUITOUS) == Neighbour("arp", True, GUEST, V4, V4, True)
    assert parse(UNSOLICITED) == Neighbour("nd", False, GUEST, V6, V6, True)
    assert parse(answer(Station(GUEST, V6), Station(PEER, PEER6))) == Neighbour("nd", False, GUEST, V6, V6, False)


@pytest.mark.parametrize("frame", [RARP, MLD, b"", UDP4[:20], ARP_REQUEST[:30], UDP6[:60]])
def test_everything_else_is_nothing(frame: bytes) -> None:
    assert parse(frame) is None


def test_a_udp_frame_is_byte_for_byte_what_linux_makes_of_it() -> None:
    payload = b"fovr" + bytes(7) + b"\x05"
    made = udp(Station(GUEST, V4), Station(PEER, PEER4), (7009, 7009), payload)
    # All but the IP identification, which is any number, and the header checksum that covers it.
    assert made[:18] + made[20:24] + made[26:] == UDP4[:18] + UDP4[20:24] + UDP4[26:]
    assert checksum(made[14:34]) == 0
    made = udp(Station(GUEST, V6), Station(PEER, PEER6), (7009, 7009), payload)
    # All but the flow label.
    assert made[:15] + made[18:] == UDP6[:15] + UDP6[18:]


def test_questions_are_byte_for_byte_what_linux_asks() -> None:
    assert ask(Station(GUEST, V4), ipaddress.ip_address("10.0.0.9")) == ARP_REQUEST
    assert ask(Station(GUEST, V6), ipaddress.ip_address("fd00::9")) == SOLICITATION


def test_answers_are_understood_by_the_one_who_asked() -> None:
    told = parse(answer(Station(PEER, PEER4), Station(GUEST, V4)))
    assert told == Neighbour("arp", False, PEER, PEER4, V4, False)
    frame = answer(Station(PEER, PEER6), Station(GUEST, V6))
    assert frame[:6] == GUEST
    length = len(frame) - 54
    pseudo = frame[22:54] + length.to_bytes(4, "big") + b"\0\0\0\x3a"
    assert checksum(pseudo + frame[54:]) == 0


def test_an_echo_comes_back_with_its_number() -> None:
    """What answers is a kernel, which swaps the ends and changes the type; the lab's guests do (tests/vm)."""
    request = echo(Station(PEER, PEER4), Station(GUEST, V4), 70_000)
    assert echoed(request) is None
    assert checksum(request[14:34]) == checksum(request[34:]) == 0
    reply = request[:34] + b"\0" + request[35:]
    assert echoed(reply) == (PEER4, 70_000)
    assert echoed(request[:34] + b"\0\x03" + request[36:]) is None, "the code of an error"
    assert [echoed(frame) for frame in (UDP4, ARP_REQUEST, b"", UDP6)] == [None] * 4
