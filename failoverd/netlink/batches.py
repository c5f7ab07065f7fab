"""Batches of requests that the kernel has not answered in full."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial

from failoverd.dataclass import dataclass
from failoverd.model.events import Answered, Event
from failoverd.model.owners import Ticket
from failoverd.model.requests import Request
from failoverd.netlink.frames import Message, pack, read_error
from failoverd.netlink.requests import get_link, write_request

LARGEST = 1 << 16
"""Longest datagram sent, in bytes. The kernel accepts none longer than its send buffer (212,992 by default), and the
routes of one device can be more than that."""


@dataclass(slots=True)
class Batch:
    """Requests that the kernel has not answered in full: `answers` by sequence number; `asked` is when they were to be
    sent (seconds), in `datagrams`."""

    ticket: Ticket
    requests: tuple[Request, ...]
    seqs: tuple[int, ...]
    asked: float
    datagrams: tuple[bytes, ...]
    answers: dict[int, tuple[int, str]] = field(default_factory=dict)


class Batches:
    """The outstanding batches, the oldest first. `next_seq` gives each message its sequence number."""

    def __init__(self, next_seq: Callable[[], int]) -> None:
        self._next_seq = next_seq
        self._batches: list[Batch] = []

    def add(self, ticket: Ticket, requests: tuple[Request, ...], now: float) -> list[bytes]:
        """Note a batch as sent, and return its datagrams: one if it fits, which the kernel works through in one go.

        Devices whose change the kernel may not report by itself are asked for behind it (Request.untold).
        """
        writers = [partial(write_request, request) for request in requests]
        untold = {ifindex for request in requests if request.untold for ifindex in request.devices}
        writers += [partial(get_link, ifindex) for ifindex in sorted(untold)]
        seqs = tuple(self._next_seq() for _ in writers)
        datagrams = pack((write(seq) for write, seq in zip(writers, seqs, strict=True)), LARGEST)
        self._batches.append(Batch(ticket, requests, seqs, now, tuple(datagrams)))
        return datagrams

    def oldest(self) -> float | None:
        """Return when the oldest of them was sent (seconds)."""
        return min((batch.asked for batch in self._batches), default=None)

    def has(self, message: Message) -> bool:
        """Whether this message answers to one of them."""
        return any(message.seq in batch.seqs for batch in self._batches)

    def answer(self, message: Message) -> list[Event]:
        """Take in an answer: an event when its batch is complete."""
        for batch in self._batches:
            if message.seq in batch.seqs:
                batch.answers[message.seq] = read_error(message)
                return self._completed(batch)
        return []

    def _completed(self, batch: Batch) -> list[Event]:
        if len(batch.answers) < len(batch.seqs):
            return []
        self._batches.remove(batch)
        answers = tuple(batch.answers[seq] for seq in batch.seqs[: len(batch.requests)])
        return [Answered(batch.ticket, batch.requests, answers)]

    def others(self, out: Iterable[bytes]) -> list[bytes]:
        """Return those datagrams of `out` that belong to none of them."""
        theirs = {id(datagram) for batch in self._batches for datagram in batch.datagrams}
        return [datagram for datagram in out if id(datagram) not in theirs]

    def lose(self) -> list[Event]:
        """Report all of them as lost."""
        lost: list[Event] = [Answered(batch.ticket, batch.requests, None) for batch in self._batches]
        self._batches.clear()
        return lost
