"""The timetable: one moment for each owner, of any kind, and no memory for those that are void."""

from __future__ import annotations

from newowner import KeptUp

from failoverd.core.timetable import VOID, Timetable
from failoverd.model.owners import PairOf

A, B = PairOf("a"), KeptUp(2)


def test_the_last_word_of_an_owner_counts() -> None:
    times = Timetable()
    times.note(A, 5.0)
    times.note(B, 3.0)
    times.note(A, 1.0)
    times.note(A, 4.0)
    assert times.next() == 3.0
    times.note(B, None)
    assert times.next() == 4.0
    assert times.take(3.9) == set()
    assert times.take(4.0) == {A}
    assert times.next() is None


def test_an_owner_that_changes_its_mind_takes_no_memory_for_it() -> None:
    times = Timetable()
    times.note(B, 2.0)
    for moment in range(10_000):
        times.note(A, 1e6 - moment)
    assert len(times._heap) <= 2 * 2 + VOID
    assert times.next() == 2.0
    assert times.take(1e6) == {A, B}


def test_owners_of_different_kinds_share_a_moment() -> None:
    times = Timetable()
    for owner in (B, A, KeptUp(3), PairOf("b")):
        times.note(owner, 1.0)
    assert times.take(1.0) == {A, B, KeptUp(3), PairOf("b")}
