from __future__ import annotations

import errno
import struct

import kernelbytes as kernel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.model.events import AddressSeen, Answered, Event, LinkGone, LinkSeen, Synced
from failoverd.model.inet import Address
from failoverd.model.links import Link
from failoverd.model.owners import PairOf, Part, Ticket
from failoverd.model.requests import AddAddress, AddAltname, SetMaster, SetUp
from failoverd.netlink.batches import LARGEST
from failoverd.netlink.conversation import Conversation
from failoverd.netlink.dump import TRIES

TICKET = Ticket(PairOf("52:54:00:aa:bb:cc"), Part.MOVE)
OTHER = Ticket(PairOf("52:54:00:aa:bb:dd"), Part.MOVE)

MAC = "52:54:00:aa:bb:cc"
ENSLAVE = SetMaster(7, 9)
FREE = SetMaster(7, 0)


class Talk:
    """A conversation and what the kernel would make of it: `asked` are the sequence numbers of requests and dumps."""

    def __init__(self) -> None:
        self.talk = Conversation(lambda link: link)
        self.now = 0.0

    def sent(self) -> list[int]:
        """The sequence numbers of all that was put out since the last call."""
        seqs = [seq for datagram in self.talk.out for _, _, seq in kernel.headers(datagram)]
        self.talk.out.clear()
        return seqs

    def hear(self, *messages: bytes) -> list[Event]:
        return list(self.talk.feed(b"".join(messages), self.now))


@pytest.fixture
def talk() -> Talk:
    return Talk()


def names(event: Event) -> list[str]:
    assert isinstance(event, Synced)
    return [link.name for link in event.links]


def dump(talk: Talk) -> int:
    talk.talk.resync(talk.now)
    (seq,) = talk.sent()
    return seq


# Devices


def test_a_message_with_nothing_new_is_told_and_an_answer_is_not(talk: Talk) -> None:
    """The kernel sends one about a NIC when something is put on it in another namespace."""
    assert len(talk.hear(kernel.link(7, b"ens4"))) == 1
    assert [type(event) for event in talk.hear(kernel.link(7, b"ens4"))] == [LinkSeen]
    talk.talk.request(TICKET, (SetUp(7, up=True),), talk.now)
    seq = talk.sent()[-1]
    assert talk.hear(kernel.link(7, b"ens4", seq=seq)) == []
    assert [type(event) for event in talk.hear(kernel.link(7, b"renamed", seq=seq))] == [LinkSeen]


# Dumps


def test_a_dump_becomes_one_event(talk: Talk) -> None:
    seq = dump(talk)
    assert talk.hear(kernel.link(1, b"lo", seq=seq), kernel.link(7, b"ens4", seq=seq)) == []
    (synced,) = talk.hear(kernel.done(seq))
    assert names(synced) == ["lo", "ens4"]
    assert talk.sent() == []


def test_a_dump_is_asked_for_once_at_a_time(talk: Talk) -> None:
    dump(talk)
    talk.talk.resync(0.0)
    assert talk.sent() == []


def test_events_between_the_rows_are_in_the_dump(talk: Talk) -> None:
    seq = dump(talk)
    talk.hear(kernel.link(1, b"lo", seq=seq), kernel.link(7, b"ens4", seq=seq), kernel.link(8, b"ens5", seq=seq))
    events = talk.hear(kernel.link(7, b"renamed"), kernel.link(8, kind=kernel.RTM_DELLINK), kernel.link(9, b"new"))
    assert [type(event) for event in events] == [LinkSeen, LinkGone, LinkSeen]
    (synced,) = talk.hear(kernel.done(seq))
    assert names(synced) == ["lo", "renamed", "new"]


def test_an_interrupted_dump_is_asked_for_again_and_not_for_ever(talk: Talk) -> None:
    seq = dump(talk)
    for _ in range(TRIES - 1):
        row = kernel.link(1, b"lo", seq=seq, flags=kernel.DUMP_INTR)
        assert talk.hear(row, kernel.done(seq)) == []
        (seq,) = talk.sent()
    (synced,) = talk.hear(kernel.link(1, b"lo", seq=seq, flags=kernel.DUMP_INTR), kernel.done(seq))
    assert names(synced) == ["lo"]
    assert talk.sent() == []


def test_the_end_of_a_dump_may_be_what_says_it_was_interrupted(talk: Talk) -> None:
    seq = dump(talk)
    assert talk.hear(kernel.link(1, b"lo", seq=seq), kernel.done(seq, flags=kernel.DUMP_INTR)) == []
    assert len(talk.sent()) == 1


