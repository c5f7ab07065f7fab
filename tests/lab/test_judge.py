"""From two diaries in two clocks to what a story saw."""

from __future__ import annotations

import ipaddress

import pytest

from failoverd_lab import judge
from failoverd_lab.peer import Heard
from failoverd_lab.story import Direction
from failoverd_lab.traffic import Diary, diary
from failoverd_lab.world import Announcement, Probe

START = 1000.0
OFFSET = 500.0
DELAY = 0.001


def story(length: float = 4.0, rate: int = 100, pause: tuple[float, float] | None = None) -> tuple[Diary, Diary]:
    """Both diaries of a story in which all is well, except that the guest stands still during `pause`.

    The guest's clock is 500 s behind, and stands still with it.
    """

    def on_guest(at: float) -> float:
        stood = 0.0 if pause is None else min(max(at - START - pause[0], 0), pause[1] - pause[0])
        return at - OFFSET - stood

    def awake(at: float) -> float:
        return START + pause[1] if pause and pause[0] <= at - START < pause[1] else at

    host, guest = Diary(), Diary()
    for number in range(int(length * rate)):
        at = START + number / rate
        host.sent.append((number, at))
        guest.heard.append((number, on_guest(awake(at + DELAY))))
        sent = awake(at)
        guest.sent.append((number, on_guest(sent)))
        host.heard.append((number, sent + DELAY))
    return host, guest


def drop(heard: list[tuple[int, float]], numbers: range) -> None:
    heard[:] = [(number, at) for number, at in heard if number not in numbers]


def test_both_directions_come_out_in_the_storys_clock() -> None:
    probes = judge.probes(*story(), START)
    assert len(probes) == 800
    for probe in probes:
        assert probe.arrived is not None
        assert probe.arrived - probe.sent == pytest.approx(DELAY, abs=1e-9)
    assert sorted({round(probe.sent, 6) for probe in probes}) == pytest.approx([n / 100 for n in range(400)])
    assert judge.noise(probes, 0.5, 3.5) == pytest.approx(0.01)


@pytest.mark.parametrize("way", ["to-guest", "from-guest"])
def test_what_never_arrived_is_lost_and_makes_a_silence(way: Direction) -> None:
    host, guest = story()
    drop(guest.heard if way == "to-guest" else host.heard, range(100, 120))
    probes = judge.probes(host, guest, START)
    silence = judge.silence(probes, way, 0.5, 3.5)
    assert silence.length == pytest.approx(0.21)
    assert silence.start == pytest.approx(0.99 + DELAY)
    assert judge.lost(probes, way, 0.5, 3.5) == 20
    other: Direction = "from-guest" if way == "to-guest" else "to-guest"
    assert judge.silence(probes, other, 0.5, 3.5).length == pytest.approx(0.01)
    assert judge.lost(probes, other, 0.5, 3.5) == 0
    assert judge.lost(probes, way, 1.1, 3.5) == 10


def test_an_outage_is_what_was_sent_in_vain_and_a_receiver_that_waits_makes_none() -> None:
    host, guest = story()
    guest.heard[:] = [(number, at + 0.5 if 150 <= number < 200 else at) for number, at in guest.heard]
    drop(guest.heard, range(100, 103))
    drop(guest.heard, range(300, 310))
    probes = judge.probes(host, guest, START)
    assert judge.silence(probes, "to-guest", 1.2, 2.9).length > 0.4
    assert judge.outage(probes, "to-guest", 1.2, 2.9) == 0
    assert judge.outage(probes, "to-guest", 0.5, 2.9) == pytest.approx(0.04)
    assert judge.outage(probes, "to-guest", 0.5, 3.5) == pytest.approx(0.11)
    assert judge.outage(probes, "to-guest", 2.9, 3.05) == pytest.approx(0.06)
    assert judge.outage(probes, "from-guest", 0.5, 3.5) == 0


def test_a_silence_that_does_not_end_is_as_long_as_it_was_looked_at() -> None:
    host, guest = story()
    drop(guest.heard, range(200, 400))
    probes = judge.probes(host, guest, START)
    assert judge.silence(probes, "to-guest", 0.5, 3.5).length == pytest.approx(1.509)
    assert judge.silence(probes, "to-guest", 2.5, 3.5) == judge.Silence(2.5, 1.0)
    assert judge.noise(probes, 2.5, 3.5) == pytest.approx(1.0)


def test_a_guest_that_stood_still_heard_nothing_though_its_clock_says_otherwise() -> None:
    host, guest = story(pause=(2.0, 2.3))
    # What was sent while it stood still found nobody: its clock shows no gap at all.
    drop(guest.heard, range(200, 230))
    at = dict(guest.heard)
    assert at[230] - at[199] < 0.02
    probes = judge.probes(host, guest, START)
    assert judge.silence(probes, "to-guest", 0.5, 3.5).length == pytest.approx(0.31, abs=0.001)
    assert judge.silence(probes, "from-guest", 0.5, 3.5).length == pytest.approx(0.31, abs=0.001)


