"""Pass the tests, tier by tier, and say at the end which tiers ran and which could not and why.

Each tier is one run of pytest over its part of tests/; the numbers come from pytest's own JUnit file. A tier
that cannot run here is reported and otherwise passed over, unless FAILOVERD_REQUIRE_ALL is set (as .ci/run
does): then it counts as a failure, and so does each skipped test. The last line is the sum, plain, for scripts.

Guests are most of the time, so `make test` has one Debian release or one datapath where the other says the same; the
tiers `more` and `matrix` (make test-guest-more, make test-guest-matrix) have the rest, and `uml` (make test-uml) what
User Mode Linux can tell where this kernel has no VLANs. What measures silence runs
alone, all else two guests at a time. `quick`, for after each change, has style, types and the pure rooms, whose
histories are cut here and there only (tests/everycut.py), with fewer examples of what is drawn at random. So, more
often, are those of `rooms`, which measures that each branch of the pure rooms is covered; `histories` tells them in
full.

The tiers with real processes, on a real kernel, by a real clock, share the machine with what else it does. Up to AGAIN
of their tests that failed are run once more, alone; the second outcome counts, and the sum names each that needed it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ENTER = """
from failoverd_lab import namespaces, world
try:
    namespaces.enter()
except world.CannotTell as why:
    exit(str(why))
