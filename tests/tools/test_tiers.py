"""The tier runner, run for real over small projects of its own."""

from __future__ import annotations

import functools
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = '[tool.pytest.ini_options]\nmarkers = ["vm: a guest"]\n[tool.coverage.report]\nfail_under = 100\n'
PASSES = "def test_passes(): pass\n"
FAILS = "def test_fails(): assert False\n"
SKIPS = "import pytest\n\n@pytest.mark.skip('no such kernel')\ndef test_skips(): pass\n"
WAITS = "import time\n\ndef test_waits():\n    open('waiting', 'w').close()\n    time.sleep(60)\n"
IN_A_GUEST = "import pytest\n\n@pytest.mark.vm\ndef test_guest(): pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the runner and no tests."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "tiers.py", tmp_path / "tools")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    return tmp_path


def write(project: Path, folder: str, text: str) -> None:
    """Give the project a file of tests. Its name is unique, as pytest wants it."""
    place = project / "tests" / folder
    place.mkdir(parents=True, exist_ok=True)
    number = len(list(project.rglob("test_*.py")))
    (place / f"test_{number}.py").write_text(text)


def write_rooms(project: Path, text: str) -> int:
    """Give the project a file of these tests wherever the tier `rooms` looks for some. Returns in how many places."""
    covered: list[str] = runpy.run_path(str(ROOT / "tools" / "tiers.py"))["COVERED"]
    for place in covered:
        path = project / place
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        else:
            write(project, path.name, text)
    return len(covered)


def environment(**changes: str) -> dict[str, str]:
    """This environment without what CI sets, and with what the test wants."""
    return {key: value for key, value in os.environ.items() if key != "FAILOVERD_REQUIRE_ALL"} | changes


def tiers(project: Path, *names: str, **changes: str) -> tuple[int, str, str]:
    """Run the runner. Returns its status, its output and the last line of that."""
    command = [sys.executable, str(project / "tools" / "tiers.py"), *names]
    result = subprocess.run(command, env=environment(**changes), capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr, result.stdout.splitlines()[-1] if result.stdout else ""


def test_sums_over_tiers_and_names_what_was_skipped(project: Path) -> None:
    write(project, "lint", PASSES + SKIPS)
    write(project, "scenarios", PASSES + IN_A_GUEST)
    status, output, last = tiers(project, "lint", "simulated")
    assert (status, last) == (0, "2 passed, 0 failed, 1 skipped")
    assert "skipped in lint, 1 x: no such kernel" in output


def test_a_failure_fails_the_run_and_the_other_tiers_run_all_the_same(project: Path) -> None:
    write(project, "lint", FAILS)
    write(project, "scenarios", PASSES)
    status, _, last = tiers(project, "lint", "simulated")
    assert (status, last) == (1, "1 passed, 1 failed, 0 skipped")


AT_THE_SECOND_TIME = """
from pathlib import Path

def test_busy():
    been = Path(__file__).with_name("been")
    there = been.exists()
    been.touch()
    assert there
"""


def test_what_a_busy_machine_fails_is_passed_once_more_alone_and_named(project: Path) -> None:
    write(project, "contract", PASSES + AT_THE_SECOND_TIME)
    status, output, last = tiers(project, "contract")
    assert (status, last) == (0, "2 passed, 0 failed, 0 skipped")
    assert "failed in contract, and passed alone: tests.contract.test_0::test_busy" in output
    status, output, last = tiers(project, "contract")
    assert (status, last) == (0, "2 passed, 0 failed, 0 skipped")
    assert "passed alone" not in output


def test_a_second_run_does_not_forget_what_the_first_has_covered(project: Path) -> None:
    places = write_rooms(project, PASSES)
    write(project, "core", "def once():\n    return 1\n\n\ndef test_once(): assert once()\n" + AT_THE_SECOND_TIME)
    (project / "pyproject.toml").write_text(PROJECT + '[tool.coverage.run]\nsource = ["tests"]\n')
    status, output, last = tiers(project, "rooms")
    assert (status, last) == (0, f"{places + 2} passed, 0 failed, 0 skipped"), output
    assert "passed alone: tests.core." in output


def test_what_fails_twice_has_failed_and_so_has_what_is_broken_in_many_places(project: Path) -> None:
    write(project, "contract", PASSES + FAILS)
    status, output, last = tiers(project, "contract")
    assert (status, last) == (1, "1 passed, 1 failed, 0 skipped")
    assert "failed in contract: tests.contract.test_0::test_fails" in output
    assert "== contract, alone" in output
    write(
        project,
        "contract",
        "".join(AT_THE_SECOND_TIME.replace("bus", f"b{n}s").replace("been", f"b{n}") for n in range(6)),
    )
    status, output, last = tiers(project, "contract")
    assert (status, last) == (1, "1 passed, 7 failed, 0 skipped")
    assert "== contract, alone" not in output


def test_a_tier_without_a_clock_is_not_run_twice(project: Path) -> None:
    write(project, "scenarios", AT_THE_SECOND_TIME)
    status, _, last = tiers(project, "simulated")
    assert (status, last) == (1, "0 passed, 1 failed, 0 skipped")


def test_a_tier_that_cannot_run_says_why(project: Path, tmp_path: Path) -> None:
    write(project, "vm", IN_A_GUEST)
    status, output, last = tiers(project, "lint", "guest", PATH="")
    assert (status, last) == (0, "0 passed, 0 failed, 0 skipped")
    assert "could not run: there is no tests/lint" in output
    assert "qemu-system-x86_64" in output


def test_all_required_makes_failures_of_skips_and_of_tiers_that_cannot_run(project: Path) -> None:
    write(project, "lint", PASSES + SKIPS)
    status, output, last = tiers(project, "lint", "contract", FAILOVERD_REQUIRE_ALL="1")
    assert (status, last) == (1, "1 passed, 2 failed, 0 skipped")
    assert "FAILOVERD_REQUIRE_ALL" in output


def test_the_guest_tier_takes_only_guest_tests_and_the_unit_tier_none(project: Path) -> None:
    write(project, "one", PASSES + IN_A_GUEST)
    bin_folder = project / "bin"
    bin_folder.mkdir()
    for command in ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "newuidmap"):
        (bin_folder / command).write_text("#!/bin/sh\n")
        (bin_folder / command).chmod(0o755)
    _, output, last = tiers(project, "guest", PATH=str(bin_folder))
    assert last == "1 passed, 0 failed, 0 skipped", output
    assert re.search("PASSED .*::test_guest", output)
    _, output, _ = tiers(project, "unit")
    assert re.search(r"unit +ran +1 ", output)


