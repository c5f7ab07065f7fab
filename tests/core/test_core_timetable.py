"""The timetable: one moment for each owner, and no memory for those that are void."""

from __future__ import annotations

from failoverd.core.timetable import VOID, Timetable


def test_the_last_word_of_an_owner_counts() -> None:
    times = Timetable()
    times.note("a", 5.0)
    times.note("b", 3.0)
    times.note("a", 1.0)
    times.note("a", 4.0)
    assert times.next() == 3.0
    times.note("b", None)
    assert times.next() == 4.0
    assert times.take(3.9) == set()
    assert times.take(4.0) == {"a"}
    assert times.next() is None


def test_an_owner_that_changes_its_mind_takes_no_memory_for_it() -> None:
    times = Timetable()
    times.note("b", 2.0)
    for moment in range(10_000):
        times.note("a", 1e6 - moment)
    assert len(times._heap) <= 2 * 2 + VOID
    assert times.next() == 2.0
    assert times.take(1e6) == {"a", "b"}
