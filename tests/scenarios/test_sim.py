"""Every story, told in the simulated world with every datapath it can be told with there."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import trio

from failoverd_lab.parse import load
from failoverd_lab.report import text
from failoverd_lab.runner import run
from failoverd_lab.sim import SimWorld
from failoverd_lab.story import Scenario
from failoverd_lab.world import CannotTell

STORIES = [load(path) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))]
TOLD = [
    pytest.param(story.told_with(datapath), id=f"{story.name}-{datapath}")
    for story in STORIES
    for datapath in ("bond", "tc", "hv_netvsc")
    if datapath in (story.datapaths or ("bond", "tc"))
]


@pytest.mark.parametrize("story", TOLD)
def test_a_story_comes_out_as_told(story: Scenario) -> None:
    world = SimWorld(progress=lambda _: None)
    report = trio.run(functools.partial(run, story, world), clock=world.clock)
    assert report.ok, text(report, colour=False, only_failed=True)


def test_the_kernels_own_failover_is_not_simulated() -> None:
    world = SimWorld(progress=lambda _: None)
    assert world.joined_by(STORIES[0]) == "bond"
    with pytest.raises(CannotTell, match="tell it with --in vm"):
        world.joined_by(STORIES[0].told_with("net_failover"))
