"""A lost link is told ahead of all that is queued before it, and what is older does not bring it back."""

from __future__ import annotations

import kernelbytes as kernel
import pytest

from failoverd.model.events import Event, LinkSeen, Synced
from failoverd.netlink import lookahead
from failoverd.netlink.conversation import Conversation

MAC = "52:54:00:aa:bb:cc"
WELL = kernel.UP | kernel.LOWER_UP
VETH = kernel.attr(18, kernel.attr(1, b"veth\0"))


@pytest.fixture
def talk() -> Conversation:
    """It knows a NIC that carries."""
    talk = Conversation(lambda link: link)
    tell(talk, nic(WELL))
    return talk


def nic(state: int, *more: bytes) -> bytes:
    return kernel.nic(3, b"ens4", MAC, b"pci", *more, state=state)


def tell(talk: Conversation, *datagrams: bytes) -> list[Event]:
    """All that is queued, worked off."""
    for datagram in datagrams:
        talk.queue(datagram)
    events = list(talk.foresee())
    while talk.is_behind:
        events += talk.work(0.0)
    return events


def seen(events: list[Event]) -> list[tuple[int, bool, bool]]:
    return [(event.link.ifindex, event.link.up, event.link.carrier) for event in events if isinstance(event, LinkSeen)]


@pytest.mark.parametrize("state", [0, kernel.UP])
def test_a_loss_at_the_end_is_told_first(talk: Conversation, state: int) -> None:
    veths = [kernel.link(100 + number, b"v%d" % number, VETH) for number in range(50)]
    events = tell(talk, *veths, nic(state))
    assert seen(events)[0] == (3, bool(state), False)
    assert seen(events)[-1] == (3, bool(state), False)
    assert len(events) == 52
    assert seen(tell(talk, nic(WELL))) == [(3, True, True)]


def test_what_is_older_does_not_bring_it_back(talk: Conversation) -> None:
    events = tell(talk, nic(WELL, kernel.number(4, 9000)), nic(kernel.UP))
    assert {carrier for _, _, carrier in seen(events)} == {False}


def test_what_is_said_of_a_bridge_port_is_not_taken_for_what_is_older(talk: Conversation) -> None:
    port = kernel.link(3, b"ens4", family=7)
    events = tell(talk, port, nic(WELL, kernel.number(4, 9000)), nic(kernel.UP))
    assert {carrier for _, _, carrier in seen(events)} == {False}


def test_a_link_that_is_back_at_the_end_is_not_told_as_lost_ahead(talk: Conversation) -> None:
    talk.queue(nic(kernel.UP))
    talk.queue(nic(WELL))
    assert not list(talk.foresee())
    assert seen([*talk.work(0.0), *talk.work(0.0)])[0] == (3, True, False)


def test_it_is_told_once(talk: Conversation) -> None:
    talk.queue(nic(kernel.UP))
    assert len(list(talk.foresee())) == 1
    talk.queue(nic(kernel.UP))
    assert not list(talk.foresee())


def test_a_bridge_port_and_a_device_that_is_unknown_say_nothing(talk: Conversation) -> None:
    talk.queue(kernel.link(3, b"ens4", family=7))
    talk.queue(kernel.link(9, b"ens9"))
    assert not list(talk.foresee())


def test_a_datagram_that_cannot_be_read_ends_all_foresight(talk: Conversation) -> None:
    """Nobody knows what was in it, so everything is asked for anew, and that counts."""
    talk.queue(b"\1\0\0\0" + bytes(60))
    talk.queue(nic(kernel.UP))
    assert len(list(talk.foresee())) == 1
    list(talk.work(0.0))
    (seq,) = [seq for datagram in talk.out for _, _, seq in kernel.headers(datagram)]
    talk.queue(kernel.nic(3, b"ens4", MAC, b"pci", seq=seq, state=WELL))
    # The loss that was seen ahead is read, and the dump's row behind it is younger.
    assert seen(list(talk.work(0.0))) == [(3, True, False)]
    list(talk.work(0.0))
    assert talk._devices._links[3].carrier


def test_an_overrun_makes_what_is_queued_void(talk: Conversation) -> None:
    talk.queue(nic(kernel.UP))
    talk.overrun(0.0)
    assert not list(talk.foresee())
    assert not list(talk.work(0.0))


def test_only_so_much_is_held(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookahead, "MOST", 50)
    assert talk.has_room
    talk.queue(nic(WELL))
    assert not talk.has_room
    list(talk.work(0.0))
    assert talk.has_room


def test_rows_of_a_dump_may_be_queued(talk: Conversation) -> None:
    talk.resync(0.0)
    (seq,) = [seq for datagram in talk.out for _, _, seq in kernel.headers(datagram)]
    talk.out.clear()
    row = kernel.nic(3, b"ens4", MAC, b"pci", seq=seq, flags=kernel.MULTI, state=kernel.UP)
    events = tell(talk, row + kernel.done(seq))
    while talk.out:
        asked = [seq for _, _, seq in kernel.headers(talk.out.pop(0))]
        events += tell(talk, *(kernel.done(seq) for seq in asked))
    assert seen(events)[:1] == [(3, True, False)]
    (synced,) = [event for event in events if isinstance(event, Synced)]
    assert [link.carrier for link in synced.links] == [False]
