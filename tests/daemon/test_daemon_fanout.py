"""Telling others: in order, one after the other, and never more than a bounded queue of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from signals import READY

from failoverd.config.spec import Config
from failoverd.core.document import Document
from failoverd.core.state import State
from failoverd.daemon.fanout import LINKS, PAUSE, SETTLED, WAITING, Fanout
from failoverd.model.signals import FailedOver, Joined, Moment, Signal


class Book:
    """A receiver that writes down what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def signalled(self, signal: Signal, moment: Moment) -> None:
        self.told.append((signal, moment.time > 0, moment.monotonic > 0))

    def stepped(self, document: Document) -> None:
        self.told.append(document["masters"])


class Broken(Book):
    """A receiver that cannot tell."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def signalled(self, signal: Signal, moment: Moment) -> None:
        raise self._error

    def stepped(self, document: Document) -> None:
        raise self._error


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test)


def test_signals_come_before_the_state_and_in_order() -> None:
    async def test() -> None:
        book = Book()
        fanout = Fanout([book])
        fanout.stepped(State(Config()))
        for name in ("ens3", "ens4"):
            fanout.signalled(Joined(name, "52:54:00:00:00:01"))
        await fanout.tell()
        assert book.told == [*((Joined(name, "52:54:00:00:00:01"), True, True) for name in ("ens3", "ens4")), []]
        await fanout.tell()
        assert len(book.told) == 3

    run(test)


def test_a_burst_of_steps_is_told_of_once(autojump_clock: trio.testing.MockClock) -> None:
    async def test() -> None:
        book = Book()
        fanout = Fanout([book])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fanout.run)
            for _ in range(50):
                fanout.stepped(State(Config()))
                await trio.sleep(0.001)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert book.told == [[]]

    trio.run(test, clock=autojump_clock)


def test_the_state_is_shown_once_more_when_it_has_come_to_rest(autojump_clock: trio.testing.MockClock) -> None:
    """So that a receiver may pass over some states, and has the last one all the same."""

    async def test() -> None:
        book = Book()
        fanout = Fanout([book])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fanout.run)
            for _ in range(5):
                fanout.stepped(State(Config()))
                await trio.sleep(SETTLED - PAUSE)
            assert book.told == [[]] * 5
            await trio.sleep(100)
            nursery.cancel_scope.cancel()
        assert book.told == [[]] * 6

    trio.run(test, clock=autojump_clock)


def test_a_failover_is_dated_when_the_kernel_said_so_and_not_when_its_reason_was_known() -> None:
    class Dated(Book):
        def signalled(self, signal: Signal, moment: Moment) -> None:
            self.told.append(moment)

    async def test() -> None:
        book = Dated()
        fanout = Fanout([book])
        before = Moment(time.time(), time.monotonic())
        fanout.signalled(FailedOver("ens3", "ens4", "ens3nsby", "it was unplugged", trio.current_time() - 60))
        await fanout.tell()
        (moment,) = book.told
        assert isinstance(moment, Moment)
        assert -60.0 <= moment.monotonic - before.monotonic < -55
        assert -60.5 < moment.time - before.time < -55

    run(test)


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device", "/var/lib/x"), "No space left"),
        (KeyError("name"), "Broken failed; please report"),
    ],
)
def test_one_that_cannot_tell_is_logged_once_and_keeps_nobody_else(
    error: Exception, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        book = Book()
        fanout = Fanout([Broken(error), book])
        for _ in range(5):
            fanout.signalled(Joined("ens3", ""))
        fanout.stepped(State(Config()))
        await fanout.tell()
        assert len(book.told) == 6

    with caplog.at_level(logging.WARNING, "failoverd"):
        run(test)
    assert len(caplog.messages) == 1
    assert says in caplog.messages[0]


def test_many_links_leave_room_for_a_failover() -> None:
    async def test() -> None:
        book = Book()
        fanout = Fanout([book])
        for _ in range(LINKS + 7):
            fanout.signalled(READY)
        for _ in range(WAITING + 2):
            fanout.signalled(Joined("ens3", ""))
        await fanout.tell()
        assert len(book.told) == LINKS + WAITING
        assert fanout.lost == 7 + 2

    run(test)


def test_a_link_that_changes_shows_the_state_again() -> None:
    """What shows links beside the state is given it again."""

    async def test() -> None:
        book = Book()
        fanout = Fanout([book])
        fanout.signalled(READY)
        await fanout.tell()
        assert len(book.told) == 1, "there is no state yet"
        fanout.stepped(State(Config()))
        await fanout.tell()
        fanout.signalled(READY)
        await fanout.tell()
        assert len(book.told) == 4

    run(test)


def test_what_does_not_fit_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        book = Book()
        fanout = Fanout([book])
        for _ in range(LINKS + WAITING + 7):
            fanout.signalled(Joined("ens3", ""))
        await fanout.tell()
        assert len(book.told) == LINKS + WAITING

        assert fanout.lost == 7
        await fanout.tell()

    run(test)
    assert caplog.messages == ["7 signals were dropped, for they came faster than they could be told"]
