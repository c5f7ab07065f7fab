"""Every story, told in a real guest."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import trio

from failoverd.lab.parse import load
from failoverd.lab.report import text
from failoverd.lab.runner import run
from failoverd.lab.vm import VmWorld

pytestmark = pytest.mark.vm

STORIES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_comes_out_as_told(path: Path) -> None:
    report = trio.run(functools.partial(run, load(path), VmWorld(progress=print)))
    print(report.recording.notes["log"])
    assert report.ok, text(report, colour=False, only_failed=True)
