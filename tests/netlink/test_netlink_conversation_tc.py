"""The parts of a dump that are about traffic control, its events, and looking at one device again and again."""

from __future__ import annotations

import errno

import kernelbytes as kernel
import pytest
from kernelbytes import EGRESS, INGRESS, INGRESS_SLOT, ROOT
from test_netlink_conversation import Talk, dump, names

from failoverd.model.events import Answered, Event, LinkGone, LinkSeen, Synced
from failoverd.model.links import Filter, Link, Tc
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import AddRedirect, SetMaster
from failoverd.netlink import tc
from failoverd.netlink.dump import TRIES
from failoverd.netlink.frames import split
from failoverd.netlink.peeks import LIMIT

TICKET = Ticket(PairOf("52:54:00:aa:bb:cc"), Part.MOVE)

MAC = "52:54:00:aa:bb:cc"
CLSACT = (INGRESS_SLOT, b"clsact")
HANDLE = 0x80000001
OURS = Filter("ingress", tc.PREFERENCE, HANDLE, "u32", 2, ours=True)
UP = kernel.UP | kernel.LOWER_UP


@pytest.fixture
def talk() -> Talk:
    return Talk()


def nic(index: int, seq: int = 0, state: int = UP, flags: int = 0) -> bytes:
    return kernel.nic(index, b"ens%d" % index, MAC, b"pci", seq=seq, state=state, flags=flags)


def clsact(index: int, seq: int = 0, kind: int = kernel.NEWQDISC, flags: int = 0) -> bytes:
    return kernel.tc(kind, index, *CLSACT, handle=0xFFFF0000, seq=seq, flags=flags)


def ours(index: int, target: int = 2, seq: int = 0, kind: int = kernel.NEWTFILTER, hook: int = INGRESS) -> bytes:
    options = kernel.mirred(target, 3, b"failoverd") if kind == kernel.NEWTFILTER else b""
    return kernel.tc(kind, index, hook, b"u32", options, handle=HANDLE, pref=tc.PREFERENCE, seq=seq)


def asked(talk: Talk) -> tuple[int, int, int, int]:
    """Type and number of the one thing that was asked for, the device and the hook it is about."""
    (raw,) = talk.talk.out
    (message,) = split(raw)
    talk.talk.out.clear()
    _, ifindex, _, parent, _ = tc.head(message)
    return message.type, message.seq, ifindex, parent


def to_parts(talk: Talk, *rows: bytes) -> int:
    """A dump whose devices are told; the number of what is asked for next."""
    seq = dump(talk)
    relabelled = [row[:8] + seq.to_bytes(4, "little") + row[12:] for row in rows or (nic(3),)]
    assert talk.hear(*relabelled, kernel.done(seq)) == []
    kind, seq, ifindex, _ = asked(talk)
    assert (kind, ifindex) == (kernel.GETQDISC, 0)
    return seq


def finish(talk: Talk, seq: int) -> Synced:
    """Nothing more to tell in the parts that are left."""
    events: list[Event] = []
    while not events:
        events = talk.hear(kernel.done(seq))
        seq = asked(talk)[1] if not events else 0
    (synced,) = events
    assert isinstance(synced, Synced)
    return synced


def tc_of(event: Event, index: int = 3) -> Tc:
    assert isinstance(event, Synced)
    return next(link.tc for link in event.links if link.ifindex == index)


def synced_with(talk: Talk, *rows: bytes) -> None:
    """A whole dump, with these rows of filters and qdiscs."""
    seq = to_parts(talk)
    for row in rows:
        talk.hear(row[:8] + seq.to_bytes(4, "little") + row[12:])
    finish(talk, seq)


# Parts


