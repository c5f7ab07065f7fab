"""Every story, told in a real guest with every datapath it can be told with."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import trio

from failoverd.lab.parse import load
from failoverd.lab.report import text
from failoverd.lab.runner import run
from failoverd.lab.story import DATAPATHS, Scenario
from failoverd.lab.vm import VmWorld

pytestmark = pytest.mark.vm

STORIES = [load(path) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))]
TOLD = [
    pytest.param(story.told_with(datapath), id=f"{story.name}-{datapath}")
    for story in STORIES
    for datapath in story.datapaths or DATAPATHS
]


@pytest.mark.parametrize("story", TOLD)
def test_a_story_comes_out_as_told(story: Scenario) -> None:
    report = trio.run(functools.partial(run, story, VmWorld(progress=print)))
    print(report.recording.notes["log"])
    assert report.ok, text(report, colour=False, only_failed=True)