def test_the_clock_is_right_on_both_sides_of_a_standstill() -> None:
    host, guest = story(pause=(2.0, 2.3))
    drop(guest.heard, range(200, 230))
    clock = judge.GuestClock(host, guest)
    before, after = dict(guest.sent)[50], dict(guest.sent)[350]
    assert clock.on_host(before) == pytest.approx(START + 0.5)
    assert clock.on_host(after) == pytest.approx(START + 3.5)


def test_an_uneven_delay_moves_nothing_by_more_than_half_of_it() -> None:
    host, guest = story()
    guest.heard[:] = [(number, at + 0.004) for number, at in guest.heard]
    clock = judge.GuestClock(host, guest)
    assert clock.on_host(START - OFFSET + 1) == pytest.approx(START + 1, abs=0.0021)


def test_nothing_arrives_before_it_was_sent() -> None:
    host, guest = story()
    guest.heard[150] = (guest.heard[150][0], guest.heard[150][1] - 0.0009)
    guest.heard[160] = (guest.heard[160][0], guest.heard[160][1] - 0.3)
    assert all(probe.arrived is None or probe.arrived >= probe.sent for probe in judge.probes(host, guest, START))


@pytest.mark.parametrize("silent", ["to-guest", "from-guest", "both"])
def test_a_direction_in_which_nothing_ever_arrived_can_be_told(silent: str) -> None:
    host, guest = story()
    if silent != "from-guest":
        guest.heard.clear()
    if silent != "to-guest":
        host.heard.clear()
    probes = judge.probes(host, guest, START)
    assert judge.lost(probes, "to-guest", 0, 4) == (0 if silent == "from-guest" else 400)
    assert judge.lost(probes, "from-guest", -1, 4) == (0 if silent == "to-guest" else 400)
    assert probes[400].sent == pytest.approx(0, abs=DELAY * 1.1)


def test_nothing_at_all_is_nothing() -> None:
    assert judge.probes(Diary(), Diary(), START) == []
    assert judge.silence([], "to-guest", 1, 3) == judge.Silence(1, 2)


def test_a_probe_that_comes_twice_came_when_it_came_first() -> None:
    host, guest = Diary(sent=[(1, START)]), Diary(heard=[(1, START + 0.1), (1, START + 0.9)])
    [probe] = judge.probes(host, guest, START)
    assert probe == Probe("to-guest", 0.0, probe.arrived)
    assert probe.arrived == pytest.approx(0.0)


def test_announcements_name_the_nic_behind_the_port() -> None:
    address = ipaddress.ip_address("10.0.0.2")
    heard = [
        Heard(START + 1.5, "pv@1", "gratuitous ARP", address),
        Heard(START + 2, "a@b@2", "unsolicited NA", address),
    ]
    assert judge.announcements(heard, START) == [
        Announcement(1.5, "pv", "gratuitous ARP"),
        Announcement(2.0, "a@b", "unsolicited NA"),
    ]


def test_a_diary_is_read_from_what_the_guest_wrote() -> None:
    assert diary({"sent": [[1, 2]], "heard": [[3, 4.5]], "errors": {}}) == Diary([(1, 2.0)], [(3, 4.5)])


def test_one_clock_is_taken_as_it_is() -> None:
    """Here the way there takes ten times as long as the way back, of which half would be taken for an offset."""
    host, guest = Diary(), Diary()
    for number in range(100):
        at = START + number / 100
        host.sent.append((number, at))
        guest.heard.append((number, at + 0.010))
        guest.sent.append((number, at))
        host.heard.append((number, at + 0.001))
    probes = judge.probes(host, guest, START, one_clock=True)
    for way, took in (("to-guest", 0.010), ("from-guest", 0.001)):
        mine = [probe for probe in probes if probe.direction == way]
        assert {probe.sent for probe in mine} == {at - START for _, at in host.sent}
        assert {round(probe.arrived - probe.sent, 6) for probe in mine if probe.arrived is not None} == {took}


def test_who_carried_is_the_port_the_probes_came_by_and_nobody_in_a_long_gap() -> None:
    host = Diary(heard=[(n, START + at) for n, at in enumerate((-0.5, 0.01, 0.05, 0.5, 0.55, 1.2))])
    ports = ["vf@a", "vf@a", "vf@a", "pv@a", "pv@b", "pv@b"]
    spans = judge.carried(host, ports, START, 0.6)
    assert [(s.lane, round(s.start, 3), round(s.end, 3), s.text) for s in spans] == [
        ("active", 0.0, 0.1, "vf"),
        ("active", 0.1, 0.5, "none"),
        ("active", 0.5, 0.6, "pv"),
    ]
    assert [span.text for span in judge.carried(Diary(), [], START, 1.0)] == ["none"]
