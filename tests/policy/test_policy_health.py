"""Flap damping in numbers, and what rounds of probes say of paths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.spec import Damping as Rule
from failoverd.model.health import Damping, Path
from failoverd.model.links import Link
from failoverd.policy.election import Standing
from failoverd.policy.health import (
    DEAD,
    aged,
    describe,
    flapped,
    judged,
    penalty,
    probed,
    suppressed_reason,
    suppressed_until,
)

RULE = Rule()


def failing(times: int, apart: float, rule: Rule = RULE) -> Damping:
    """So many failures, at equal intervals from time 0 on."""
    damping = Damping()
    for number in range(times):
        damping = flapped(aged(damping, rule, number * apart), 1, rule, number * apart)
    return damping


def first_suppressed(apart: float, most: int = 1000) -> int:
    """With which failure the VF is suppressed, 0 for none of `most`."""
    damping = Damping()
    for number in range(most):
        damping = flapped(damping, 1, RULE, number * apart)
        if damping.suppressed:
            return number + 1
    return 0


def test_a_penalty_halves_each_half_life() -> None:
    damping = flapped(Damping(), 1, RULE, 100.0)
    assert [penalty(damping, RULE, 100.0 + t) for t in (0, 300, 600, 3e9)] == [1000, 500, 250, 0]
    assert penalty(damping, RULE, 0.0) == 1000, "time never goes back, and if it does it makes nothing of it"


@pytest.mark.parametrize(("apart", "number"), [(0, 7), (1, 7), (4, 7), (10, 7), (30, 8), (60, 11), (78, 26)])
def test_the_failure_with_which_a_vf_is_suppressed(apart: float, number: int) -> None:
    assert first_suppressed(apart) == number


@pytest.mark.parametrize("apart", [80, 120, 180, 300, 3600])
def test_failures_that_are_farther_apart_are_all_followed(apart: float) -> None:
    assert first_suppressed(apart) == 0


def test_what_failures_at_equal_intervals_come_to() -> None:
    """As the module and the documentation say."""
    assert failing(1000, 120).penalty == pytest.approx(4130, abs=1)
    assert failing(1000, 79).penalty == pytest.approx(5991, abs=5)


def test_a_suppression_lasts_ten_to_fifteen_minutes_after_the_last_failure() -> None:
    first = failing(7, 0)
    assert suppressed_until(first, RULE) == pytest.approx(667, abs=1)
    most = failing(900, 4)
    assert most.penalty == 12000
    assert suppressed_until(most, RULE) == 899 * 4 + 900
    least = flapped(Damping(5000.1, 0.0), 1, RULE, 0.0)
    assert suppressed_until(least, RULE) == pytest.approx(600, abs=1)


def test_it_ends_at_that_moment_and_not_before() -> None:
    damping = failing(900, 4)
    until = suppressed_until(damping, RULE)
    assert until is not None
    assert aged(damping, RULE, until - 0.001).suppressed
    over = aged(damping, RULE, until)
    assert not over.suppressed
    assert (suppressed_until(over, RULE), suppressed_reason(over, RULE)) == (None, "")
    assert penalty(over, RULE, until) == pytest.approx(RULE.reuse)


def test_many_failures_at_once() -> None:
    assert not flapped(Damping(), 6, RULE, 0.0).suppressed
    assert flapped(Damping(), 7, RULE, 0.0).suppressed
    assert flapped(Damping(), 1_000_000, RULE, 0.0).penalty == 12000
    absurd = Rule(half_life=1, max_suppress=86_400)
    assert flapped(Damping(), 7, absurd, 0.0).suppressed


def test_no_pattern_costs_more_than_it_says() -> None:
    """The worst there is: a VF that fails again as soon as that does not suppress it. Then, and with each of a storm,
    the standby is switched to and back. The documentation of [damping] says how often in an hour."""
    damping, now, followed = Damping(), 0.0, 0
    while now < 3600:
        if penalty(damping, RULE, now) + 1000 <= RULE.suppress:
            damping, followed = flapped(damping, 1, RULE, now), followed + 1
            assert not damping.suppressed
        now += 0.5
    assert followed == 51


def test_why() -> None:
    assert suppressed_reason(Damping(), RULE) == ""
    assert suppressed_reason(failing(900, 4), RULE) == "it flaps, and is suppressed until it has been steady for 900 s"


# Path truth


VF, NIC = 3, 2
WELL, SILENT = Path(answered=True), Path(silent=True, missed=1, answered=True)
DEAD_ONE = Path(silent=True, missed=2, answered=True, dead=True)


def rounds(*answers: str, active: int = VF, misses: int = 2, paths: dict[int, Path] | None = None) -> dict[int, Path]:
    """What is known after these rounds: "vn" where both answered, "v", "n", or "" where none did."""
    found = dict(paths or {})
    for answer in answers:
        answered = {slave for slave, word in ((VF, "v"), (NIC, "n")) if word in answer}
        found = probed(found, {VF, NIC}, answered, active, misses)
    return found


def words(paths: dict[int, Path]) -> tuple[str, str]:
    return describe(paths.get(VF), True), describe(paths.get(NIC), True)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (("vn",), ("answers", "answers")),
        (("vn", "n"), ("silent", "answers")),
        (("vn", "n", "n"), ("dead", "answers")),
        (("vn", "v", "v"), ("answers", "dead")),
        (("vn", "", "", ""), ("silent", "silent")),
        (("vn", "", "", "", "n"), ("silent", "answers")),
        (("vn", "n", "", "", "n"), ("dead", "answers")),
        (("vn", "n", "n", "", ""), ("dead", "silent")),
        (("vn", "n", "n", "", "", "vn"), ("answers", "answers")),
        (("vn", "n", "n", "", "", "v"), ("answers", "silent")),
        (("vn", "n", "n", "", "", "v", "v"), ("answers", "dead")),
        (("vn", "n", "vn", "n"), ("silent", "answers")),
        (("v", "v", "v"), ("answers", "unknown")),
        (("n", "n"), ("dead", "answers")),
        (("",), ("unknown", "unknown")),
        (("", "", ""), ("unknown", "unknown")),
    ],
)
def test_what_rounds_say(told: tuple[str, ...], expected: tuple[str, str]) -> None:
    """The VF carries. A standby that has never answered may be one whose host lets nothing of it through."""
    assert words(rounds(*told)) == expected


def test_a_vf_that_does_not_carry_and_never_answered_is_unknown() -> None:
    assert words(rounds("n", "n", "n", active=NIC)) == ("unknown", "answers")
    assert words(rounds("n", "n", "n", active=NIC, paths={VF: Path(answered=True)})) == ("dead", "answers")


def test_how_many_misses() -> None:
    assert [words(rounds("vn", *["n"] * n, misses=4))[0] for n in (3, 4)] == ["silent", "dead"]
    assert words(rounds("vn", "n", misses=1))[0] == "dead"


@given(st.lists(st.sampled_from(["vn", "v", "n", ""]), max_size=12), st.sampled_from([VF, NIC]), st.integers(1, 3))
def test_never_are_both_dead(told: list[str], active: int, misses: int) -> None:
    found = rounds(*told, active=active, misses=misses)
    assert sum(path.dead for path in found.values()) <= 1
    for slave, word in ((VF, "v"), (NIC, "n")):
        assert not (told and word in told[-1] and found[slave].dead), "who has just answered is alive"


def test_without_probes() -> None:
    assert (describe(None, False), describe(WELL, False), describe(DEAD_ONE, False)) == (
        "not-probed",
        "not-probed",
        "dead",
    )


STANDS = Standing(VF, Link(VF, "vf"), Link(NIC, "nic"), "", "")


def test_the_verdict_on_both() -> None:
    assert judged(STANDS, {}) is STANDS
    assert judged(STANDS, {VF: SILENT, NIC: WELL}) is STANDS
    assert judged(STANDS, {VF: DEAD_ONE}) == replace(STANDS, bad_primary=DEAD)
    assert judged(STANDS, {NIC: DEAD_ONE}) == replace(STANDS, bad_standby=DEAD)


@pytest.mark.parametrize(
    "stands",
    [
        replace(STANDS, standby=None, bad_standby="it is unplugged"),
        replace(STANDS, primary=None, bad_primary="it is unplugged"),
        replace(STANDS, bad_standby="it has no carrier"),
        replace(STANDS, bad_primary="it has no carrier"),
    ],
)
def test_a_dead_path_is_better_than_none(stands: Standing) -> None:
    assert judged(stands, {VF: DEAD_ONE}) is stands
    assert judged(stands, {NIC: DEAD_ONE}) is stands
