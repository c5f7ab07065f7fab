"""Random histories of a master that moves: it ends whole where it is wanted, and defects are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from failoverd.daemon.residing import Residing
from failoverd.moves.living import Chosen, Living
from failoverd_lab.chaos.moves import run_moves
from failoverd_lab.cli import main
from failoverd_lab.simmoves import Disk

EVENTS = 30


@pytest.mark.parametrize("seed", range(8))
def test_it_ends_whole_where_it_is_wanted(seed: int) -> None:
    assert run_moves(seed, EVENTS) == []


def test_a_seed_tells_the_same_story() -> None:
    stories: list[list[str]] = [[], []]
    for story in stories:
        run_moves(3, 20, story.append)
    assert stories[0] == stories[1]
    assert any("order move" in line for line in stories[0])


def _a_start_knows_of_no_move(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Disk, "records", lambda _self: [])


def _who_carries_there_is_left_to_the_bond(patch: pytest.MonkeyPatch) -> None:
    look = Living.look

    def idle(self: Living, *arguments: object) -> Chosen:
        return replace(look(self, *arguments), slave=0)  # type: ignore[arg-type]

    patch.setattr(Living, "look", idle)


def _nobody_follows_the_configuration(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Residing, "wake", lambda _self: None)


@pytest.mark.parametrize(
    "defect", [_a_start_knows_of_no_move, _who_carries_there_is_left_to_the_bond, _nobody_follows_the_configuration]
)
def test_a_defect_is_found(defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    defect(monkeypatch)
    assert any(run_moves(seed, EVENTS) for seed in range(25))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "moves", "--runs", "2", "--events", "5"]) == 0
    assert "2 histories of 5 events" in capsys.readouterr().out
    assert main(["chaos", "moves", "x"]) == 2