def test_the_parts_follow_the_devices_one_after_the_other(talk: Talk) -> None:
    seq = to_parts(talk, nic(3), kernel.link(5, b"br0"), nic(4))
    qdiscs = [clsact(3, seq), kernel.tc(kernel.NEWQDISC, 4, ROOT, b"fq", handle=0x80010000, seq=seq)]
    assert talk.hear(*qdiscs, kernel.done(seq)) == []
    wanted = [(3, INGRESS), (3, EGRESS), (4, INGRESS), (4, EGRESS)]
    for ifindex, parent in wanted:
        kind, seq, *about = asked(talk)
        assert (kind, about) == (kernel.GETTFILTER, [ifindex, parent])
        rows = [ours(3, seq=seq)] if (ifindex, parent) == wanted[0] else []
        events = talk.hear(*rows, kernel.done(seq))
    (synced,) = events
    assert names(synced) == ["ens3", "br0", "ens4"]
    assert tc_of(synced) == Tc("clsact", "", frozenset({OURS}))
    assert tc_of(synced, 4) == Tc("", "fq")
    assert tc_of(synced, 5) == Tc()
    assert talk.sent() == []


def test_a_machine_without_a_nic_has_no_parts(talk: Talk) -> None:
    seq = dump(talk)
    bond = kernel.attr(18, kernel.attr(1, b"bond\0"))
    rows = (kernel.link(1, b"lo", seq=seq), kernel.link(9, b"bond0", kernel.attr(54, b"\2" * 6), bond, seq=seq))
    (synced,) = talk.hear(*rows, kernel.done(seq))
    assert names(synced) == ["lo", "bond0"]


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EOPNOTSUPP, errno.EINVAL])
@pytest.mark.parametrize("part", range(3))
def test_a_part_that_is_not_to_be_had_is_passed_over(talk: Talk, part: int, number: int) -> None:
    """The device has gone, or this kernel has no traffic control."""
    seq = to_parts(talk)
    for at in range(3):
        events = talk.hear(kernel.ack(seq, number) if at == part else kernel.done(seq))
        seq = asked(talk)[1] if at < 2 else 0
    (synced,) = events
    assert names(synced) == ["ens3"]
    assert tc_of(synced) == Tc()


def test_a_part_that_meets_another_dump_is_asked_for_when_that_ends(talk: Talk) -> None:
    seq = to_parts(talk)
    assert talk.hear(kernel.ack(seq, errno.EBUSY)) == []
    assert talk.sent() == []
    assert talk.hear(kernel.done(77)) == []
    (again,) = talk.sent()
    assert talk.hear(nic(3, again), kernel.done(again)) == []
    kind, seq, *_ = asked(talk)
    assert kind == kernel.GETQDISC
    assert names(finish(talk, seq)) == ["ens3"]


@pytest.mark.parametrize("part", range(3))
def test_a_part_that_is_interrupted_begins_the_dump_anew_and_not_for_ever(talk: Talk, part: int) -> None:
    seq = dump(talk)
    for attempt in range(TRIES):
        assert talk.hear(nic(3, seq), kernel.done(seq)) == []
        events: list[Event] = []
        for at in range(3):
            (seq,) = talk.sent()
            row = [clsact(3, seq, flags=kernel.DUMP_INTR)] if at == part else []
            events = talk.hear(*row, kernel.done(seq))
            if at == part and attempt < TRIES - 1:
                assert events == []
                (seq,) = talk.sent()
                break
    (synced,) = events
    assert tc_of(synced).slot == "clsact"
    assert talk.sent() == []


def test_a_part_that_is_broken_off_still_counts(talk: Talk) -> None:
    """Of a device that goes in the middle the kernel tells so at the end of the dump."""
    seq = to_parts(talk)
    assert talk.hear(clsact(3, seq), kernel.done(seq, errno.ENODEV)) == []
    assert tc_of(finish(talk, asked(talk)[1])).slot == "clsact"


def test_an_overrun_in_the_middle_of_the_parts_begins_anew(talk: Talk) -> None:
    seq = to_parts(talk)
    talk.talk.request(TICKET, (SetMaster(3, 9),), 0.0)
    talk.sent()
    assert talk.talk.overrun(0.0) == [Answered(TICKET, (SetMaster(3, 9),), None)]
    assert talk.sent() == []
    assert talk.hear(clsact(3, seq), kernel.done(seq)) == []
    (again,) = talk.sent()
    assert talk.hear(nic(3, again), kernel.done(again)) == []
    assert tc_of(finish(talk, asked(talk)[1])) == Tc(), "what the first one told is not to be trusted"


