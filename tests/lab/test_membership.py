"""Multicast reports by hand, as RFC 2236, 3376, 2710 and 3810 draw them."""

from __future__ import annotations

import struct

import pytest

from failoverd_lab.frames import checksum
from failoverd_lab.membership import Memberships, reported
from failoverd_lab.vlans import tagged

MAC = bytes.fromhex("525400fa1101")


def igmp(body: bytes, ttl: int = 1) -> bytes:
    body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    head = bytes([0x46, 0xC0]) + struct.pack("!H", 24 + len(body)) + bytes(4) + bytes([ttl, 2, 0, 0])
    return bytes.fromhex("01005e000016") + MAC + b"\x08\x00" + head + bytes(8) + bytes([0x94, 4, 0, 0]) + body


def mld(body: bytes) -> bytes:
    ends = bytes(32)
    total = checksum(ends + struct.pack("!II", len(body), 58) + body)
    body = body[:2] + total.to_bytes(2, "big") + body[4:]
    head = struct.pack("!IHBB", 6 << 28, len(body) + 8, 0, 1) + ends + bytes([58, 0, 5, 2, 0, 0, 1, 0])
    return bytes.fromhex("333300000016") + MAC + b"\x86\xdd" + head + body


V2 = igmp(bytes.fromhex("16000000ef010203"))
V3 = igmp(
    bytes.fromhex("2200000000000003")
    + bytes.fromhex("04000000ef010203")
    + bytes.fromhex("05000001ef0102040a000001")
    + bytes.fromhex("03000000ef010205")
)
GROUP6 = bytes.fromhex("ff050000000000000000000000000123")
MLD1 = mld(bytes.fromhex("8300000000000000") + GROUP6)
MLD2 = mld(bytes.fromhex("8f00000000000001") + bytes.fromhex("04000000") + GROUP6)


@pytest.mark.parametrize(
    ("frame", "groups"),
    [
        (V2, ["239.1.2.3"]),
        (V3, ["239.1.2.3", "239.1.2.4"]),
        (MLD1, ["ff05::123"]),
        (MLD2, ["ff05::123"]),
        (igmp(bytes.fromhex("11000000ef010203")), []),
        (mld(bytes.fromhex("8200000000000000") + GROUP6), []),
        (igmp(bytes.fromhex("16000000ef010203"), ttl=2), []),
        (V2[:-1] + b"\0", []),
        (MLD2[:-1] + b"\0", []),
        (MLD2[:21] + b"\2" + MLD2[22:], []),
        (b"\xff" * 14, []),
    ],
)
def test_what_a_frame_reports(frame: bytes, groups: list[str]) -> None:
    assert [str(group) for group in reported(frame)] == groups


def test_reports_are_kept_with_their_time_their_port_and_their_vlan() -> None:
    members = Memberships()
    for at, port, frame in ((1.0, "vf@1", V2), (2.0, "pv@1", tagged(MLD2, 7)), (3.0, "pv@1", V3)):
        assert members.answer(frame, port, at) == ()
    assert members.since(0.0, "vf@1") == {"239.1.2.3"}
    assert members.since(1.5, "vf@1") == set()
    assert members.since(1.5, "pv@1") == {"239.1.2.3", "239.1.2.4"}
    assert members.since(1.5, "pv@1", 7) == {"ff05::123"}
