"""The lab's IPv6 router: a solicitation by hand, and the advertisement compared byte for byte."""

from __future__ import annotations

import ipaddress

import trio
import trio.testing

from failoverd_lab.frames import Station, mac
from failoverd_lab.router import Router

ROUTER = Station(mac("52:54:00:fa:00:01"), ipaddress.ip_address("fe80::1"))
GUEST = mac("52:54:00:fa:11:01")
SOLICITATION = bytes.fromhex(
    "333300000002525400fa110186dd"
    "6000000000103afffe80000000000000505400fffefa1101ff020000000000000000000000000002"
    "85000000000000000101525400fa1101"
)
ADVERTISEMENT = bytes.fromhex(
    "333300000001525400fa000186dd"
    "6000000000383afffe800000000000000000000000000001ff020000000000000000000000000001"
    "8600ffff400007080000000000000000"
    "0101525400fa0001"
    "030440c000000e100000070800000000fd000111000000000000000000000000"
)
"""Its checksum, at 56, is left to the test: it is worked out there."""


def router() -> Router:
    return Router(ROUTER, ipaddress.IPv6Network("fd00:111::/64"))


def sum_of(frame: bytes) -> int:
    """The ones' complement sum over the pseudo-header and the message (RFC 4443, 2.3); 0xffff where it is right."""
    message = frame[54:]
    words = frame[22:54] + len(message).to_bytes(4, "big") + b"\0\0\0\x3a" + message
    total = sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, len(words), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_solicitation_is_answered_and_written_down() -> None:
    one = router()
    (told,) = one.answer(SOLICITATION, "pv@1", 2.5)
    assert told[:56] == ADVERTISEMENT[:56]
    assert told[58:] == ADVERTISEMENT[58:]
    assert sum_of(told) == 0xFFFF
    assert [(asked.at, asked.port, asked.mac) for asked in one.asked] == [(2.5, "pv@1", GUEST)]


def test_anything_else_is_not_answered() -> None:
    one = router()
    for frame in (ADVERTISEMENT, SOLICITATION[:54], b"", bytes(80), SOLICITATION.replace(b"\x86\xdd", b"\x08\x00")):
        assert one.answer(frame, "pv@1", 0) == ()
    assert one.asked == []


def test_it_advertises_unasked() -> None:
    sent: list[tuple[float, bytes]] = []

    async def main() -> None:
        start = trio.current_time()
        with trio.move_on_after(25):
            await router().advertise(lambda frame: sent.append((trio.current_time() - start, frame)), 10)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [round(at) for at, _ in sent] == [0, 10, 20]
    assert {frame for _, frame in sent} == {router().advertisement()}
