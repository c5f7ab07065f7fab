"""The lab's DHCP server: messages written by hand, byte for byte, and what comes back."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from failoverd_lab.dhcp import Dhcp
from failoverd_lab.frames import Station, Udp, mac, parse

SERVER = Station(mac("52:54:00:fa:00:01"), ipaddress.ip_address("10.111.0.1"))
GUEST = mac("52:54:00:fa:11:01")
XID = b"\x12\x34\x56\x78"


def ethernet(payload: bytes, port: int = 67) -> bytes:
    """A broadcast from 0.0.0.0, without a UDP checksum, as a client without an address sends it."""
    udp = struct.pack("!HHHH", 68, port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0x10, 20 + len(udp), 0, 0, 128, 17, 0, bytes(4), b"\xff" * 4)
    return b"\xff" * 6 + GUEST + b"\x08\x00" + ip + udp


def message(options: bytes, *, flags: int = 0, current: bytes = bytes(4), op: int = 1) -> bytes:
    """A client's message: the fixed part as in RFC 2131's figure 1, then these options."""
    fixed = bytes([op, 1, 6, 0]) + XID + struct.pack("!HH", 0, flags) + current + bytes(12) + GUEST + bytes(10)
    return ethernet(fixed + bytes(192) + b"\x63\x82\x53\x63" + options)


def reply(frame: bytes) -> tuple[Udp, dict[int, bytes]]:
    """The datagram, and its options read by hand."""
    datagram = parse(frame)
    assert isinstance(datagram, Udp)
    options, rest = {}, datagram.payload[240:]
    while rest[0] != 255:
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return datagram, options


@pytest.fixture
def server() -> Dhcp:
    return Dhcp(SERVER, ipaddress.IPv4Address("10.111.0.2"))


def test_a_client_is_offered_an_address_and_gets_it(server: Dhcp) -> None:
    (offer,) = server.answer(message(b"\x35\x01\x01\x0c\x05guest\xff"), "pv@1", 1.5)
    datagram, options = reply(offer)
    assert (offer[:6], offer[6:12]) == (GUEST, SERVER.mac)
    assert (str(datagram.source), str(datagram.destination)) == ("10.111.0.1", "10.111.0.2")
    assert (datagram.source_port, datagram.destination_port) == (67, 68)
    assert datagram.payload[:8] == b"\x02\x01\x06\x00" + XID
    assert datagram.payload[16:20] == bytes([10, 111, 0, 2])
    assert datagram.payload[28:44] == GUEST + bytes(10)
    assert options == {
        53: b"\x02",
        54: bytes([10, 111, 0, 1]),
        51: (120).to_bytes(4, "big"),
        1: b"\xff\xff\xff\0",
        3: bytes([10, 111, 0, 1]),
    }
    (ack,) = server.answer(message(b"\x35\x01\x03\x32\x04\x0a\x6f\x00\x02\x36\x04\x0a\x6f\x00\x01\xff"), "pv@1", 2)
    assert reply(ack)[1][53] == b"\x05"
    (renewed,) = server.answer(message(b"\x35\x01\x03\xff", current=bytes([10, 111, 0, 2])), "vf@1", 3)
    assert reply(renewed)[1][53] == b"\x05"
    assert [(a.at, a.port, a.kind, a.mac, a.hostname) for a in server.asked] == [
        (1.5, "pv@1", "discover", GUEST, "guest"),
        (2, "pv@1", "request", GUEST, ""),
        (3, "vf@1", "request", GUEST, ""),
    ]
    assert {str(address) for address in server.leases.values()} == {"10.111.0.2"}


def test_a_second_client_on_the_same_mac_shows_as_a_second_lease(server: Dhcp) -> None:
    server.answer(message(b"\x35\x01\x01\xff"), "pv@1", 0)
    (offer,) = server.answer(message(b"\x00\x35\x01\x01\x3d\x05\xff\x01\x02\x03\x04\xff"), "vf@1", 1)
    assert reply(offer)[0].payload[16:20] == bytes([10, 111, 0, 3])
    assert list(server.leases) == [GUEST, b"\xff\x01\x02\x03\x04"]
    assert server.asked[1].identifier == b"\xff\x01\x02\x03\x04"


def test_an_address_that_is_not_the_clients_is_refused_to_all_who_listen(server: Dhcp) -> None:
    (nak,) = server.answer(message(b"\x35\x01\x03\x32\x04\x0a\x6f\x00\x63\xff"), "pv@1", 0)
    datagram, options = reply(nak)
    assert nak[:6] == b"\xff" * 6
    assert str(datagram.destination) == "255.255.255.255"
    assert options == {53: b"\x06", 54: bytes([10, 111, 0, 1])}
    assert datagram.payload[16:20] == bytes(4)


def test_who_asks_for_a_broadcast_gets_one(server: Dhcp) -> None:
    (offer,) = server.answer(message(b"\x35\x01\x01\xff", flags=0x8000), "pv@1", 0)
    assert offer[:6] == b"\xff" * 6


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(message(b"\x35\x01\x03\x36\x04\x0a\x6f\x00\x09\xff"), id="another server was chosen"),
        pytest.param(message(b"\x35\x01\x07\xff"), id="a release"),
        pytest.param(message(b"\x35\x01\x01\xff", op=2), id="a reply"),
        pytest.param(message(b"\x35\x01\x02\xff"), id="an offer"),
        pytest.param(message(b"\x35\x00\xff"), id="no kind"),
        pytest.param(message(b"\x35"), id="cut in an option's head"),
        pytest.param(message(b"\x35\x04\x01"), id="cut in an option"),
        pytest.param(ethernet(bytes(100)), id="too short"),
        pytest.param(ethernet(b"\x01" + bytes(300)), id="no cookie"),
        pytest.param(ethernet(b"", port=7009), id="another port"),
        pytest.param(b"\xff" * 14, id="no IP"),
    ],
)
def test_what_is_not_for_it_has_no_answer(server: Dhcp, frame: bytes) -> None:
    assert server.answer(frame, "pv@1", 0) == ()
    assert server.leases == {}


def test_a_release_is_written_down(server: Dhcp) -> None:
    server.answer(message(b"\x35\x01\x07\xff"), "vf@1", 7)
    assert [(a.kind, a.port) for a in server.asked] == [("release", "vf@1")]