"""
"""Tells by its exit status whether a process can have a network namespace of its own, and if not, why."""

ROOT = Path(__file__).resolve().parents[1]
NO_TESTS = 5
"""What pytest ends with when it found no test."""
AGAIN = 6
"""So many failures of a tier may come of a busy machine. Of more, none is tried again."""


def guest_needs() -> str:
    """Why guests cannot be built and booted here, or ""."""
    commands = ["qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs"]
    if os.geteuid() != 0:
        commands.append("newuidmap")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [command for command in commands if not shutil.which(command, path=path)]
    return f"{', '.join(missing)} not found" if missing else ""


def namespace_needs() -> str:
    """Why no network namespace is to be had here, or ""."""
    done = subprocess.run([sys.executable, "-c", ENTER], cwd=ROOT, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def uml_needs() -> str:
    """Why User Mode Linux cannot be booted here, or ""."""
    known = os.environ.get("FAILOVERD_UML") or shutil.which("linux.uml")
    return "" if known else "linux.uml not found (Debian: user-mode-linux)"


def nothing() -> str:
    """A tier that always can run."""
    return ""


NO_GUEST = "not vm and not story and not matrix"
"""What needs no guest."""


@dataclass(frozen=True)
class Tier:
    """One run of pytest: its folders, further arguments, what it needs, and after how long it has hung."""

    name: str
    folders: Sequence[str]
    arguments: Sequence[str] = ("-m", NO_GUEST, "-q")
    needs: Callable[[], str] = nothing
    minutes: int = 15
    covered: bool = False
    named: bool = False
    """It only runs where it is named."""
    quick: int = 1
    """Of the cuts of each history it tells one of so many (tests/everycut.py)."""
    real: bool = False
    """What it asserts depends on a real kernel's and a real clock's time, and so on how busy the machine is."""


MEASURED = ["--cov", "--cov-report=", "--cov-fail-under=0"]
"""Measured, and judged when all are done."""
TWO = ["-n", "2", "--maxschedchunk", "8"]
"""No worker takes many tests ahead: one that has the longest of them (tests/conftest.py) leaves the others alone."""
THREE = ["-n", "3", "--maxschedchunk", "8"]
"""On two cores, for many tests that wait for a real clock."""
NETNS = "tests/scenarios/test_netns.py"
ALONE = [NETNS, "tests/lab/test_netnsstage.py", "tests/daemon/test_daemon_names.py"]
"""What counts every probe of a thousand a second, and so has the machine to itself."""
ROOMS = ("model", "kinds", "config", "policy", "inventory", "libvirt", "datapaths", "links", "plan", "moves", "core")
PURE = [f"tests/{room}" for room in ROOMS]
"""The pure rooms, beside the style and the types: what is worth passing after each change."""
UNSEEN = ["--ignore=tests/moves/test_moves_sim.py"]
"""Minutes, though a room needs it to be covered."""
PURE_PARTS = {"netns": ("protocol", "containers", "http"), "etcd": ("history", "picture", "tables", "values")}
COVERED = [*PURE, *(f"tests/{room}/test_{room}_{part}.py" for room, parts in PURE_PARTS.items() for part in parts)]
"""What has to cover each branch of what is pure. No other test is run with coverage, which makes Python two to four
times as slow and would count what other tests happen to pass through.
"""
LONG = [
    "tests/daemon/test_daemon_damping.py",
    "tests/daemon/test_daemon_moves_histories.py",
]
"""A simulated hour of a whole daemon, random moves: minutes, told once."""
ELSEWHERE = [*(f"tests/{name}" for name in ("lint", "scenarios", "contract", "packaging", "uml")), *ALONE, *LONG]
UNIT = [f"--ignore={path}" for path in [*ELSEWHERE, *COVERED]]
IN_FULL = "from everycut import"
HISTORIES = [
    str(path.relative_to(ROOT))
    for path in sorted((ROOT / "tests").glob("*/test_*.py"))
    if IN_FULL in path.read_text() or str(path.relative_to(ROOT)) in LONG
] or ["tests/core"]
"""Told in full without coverage, which makes them four times as slow: the tier `rooms` counts the branches, and has
them cut here and there.
"""
ANYWHERE = ["--ignore=tests/lint", "-v"]
TWO_GUESTS = ["-n", "2", "--dist", "load", "--maxschedchunk", "1"]
"""On two cores, for what counts and compares. What measures silence has the machine to itself."""
TWO_WALKS = ["-n", "2", "--dist", "loadscope"]
TIERS = [
    Tier("lint", ["tests/lint"]),
    Tier("rooms", COVERED, [*TWO, "-q"], covered=True, quick=8, real=True),
    Tier("unit", ["tests"], [*UNIT, "-m", NO_GUEST, *THREE, "-q"], minutes=30, quick=8, real=True),
    Tier("histories", HISTORIES, [*TWO, "-q"], minutes=30),
    Tier("simulated", ["tests/scenarios"], ["-m", NO_GUEST, *TWO, "-q", f"--ignore={NETNS}"]),
    Tier("netns", ALONE, needs=namespace_needs, real=True),
    Tier("contract", ["tests/contract"], real=True),
    Tier("packaging", ["tests/packaging"]),
    Tier(
        "guest", ["tests"], ["-m", "vm and not more", *ANYWHERE, *TWO_GUESTS], needs=guest_needs, minutes=40, real=True
    ),
    Tier("stories", ["tests/vm"], ["-m", "story and not more", "-v"], needs=guest_needs, minutes=40, real=True),
    Tier("uml", ["tests/uml"], ["-v"], needs=uml_needs, minutes=30, named=True, real=True),
    Tier("quick", ["tests/lint", *PURE], [*UNSEEN, "-n", "2", "--dist", "worksteal", "-q"], named=True, quick=40),
    Tier("more", ["tests"], ["-m", "more", *ANYWHERE], needs=guest_needs, minutes=120, named=True, real=True),
    Tier(
        "matrix",
        ["tests/matrix"],
        ["-m", "matrix", "-v", *TWO_WALKS],
        needs=guest_needs,
        minutes=120,
        named=True,
        real=True,
    ),
]


@dataclass
class Result:
    """What came of a tier. `could_not` is why it did not run, `trouble` what went wrong beside failed tests."""

    name: str
    could_not: str = ""
    trouble: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    passed: int = 0
    again: list[str] = field(default_factory=list)
    """The tests that failed at first and passed when they were run alone."""
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def outcome(self) -> str:
        """The table's middle column."""
        if self.could_not:
            return f"could not run: {self.could_not}"
        return "; ".join(["ran", *self.trouble])


def main(names: Sequence[str]) -> int:
    """Run the named tiers, or all that need not be named. Returns the exit status."""
    known = {tier.name: tier for tier in TIERS}
    if unknown := [name for name in names if name not in known]:
        print(f"tiers: no such tier: {' '.join(unknown)}; the tiers are {' '.join(known)}", file=sys.stderr)
        return 2
    results = []
    interrupted = False
    for name in names or [tier.name for tier in TIERS if not tier.named]:
        print(f"\n== {name}", flush=True)
        result = Result(name)
        results.append(result)
        start = time.monotonic()
        try:
            run(known[name], result)
        except KeyboardInterrupt:
            result.trouble.append("interrupted")
            interrupted = True
        result.seconds = time.monotonic() - start
        if interrupted:
            break
    status = summarise(results, required=bool(os.environ.get("FAILOVERD_REQUIRE_ALL")))
    return 130 if interrupted else status


