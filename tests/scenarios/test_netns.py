"""Every story that needs no guest, told on the real kernel in namespaces of its own.

A process of its own for each: it leaves this network namespace for good.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from failoverd_lab.netnssteps import unsupported_reason
from failoverd_lab.parse import load
from failoverd_lab.story import Scenario

CANNOT_TELL = 3

STORIES = [load(path) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))]
DATAPATHS = ("tc", "bond") if Path("/sys/module/bonding").exists() else ("tc",)
TOLD = [
    pytest.param(story, datapath, id=f"{story.name}-{datapath}")
    for story in STORIES
    for datapath in DATAPATHS
    if not unsupported_reason(story) and datapath in (story.datapaths or DATAPATHS)
]


@pytest.mark.parametrize(("story", "datapath"), TOLD)
def test_a_story_comes_out_as_told(story: Scenario, datapath: str) -> None:
    command = [sys.executable, "-m", "failoverd_lab.cli", "run", story.file, "--in", "netns", "--datapath", datapath]
    told = subprocess.run(
        [*command, "--quiet"],
        capture_output=True,
        text=True,
        timeout=story.length + 60,
    )
    if told.returncode == CANNOT_TELL:
        pytest.skip(told.stderr.strip())
    assert told.returncode == 0, told.stdout + told.stderr


PAIR = """\
name = "pair"
story = "Both ends of a veth in one namespace; the second is declared later, and withdrawn."

[[nic]]
id = "pv"
bus = "virtio"
mac = "52:54:00:fa:11:01"

[config.link.one]
kind = "veth"
peer = "other"
device = "one0"
addresses = ["192.0.2.1/24"]

[[then]]
see = {link = {one = "pending no-peer"}}

[[then]]
do = "configure"
config.link.other = {kind = "veth", peer = "one", device = "two0"}

[[then]]
see = {link = {one = "ready", other = "ready"}}

[[then]]
do = "kill-daemon"

[[then]]
do = "start-daemon"

[[then]]
see = {link = {one = "ready", other = "ready"}}

[[then]]
do = "configure"
config.link.other.enabled = false

[[then]]
see = {link = {one = "pending no-peer"}}
"""


def test_a_story_of_declared_links_comes_out_as_told(tmp_path: Path) -> None:
    """The daemon makes the links on this kernel, and finds them again after a kill."""
    (tmp_path / "pair.toml").write_text(PAIR)
    command = [sys.executable, "-m", "failoverd_lab.cli", "run", str(tmp_path / "pair.toml"), "--in", "netns"]
    told = subprocess.run([*command, "--quiet"], capture_output=True, text=True, timeout=120)
    if told.returncode == CANNOT_TELL:
        pytest.skip(told.stderr.strip())
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ('do = "migrate"', "migrate: the netns world cannot do 'migrate', it needs a guest; "),
        ('do = "namespace"\nname = "red"', "namespace red: only the simulated world has namespaces that come and go; "),
        ('do = "mtu"\nnic = "master"\nmtu = 9500', "mtu master 9500: pv takes at most 9190, and a veth takes any "),
    ],
)
def test_what_veths_cannot_show_is_refused_by_its_line(step: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "story.toml"
    path.write_text(
        'name = "story"\nstory = "It."\n[[nic]]\nid = "pv"\nbus = "virtio"\nmac = "52:54:00:fa:11:01"\n'
        f"[[then]]\n{step}\n[[then]]\nsee = {{masters = 0}}\n"
    )
    assert unsupported_reason(load(path)).startswith(f"{path}:8: {why}")


def test_a_refused_story_ends_before_it_begins(tmp_path: Path) -> None:
    story = next(story for story in STORIES if unsupported_reason(story))
    told = subprocess.run(
        [sys.executable, "-m", "failoverd_lab.cli", "run", story.file, "--in", "netns"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (told.returncode, told.stdout) == (CANNOT_TELL, "")
    assert unsupported_reason(story) in told.stderr or "refuses a network namespace" in told.stderr