def test_a_dump_that_is_broken_off_is_never_taken_for_the_whole(talk: Talk) -> None:
    seq = dump(talk)
    for _ in range(TRIES - 1):
        assert talk.hear(kernel.link(1, b"lo", seq=seq), kernel.done(seq, errno.EMSGSIZE)) == []
        (seq,) = talk.sent()
    with pytest.raises(OSError, match="broke off the list of its devices: Message too long") as caught:
        talk.hear(kernel.link(1, b"lo", seq=seq), kernel.done(seq, errno.EMSGSIZE))
    assert caught.value.errno == errno.EMSGSIZE


def test_a_refused_dump_is_an_error_that_says_what_the_kernel_said(talk: Talk) -> None:
    seq = dump(talk)
    with pytest.raises(OSError, match="refused to list its devices: go away") as caught:
        talk.hear(kernel.ack(seq, errno.EPERM, "go away"))
    assert caught.value.errno == errno.EPERM


def test_a_dump_that_met_another_one_is_asked_for_when_that_ends(talk: Talk) -> None:
    first = dump(talk)
    talk.now = 10.0
    talk.talk.overdue(talk.now, 3.0)
    (second,) = talk.sent()
    assert talk.hear(kernel.link(1, b"lo", seq=first), kernel.ack(second, errno.EBUSY))[0].__class__ is LinkSeen
    assert talk.sent() == []
    assert talk.hear(kernel.done(first)) == []
    (third,) = talk.sent()
    (synced,) = talk.hear(kernel.link(1, b"lo", seq=third), kernel.done(third))
    assert names(synced) == ["lo"]


def test_a_dump_that_goes_on_is_not_overdue(talk: Talk) -> None:
    seq = dump(talk)
    for talk.now in (2.0, 4.0, 6.0):
        assert talk.talk.overdue(talk.now, 3.0) == []
        talk.hear(kernel.link(1, b"lo", seq=seq))
    assert talk.talk.deadline(3.0) == 9.0
    talk.talk.overdue(9.0, 3.0)
    assert len(talk.sent()) == 1


def test_the_end_of_a_former_dump_ends_nothing(talk: Talk) -> None:
    assert talk.hear(kernel.done(77)) == []
    seq = dump(talk)
    assert talk.hear(kernel.done(seq + 1)) == []
    assert len(talk.hear(kernel.done(seq))) == 1


# Losses


def test_an_overrun_reports_what_is_unanswered_and_asks_for_all(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE,), 0.0)
    (asked,) = talk.sent()
    assert talk.talk.overrun(0.0) == [Answered(TICKET, (ENSLAVE,), None)]
    assert len(talk.sent()) == 1
    assert talk.hear(kernel.ack(asked)) == []


def test_an_overrun_during_a_dump_finishes_it_first(talk: Talk) -> None:
    """The kernel has one dump a socket: asked for a second one, it says EBUSY."""
    seq = dump(talk)
    talk.talk.overrun(0.0)
    assert talk.sent() == []
    assert talk.hear(kernel.link(1, b"lo", seq=seq), kernel.done(seq)) == []
    (again,) = talk.sent()
    (synced,) = talk.hear(kernel.link(1, b"lo", seq=again), kernel.done(again))
    assert names(synced) == ["lo"]


def test_overruns_never_end_in_a_dump_that_is_out_of_date(talk: Talk) -> None:
    seq = dump(talk)
    for _ in range(TRIES * 2):
        talk.talk.overrun(0.0)
        assert talk.hear(kernel.done(seq)) == []
        (seq,) = talk.sent()
    assert len(talk.hear(kernel.done(seq))) == 1


def test_a_netlink_overrun_message_counts_as_one(talk: Talk) -> None:
    talk.hear(kernel.message(kernel.NLMSG_OVERRUN, b""))
    assert len(talk.sent()) == 1