def run(tier: Tier, result: Result) -> None:
    """Run one tier and note in `result` what came of it."""
    absent = [folder for folder in tier.folders if not (ROOT / folder).exists()]
    result.could_not = f"there is no {', '.join(absent)}" if absent else tier.needs()
    if result.could_not:
        return
    with tempfile.TemporaryDirectory(prefix="failoverd-tiers-") as folder:
        cache = ["-o", f"cache_dir={folder}/cache"]
        options = [*tier.arguments, *(MEASURED if tier.covered else ()), "--durations=15", *cache]
        report = Path(folder, "report.xml")
        pytest = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}"]
        status = call([*pytest, *tier.folders], tier.minutes, result, quick=tier.quick)
        if status == NO_TESTS and "-n" in options:
            # xdist says so where its workers have died while they collected, too.
            status = call([*pytest, "-n", "0", "--collect-only", *tier.folders], tier.minutes, result, quick=tier.quick)
            if status == 0:
                result.trouble.append("its workers ended before they had any test")
        if status == NO_TESTS:
            result.could_not = "it has no tests"
            return
        if report.exists():
            count(report, result)
        if status not in (0, 1) or not report.exists():
            result.trouble.append(f"pytest ended with status {status} before its end")
        elif tier.real and 0 < len(result.failed) <= AGAIN:
            print(f"\n== {tier.name}, alone: {' '.join(result.failed)}", flush=True)
            report.unlink()
            more = ["-n", "0", "--last-failed", *(["--cov-append"] if tier.covered else ())]
            status = call([*pytest, *more, *tier.folders], tier.minutes, result)
            if status in (0, 1) and report.exists():
                count_again(report, result)
            else:
                result.trouble.append(f"pytest ended with status {status} before the end of the second run")
    if tier.covered and call([sys.executable, "-m", "coverage", "report", "--skip-covered"], 5, result):
        result.trouble.append("coverage falls short")


def call(command: Sequence[str], minutes: int, result: Result, *, quick: int = 1) -> int:
    """Run a command to its end. One that hangs is interrupted, so that pytest shows where, then killed."""
    environment = os.environ | {"FAILOVERD_QUICK": str(quick) if quick > 1 else ""}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        return process.wait(minutes * 60)
    except subprocess.TimeoutExpired:
        result.trouble.append(f"stopped after {minutes} minutes")
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def count(report: Path, result: Result) -> None:
    """Add up a JUnit file, which pytest has just written."""
    for name, case in cases(report):
        skipped = case.find("skipped")
        if has_failed(case):
            result.failed.append(name)
        elif skipped is not None and skipped.get("type") != "pytest.xfail":
            result.skipped[skipped.get("message", "")] += 1
        else:
            result.passed += 1


def count_again(report: Path, result: Result) -> None:
    """Note which of the failed tests have passed in the second run, as its JUnit file has it."""
    passed = {name for name, case in cases(report) if not has_failed(case) and case.find("skipped") is None}
    result.again = [name for name in result.failed if name in passed]
    result.failed = [name for name in result.failed if name not in passed]
    result.passed += len(result.again)


def cases(report: Path) -> list[tuple[str, ET.Element]]:
    """Return the tests of a JUnit file. A test that has failed and then not come down either is there twice."""
    return [(f"{case.get('classname')}::{case.get('name')}", case) for case in ET.parse(report).iter("testcase")]  # noqa: S314


def has_failed(case: ET.Element) -> bool:
    """Tell whether a test of a JUnit file failed, before, in or after its own lines."""
    return case.find("failure") is not None or case.find("error") is not None


def summarise(results: Sequence[Result], *, required: bool) -> int:
    """Print the table and the sum. Returns the exit status."""
    width = max(len(result.outcome()) for result in results)
    print(f"\n{'tier':<10} {'':<{width}} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for result in results:
        print(
            f"{result.name:<10} {result.outcome():<{width}} {result.passed:>7} {len(result.failed):>7} "
            f"{result.skipped.total():>8} {result.seconds:>8.1f}"
        )
    for result in results:
        for why, times in result.skipped.items():
            print(f"skipped in {result.name}, {times} x: {why}")
        for name in result.failed:
            print(f"failed in {result.name}: {name}")
        for name in result.again:
            print(f"failed in {result.name}, and passed alone: {name}")
    passed = sum(result.passed for result in results)
    failed = sum(len(result.failed) + len(result.trouble) for result in results)
    skipped = sum(result.skipped.total() for result in results)
    idle = sum(bool(result.could_not) for result in results)
    if required and skipped + idle:
        print("FAILOVERD_REQUIRE_ALL is set: what was skipped or could not run counts as failed")
        failed, skipped = failed + skipped + idle, 0
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
