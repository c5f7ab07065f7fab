"""Every story that needs no guest, told on the real kernel in namespaces of its own.

A process of its own for each: it leaves this network namespace for good.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from failoverd.lab.netnssteps import STEPS
from failoverd.lab.parse import load
from failoverd.lab.story import Scenario, Step

CANNOT_TELL = 3


def _can_be_told(story: Scenario) -> bool:
    return all(item.do in STEPS for item in story.then if isinstance(item, Step))


STORIES = [load(path) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))]


@pytest.mark.parametrize("story", filter(_can_be_told, STORIES), ids=lambda story: story.name)
def test_a_story_comes_out_as_told(story: Scenario) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "failoverd.cli.lab", "run", story.file, "--in", "netns", "--quiet"],
        capture_output=True,
        text=True,
        timeout=story.length + 60,
    )
    if told.returncode == CANNOT_TELL:
        pytest.skip(told.stderr.strip())
    assert told.returncode == 0, told.stdout + told.stderr


def test_what_needs_a_guest_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "move.toml").write_text(
        'name = "move"\nstory = "It moves."\n[[nic]]\nid = "pv"\nbus = "virtio"\nmac = "52:54:00:fa:11:01"\n'
        '[[then]]\ndo = "migrate"\n[[then]]\nsee = {masters = 0}\n'
    )
    told = subprocess.run(
        [sys.executable, "-m", "failoverd.cli.lab", "run", tmp_path / "move.toml", "--in", "netns"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == CANNOT_TELL
    if "refuses a network namespace" in told.stderr:
        pytest.skip(told.stderr.strip())
    assert "move.toml:7: migrate: the netns world cannot do 'migrate', it needs a guest" in told.stderr
