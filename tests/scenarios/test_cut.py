"""Every story ends as it does where the daemon is never killed, wherever it is killed between two of its datagrams."""

from __future__ import annotations

from pathlib import Path

import pytest

from failoverd_lab.chaos.cut import end_of
from failoverd_lab.parse import load
from failoverd_lab.story import Scenario

STORIES = [load(path) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))]
TOLD = [
    pytest.param(story.told_with(datapath), id=f"{story.name}-{datapath}")
    for story in STORIES
    for datapath in ("bond", "tc", "hv_netvsc")
    if datapath in (story.datapaths or ("bond", "tc"))
]


@pytest.mark.parametrize("story", TOLD)
def test_a_story_that_is_cut_after_any_datagram_ends_the_same(story: Scenario) -> None:
    datagrams, whole = end_of(story)
    for number in range(1, datagrams + 1):
        assert end_of(story, number)[1] == whole, f"killed after datagram {number} of {datagrams}"