def test_coverage_that_falls_short_fails_the_rooms_tier_and_no_other(project: Path) -> None:
    places = write_rooms(project, PASSES)
    write(project, "core", "def never():\n    return 1\n\n\n" + PASSES)
    status, output, last = tiers(project, "rooms")
    assert (status, last) == (1, f"{places + 1} passed, 1 failed, 0 skipped")
    assert "coverage falls short" in output
    write(project, "one", "def never():\n    return 1\n\n\n" + PASSES)
    assert tiers(project, "unit")[::2] == (0, "1 passed, 0 failed, 0 skipped")


def test_two_tiers_tell_their_tests_to_be_quick(project: Path) -> None:
    quick = "import os\n\ndef test_quick(): assert int(os.environ['FAILOVERD_QUICK']) in (8, 40)\n"
    write(project, "lint", quick)
    places = write_rooms(project, quick)
    status, _, last = tiers(project, "quick")
    assert (status, last) == (0, "12 passed, 0 failed, 0 skipped")
    status, _, last = tiers(project, "rooms")
    assert (status, last) == (0, f"{places} passed, 0 failed, 0 skipped")
    status, _, last = tiers(project, "lint", FAILOVERD_QUICK="1")
    assert (status, last) == (1, "0 passed, 1 failed, 0 skipped")


def test_what_is_cut_in_the_rooms_tier_is_told_in_full_elsewhere(project: Path) -> None:
    write(
        project,
        "core",
        "import os\nfrom everycut import cuts\n\ndef test_full(): assert not os.environ['FAILOVERD_QUICK']\n",
    )
    write(project, "core", FAILS)
    (project / "tests" / "everycut.py").write_text("cuts = range\n")
    (project / "tests" / "conftest.py").touch()
    status, _, last = tiers(project, "histories")
    assert (status, last) == (0, "1 passed, 0 failed, 0 skipped")


def test_the_quick_tier_has_every_room_that_must_be_covered() -> None:
    covered = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]["source"]
    # What has a dot is a module of a room that is not pure as a whole.
    rooms = [f"tests/{Path(source).name}" for source in covered if "/" in source]
    assert sorted(runpy.run_path(str(ROOT / "tools" / "tiers.py"))["PURE"]) == sorted(rooms)


def test_every_test_without_a_guest_is_in_one_of_the_tiers() -> None:
    """Each file below tests/, whatever tier leaves it to another one."""
    known = runpy.run_path(str(ROOT / "tools" / "tiers.py"))
    taken: list[str] = []
    for tier in known["TIERS"]:
        if not tier.named and tier.name not in ("guest", "stories"):
            taken += files_of(tier)
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    assert {path for path in ours if path.split("/")[1] not in ("vm", "matrix", "uml")} <= set(taken)


def files_of(tier: Any) -> list[str]:
    """The files of tests that a tier has, by its folders and what it leaves out."""
    left_out = [word.removeprefix("--ignore=") for word in tier.arguments if word.startswith("--ignore=")]
    found = []
    for place in map(Path, tier.folders):
        paths = [ROOT / place] if place.suffix else sorted((ROOT / place).rglob("test_*.py"))
        names = [path.relative_to(ROOT) for path in paths]
        found += [str(path) for path in names if not any(path.is_relative_to(one) for one in left_out)]
    return found


def test_a_tier_without_tests_and_one_that_breaks_off(project: Path) -> None:
    write(project, "lint", "")
    write(project, "scenarios", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    status, output, last = tiers(project, "lint", "simulated")
    assert (status, last) == (1, "0 passed, 1 failed, 0 skipped")
    assert "could not run: it has no tests" in output
    assert "pytest ended with status -9 before its end" in output


def test_an_interrupted_run_still_ends_with_its_sum(project: Path) -> None:
    write(project, "lint", PASSES)
    write(project, "scenarios", WAITS)
    command = [sys.executable, str(project / "tools" / "tiers.py"), "lint", "simulated"]
    # A background job's children ignore SIGINT, and a Python that is started so goes on ignoring it.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed
    ) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 60
        while not (project / "waiting").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output = process.stdout.read()
    assert process.returncode == 130
    assert output.splitlines()[-1].startswith("1 passed, ")


def test_an_unknown_tier_is_refused(project: Path) -> None:
    status, output, _ = tiers(project, "linty")
    assert status == 2
    assert (
        "no such tier: linty; the tiers are lint rooms unit histories simulated netns contract packaging guest"
        in output
    )
