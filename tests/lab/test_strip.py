"""The text lanes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from failoverd_lab.parse import load
from failoverd_lab.report import Report
from failoverd_lab.runner import run
from failoverd_lab.sim import SimWorld
from failoverd_lab.story import Nic, Scenario
from failoverd_lab.strip import strip
from failoverd_lab.world import Mark, Probe, Recording, Span

ROOT = Path(__file__).parents[2]
MAC = "52:54:00:fa:11:01"
SCENARIO = Scenario("a-story", "Told.", (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)), (), rate=20)


def probes(start: float, end: float) -> list[Probe]:
    times = [number / 20 for number in range(200)]
    holed = [Probe("to-guest", at, None if start <= at < end else at) for at in times]
    return holed + [Probe("from-guest", at, at) for at in times]


RECORDING = Recording(
    10.0,
    probes(5.0, 5.2),
    [
        Span("active", 5.0, 10.0, "pv"),
        Span("active", 0.0, 5.0, "vf"),
        Span("standby", 0.0, 0.01, "pv, not a slave"),
        Span("standby", 0.01, 10.0, "pv"),
        Span("primary", 0.0, 4.9, "vf"),
        Span("primary", 4.9, 5.0, "vf, no carrier"),
        Span("primary", 8.0, 10.0, "stranger"),
    ],
    [Mark(5.0, "unplug vf"), Mark(5.01, "active is pv"), Mark(10.0, "the end")],
)


def test_the_whole_of_it() -> None:
    assert strip(Report(SCENARIO, "sim", (), RECORDING), columns=51, utf8=False).splitlines() == [
        "           |0 s    |2 s    |4 s    |6 s    |8 s",
        "steps                          1 2                3",
        "primary    #vf################--           --------",
        "standby    -pv=====================================",
        "active     #vf#################=pv=================",
        "to-guest   ....................x...................",
        "from-guest ........................................",
        "        1    5.000 s  unplug vf",
        "        2    5.010 s  active is pv",
        "        3   10.000 s  the end",
        "  silence    4.950 s  to-guest, 250 ms",
        "   legend  # VF  = paravirtual NIC  - something ami",
    ]


@pytest.mark.parametrize("columns", [1, 40, 41, 80, 100])
def test_no_line_is_longer_than_the_terminal_is_wide(columns: int) -> None:
    for utf8 in (True, False):
        lines = strip(Report(SCENARIO, "sim", (), RECORDING), columns=columns, utf8=utf8).splitlines()
        assert max(map(len, lines)) <= max(columns, 40)


def test_a_terminal_without_utf8_gets_ascii() -> None:
    assert strip(Report(SCENARIO, "sim", (), RECORDING), utf8=False).isascii()
    assert "×" in strip(Report(SCENARIO, "sim", (), RECORDING))


def test_one_lost_probe_among_many_shows_in_its_column() -> None:
    busy = [Probe("to-guest", number / 10_000, None if number == 5000 else 1.0) for number in range(10_000)]
    line = strip(Report(SCENARIO, "sim", (), Recording(1.0, busy)), utf8=False).splitlines()[4]
    assert line.startswith("to-guest")
    assert line.count("x") == 1


def test_nothing_recorded_is_told_too() -> None:
    lines = strip(Report(SCENARIO, "sim", (), Recording(0.0)), utf8=False).splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["primary", "standby", "active", "to-guest", "from-guest"]


def test_a_master_that_moves_has_a_lane_for_where_it_is() -> None:
    spans = [*RECORDING.spans, Span("namespace", 0.0, 4.9, "home"), Span("namespace", 5.1, 10.0, "web")]
    report = Report(SCENARIO, "sim", (), Recording(10.0, (), spans))
    lines = strip(report, columns=100, utf8=False).splitlines()
    (lane,) = [line for line in lines if line.startswith("namespace")]
    assert lane.startswith("namespace  +home+++")
    assert lane.index("+web+") - len("namespace  ") == pytest.approx(0.51 * (len(lane) - len("namespace  ")), abs=2)
    assert lines[-1].endswith("+ network namespace")


def test_the_picture_of_a_move_in_the_docs_is_what_the_story_draws() -> None:
    scenario = load(ROOT / "scenarios" / "move-house.toml")
    world = SimWorld(lambda _text: None)
    report = trio.run(partial(run, scenario, world), clock=world.clock)
    drawn = [f"    {line}".rstrip() for line in strip(report, columns=100).splitlines()]
    assert "\n".join(drawn) in (ROOT / "docs" / "moves.md").read_text()
