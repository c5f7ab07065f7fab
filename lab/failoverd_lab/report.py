"""The report of a story in a world, as text for a terminal and as JSON for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from failoverd_lab.heard import gaps, longest
from failoverd_lab.story import DIRECTIONS, Direction, Scenario
from failoverd_lab.world import Recording

GREEN, RED, DIM = "32", "31;1", "2"


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation and its result; `at` is when it was settled, in seconds of the story."""

    line: int
    at: float
    expected: str
    ok: bool
    seen: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """One direction over the whole story: the longest silence and when it began (seconds), and the probes lost and
    sent."""

    silence: float
    at: float
    lost: int
    sent: int


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a story: the findings in the story's order, and the recording with a mark for each step."""

    scenario: Scenario
    world: str
    findings: Sequence[Finding]
    recording: Recording

    @property
    def ok(self) -> bool:
        """Whether the story came out as expected."""
        return all(finding.ok for finding in self.findings)

    @property
    def traffic(self) -> Mapping[Direction, Traffic]:
        """Each direction's traffic."""
        told: dict[Direction, Traffic] = {}
        for way in DIRECTIONS:
            since, until = longest(gaps(self.recording.probes, way, 0.0, self.recording.length))
            mine = [probe for probe in self.recording.probes if probe.direction == way]
            lost = sum(probe.arrived is None for probe in mine)
            told[way] = Traffic(until - since, since, lost, len(mine))
        return told


def text(report: Report, *, colour: bool = False, only_failed: bool = False) -> str:
    """Return the report as lines of text, one for each finding; with `only_failed`, the heading and the failures."""
    good = sum(finding.ok for finding in report.findings)
    verdict = _paint("told as expected", GREEN, colour) if report.ok else _paint("NOT as expected", RED, colour)
    name, length = report.scenario.name, report.recording.length
    lines = [f"{name} in {report.world}: {verdict}, {good} of {len(report.findings)} in {length:.1f} s"]
    for finding in report.findings:
        if finding.ok and not only_failed:
            seen = _paint(f"  {finding.seen}", DIM, colour)
            lines.append(f"  {_paint('ok', GREEN, colour)}      {finding.at:7.3f} s  {finding.expected}{seen}")
        elif not finding.ok:
            lines.append(f"  {_paint('FAILED', RED, colour)}  {finding.at:7.3f} s  {finding.expected}")
            lines.append(f"          seen: {finding.seen}")
            lines.append(f"          asked in {report.scenario.file}:{finding.line}")
    if not only_failed:
        lines += [f"  {way:<10}  {_traffic(told)}" for way, told in report.traffic.items()]
    return "\n".join(lines)


def document(report: Report) -> dict[str, Any]:
    """Return the report as a JSON document, with times in seconds of the story."""
    return {
        "scenario": report.scenario.name,
        "file": report.scenario.file,
        "world": report.world,
        "ok": report.ok,
        "length": report.recording.length,
        "findings": [
            {"line": f.line, "at": f.at, "expected": f.expected, "ok": f.ok, "seen": f.seen} for f in report.findings
        ],
        "traffic": {
            way: {"longest_silence": told.silence, "at": told.at, "lost": told.lost, "sent": told.sent}
            for way, told in report.traffic.items()
        },
        "marks": [{"at": mark.at, "text": mark.text} for mark in report.recording.marks],
        "announcements": [{"at": a.at, "nic": a.nic, "kind": a.kind} for a in report.recording.announcements],
        "notes": dict(report.recording.notes),
    }


def _traffic(told: Traffic) -> str:
    return f"longest silence {told.silence * 1000:.0f} ms at {told.at:.3f} s, {told.lost} of {told.sent} probes lost"


def _paint(words: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{words}\x1b[0m" if colour else words
