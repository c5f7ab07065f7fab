"""A quick tier's part of the cuts: the same each time, of every test some, and of all tests together all."""

from __future__ import annotations

import everycut
import pytest
from everycut import cuts, examples, share


def cuts_of(monkeypatch: pytest.MonkeyPatch, test: str, *limits: int) -> list[int]:
    """The cuts a test of this name has in the quick tier."""
    monkeypatch.setattr(everycut, "QUICK", 8)
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"{test} (call)")
    return list(cuts(*limits))


def test_the_whole_test_has_every_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everycut, "QUICK", 1)
    assert list(cuts(20)) == list(range(20))
    assert list(cuts(5, 9)) == [5, 6, 7, 8]
    assert examples(150) == 150


def test_the_quick_one_has_every_eighth_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = cuts_of(monkeypatch, "test_a", 30, 130)
    assert chosen == list(range(chosen[0], 130, 8))
    assert 30 <= chosen[0] < 38
    assert chosen == cuts_of(monkeypatch, "test_a", 30, 130)
    assert examples(150) == 19


def test_a_variant_has_every_eighth_in_the_whole_test_too(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = cuts_of(monkeypatch, "test_a", 30, 130)
    monkeypatch.setattr(everycut, "QUICK", 1)
    assert list(share(30, 130)) == chosen
    monkeypatch.setattr(everycut, "QUICK", 40)
    assert list(share(30, 130)) == list(range(min(share(30, 130)), 130, 40))


@pytest.mark.parametrize("count", [1, 3, 8, 9])
def test_no_test_is_left_without_a_cut_and_among_many_each_is_somebodys(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    chosen = [cuts_of(monkeypatch, f"test_{number}", count) for number in range(200)]
    assert all(chosen)
    assert {cut for one in chosen for cut in one} == set(range(count))
