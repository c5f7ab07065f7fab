"""What the kernel says of a device of each kind, and what is asked of it for a new one, byte by byte."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from failoverd.kinds import (
    KINDS,
    Bond,
    Bridge,
    Data,
    Dummy,
    Info,
    Ipvlan,
    Macvlan,
    NewDevice,
    Spec,
    Veth,
    VethPair,
    Vlan,
    Vrf,
)
from failoverd.kinds.base import Attributes
from failoverd.kinds.bridge import BridgeRest

PEER = NewDevice("v1", "02:00:00:00:00:01", 1400, 77)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


BOND = {1: b"\1", 2: number(7), 3: number(100), 11: number(8), 13: b"\1", 16: b"\2", 17: b"\1", 19: number(5)}


@pytest.mark.parametrize(
    ("data", "info"),
    [
        (Data(BOND), Bond(1, 7, 100, 1, 8, True, 2, 5)),
        (Data({}), Bond()),
        (Data({}, 12), Veth(12)),
        (Data({}, 12, 3), Veth(12, 3)),
        (Data({1: struct.pack("=H", 7), 5: b"\x88\xa8"}, 2), Vlan(7, 0x88A8)),
        (Data({1: number(1500), 5: number(2), 7: b"\1"}), Bridge(1500, stp=True, vlan_filtering=True)),
        (Data({1: number(0), 5: number(0), 7: b"\0"}), Bridge(0)),
        (Data({}), Dummy()),
        (Data({1: number(4), 2: b"\1\0", 5: b"?"}, 2), Macvlan(4, 1)),
        (Data({1: b"\2\0", 2: b"\1\0"}, 2), Ipvlan(2, 1)),
        (Data({1: number(10)}), Vrf(10)),
    ],
)
def test_what_the_kernel_says_of_one(data: Data, info: Info) -> None:
    kind = KINDS[info.kind]
    picked = {place: raw for place, raw in data.options.items() if place in kind.wanted}
    assert kind.read(replace(data, options=picked)) == info


def test_the_flags_and_maps_of_a_vlan_are_read_and_make_it_no_other() -> None:
    flags = struct.pack("=II", 5, 0xFFFFFFFF)
    vlan = Vlan.read(Data({1: struct.pack("=H", 7), 2: flags, 3: b"out", 4: b"in", 5: b"\x81\0"}, 2))
    assert (vlan.flags, vlan.egress, vlan.ingress, vlan.is_loose) == (5, b"out", b"in", True)
    assert vlan == Vlan(7)
    assert (Vlan.read(Data({1: struct.pack("=H", 7), 5: b"\x81\0"})).flags, Vlan(7).is_loose) == (1, False)


@pytest.mark.parametrize("kind", [Bond, Vlan, Bridge, Macvlan, Ipvlan, Vrf])
def test_an_option_that_is_too_short_is_an_error(kind: type[Info]) -> None:
    with pytest.raises(struct.error):
        kind.read(Data({1: b""}))


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        (
            Bond(1, 7, 100, 1, 8, True, 2, 5),
            ((1, b"\1"), (3, number(100)), (12, b"\2"), (13, b"\1"), (16, b"\2"), (19, number(5))),
        ),
        (VethPair(PEER), ((1, PEER),)),
        (Vlan(7), ((1, struct.pack("=H", 7)), (5, b"\x81\0"))),
        (
            Vlan(7, flags=4, egress=b"out", ingress=b"in"),
            ((1, struct.pack("=H", 7)), (5, b"\x81\0"), (2, struct.pack("=II", 4, 5)), (3, b"out"), (4, b"in")),
        ),
        (Bridge(200, stp=True), ((1, number(200)), (5, number(1)))),
        (Bridge(0, vlan_filtering=True), ((1, number(0)), (5, number(0)), (7, b"\1"))),
        (Dummy(), ()),
        (Macvlan(4), ((1, number(4)), (2, b"\0\0"))),
        (Ipvlan(0, 2), ((1, b"\0\0"), (2, b"\2\0"))),
        (Vrf(10), ((1, number(10)),)),
    ],
)
def test_what_is_asked_for_a_new_one(spec: Spec, rows: Attributes) -> None:
    assert spec.write() == rows


def test_what_was_told_of_a_bridge_is_asked_of_another() -> None:
    raw = struct.pack("=HHH2xHHI", 6, 6, 9, 8, 2, 200)
    assert BridgeRest(raw).write() == ((6, struct.pack("=H", 9)), (2, number(200)))
    assert BridgeRest(raw).words() == ("the options of the old one",)
    assert BridgeRest(struct.pack("=HH", 0, 2)).write() == ((2, b""),)


@pytest.mark.parametrize(
    "info",
    [
        *(Vlan(7, 0x88A8), Bridge(200, stp=True, vlan_filtering=True), Bond(1, 0, 50, 1)),
        *(Dummy(), Macvlan(8, 1), Ipvlan(1, 1), Vrf(7)),
    ],
)
def test_what_was_asked_for_is_what_is_read(info: Bond | Bridge | Dummy | Ipvlan | Macvlan | Vlan | Vrf) -> None:
    rows = {place: value for place, value in info.write() if isinstance(value, bytes)}
    assert KINDS[info.kind].read(Data(rows)) == info


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (Dummy(), ()),
        (Macvlan(4), ("mode bridge",)),
        (Macvlan(3), ("mode 3",)),
        (Ipvlan(0), ("mode l2",)),
        (Ipvlan(9), ("mode 9",)),
        (Vrf(10), ("table 10",)),
    ],
)
def test_what_is_said_of_a_new_one(spec: Spec, words: tuple[str, ...]) -> None:
    assert spec.words() == words
