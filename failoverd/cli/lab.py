"""`failoverd-lab`: tell a scenario in a simulated kernel, on the real one or in a guest, and see what came of it."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import trio

from failoverd.cli.progress import Progress
from failoverd.lab.host import LabError
from failoverd.lab.parse import ScenarioError, load
from failoverd.lab.picture import svg
from failoverd.lab.report import Report, document, text
from failoverd.lab.runner import run
from failoverd.lab.story import DATAPATHS, Scenario
from failoverd.lab.strip import strip
from failoverd.lab.world import CannotTell, World

WORLDS = {
    "sim": ("failoverd.lab.sim", "SimWorld"),
    "netns": ("failoverd.lab.netns", "NetnsWorld"),
    "vm": ("failoverd.lab.vm", "VmWorld"),
}
DEMOS = {"vm": "demo-guest"}
"""The demo's story where it is not `demo`: only a guest migrates."""

AS_EXPECTED, FAILED, BAD_FILE, CANNOT_TELL = 0, 1, 2, 3
EXAMPLES = """\
examples:
  failoverd-lab demo                               what failoverd is for, in a quarter of a minute
  failoverd-lab list
  failoverd-lab run vf-unplug                      in the simulated kernel, at once
  failoverd-lab run vf-unplug --in netns           on this kernel, in a namespace of its own
  failoverd-lab run vf-unplug --in vm --svg u.svg  in a real guest, with a picture
  failoverd-lab run vf-unplug --datapath tc        the pair joined by traffic control
  failoverd-lab run scenarios/*.toml --quiet       all of them, only what failed
  failoverd-lab check my-story.toml                read it, tell nothing

FILE is the path of a scenario, or the name of one that `list` shows.

exit status:
  0  told as expected
  1  an expectation failed
  2  wrong usage, or a bad file
  3  this world cannot tell the story, or cannot be built here
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives back its exit status."""
    arguments = _parser().parse_args(argv)
    _never_choke(sys.stdout, sys.stderr)
    try:
        status: int = arguments.command(arguments)
    except KeyboardInterrupt:
        print("failoverd-lab: interrupted; the world has been taken down", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    style: Any = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("failoverd-lab", description=__doc__, epilog=EXAMPLES, formatter_class=style)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    tell = commands.add_parser("run", help="tell scenarios in a world", epilog=EXAMPLES, formatter_class=style)
    tell.add_argument("files", nargs="+", metavar="FILE", help="a scenario's path or name")
    tell.add_argument("--in", dest="world", choices=WORLDS, default="sim", help="the world (default: sim)")
    _add_datapath(tell)
    tell.add_argument("--svg", metavar="PATH", type=Path, help="write the picture there; a directory for several")
    tell.add_argument("--json", action="store_true", help="print each report as one line of JSON")
    tell.add_argument("--quiet", action="store_true", help="print only verdicts and what failed; no progress")
    tell.set_defaults(command=_run)
    demo = commands.add_parser("demo", help="show what failoverd is for, and draw it")
    demo.add_argument("--in", dest="world", choices=WORLDS, default="netns", help="the world (default: netns)")
    _add_datapath(demo)
    demo.add_argument("--svg", metavar="PATH", type=Path, default=Path("build/demo.svg"), help="where the picture goes")
    demo.set_defaults(command=_demo)
    shelf = commands.add_parser("list", help="show the scenarios there are")
    shelf.add_argument("directory", nargs="?", type=Path, help="where to look (default: scenarios)")
    shelf.set_defaults(command=_list)
    check = commands.add_parser("check", help="read scenarios and tell what is wrong with them")
    check.add_argument("files", nargs="+", metavar="FILE", help="a scenario's path or name")
    check.set_defaults(command=_check)
    return parser


def _add_datapath(command: argparse.ArgumentParser) -> None:
    words = "how pairs are joined (default: as the story or the daemon has it); net_failover: by the kernel itself"
    command.add_argument("--datapath", choices=DATAPATHS, default="", help=words)


def _run(arguments: argparse.Namespace) -> int:
    scenarios = _load(arguments.files)
    if scenarios is None or not _svg_fits(arguments.svg, len(scenarios)):
        return BAD_FILE
    statuses = []
    for scenario in scenarios:
        progress = Progress(sys.stderr, silent=arguments.quiet)
        try:
            report = _tell(scenario.told_with(arguments.datapath), arguments.world, progress)
        except (CannotTell, LabError) as why:
            print(f"failoverd-lab: {scenario.name} in {arguments.world}: {why}", file=sys.stderr)
            statuses.append(CANNOT_TELL)
            continue
        finally:
            progress.close()
        _show(report, arguments)
        statuses.append(AS_EXPECTED if report.ok else FAILED)
    return max(statuses)


def _demo(arguments: argparse.Namespace) -> int:
    arguments.svg.parent.mkdir(parents=True, exist_ok=True)
    arguments.files, arguments.json, arguments.quiet = [DEMOS.get(arguments.world, "demo")], False, False
    status = _run(arguments)
    if status in (AS_EXPECTED, FAILED):
        print(f"the picture is in {arguments.svg}")
    return status


def _tell(scenario: Scenario, name: str, progress: Callable[[str], None]) -> Report:
    world = _world(name, progress)
    joined_by = world.joined_by(scenario)
    if scenario.datapaths and joined_by not in scenario.datapaths:
        choices = " or ".join(scenario.datapaths)
        raise CannotTell(f"{scenario.file}: this story is one of {choices}, and pairs are joined by {joined_by} here")
    return trio.run(functools.partial(run, scenario, world, progress), clock=getattr(world, "clock", None))


def _world(name: str, progress: Callable[[str], None]) -> World:
    """Build a world, whose modules are loaded only now: most of them are of no use to the other. Raises CannotTell."""
    module, cls = WORLDS[name]
    try:
        found = getattr(importlib.import_module(module), cls)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("failoverd"):
            raise CannotTell(f"{error.name} is not part of this installation; install failoverd anew") from None
        raise CannotTell(f"the Python module {error.name} is missing; install it with your package manager") from None
    world: World = found(progress=progress)
    return world


def _show(report: Report, arguments: argparse.Namespace) -> None:
    if arguments.svg:
        path = arguments.svg / f"{report.scenario.name}.svg" if arguments.svg.is_dir() else arguments.svg
        path.write_text(svg(report), encoding="utf-8")
    if arguments.json:
        print(json.dumps(document(report)))
        return
    print(text(report, colour=_colour(sys.stdout), only_failed=arguments.quiet))
    if not arguments.quiet:
        columns = min(100, shutil.get_terminal_size((100, 24)).columns)
        utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print("\n" + strip(report, columns=columns, utf8=utf8) + "\n")


def _svg_fits(path: Path | None, count: int) -> bool:
    """Whether the pictures can be written there; asked first, so that no long story is told in vain."""
    wrong = ""
    if path is not None and not path.is_dir():
        if count > 1:
            wrong = f"is no directory, and {count} pictures need one; make it first"
        elif not path.parent.is_dir():
            wrong = f"cannot be written: there is no directory {path.parent}; make it first"
    if wrong:
        print(f"failoverd-lab: --svg {path}: {wrong}", file=sys.stderr)
    return not wrong


def _list(arguments: argparse.Namespace) -> int:
    directory = arguments.directory or _shelf()
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        print(f"failoverd-lab: no scenario in {directory}; give a directory with some", file=sys.stderr)
        return BAD_FILE
    scenarios = _load([str(path) for path in paths])
    for scenario in scenarios or ():
        sentence = " ".join(scenario.story.split()).split(". ")[0].rstrip(".") + "."
        print(textwrap.fill(f"{scenario.name:<17} {sentence}", 100, subsequent_indent=" " * 18))
    return BAD_FILE if scenarios is None else AS_EXPECTED


def _check(arguments: argparse.Namespace) -> int:
    loaded = [_load([file]) for file in arguments.files]
    for scenarios in loaded:
        for scenario in scenarios or ():
            print(f"{scenario.file}: fine; {len(scenario.then)} items, {scenario.length:.0f} s at the longest")
    return BAD_FILE if None in loaded else AS_EXPECTED


def _load(files: Sequence[str]) -> list[Scenario] | None:
    """All of the scenarios, or None when any was bad; each problem has then been told."""
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
    """Where the scenarios are: here, or beside the package in a checkout."""
    here = Path("scenarios")
    return here if here.is_dir() else Path(__file__).parents[2] / "scenarios"


def _colour(stream: TextIO) -> bool:
    """Whether to colour: on a terminal, and unless NO_COLOR is set to anything (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def _never_choke(*streams: TextIO) -> None:
    """Let a terminal that cannot show a character show a question mark; a report must not die of it."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
