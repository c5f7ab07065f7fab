"""Every harness on its corpus and seeds, and on mutations of them from a fixed seed. `make fuzz` goes on from there."""

from __future__ import annotations

import random
import time

import pytest
from fuzzing import CORPUS, Harness, TooSlowError, harnesses, mutated

EACH = 0.8
"""Seconds of mutations for each harness: with the corpora they take a dozen seconds."""
ALL = harnesses()
EVERY = pytest.mark.parametrize("harness", ALL.values(), ids=ALL)


@EVERY
def test_what_was_found_before_does_no_harm(harness: Harness) -> None:
    for data in harness.corpus():
        harness.run(data)


@EVERY
def test_what_is_near_to_it_does_no_harm(harness: Harness) -> None:
    """As many as there is time for, always the same ones first."""
    end = time.process_time() + EACH
    for number, data in enumerate(harness.mutations(random.Random(14))):
        try:
            harness.run(data)
        except BaseException as error:
            error.add_note(f"mutation {number}: {data!r}")
            raise
        if time.process_time() > end:
            break


def test_each_corpus_is_a_harness_and_has_something() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(ALL)
    assert all(any((CORPUS / name).iterdir()) for name in ALL)


def test_a_harness_fails_by_an_error_and_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(data: bytes) -> None:
        if data == b"slow":
            clock[0] += 1.5
        assert data != b"bad"

    clock = [0.0]
    monkeypatch.setattr("fuzzing.time.process_time", lambda: clock[0])
    harness = Harness("none", one, lambda: [b"seed"])
    harness.run(b"good")
    with pytest.raises(AssertionError):
        harness.run(b"bad")
    with pytest.raises(TooSlowError):
        harness.run(b"slow")


def test_mutations_reach_what_is_not_in_the_seeds() -> None:
    """From one seed and one word, all that a mutation can do is done within a few thousand."""
    chance = random.Random(1)
    made = {mutated(b"seed", chance, [b"other"], [b"word"]) for _ in range(5000)}
    assert b"" in made
    assert any(b"word" in data for data in made)
    assert any(b"other" in data for data in made)
    assert any(len(data) > 100 for data in made)
