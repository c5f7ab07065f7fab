"""A scenario file of the lab: it is taken, or refused by ScenarioError, whose every problem is one printable line."""

from __future__ import annotations

from pathlib import Path

from fuzzing import Harness, refused

from failoverd_lab.parse import ScenarioError, parse

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def one(data: bytes) -> None:
    """See the module."""
    try:
        parse(data, "x.toml")
    except ScenarioError as error:
        refused(error.problems)


def seeds() -> list[bytes]:
    """Those that are told."""
    return [path.read_bytes() for path in sorted(SCENARIOS.rglob("*.toml"))]


WORDS = (
    b"[[then]]\n",
    b"[[nic]]\n",
    b"do = ",
    b"see = ",
    b"heard = ",
    b"within = ",
    b"wait = ",
    b"called = ",
    b"''",
    b"inf",
    b"nan",
    b"-1",
    b"[]",
    b"{}",
)

HARNESS = Harness("scenario", one, seeds, WORDS, 16384)
