"""Coverage-guided fuzzing by atheris, one harness in a process.

    guided.py                                 every harness, two at a time, SECONDS each, and a table at the end
    guided.py --seconds 60 --jobs 1 dbus toml    these, one at a time, a minute each
    guided.py --keep                          what covers something new goes to the corpus, as small as it can be

What is found new is kept in build/fuzz/NAME, so a later run goes on from there. An input that fails is written to
build/fuzz/NAME.found/. The exit status is 0 only where nothing has failed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "fuzz"
MEMORY = 512
"""MiB of resident memory at which a harness has grown without bound. The code that is instrumented takes some 130."""
HUNG = 20
"""Seconds of an input that has hung; what is only slow is told by the harness (fuzzing.LONGEST)."""
GRACE = 120
"""Seconds beyond its time that a harness may take to begin and end on a busy machine."""
ROOMS = ["failoverd", "failoverd_cni", "failoverd_lab", "dbus_next", "pyroute2", "tomllib"]


@dataclass(frozen=True)
class Outcome:
    """What came of one harness: covered places at the beginning and the end, CPU in seconds, memory in MiB."""

    name: str
    status: int
    executions: int
    cpu: float
    covered: tuple[int, int]
    features: int
    inputs: int
    memory: int
    found: list[Path]


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each harness")
    parser.add_argument("--jobs", type=int, default=2, help="harnesses at a time")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--keep", action="store_true", help="write what is new to tests/fuzz/corpus")
    parser.add_argument("names", nargs="*", help="harnesses; all without")
    wanted = parser.parse_args()
    known = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
    if unknown := set(wanted.names) - set(known):
        parser.error(f"no such harness: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    names = wanted.names or known
    began = time.monotonic()
    with ThreadPoolExecutor(wanted.jobs) as pool:
        outcomes = list(pool.map(lambda name: run(name, wanted.seconds, wanted.seed), names))
        if wanted.keep:
            list(pool.map(keep, names))
    show(outcomes, time.monotonic() - began)
    return 1 if any(outcome.status or outcome.found for outcome in outcomes) else 0


def command(name: str, *options: str) -> list[str]:
    """What runs atheris on one harness, as its only harness."""
    return [sys.executable, str(HERE / "guided.py"), "--inside", name, *options]


def environment() -> dict[str, str]:
    """Where the harnesses and their helpers are."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parent)))}


def run(name: str, seconds: int, seed: int) -> Outcome:
    """Fuzz one harness for so long."""
    corpus, found, log = BUILD / name, BUILD / f"{name}.found", BUILD / f"{name}.log"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={HUNG}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={found}/",
        f"-seed={seed}",
        "-report_slow_units=1000",
        "-print_final_stats=1",
        "-use_value_profile=1",
        str(corpus),
    ]
    before = {path.name for path in found.iterdir()}
    with log.open("wb") as out:
        process = subprocess.Popen(command(name, *options), env=environment(), cwd=ROOT, stdout=out, stderr=out)
        # Not wait(): the CPU of this one child is wanted.
        deadline = time.monotonic() + seconds + GRACE
        while (done := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.2)
    _, status, usage = done
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(errors="replace")
    cover = [int(number) for number in re.findall(r"cov: (\d+)", text)] or [0]
    features = [int(number) for number in re.findall(r"ft: (\d+)", text)] or [0]
    executions = re.search(r"number_of_executed_units: (\d+)", text)
    return Outcome(
        name,
        process.returncode,
        int(executions[1]) if executions else 0,
        usage.ru_utime + usage.ru_stime,
        (cover[0], cover[-1]),
        features[-1],
        len(list(corpus.iterdir())),
        max((int(number) for number in re.findall(r"rss: (\d+)Mb", text)), default=0),
        sorted(path for path in found.iterdir() if path.name not in before),
    )


def show(outcomes: list[Outcome], took: float) -> None:
    """The table, and what was found."""
    head = ("harness", "status", "executions", "CPU s", "a second", "covered", "inputs", "MiB")
    print("{:<10} {:>6} {:>11} {:>7} {:>9} {:>15} {:>7} {:>5}".format(*head))
    for one in outcomes:
        rate = one.executions / one.cpu if one.cpu else 0.0
        grown = f"{one.covered[0]} -> {one.covered[1]}"
        print(
            f"{one.name:<10} {one.status:>6} {one.executions:>11} {one.cpu:>7.0f} {rate:>9.0f} {grown:>15} "
            f"{one.inputs:>7} {one.memory:>5}"
        )
    executions, cpu = sum(one.executions for one in outcomes), sum(one.cpu for one in outcomes)
    print(f"{executions} executions, {cpu / 60:.1f} min of CPU, {took / 60:.1f} min")
    for one in outcomes:
        for path in one.found:
            print(f"{one.name}: {path.relative_to(ROOT)}; see {(BUILD / one.name).relative_to(ROOT)}.log")


MOST_KEPT, LARGEST_KEPT = 40, 1000
"""Inputs of a harness in the corpus, and bytes of one: it is in the repository, and run in every `make test`."""


def keep(name: str) -> None:
    """Merge what was found, and add some of what is left to the corpus in the repository: small ones and large ones."""
    merged = BUILD / f"{name}.merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir()
    subprocess.run(
        command(name, "-merge=1", str(merged), str(BUILD / name)),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    corpus = HERE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    fit = [path for path in merged.iterdir() if path.stat().st_size <= LARGEST_KEPT]
    fit.sort(key=lambda path: (path.stat().st_size, path.name))
    for path in fit[:: -(-len(fit) // MOST_KEPT) or 1]:
        data = path.read_bytes()
        (corpus / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def inside(name: str, options: list[str]) -> int:
    """In a process of its own: instrument, import, fuzz."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=ROOMS):
        harness = import_module(f"fuzz_{name}").HARNESS
    if not any(option.startswith("-merge") for option in options):
        for data in harness.corpus():
            Path(options[-1], hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    words = BUILD / f"{name}.words"
    words.write_text(_dictionary(harness.words))
    # A merge starts its own program again.
    again = BUILD / f"{name}.sh"
    again.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} --inside {name} "$@"\n')
    again.chmod(0o755)
    atheris.Setup([str(again), f"-dict={words}", f"-max_len={harness.largest}", *options], harness.run)
    atheris.Fuzz()
    return 0


def _dictionary(words: list[bytes]) -> str:
    """As libFuzzer reads it. It takes no word of more than 64 bytes."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words if len(word) <= 64)


if __name__ == "__main__":
    sys.exit(inside(sys.argv[2], sys.argv[3:]) if sys.argv[1:2] == ["--inside"] else main())
