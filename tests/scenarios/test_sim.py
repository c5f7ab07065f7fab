"""Every story, told in the simulated world."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import trio

from failoverd.lab.parse import load
from failoverd.lab.report import text
from failoverd.lab.runner import run
from failoverd.lab.sim import SimWorld

STORIES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_comes_out_as_told(path: Path) -> None:
    world = SimWorld(progress=lambda _: None)
    report = trio.run(functools.partial(run, load(path), world), clock=world.clock)
    assert report.ok, text(report, colour=False, only_failed=True)
