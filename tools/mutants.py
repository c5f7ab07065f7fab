"""Seed bugs into a copy of failoverd, one at a time, and see whether the random histories find them.

    tools/mutants.py [--seeds N] [--processes N] [--suite] [NAME...]

Each row of tools/mutants_table.py replaces one text of one file. A mutant is caught when a history breaks an invariant,
with the kinds that it broke and the seed; the code as it is must break none with the same seeds. With --suite, those
that no history has found are given to the tests of the pure rooms. Ends with 1 where any was not caught.
docs/mutants.md has the list, with what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants_table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[1]
TELL = """
import json, sys
from failoverd_lab.chaos.draw import draw
from failoverd_lab.chaos.run import run
for seed in range(int(sys.argv[1])):
    broken = sorted({failure.kind for failure in run(draw(seed)).failures})
    if broken:
        print(json.dumps({"seed": seed, "broken": broken}))
        break
"""


SUITE = [f"tests/{room}" for room in ("policy", "datapaths", "plan", "core")]


def mutate(mutant: Mutant, where: Path) -> None:
    """A copy of the packages in `where`, with the bug in it."""
    for package in ("failoverd", "lab/failoverd_lab"):
        ignored = shutil.ignore_patterns("__pycache__", "share")
        shutil.copytree(ROOT / package, where / Path(package).name, ignore=ignored)
    path = where / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.file} has that text {text.count(mutant.old)} times, not once")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def tell(mutant: Mutant | None, seeds: int) -> tuple[str, float]:
    """What was broken, "" for nothing, and how long it took (seconds). None: the code as it is."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        mutate(mutant or Mutant("", "failoverd/__init__.py", "__version__", "__version__", ""), where)
        # As an installation is put into sys.path by a .pth file, which comes behind this.
        env = os.environ | {"PYTHONPATH": folder}
        done = subprocess.run(
            [sys.executable, "-c", TELL, str(seeds)], cwd=folder, env=env, capture_output=True, text=True
        )
    if done.returncode:
        return f"ends with a traceback: {done.stderr.strip().splitlines()[-1]}", time.monotonic() - began
    if not done.stdout.strip():
        return "", time.monotonic() - began
    found = json.loads(done.stdout.splitlines()[-1])
    return f"seed {found['seed']}: {', '.join(found['broken'])}", time.monotonic() - began


def suite(mutant: Mutant) -> tuple[str, float]:
    """The first test of the pure rooms that fails, "" for none, and how long it took (seconds)."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        mutate(mutant, Path(folder))
        # The script, not `python -m`, which would put the unchanged packages first.
        pytest = [str(Path(sys.executable).with_name("pytest")), "-x", "-q", "-p", "no:cacheprovider", *SUITE]
        env = os.environ | {"PYTHONPATH": folder, "FAILOVERD_QUICK": "1"}
        done = subprocess.run(pytest, cwd=ROOT, env=env, capture_output=True, text=True)
    failed = [line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].rpartition("/")[2] if failed else "", time.monotonic() - began


def tried(mutant: Mutant, seeds: int, also_suite: bool) -> tuple[str, str, float]:
    """What the histories and then, if they found nothing, the tests say; and how long it took (seconds)."""
    found, seconds = tell(mutant, seeds) if seeds else ("", 0.0)
    if found or not also_suite:
        return found, "", seconds
    test, more = suite(mutant)
    return "", test, seconds + more


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="See whether random histories find bugs that are seeded into a copy.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants of the table; all without any")
    parser.add_argument("--seeds", type=int, default=200, help="histories for each at most (200)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="how many at a time")
    parser.add_argument("--suite", action="store_true", help="give what they have not found to the tests")
    wanted = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not wanted.names or mutant.name in wanted.names]
    if wanted.seeds and (why := tell(None, wanted.seeds)[0]):
        print(f"the code as it is breaks an invariant itself: {why}")
        return 1
    caught = by_test = 0
    with ThreadPoolExecutor(wanted.processes) as pool:
        told = pool.map(lambda mutant: (mutant, *tried(mutant, wanted.seeds, wanted.suite)), chosen)
        for mutant, why, test, seconds in told:
            caught, by_test = caught + bool(why), by_test + bool(test)
            print(f"{mutant.name:<32} {seconds:5.0f} s  {why or test or 'NOT CAUGHT'}", flush=True)
    print(f"{caught} of {len(chosen)} caught by at most {wanted.seeds} histories each, {by_test} by a test")
    return 0 if caught + by_test == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