def test_a_datagram_that_cannot_be_read_is_asked_for_again_and_not_for_ever(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    seq = dump(talk)
    for _ in range(TRIES - 1):
        talk.hear(kernel.link(1, b"lo", seq=seq)[:-5])
        assert talk.hear(kernel.done(seq)) == []
        (seq,) = talk.sent()
    talk.hear(kernel.link(1, b"lo", seq=seq)[:-5])
    with pytest.raises(OSError, match="Bad message"):
        talk.hear(kernel.done(seq))
    assert "cannot be read" in caplog.text


def test_what_stood_before_the_damage_is_not_lost(talk: Talk) -> None:
    events = talk.hear(kernel.link(7, b"ens4"), b"\0" * 8)
    assert [type(event) for event in events] == [LinkSeen]
    assert len(talk.sent()) == 1


def test_one_device_that_cannot_be_read_does_not_hide_the_others(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    seq = dump(talk)
    broken = kernel.link(6, b"ens3", kernel.attr(4, b""), seq=seq)
    talk.hear(kernel.link(1, b"lo", seq=seq), broken, kernel.link(7, b"ens4", seq=seq))
    (synced,) = talk.hear(kernel.done(seq))
    assert names(synced) == ["lo", "ens4"]
    assert "device 6 cannot be read" in caplog.text


# Requests


def test_answers_out_of_order_are_given_in_order(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE, FREE), 0.0)
    first, second = talk.sent()
    assert talk.hear(kernel.ack(second)) == []
    assert talk.hear(kernel.ack(first, errno.EBUSY, "it is up")) == [
        Answered(TICKET, (ENSLAVE, FREE), ((errno.EBUSY, "it is up"), (0, "")))
    ]


def test_batches_are_kept_apart(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE,), 0.0)
    talk.talk.request(OTHER, (FREE,), 0.0)
    first, second = talk.sent()
    assert talk.hear(kernel.ack(second)) == [Answered(OTHER, (FREE,), ((0, ""),))]
    assert talk.hear(kernel.ack(first)) == [Answered(TICKET, (ENSLAVE,), ((0, ""),))]


def test_an_answer_is_given_once(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE,), 0.0)
    (seq,) = talk.sent()
    assert len(talk.hear(kernel.ack(seq))) == 1
    assert talk.hear(kernel.ack(seq)) == []


def test_the_event_comes_before_the_answer_it_belongs_to(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE,), 0.0)
    (seq,) = talk.sent()
    events = talk.hear(kernel.link(7, b"ens4", kernel.number(10, 9)), kernel.ack(seq))
    assert [type(event) for event in events] == [LinkSeen, Answered]


@pytest.mark.parametrize("request_", [SetUp(7, True), AddAltname(7, "enp1s0")])
def test_what_the_kernel_keeps_to_itself_is_asked_for(talk: Talk, request_: SetUp | AddAltname) -> None:
    talk.talk.request(TICKET, (request_,), 0.0)
    done, look = talk.sent()
    assert talk.hear(kernel.ack(done)) == []
    events = talk.hear(kernel.link(7, b"ens4", seq=look), kernel.ack(look))
    assert events == [LinkSeen(Link(7, "ens4", mtu=0)), Answered(TICKET, (request_,), ((0, ""),))]


def test_a_device_that_went_meanwhile_does_not_hold_up_the_answer(talk: Talk) -> None:
    talk.talk.request(TICKET, (SetUp(7, True),), 0.0)
    done, look = talk.sent()
    done_with = Answered(TICKET, (SetUp(7, True),), ((0, ""),))
    assert talk.hear(kernel.ack(done), kernel.ack(look, errno.ENODEV)) == [done_with]


def test_a_batch_is_overdue_once(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE,), 5.0)
    talk.sent()
    assert talk.talk.deadline(3.0) == 8.0
    assert talk.talk.overdue(7.9, 3.0) == []
    assert talk.talk.overdue(8.0, 3.0) == [Answered(TICKET, (ENSLAVE,), None)]
    (seq,) = talk.sent()
    talk.hear(kernel.done(seq))
    assert talk.talk.deadline(3.0) is None
    assert talk.talk.overdue(99.0, 3.0) == []


def test_what_is_reported_as_lost_is_not_sent_after_all(talk: Talk) -> None:
    talk.talk.request(TICKET, (ENSLAVE,), 5.0)
    talk.talk.peek(7)
    assert talk.talk.overrun(6.0) == [Answered(TICKET, (ENSLAVE,), None)]
    assert [kind for datagram in talk.talk.out for kind, _, _ in kernel.headers(datagram)] == [18, 18]
    talk.talk.request(TICKET, (ENSLAVE,), 9.0)
    assert talk.talk.overdue(9.0, 3.0) == [Answered(TICKET, (ENSLAVE,), None)]
    (dump,) = talk.talk.out
    assert [kind for kind, _, _ in kernel.headers(dump)] == [18]


