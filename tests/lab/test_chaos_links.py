"""Random histories of declared links hold the invariants, a seed tells the same story, and defects are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from failoverd.links import singles, step
from failoverd.links.findings import Finding
from failoverd.links.sight import Sight
from failoverd.model.linkstatus import LinkState
from failoverd_lab.chaos.links import run_links
from failoverd_lab.cli import main

EVENTS = 40


@pytest.mark.parametrize("seed", range(15))
def test_what_is_declared_is_there_within_three_seconds(seed: int) -> None:
    assert run_links(seed, EVENTS) == []


def test_a_seed_tells_the_same_story() -> None:
    stories: list[list[str]] = [[], []]
    for story in stories:
        run_links(7, EVENTS, story.append)
    assert stories[0] == stories[1]
    assert any("asked" in line for line in stories[0])


def _forgets_orphans(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(step, "removals", lambda *_: [])


def _takes_strangers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Sight, "device_of", lambda self, end: self.pictures[self.place_of(end)].named(end.device))


def _never_repairs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(singles, "as_it_is", lambda *_: Finding(LinkState.READY))


@pytest.mark.parametrize("defect", [_forgets_orphans, _takes_strangers, _never_repairs])
def test_a_defect_is_found(defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    defect(monkeypatch)
    assert any(run_links(seed, EVENTS) for seed in range(25))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "links", "--runs", "2", "--events", "5"]) == 0
    assert "2 histories of 5 events" in capsys.readouterr().out
    assert main(["chaos", "links", "3", "--events", "5"]) == 0
    assert main(["chaos", "links", "x"]) == 2
