"""The frame of the benchmarks: turns, statistics, rows, results.json, the picture."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import trio
from frame import command, results, turns
from frame.goals import BY_NAME, GOALS
from frame.picture import part_of_goal, svg
from frame.row import Bench, Goal, Row, from_json, to_json

ROOT = Path(__file__).parents[2]
MOST = Goal("most", 2, "at most", "ours", "theirs", "python bench/most.py")
LEAST = Goal("least", 20, "at least", "ours", "theirs", "python bench/least.py")


def row(goal: Goal = MOST, ours: float = 3.0) -> Row:
    return Bench().row(goal, "ms", [ours - 1, ours, ours + 1] + [ours] * 4, [2.0] * 7)


def test_sides_are_measured_by_turns_and_the_order_turns_around() -> None:
    order: list[str] = []

    async def side(name: str) -> int:
        order.append(name)
        return len(order)

    async def main() -> dict[str, list[int]]:
        return await turns.alternate({"a": lambda: side("a"), "b": lambda: side("b")}, runs=2, warm=1)

    found = trio.run(main)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert found == {"a": [3, 6], "b": [4, 5]}


def test_ratios_are_of_one_run_each() -> None:
    assert turns.ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], []), ([], []), ([1.0], [1.0, 2.0])])
def test_runs_of_one_side_alone_have_no_ratio(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="measure both in every run"):
        turns.ratios(ours, theirs)


@pytest.mark.parametrize(("part", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_the_nearest_rank(part: float, value: float) -> None:
    assert turns.percentile([float(number) for number in range(100, 0, -1)], part) == value
    assert turns.percentile([7.0], part) == 7.0


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="at least one"):
        turns.percentile([], 50)


def test_a_row_has_median_and_spread_of_the_ratios() -> None:
    made = row()
    assert (made.ratio, made.spread, made.runs, made.met) == (1.5, (1.0, 2.0), 7, True)
    assert made.median == {"failoverd": 3.0, "theirs": 2.0}
    assert not row(ours=5.0).met


def test_a_goal_is_judged_by_the_ratio_that_is_written() -> None:
    made = Bench().of_ratios(MOST, "ms", [2.00001] * 7, {})
    assert (made.ratio, made.met) == (2.0, True)
    assert from_json(to_json(made) | {"spread": [2.0, 2.0], "load": [0.0, 0.0]}).met


def test_at_least_is_met_from_the_goal_on() -> None:
    assert not row(LEAST, 39.9).met
    assert row(LEAST, 40.0).met
    assert part_of_goal(40.0, row(LEAST)) == 0.5
    assert part_of_goal(4.0, row(MOST)) == 2.0


def test_a_row_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    rows = [row(), row(LEAST, 80.0)]
    results.write(rows, path)
    assert results.read(path) == rows
    for entry in json.loads(path.read_text()):
        assert {"name", "ratio", "goal", "met", "command"} <= entry.keys()


def test_there_need_be_no_file(tmp_path: Path) -> None:
    assert results.read(tmp_path / "none.json") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"met": False}, "met is False, and 1.5 is not at most 2"),
        ({"runs": 6}, "6 runs"),
        ({"spread": [1.6, 2.0]}, "outside of its spread"),
        ({"sense": "about"}, "sense is 'about'"),
        ({"more": 1}, "lacks or has too much: more"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(to_json(row()) | change)


def test_a_file_that_is_no_list_of_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    for text, words in (("{}", "a list of rows"), ('[{"name": "x"}]', "row x")):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            results.read(path)
    results.write([row(), row()], path)
    with pytest.raises(ValueError, match="twice"):
        results.read(path)


def test_new_rows_take_the_place_of_old_ones_in_the_order_of_the_goals() -> None:
    old, new, gone = row(LEAST, 80.0), row(LEAST, 60.0), replace(row(), name="gone")
    merged = results.merged([old, gone], [row(), new], [MOST, LEAST])
    assert [(one.name, one.ratio) for one in merged] == [("most", 1.5), ("least", 30.0)]
    assert results.absent([new], [MOST, LEAST]) == ["most: not measured; python bench/most.py"]


def test_a_missed_goal_is_told_in_the_table() -> None:
    told = results.table([row(ours=5.0), row()])
    assert told.count("MISSED") == 1
    assert "| most | 1.5 | 1 to 2 | at most 2 | yes |" in told


def test_the_picture_has_every_row_and_hatches_what_is_missed() -> None:
    drawn = svg([row(ours=500.0), row(LEAST, 0.01), row()])
    texts = [element.text for element in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert [words for words in texts if words in ("most", "least")] == ["most", "least", "most"]
    assert "1 of 3 goals met" in drawn
    assert drawn.count('url(#amiss)"') == 2 + 1, "two rows, and the legend"


def test_no_rows_are_no_picture() -> None:
    with pytest.raises(ValueError, match="make bench"):
        svg([])


def test_every_row_has_one_goal_and_a_command_that_is_there() -> None:
    assert len(BY_NAME) == len(GOALS)
    for goal in GOALS:
        words = goal.command.split()
        assert words[0] == "make" if goal.needs_guest else (ROOT / words[1]).exists(), goal.name


def test_the_stored_results_are_rows_of_the_table() -> None:
    stored = results.read()
    assert {one.name for one in stored} <= BY_NAME.keys()
    for one in stored:
        goal = BY_NAME[one.name]
        assert (one.goal, one.sense, one.command) == (goal.goal, goal.sense, goal.command)
        assert not goal.needs_guest or one.command == "make bench-guest"


def test_a_benchmark_writes_its_rows(tmp_path: Path) -> None:
    """The cheapest one, whole, as `make bench` runs it."""
    rows = tmp_path / "rows"
    words = [sys.executable, "bench/step.py", "--events=1", "--runs=7", f"--rows={rows}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    made = [from_json(entry) for entry in json.loads(rows.read_text())]
    assert [one.name for one in made] == ["event, by links", "event, by pairs"]
    assert "microseconds" in done.stdout


def test_too_few_runs_are_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for runs, is_written in ((6, False), (7, True)):
        options = argparse.Namespace(runs=runs, rows=tmp_path / "rows")
        command.tell([row()], options)
        assert options.rows.exists() is is_written
    assert "6 runs are too few" in capsys.readouterr().err