def test_many_requests_are_more_than_one_datagram(talk: Talk) -> None:
    """The kernel takes no datagram that is longer than the socket's send buffer."""
    address = Address(7, 2, 24, 0, 0, b"\n\0\0\1", ((2, b"\n\0\0\1"),))
    requests = tuple(AddAddress(address) for _ in range(5000))
    talk.talk.request(TICKET, requests, 0.0)
    assert all(len(datagram) <= LARGEST for datagram in talk.talk.out)
    seqs = talk.sent()
    assert len(seqs) == 5000
    events = [event for seq in seqs for event in talk.hear(kernel.ack(seq))]
    assert events == [Answered(TICKET, requests, ((0, ""),) * 5000)]


def test_sequence_numbers_go_round_and_leave_out_0() -> None:
    talk = Talk()
    talk.talk._seq = 0xFFFFFFFE
    talk.talk.request(TICKET, (ENSLAVE, FREE, ENSLAVE), 0.0)
    assert talk.sent() == [0xFFFFFFFF, 1, 2]


def test_a_bridges_own_messages_are_not_the_devices(talk: Talk) -> None:
    left = kernel.link(7, b"ens4", kind=kernel.RTM_DELLINK, family=7)
    assert talk.hear(left, kernel.link(7, b"ens4", family=7)) == []


MESSAGES = st.one_of(
    st.binary(max_size=80),
    st.builds(
        kernel.message,
        st.sampled_from([2, 3, 4, 16, 17, 20, 36, 37, 44, 45]),
        st.binary(max_size=80),
        st.integers(0, 5),
        st.integers(0, 0xFFFF),
    ),
    st.builds(kernel.done, st.integers(0, 5), st.integers(0, 120)),
    st.builds(kernel.ack, st.integers(0, 5), st.integers(0, 120), st.text(max_size=5).filter(lambda t: "\0" not in t)),
)


def new_address(index: int, family: int = 2) -> bytes:
    """RTM_NEWADDR of 10.0.0.2/24, or as short as it can be."""
    return kernel.message(20, struct.pack("=BBBBI", family, 24, 0, 0, index) + kernel.attr(1, bytes([10, 0, 0, 2])))


def test_an_address_is_told_of_where_hardware_gets_it(talk: Talk) -> None:
    bond = kernel.attr(18 | 0x8000, kernel.attr(1, b"bond\0"))
    talk.hear(kernel.nic(7, b"ens4", MAC, b"pci"), kernel.link(9, b"ens3", bond), kernel.link(1, b"lo"))
    assert talk.hear(new_address(9), new_address(1), new_address(99), new_address(7)) == [AddressSeen(7)]
    assert talk.hear(new_address(7, family=10)) == [AddressSeen(7)]


def test_an_address_message_that_is_too_short_is_garbage(talk: Talk) -> None:
    assert talk.hear(kernel.message(20, b"abcd")) == []
    assert len(talk.sent()) == 1, "it asks for everything again"


@given(st.lists(MESSAGES, max_size=30))
def test_garbage_raises_nothing_but_the_kernels_refusal_to_list(datagrams: list[bytes]) -> None:
    talk = Talk()
    talk.talk.resync(0.0)
    talk.talk.request(TICKET, (ENSLAVE, SetUp(7, True)), 0.0)
    talk.talk.peek(7)
    for datagram in datagrams:
        try:
            events = talk.hear(datagram)
        except OSError as error:
            if "list" not in str(error):
                raise
            return
        assert all(isinstance(event, LinkSeen | LinkGone | Synced | Answered) for event in events)
    assert sum(len(datagram) for datagram in talk.talk.out) < 100 * (len(datagrams) + 4)


def test_a_header_without_a_device_is_garbage(talk: Talk) -> None:
    assert talk.hear(kernel.message(16, struct.pack("=I", 0))) == []
    assert len(talk.sent()) == 1


def test_what_was_queued_before_the_dump_that_answers_an_overrun_is_passed_over(talk: Talk) -> None:
    talk.talk.overrun(talk.now)
    (seq,) = talk.sent()
    assert talk.hear(kernel.link(7, b"old")) == []
    assert talk.hear(kernel.link(1, b"lo", seq=seq)) == []
    (seen,) = talk.hear(kernel.link(7, b"new"))
    assert isinstance(seen, LinkSeen)
    (synced,) = talk.hear(kernel.done(seq))
    assert names(synced) == ["lo", "new"]
