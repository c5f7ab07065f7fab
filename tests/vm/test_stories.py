"""Every story, told in a real guest with every datapath it can be told with.

`make test` tells each with the first of them, where it has something of its own: what the namespaces of this kernel and
the simulated one say of the rest is the same story. `make test-guest-more` tells the rest.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import trio

from failoverd_lab.parse import load
from failoverd_lab.report import text
from failoverd_lab.runner import run
from failoverd_lab.story import DATAPATHS, Scenario, Step
from failoverd_lab.vm import VmWorld
from failoverd_lab.vmsteps import STEPS

pytestmark = pytest.mark.story

WITHIN = {"demo", "migration", "names", "daemon-killed", "vf-hotplug", "vf-unplug"}
"""What is a part of demo-guest, or of test_names.py, test_lifecycle.py and test_service.py. (A VF that is set down and
up under the 1,000 frames a second of `names` has once hung the guest's kernel: a soft lockup in a softirq, with QEMU's
vmxnet3 and 6.1.)"""
ELSEWHERE = {"names-standby", "netlink-overrun", "tc-overrun", "tc-without-link", "standby-without-link", "kernel-hole"}
ELSEWHERE |= {"carrier-flap", "refused-enslave"}
"""What `make test` tells in the simulated kernel, and with veths as far as traffic control goes."""

STORIES = [load(path) for path in sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))]
TOLD = [
    pytest.param(
        story.told_with(datapath),
        id=f"{story.name}-{datapath}",
        marks=pytest.mark.more if number or story.name in WITHIN | ELSEWHERE else (),
    )
    for story in STORIES
    if all(item.do in STEPS for item in story.then if isinstance(item, Step))
    for number, datapath in enumerate(d for d in story.datapaths or DATAPATHS if d != "hv_netvsc")
]


@pytest.mark.parametrize("story", TOLD)
def test_a_story_comes_out_as_told(story: Scenario) -> None:
    report = trio.run(functools.partial(run, story, VmWorld(progress=print)))
    print(report.recording.notes["log"])
    assert report.ok, text(report, colour=False, only_failed=True)
