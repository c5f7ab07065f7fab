"""`failoverd-lab`: run a scenario in a simulated kernel, on the real one or in a guest, and report the result."""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import trio

from failoverd.cli.arguments import Wanted
from failoverd.cli.usage import begin
from failoverd_lab.commands import AS_EXPECTED, BAD_FILE, CANNOT_TELL, FAILED, PROGRAM
from failoverd_lab.host import LabError
from failoverd_lab.parse import ScenarioError, load
from failoverd_lab.picture import svg
from failoverd_lab.progress import Progress
from failoverd_lab.report import Report, document, text
from failoverd_lab.runner import run
from failoverd_lab.story import Scenario
from failoverd_lab.strip import strip
from failoverd_lab.world import CannotTell, World

WORLDS = {
    "sim": ("failoverd_lab.sim", "SimWorld"),
    "netns": ("failoverd_lab.netns", "NetnsWorld"),
    "vm": ("failoverd_lab.vm", "VmWorld"),
}
DEMOS = {"vm": "demo-guest"}
"""The demo's scenario in worlds where it is not `demo`: only a guest migrates."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    _never_choke(sys.stdout, sys.stderr)
    wanted = begin(PROGRAM, argv)
    if isinstance(wanted, int):
        return wanted
    try:
        status = RUN[wanted.command](wanted)
    except KeyboardInterrupt:
        print("failoverd-lab: interrupted; the world has been taken down", file=sys.stderr)
        return 130
    return status


def _run(wanted: Wanted) -> int:
    return _tell_all(wanted.arguments, wanted.options.get("--in", "sim"), wanted.options)


def _tell_all(files: Sequence[str], world: str, options: Mapping[str, Any]) -> int:
    scenarios = _load(files)
    if scenarios is None or not _svg_fits(options.get("--svg"), len(scenarios)):
        return BAD_FILE
    statuses = []
    for scenario in scenarios:
        progress = Progress(sys.stderr, silent="--quiet" in options)
        try:
            report = _tell(scenario.told_with(options.get("--datapath", "")), world, progress)
        except (CannotTell, LabError) as why:
            print(f"failoverd-lab: {scenario.name} in {world}: {why}", file=sys.stderr)
            statuses.append(CANNOT_TELL)
            continue
        finally:
            progress.close()
        _show(report, options)
        statuses.append(AS_EXPECTED if report.ok else FAILED)
    return max(statuses)


def _demo(wanted: Wanted) -> int:
    options = {"--svg": Path("build/demo.svg"), **wanted.options}
    options["--svg"].parent.mkdir(parents=True, exist_ok=True)
    world = options.get("--in", "netns")
    status = _tell_all([DEMOS.get(world, "demo")], world, options)
    if status in (AS_EXPECTED, FAILED):
        print(f"the picture is in {options['--svg']}")
    return status


def _tell(scenario: Scenario, name: str, progress: Callable[[str], None]) -> Report:
    world = _world(name, progress)
    joined_by = world.joined_by(scenario)
    if scenario.datapaths and joined_by not in scenario.datapaths:
        choices = " or ".join(scenario.datapaths)
        raise CannotTell(f"{scenario.file}: this story is one of {choices}, and pairs are joined by {joined_by} here")
    return trio.run(functools.partial(run, scenario, world, progress), clock=getattr(world, "clock", None))


def _world(name: str, progress: Callable[[str], None]) -> World:
    """Build a world. Its modules are loaded only now: most of them are of no use to the other worlds. Raises
    CannotTell."""
    module, cls = WORLDS[name]
    try:
        found = getattr(importlib.import_module(module), cls)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("failoverd"):
            raise CannotTell(f"{error.name} is not part of this installation; install failoverd anew") from None
        raise CannotTell(f"the Python module {error.name} is missing; install it with your package manager") from None
    world: World = found(progress=progress)
    return world


def _show(report: Report, options: Mapping[str, Any]) -> None:
    if path := options.get("--svg"):
        path = path / f"{report.scenario.name}.svg" if path.is_dir() else path
        path.write_text(svg(report), encoding="utf-8")
    if "--json" in options:
        print(json.dumps(document(report)))
        return
    print(text(report, colour=_colour(sys.stdout), only_failed="--quiet" in options))
    if "--quiet" not in options:
        columns = min(100, shutil.get_terminal_size((100, 24)).columns)
        utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print("\n" + strip(report, columns=columns, utf8=utf8) + "\n")


def _svg_fits(path: Path | None, count: int) -> bool:
    """Return whether the pictures can be written there; checked first, so that no long story runs in vain."""
    wrong = ""
    if path is not None and not path.is_dir():
        if count > 1:
            wrong = f"is no directory, and {count} pictures need one; make it first"
        elif not path.parent.is_dir():
            wrong = f"cannot be written: there is no directory {path.parent}; make it first"
    if wrong:
        print(f"failoverd-lab: --svg {path}: {wrong}", file=sys.stderr)
    return not wrong


def _list(wanted: Wanted) -> int:
    directory = Path(wanted.arguments[0]) if wanted.arguments else _shelf()
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        print(f"failoverd-lab: no scenario in {directory}; give a directory with some", file=sys.stderr)
        return BAD_FILE
    scenarios = _load([str(path) for path in paths])
    for scenario in scenarios or ():
        sentence = " ".join(scenario.story.split()).split(". ")[0].rstrip(".") + "."
        print(textwrap.fill(f"{scenario.name:<17} {sentence}", 100, subsequent_indent=" " * 18))
    return BAD_FILE if scenarios is None else AS_EXPECTED


def _check(wanted: Wanted) -> int:
    loaded = [_load([file]) for file in wanted.arguments]
    for scenarios in loaded:
        for scenario in scenarios or ():
            print(f"{scenario.file}: fine; {len(scenario.then)} items, {scenario.length:.0f} s at the longest")
    return BAD_FILE if None in loaded else AS_EXPECTED


def _chaos(wanted: Wanted) -> int:
    from failoverd_lab.chaos.command import chaos

    return chaos(wanted.arguments, wanted.options)


RUN: Mapping[str, Callable[[Wanted], int]] = {
    "run": _run,
    "demo": _demo,
    "list": _list,
    "check": _check,
    "chaos": _chaos,
}


def _load(files: Sequence[str]) -> list[Scenario] | None:
    """Load the scenarios; None when any is bad. Each problem has then been printed."""
    scenarios, good = [], True
    for file in files:
        shelved = _shelf() / f"{file}.toml"
        try:
            scenarios.append(load(shelved if not Path(file).exists() and shelved.exists() else Path(file)))
        except ScenarioError as error:
            print(error, file=sys.stderr)
            good = False
    return scenarios if good else None


def _shelf() -> Path:
    """Return the directory of the scenarios: here, or beside the package in a checkout."""
    here = Path("scenarios")
    return here if here.is_dir() else Path(__file__).parents[2] / "scenarios"


def _colour(stream: TextIO) -> bool:
    """Return whether to use colours: on a terminal, and unless NO_COLOR is set to anything (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _never_choke(*streams: TextIO) -> None:
    """Replace a character that the terminal cannot show by a question mark; a report must not fail because of it."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
