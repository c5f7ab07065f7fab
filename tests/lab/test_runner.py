"""The runner: told item by item in a toy world, on an exact clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trio
from toy import ToyWorld

from failoverd_lab import report as reports
from failoverd_lab.report import Report
from failoverd_lab.runner import run
from failoverd_lab.story import Heard, Item, Nic, Scenario, See, Step
from failoverd_lab.world import CannotTell

MAC = "52:54:00:fa:11:01"


def story(*then: Item, vf: bool = True) -> Scenario:
    nics = (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC, plugged=vf))
    return Scenario("a-story", "It happens.", nics, then, file="s.toml")


def tell(scenario: Scenario, world: ToyWorld, progress: Callable[[str], None] = lambda _: None) -> Report:
    return trio.run(run, scenario, world, progress)


UNPLUG = Step("unplug", {"nic": "vf"}, wait=1.0, line=3)
PLUG = Step("plug", {"nic": "vf"}, wait=1.0, called="the return", line=9)


def both(bound: float) -> Mapping[str, float]:
    return {"to-guest": bound, "from-guest": bound}


def test_a_story_that_comes_out_as_expected() -> None:
    world = ToyWorld(delay=0.2)
    report = tell(
        story(
            See({"active": "vf"}, line=1),
            UNPLUG,
            See({"active": "pv", "state": "on-standby"}, line=4),
            Heard({"silence": both(0.1), "announced": "pv"}, wait=0.5, line=5),
            PLUG,
            See({"active": "vf"}),
        ),
        world,
    )
    assert report.ok
    assert [(f.line, f.ok) for f in report.findings] == [
        (1, True),
        (4, True),
        (4, True),
        (5, True),
        (5, True),
        (0, True),
    ]
    assert world.done == [(1.0, "unplug vf"), (pytest.approx(2.7), "plug vf")]
    marks = [(round(mark.at, 3), mark.text) for mark in report.recording.marks]
    assert marks == [(1.0, "unplug vf"), (1.2, "active is pv"), (2.7, "the return"), (2.9, "active is vf")]
    assert world.stopped == 1


def test_a_state_is_asked_for_until_it_comes_about_and_no_longer() -> None:
    report = tell(story(UNPLUG, See({"active": "pv"}, within=5)), ToyWorld(delay=0.72))
    (finding,) = report.findings
    assert finding.ok
    assert 1.72 <= finding.at <= 1.72 + ToyWorld.poll
    assert report.recording.length == finding.at


def test_a_state_that_does_not_come_about_in_time_is_a_failure_and_the_story_goes_on() -> None:
    world = ToyWorld(delay=3.0)
    report = tell(story(UNPLUG, See({"active": "pv"}, within=2, line=4), PLUG, See({"active": "vf"})), world)
    first, second = report.findings
    assert (first.ok, first.line, first.seen, first.expected) == (False, 4, "vf0", 'active = "pv"')
    assert first.at == pytest.approx(3.0)
    assert not report.ok
    assert second.ok
    assert len(world.done) == 2


def test_a_state_seen_exactly_at_the_end_of_the_time_still_counts() -> None:
    assert tell(story(UNPLUG, See({"active": "pv"}, within=2.0)), ToyWorld(delay=2.0)).ok


def test_all_keys_must_hold_in_the_same_look() -> None:
    report = tell(story(UNPLUG, See({"active": "pv", "state": "accelerated"}, within=1)), ToyWorld())
    assert [finding.ok for finding in report.findings] == [True, False]


def test_a_look_back_counts_from_what_it_names() -> None:
    loss = Heard({"silence": both(0.05)}, wait=1.0)
    flow: list[Item] = [UNPLUG, loss, Step("plug", {"nic": "vf"}, called="again")]
    for since, ok in {"step": True, "again": True, "start": False}.items():
        report = tell(story(*flow, Heard({"silence": both(0.05)}, since=since, wait=1.0)), ToyWorld())
        assert [finding.ok for finding in report.findings] == [False, ok]


def test_names_and_ifindexes_are_remembered_from_before_the_pair() -> None:
    then = (PLUG, See({"took_over": "pv", "same_ifindexes": ("pv",), "masters": 1}))
    assert tell(story(*then, vf=False), ToyWorld()).ok


def test_a_step_the_world_cannot_do_ends_the_story_and_takes_the_world_down() -> None:
    world = ToyWorld()
    with pytest.raises(CannotTell, match=r"^s\.toml:7: migrate: a toy world cannot migrate$"):
        tell(story(Step("migrate", line=7), UNPLUG, See({"active": "pv"})), world)
    assert world.stopped == 1
    assert world.done == [(0.0, "migrate")]


class Unbuildable(ToyWorld):
    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        raise CannotTell("no toys here; buy some")


class SlowToStop(ToyWorld):
    async def sleep_until(self, at: float) -> None:
        await trio.sleep_forever()

    async def stop(self) -> None:
        await trio.sleep(0)
        await super().stop()


def test_a_world_that_cannot_be_built_is_taken_down_too() -> None:
    world = Unbuildable()
    with pytest.raises(CannotTell, match=r"^no toys here; buy some$"):
        tell(story(See({"active": "vf"})), world)
    assert world.stopped == 1


def test_a_story_that_is_interrupted_takes_its_world_down() -> None:
    world = SlowToStop()

    async def interrupted() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run(story(UNPLUG), world)

    trio.run(interrupted)
    assert world.stopped == 1


def test_progress_tells_what_is_waited_for() -> None:
    said: list[str] = []
    tell(story(UNPLUG, See({"active": "pv"})), ToyWorld(), said.append)
    assert said[1:3] == ["a-story: 1.0 s: unplug vf", 'a-story: 1.0 s: waiting for active = "pv"']


def failed() -> Report:
    return tell(story(UNPLUG, See({"active": "vf"}, within=1, line=4), See({"active": "pv"}, line=5)), ToyWorld())


def test_the_report_as_text_names_file_line_and_what_was_seen() -> None:
    told = failed()
    words = reports.text(told)
    assert words.splitlines()[0] == "a-story in toy: NOT as expected, 1 of 2 in 2.0 s"
    assert '  FAILED    2.000 s  active = "vf"\n          seen: pv\n          asked in s.toml:4\n' in words
    assert '  ok        2.000 s  active = "pv"  pv\n' in words
    assert "  to-guest    longest silence 95 ms at 0.996 s, 18 of 400 probes lost\n" in words


def test_the_report_can_be_cut_to_what_failed_and_be_coloured() -> None:
    assert 'active = "pv"' not in reports.text(failed(), only_failed=True)
    assert "probes lost" not in reports.text(failed(), only_failed=True)
    assert "\x1b[31;1mFAILED\x1b[0m" in reports.text(failed(), colour=True)
    good = tell(story(See({"active": "vf"}), Heard({"switches": 0}, since="start", wait=1.0)), ToyWorld())
    assert "\x1b[32mtold as expected\x1b[0m" in reports.text(good, colour=True)


def test_the_report_as_a_document() -> None:
    told: dict[str, Any] = reports.document(failed())
    assert (told["scenario"], told["world"], told["ok"]) == ("a-story", "toy", False)
    assert told["findings"][0] == {
        "line": 4,
        "at": pytest.approx(2.0),
        "expected": 'active = "vf"',
        "ok": False,
        "seen": "pv",
    }
    assert told["traffic"]["to-guest"]["lost"] == 18
    assert told["marks"][0] == {"at": 1.0, "text": "unplug vf"}
    assert told["announcements"][0]["nic"] == "pv"
