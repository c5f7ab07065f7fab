"""The peer on the switch: answers, beliefs, probes, and what it writes down."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from failoverd_lab.frames import Neighbour, Station, Udp, answer, ask, mac, parse, udp
from failoverd_lab.host import LabError
from failoverd_lab.peer import Peer
from failoverd_lab.switch import Port, Switch, open_switch
from failoverd_lab.traffic import MAGIC, PORT, number_of, probe

GUEST = mac("52:54:00:12:34:56")
PEER = mac("52:54:00:00:00:01")
V4, V6 = Station(GUEST, ipaddress.ip_address("10.0.0.2")), Station(GUEST, ipaddress.ip_address("fd00::2"))
PEER4, PEER6 = Station(PEER, ipaddress.ip_address("10.0.0.1")), Station(PEER, ipaddress.ip_address("fd00::1"))
GRATUITOUS = bytes.fromhex("ffffffffffff525400123456080600010800060400015254001234560a0000020000000000000a000002")
UNSOLICITED = bytes.fromhex(
    "33330000000152540012345686dd6000000000203afffd000000000000000000000000000002ff020000000000000000000000000001"
    "8800d5dd20000000fd0000000000000000000000000000020201525400123456"
)


class Guest:
    """The other end: keeps what it hears, answers only when told to."""

    def __init__(self, switch: Switch, name: str) -> None:
        self.heard: list[Udp | Neighbour] = []
        self.times: list[float] = []
        self.answers: dict[object, Station] = {}
        self.port: Port = switch.attach(name, self.deliver)

    def deliver(self, frame: bytes, port: str, at: float) -> None:
        said = parse(frame)
        assert said is not None
        self.heard.append(said)
        self.times.append(trio.current_time())
        if isinstance(said, Neighbour) and said.target in self.answers:
            assert said.sender is not None
            self.port.send(answer(self.answers[said.target], Station(said.sender_mac, said.sender)))


def on_switch(test: Callable[[Switch, Peer, Guest], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_switch() as switch:
            peer = Peer(
                switch,
                name="peer",
                mac_address="52:54:00:00:00:01",
                addresses=("10.0.0.1", "fd00::1"),
                clock=trio.current_time,
            )
            await test(switch, peer, Guest(switch, "pv@1"))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(("own", "other"), [(V4, PEER4), (V6, PEER6)])
def test_it_answers_who_asks_for_it_and_remembers_him(own: Station, other: Station) -> None:
    async def test(switch: Switch, peer: Peer, guest: Guest) -> None:
        guest.port.send(ask(own, other.address))
        [told] = guest.heard
        assert isinstance(told, Neighbour)
        assert (told.request, told.sender, told.sender_mac) == (False, other.address, PEER)
        assert peer.neighbours == {own.address: GUEST}
        guest.port.send(ask(own, own.address + 5))
        assert len(guest.heard) == 1

    on_switch(test)


@pytest.mark.parametrize("own", [V4, V6])
def test_it_asks_until_it_knows(own: Station) -> None:
    async def test(switch: Switch, peer: Peer, guest: Guest) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.resolve, str(own.address))
            await trio.sleep(2.5)
            assert len(guest.heard) == 3
            guest.answers[own.address] = own
            await trio.sleep(1)
        assert peer.neighbours == {own.address: GUEST}
        await peer.resolve(str(own.address))
        assert len(guest.heard) == 4

    on_switch(test)


def test_it_gives_up_with_a_word() -> None:
    async def test(switch: Switch, peer: Peer, guest: Guest) -> None:
        with pytest.raises(LabError, match=r"no machine .* answered for 10\.0\.0\.2 within 3 s"):
            await peer.resolve("10.0.0.2", timeout=3)
        assert len(guest.heard) == 3

    on_switch(test)


@pytest.mark.parametrize(("own", "other"), [(V4, PEER4), (V6, PEER6)])
def test_it_sends_at_a_fixed_rate_and_writes_down_when(own: Station, other: Station) -> None:
    async def test(switch: Switch, peer: Peer, guest: Guest) -> None:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_probes, str(own.address), 100)
            await trio.sleep(0.0551)
            assert guest.heard == []
            assert [number for number, _ in peer.diary.sent] == [1, 2, 3, 4, 5, 6]
            guest.port.send(ask(own, other.address))
            del guest.heard[:], guest.times[:]
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert len(guest.heard) == 100
        assert all(
            isinstance(got, Udp)
            and (got.destination, got.destination_port) == (own.address, PORT)
            and number_of(got.payload) == number
            for number, got in enumerate(guest.heard, 7)
        )
        assert [at - start for at in guest.times] == pytest.approx([n / 100 for n in range(6, 106)], abs=0.001)
        assert guest.times == [at for _, at in peer.diary.sent[6:]]

    on_switch(test)


def test_it_writes_down_the_guests_probes_and_the_port_they_came_by() -> None:
    async def test(switch: Switch, peer: Peer, guest: Guest) -> None:
        other = Guest(switch, "vf@1")
        guest.port.send(udp(V4, PEER4, (PORT, PORT), probe(1)), 5.0)
        other.port.send(udp(V6, PEER6, (PORT, PORT), probe(3)), 6.0)
        guest.port.send(udp(V4, PEER4, (PORT, PORT), b"something else"), 7.0)
        guest.port.send(udp(V4, Station(PEER, PEER4.address + 7), (PORT, PORT), probe(4)), 8.0)
        assert peer.diary.heard == [(1, 5.0), (3, 6.0)]
        assert peer.ports == ["pv@1", "vf@1"]

    on_switch(test)


def test_it_notes_announcements_and_believes_them() -> None:
    async def test(switch: Switch, peer: Peer, guest: Guest) -> None:
        guest.port.send(ask(V4, PEER4.address))
        guest.port.send(answer(V6, PEER6))
        assert peer.announcements == []
        guest.port.send(GRATUITOUS, 5.0)
        guest.port.send(UNSOLICITED, 6.0)
        seen = [(heard.at, heard.port, heard.kind, heard.address) for heard in peer.announcements]
        assert seen == [
            (5.0, "pv@1", "gratuitous ARP", V4.address),
            (6.0, "pv@1", "unsolicited NA", V6.address),
        ]
        moved = Station(mac("52:54:00:12:34:99"), V4.address)
        guest.port.send(ask(moved, V4.address))
        assert peer.neighbours == {V4.address: moved.mac, V6.address: GUEST}

    on_switch(test)


def test_only_a_probe_has_a_number() -> None:
    assert number_of(probe(2**40)) == 2**40
    assert number_of(probe(1) + b"x") is None
    assert number_of(b"x" * len(probe(1))) is None
    assert number_of(MAGIC) is None


def test_a_host_has_services_beside() -> None:
    """Each is given every frame, with where and when it came in; what they answer is sent."""
    given: list[tuple[bytes, str, float]] = []

    def service(frame: bytes, port: str, at: float) -> list[bytes]:
        given.append((frame, port, at))
        return [answer(PEER4, V4)] if len(given) == 1 else []

    async def main() -> None:
        async with open_switch() as switch:
            addresses = ("10.0.0.1",)
            peer = Peer(switch, name="peer", mac_address="52:54:00:00:00:01", addresses=addresses, services=[service])
            guest = Guest(switch, "pv@1")
            guest.port.send(GRATUITOUS, 5.0)
            assert [type(said) for said in guest.heard] == [Neighbour]
            assert given == [(GRATUITOUS, "pv@1", 5.0)]
            assert [heard.kind for heard in peer.announcements] == ["gratuitous ARP"], (
                "and is the host's own business, too"
            )
            peer.send(UNSOLICITED)
            assert len(guest.heard) == 2

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