def test_a_part_that_goes_on_is_not_overdue_and_one_that_does_not_is(talk: Talk) -> None:
    seq = to_parts(talk)
    for talk.now in (2.0, 4.0):
        assert talk.talk.overdue(talk.now, 3.0) == []
        talk.hear(clsact(3, seq))
    assert talk.talk.deadline(3.0) == 7.0
    talk.hear(kernel.done(seq))
    asked(talk)
    talk.talk.overdue(7.0, 3.0)
    (again,) = talk.sent()
    assert talk.hear(nic(3, again), kernel.done(again)) == []
    assert asked(talk)[0] == kernel.GETQDISC


def test_a_row_that_cannot_be_read_is_asked_for_again(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    seq = to_parts(talk)
    assert talk.hear(kernel.message(kernel.NEWQDISC, b"\0" * 8, seq)) == []
    assert "cannot be read" in caplog.text
    assert talk.hear(kernel.done(seq)) == []
    (again,) = talk.sent()
    assert talk.hear(nic(3, again), kernel.done(again)) == []
    assert asked(talk)[0] == kernel.GETQDISC


# Events


def test_a_filter_that_comes_and_goes_is_told(talk: Talk) -> None:
    synced_with(talk)
    (first, second) = talk.hear(clsact(3), ours(3))
    assert isinstance(first, LinkSeen)
    assert isinstance(second, LinkSeen)
    assert first.link.tc == Tc("clsact")
    assert second.link.tc == Tc("clsact", "", frozenset({OURS}))
    assert second.link.name == "ens3"
    (third,) = talk.hear(ours(3, kind=kernel.DELTFILTER))
    assert isinstance(third, LinkSeen)
    assert third.link.tc == Tc("clsact")
    (fourth,) = talk.hear(clsact(3, kind=kernel.DELQDISC))
    assert isinstance(fourth, LinkSeen)
    assert fourth.link.tc == Tc()


def test_what_changes_nothing_is_not_told(talk: Talk) -> None:
    synced_with(talk, clsact(3))
    assert talk.hear(clsact(3), kernel.tc(kernel.NEWQDISC, 3, 0x80010001, b"pfifo", handle=0x20000)) == []
    assert talk.hear(ours(77), clsact(77)) == [], "of a device nobody knows"


def test_a_device_that_changes_keeps_its_filters(talk: Talk) -> None:
    synced_with(talk, clsact(3), ours(3))
    (seen,) = talk.hear(nic(3, state=kernel.UP))[-1:]
    assert isinstance(seen, LinkSeen)
    assert seen.link.tc.filters == {OURS}


def test_a_device_that_is_gone_takes_its_filters_with_it(talk: Talk) -> None:
    """Its ifindex may be another's later."""
    synced_with(talk, clsact(3), ours(3))
    assert talk.hear(kernel.link(3, kind=kernel.RTM_DELLINK)) == [LinkGone(3)]
    (seen,) = talk.hear(nic(3))
    assert isinstance(seen, LinkSeen)
    assert seen.link.tc == Tc()


def test_what_led_to_a_device_that_is_gone_leads_nowhere_also_when_it_is_back(talk: Talk) -> None:
    """The kernel tells nobody that it has made the filter forget its device."""
    synced_with(talk, clsact(3), ours(3, target=4), ours(3, target=5, hook=EGRESS))
    talk.hear(nic(4))
    gone, seen = talk.hear(kernel.link(4, kind=kernel.RTM_DELLINK))
    assert (gone, isinstance(seen, LinkSeen)) == (LinkGone(4), True)
    assert isinstance(seen, LinkSeen)
    assert {(found.hook, found.redirect, found.ours) for found in seen.link.tc.filters} == {
        ("ingress", 0, True),
        ("egress", 5, True),
    }
    again = talk.hear(nic(4), nic(3, state=kernel.UP))[-1]
    assert isinstance(again, LinkSeen)
    assert again.link.tc == seen.link.tc


def test_a_device_that_goes_during_the_parts_leaves_filters_that_lead_nowhere(talk: Talk) -> None:
    seq = to_parts(talk, nic(3), nic(4))
    talk.hear(clsact(3, seq), kernel.done(seq))
    _, seq, *_ = asked(talk)
    talk.hear(ours(3, target=4, seq=seq))
    assert talk.hear(kernel.link(4, kind=kernel.RTM_DELLINK)) == [LinkGone(4)]
    assert {found.redirect for found in tc_of(finish(talk, seq)).filters} == {0}


def test_an_event_during_the_parts_is_told_from_what_was_known_and_is_in_the_dump(talk: Talk) -> None:
    """The dump has told nothing of the filters yet; what was known before is not forgotten meanwhile."""
    synced_with(talk, clsact(3), ours(3))
    seq = to_parts(talk)
    (seen,) = talk.hear(nic(3, state=kernel.UP))[-1:]
    assert isinstance(seen, LinkSeen)
    assert seen.link.tc == Tc("clsact", "", frozenset({OURS}))
    (seen,) = talk.hear(ours(3, target=9, hook=EGRESS))
    assert isinstance(seen, LinkSeen)
    egress = Filter("egress", tc.PREFERENCE, HANDLE, "u32", 9, ours=True)
    assert seen.link.tc.filters == {OURS, egress}
    talk.hear(clsact(3, seq))
    assert tc_of(finish(talk, seq)) == Tc("clsact", "", frozenset({egress})), "the dump did not tell of the other"


def test_a_filter_that_goes_during_the_parts_is_not_in_the_dump(talk: Talk) -> None:
    synced_with(talk, clsact(3), ours(3))
    seq = to_parts(talk)
    talk.hear(clsact(3, seq), kernel.done(seq))
    _, seq, *_ = asked(talk)
    talk.hear(ours(3, seq=seq))
    (seen,) = talk.hear(clsact(3, kind=kernel.DELQDISC))
    assert isinstance(seen, LinkSeen)
    assert seen.link.tc == Tc()
    assert tc_of(finish(talk, seq)) == Tc()


def test_an_event_while_the_devices_come_in_is_not_forgotten(talk: Talk) -> None:
    """The rows of its own part come later, and tell of it once more."""
    synced_with(talk)
    seq = dump(talk)
    (seen,) = talk.hear(nic(3, seq), clsact(3))
    assert isinstance(seen, LinkSeen)
    assert seen.link.tc == Tc("clsact")
    talk.hear(kernel.done(seq))
    _, seq, *_ = asked(talk)
    talk.hear(clsact(3, seq))
    assert tc_of(finish(talk, seq)) == Tc("clsact")


def test_a_device_that_comes_and_one_that_goes_during_the_parts(talk: Talk) -> None:
    seq = to_parts(talk, nic(3), nic(4))
    talk.hear(clsact(4, seq))
    assert [type(event) for event in talk.hear(kernel.link(4, kind=kernel.RTM_DELLINK), nic(5))] == [LinkGone, LinkSeen]
    talk.hear(clsact(5))
    synced = finish(talk, seq)
    assert names(synced) == ["ens3", "ens5"]
    assert tc_of(synced, 5) == Tc("clsact")


def test_what_was_asked_for_is_known_before_its_answer(talk: Talk) -> None:
    synced_with(talk, clsact(3))
    talk.talk.request(TICKET, (AddRedirect(3, "ingress", 2),), 0.0)
    (seq,) = talk.sent()
    first, second = talk.hear(ours(3), kernel.ack(seq))
    assert isinstance(first, LinkSeen)
    assert first.link.tc.filters == {OURS}
    assert second == Answered(TICKET, (AddRedirect(3, "ingress", 2),), ((0, ""),))


# Peeks


def peek(talk: Talk, index: int = 3) -> int:
    talk.talk.peek(index)
    (seq,) = talk.sent()
    return seq


def test_a_carrier_that_was_lost_is_found_by_looking(talk: Talk) -> None:
    synced_with(talk)
    events = talk.hear(nic(3, peek(talk), state=kernel.UP))
    assert events
    assert all(isinstance(event, LinkSeen) and not event.link.carrier for event in events)
    assert all(isinstance(event, LinkSeen) and event.link.up for event in events)


def test_the_same_answer_is_told_once(talk: Talk) -> None:
    synced_with(talk)
    assert len(talk.hear(nic(3, peek(talk)))) == 1
    for _ in range(3):
        assert talk.hear(nic(3, peek(talk))) == []
    assert talk.hear(nic(3, peek(talk), state=kernel.UP))
    assert talk.hear(nic(3, peek(talk), state=kernel.UP)) == []
    assert len(talk.hear(nic(3, peek(talk)))) == 1


@pytest.mark.parametrize("between", [nic(3), nic(3, state=kernel.UP), kernel.link(3, kind=kernel.RTM_DELLINK)])
def test_after_an_event_the_next_answer_counts(talk: Talk, between: bytes) -> None:
    """The event may have said something else than both answers."""
    synced_with(talk)
    talk.hear(nic(3, peek(talk)))
    assert talk.hear(between)
    (seen,) = talk.hear(nic(3, peek(talk)))
    assert isinstance(seen, LinkSeen)
    assert seen.link.carrier


def test_each_device_has_its_own_last_answer(talk: Talk) -> None:
    synced_with(talk)
    talk.hear(nic(3, peek(talk)))
    assert len(talk.hear(nic(4, peek(talk, 4)))) == 1
    assert talk.hear(nic(3, peek(talk))) == []


def test_a_peek_that_fails_is_passed_over(talk: Talk) -> None:
    """The device is gone; its RTM_DELLINK says so."""
    synced_with(talk)
    assert talk.hear(kernel.ack(peek(talk), errno.ENODEV)) == []
    assert talk.talk.deadline(3.0) is None
    for _ in range(2 * LIMIT):
        assert talk.hear(kernel.ack(peek(talk), errno.ENODEV)) == []
    assert len(talk.hear(nic(3, peek(talk)))) == 1
    assert talk.hear(nic(3, peek(talk))) == []


def test_many_peeks_may_be_under_way(talk: Talk) -> None:
    synced_with(talk)
    seqs = [peek(talk) for _ in range(LIMIT)]
    assert [len(talk.hear(nic(3, seq))) for seq in seqs] == [1] + [0] * (LIMIT - 1)


def test_a_peek_is_no_row_of_a_dump_and_a_row_makes_the_next_peek_count(talk: Talk) -> None:
    synced_with(talk)
    talk.hear(nic(3, peek(talk)))
    seq = dump(talk)
    assert talk.hear(nic(3, seq, state=kernel.UP)) == []
    (seen,) = talk.hear(nic(3, peek(talk)))
    assert isinstance(seen, LinkSeen)
    talk.hear(kernel.done(seq))
    _, seq, *_ = asked(talk)
    assert [link.carrier for link in finish(talk, seq).links] == [True], "the peek was younger than the row"


def test_a_peek_asks_for_no_statistics(talk: Talk) -> None:
    """They change with every frame, and the answer would never be the same."""
    talk.talk.peek(3)
    (message,) = split(talk.talk.out[0])
    assert message.type == 18
    assert not message.flags & (0x300 | 0x4)
    assert message.payload[4:8] == (3).to_bytes(4, "little")
    assert message.payload[16:] == kernel.number(29, 8)


def test_a_device_that_was_never_seen_may_be_peeked_at(talk: Talk) -> None:
    (seen,) = talk.hear(nic(3, peek(talk)))
    assert isinstance(seen, LinkSeen)
    assert isinstance(seen.link, Link)
