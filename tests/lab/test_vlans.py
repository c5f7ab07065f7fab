"""Hosts in VLANs, and echoes: frames by hand against what they are taken for."""

from __future__ import annotations

import ipaddress

import pytest
import trio
import trio.testing

from failoverd_lab.frames import Neighbour, Station, answer, ask, echo, echoed, icmp6, mac, parse
from failoverd_lab.host import LabError
from failoverd_lab.vlans import Vlans, hosts, tagged, untagged

PEER, GUEST = mac("52:54:00:fa:00:01"), mac("52:54:00:fa:11:01")
IN_SEVEN = hosts(PEER, ("10.111.7.1", "fd00:7::1"))
VLANS = {0: hosts(PEER, ("10.111.0.1",)), 7: IN_SEVEN}


def station(address: str) -> Station:
    return Station(GUEST, ipaddress.ip_address(address))


def test_a_tag_is_between_the_addresses_and_the_type() -> None:
    frame = ask(station("10.111.7.2"), IN_SEVEN[0].address)
    assert tagged(frame, 0) == frame
    assert tagged(frame, 7) == frame[:12] + bytes.fromhex("81000007") + frame[12:]
    assert untagged(tagged(frame, 7)) == (7, frame)
    assert untagged(frame) == (0, frame)
    priority = frame[:12] + bytes.fromhex("8100a007") + frame[12:]
    assert untagged(priority) == (7, frame)


@pytest.mark.parametrize("own", IN_SEVEN)
def test_who_is_asked_for_in_his_vlan_answers_there_and_nowhere_else(own: Station) -> None:
    vlans = Vlans(VLANS)
    asker = station("10.111.7.2" if own.address.version == 4 else "fd00:7::2")
    question = ask(asker, own.address)
    (told,) = vlans.answer(tagged(question, 7), "vf@1", 1.0)
    vlan, bare = untagged(told)
    said = parse(bare)
    assert isinstance(said, Neighbour)
    assert (vlan, said.sender_mac, said.sender) == (7, PEER, own.address)
    assert not vlans.answer(tagged(question, 8), "vf@1", 1.0)
    assert not vlans.answer(question, "vf@1", 1.0)


@pytest.mark.parametrize("address", ["10.111.7.2", "fd00:7::2"])
def test_an_echo_is_asked_for_until_it_comes(address: str) -> None:
    async def main() -> None:
        vlans, sent = Vlans(VLANS), list[bytes]()

        def send(frame: bytes) -> None:
            sent.append(frame)
            if len(sent) == 3:
                vlan, bare = untagged(frame)
                vlans.answer(tagged(turned(bare), vlan), "pv@1", 5.0)

        back = await vlans.ask(send, station(address), 7, 100)
        assert (back.at, back.port, back.vlan, len(sent)) == (5.0, "pv@1", 7, 3)
        with pytest.raises(LabError, match="VLAN 7 sends no echo of 56 bytes back"):
            await vlans.ask(lambda _frame: None, station(address), 7, patience=0)
        with pytest.raises(LabError, match="no host here is in the network"):
            await vlans.ask(send, station("192.0.2.1"), 7)

    trio.run(main)


def turned(frame: bytes) -> bytes:
    """The answer to an echo request, made as the other side would."""
    if frame[12:14] == b"\x86\xdd":
        own = Station(GUEST, ipaddress.IPv6Address(frame[38:54]))
        return icmp6(own, Station(PEER, ipaddress.IPv6Address(frame[22:38])), 129, frame[58:])
    return frame[6:12] + frame[:6] + frame[12:26] + frame[30:34] + frame[26:30] + b"\0" + frame[35:]


def test_only_an_echo_is_one() -> None:
    request = echo(IN_SEVEN[0], station("10.111.7.2"), 9, 20)
    assert echoed(request) is None
    assert echoed(turned(request)) == (ipaddress.ip_address("10.111.7.2"), 9)
    assert echoed(answer(IN_SEVEN[0], station("10.111.7.2"))) is None
    assert len(request) == 14 + 20 + 8 + 20


def test_a_burst_is_timed_from_its_first_to_its_last_answer() -> None:
    async def main() -> None:
        vlans, count = Vlans(VLANS), [0]

        def send(frame: bytes) -> None:
            count[0] += 1
            vlans.answer(turned(frame), "pv@1", float(count[0]))

        assert await vlans.burst(send, station("10.111.0.2"), 100, 5) == 4.0

    trio.run(main)


def test_a_burst_that_is_mostly_lost_is_no_measure() -> None:
    async def main() -> None:
        with pytest.raises(LabError, match="of 5 echoes of 100 bytes 0 came back"):
            await Vlans(VLANS).burst(lambda _frame: None, station("10.111.0.2"), 100, 5)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
