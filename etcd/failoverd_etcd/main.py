"""The command line of failoverd-etcd."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from failoverd.cli.arguments import Wanted
from failoverd.cli.commands import REFUSED
from failoverd.cli.usage import begin
from failoverd.config.errors import ConfigError
from failoverd_etcd.commands import PROGRAM, CommandError
from failoverd_etcd.control import USUAL, ask


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, or the service. Returns the exit code."""
    wanted = begin(PROGRAM, argv)
    if isinstance(wanted, int):
        return wanted
    try:
        return RUN[wanted.command](wanted)
    except (CommandError, ConfigError) as error:
        print(f"failoverd-etcd: {error}", file=sys.stderr)
        return error.code if isinstance(error, CommandError) else REFUSED
    except KeyboardInterrupt:
        return 130


def _run(wanted: Wanted) -> int:
    from failoverd_etcd.service import Service

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    state = Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/failoverd-etcd")
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    control = Path(runtime, "control") if runtime else Path(USUAL)
    config = wanted.options.get("--config")
    asyncio.run(Service(state, control, Path(config) if config else None).run())
    return 0


def _status(wanted: Wanted) -> int:
    from failoverd_etcd.tool import status

    return status(wanted, ask("status"))


def _accept(wanted: Wanted) -> int:
    from failoverd_etcd.tool import told

    answer = ask("accept", *wanted.arguments)
    lines = [f"{name}: accepted, and no longer in force" for name in answer["names"]]
    return told(wanted, answer, lines or ["nothing is suspect"])


def _by_tool(wanted: Wanted) -> int:
    from failoverd_etcd.tool import TOOLS

    return TOOLS[wanted.command](wanted)


def _fleet(wanted: Wanted) -> int:
    from failoverd_etcd.fleet import fleet

    return fleet(wanted)


def _import(wanted: Wanted) -> int:
    from failoverd_etcd.ligato import convert

    path = wanted.arguments[0]
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    toml, left = convert(text)
    sys.stdout.write(toml)
    for line in left:
        print(line, file=sys.stderr)
    return 0


RUN: Mapping[str, Callable[[Wanted], int]] = {
    "run": _run,
    "status": _status,
    "accept": _accept,
    "fleet": _fleet,
    "put": _by_tool,
    "get": _by_tool,
    "del": _by_tool,
    "import-ligato": _import,
}
