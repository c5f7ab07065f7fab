"""What a story leaves behind is judged by the invariants, whatever the story itself expects."""

from __future__ import annotations

import trio

from failoverd_lab.epilogue import REST
from failoverd_lab.report import Report
from failoverd_lab.runner import run
from failoverd_lab.sim import SimWorld
from failoverd_lab.story import Item, Nic, Scenario, See, Step

MAC = "52:54:00:fa:11:01"
NICS = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC))
JOINED = See({"state": "accelerated"}, within=5.0, line=1)
DEAD = Step("kill-daemon", line=2)
UNPLUGGED = Step("unplug", {"nic": "vf"}, line=3)


def told(datapath: str, *then: Item) -> Report:
    scenario = Scenario("a-story", "It ends.", NICS, (JOINED, *then), config={"master": {"datapath": datapath}})
    world = SimWorld(lambda _: None)
    return trio.run(run, scenario, world, clock=world.clock)


def test_a_machine_that_is_left_without_a_path_is_found() -> None:
    """By tc nobody takes the filter away that leads to a VF that is gone, while failoverd is dead."""
    report = told("tc", DEAD, UNPLUGGED)
    (flows,) = [finding for finding in report.findings if finding.expected == "traffic-flows, in the end"]
    assert not report.ok
    assert (flows.line, flows.ok) == (3, False)
    assert "no path to 10.111.0.2" in flows.seen
    assert report.recording.length >= REST


def test_a_machine_that_has_a_path_is_not_waited_for() -> None:
    """A bond goes on by itself."""
    report = told("bond", DEAD, UNPLUGGED)
    assert report.ok
    assert report.recording.length < REST


def test_what_the_daemon_says_is_judged_by_what_is_seen_from_outside() -> None:
    report = told("bond", UNPLUGGED)
    assert report.ok, report.findings
