"""`failoverd`: the daemon's command line."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from failoverd.cli.arguments import Option, Program
from failoverd.cli.tables import terminal_text
from failoverd.cli.usage import begin
from failoverd.config.errors import ConfigError
from failoverd.config.readable import unreadable
from failoverd.config.spec import Config
from failoverd.daemon.clock import MonotonicClock
from failoverd.daemon.last_good_config import LastGoodConfig
from failoverd.daemon.lines import Lines
from failoverd.daemon.main import run
from failoverd.daemon.paths import Paths, StartError
from failoverd.netlink.fetch import InterruptedDumpError
from failoverd.netlink.frames import NetlinkError

CANNOT_RUN, WRONG_USAGE, BROKE_DOWN = 1, 2, 3
PAUSE = 5.0
"""Seconds before an exit that would recur at the next start: the service manager restarts failoverd at once, and each
start costs lines in the journal and in the history."""
SHORT = 10.0
"""Seconds of life below which an exit is expected to recur at once."""
LEVELS = ("debug", "info", "warning", "error")

log = logging.getLogger("failoverd")

Options = Mapping[str, Any]
"""The options of the command line, by their flags."""


def _file(text: str) -> Path:
    path = Path(text)
    if not path.name:
        raise ValueError(f"{text!r} names no file")
    return path


PROGRAM = Program(
    "failoverd",
    "Pair a VM's SR-IOV VF with its paravirtual NIC of the same permanent MAC, join them under one master, and keep "
    "traffic flowing when the VF comes and goes.",
    [
        Option("--config", "Read FILE (and FILE.d/*.toml) instead.", value="FILE", read=_file),
        Option("--check-config", "Check the configuration and end."),
        Option("--dry-run", "Print what would be done, and change nothing."),
        Option("--log-level", "How much to tell; without it as configured, info.", value="LEVEL", words=LEVELS),
        Option("--foreground", "Stay in the foreground, which it always does."),
    ],
    [
        ("--dry-run", "what would be done on this machine; changes nothing"),
        ("--check-config", "read the configuration, name every mistake"),
        ("--log-level debug", "run, and tell of every request to the kernel"),
    ],
    {0: "done", CANNOT_RUN: "cannot run here", WRONG_USAGE: "wrong usage or a wrong configuration"}
    | {BROKE_DOWN: "ended by an error while running"},
    notes="""\
files: /etc/failoverd/failoverd.toml and /etc/failoverd/failoverd.toml.d/*.toml, all optional;
SIGHUP reads them anew. Ending the daemon never touches traffic; failoverctl release undoes a pair.""",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon. Returns the exit code."""
    wanted = begin(PROGRAM, argv)
    if isinstance(wanted, int):
        return wanted
    options = wanted.options
    _log(options.get("--log-level", "info"))
    last_good_config = LastGoodConfig(Paths.from_environment().last_good_config, options.get("--config"))
    try:
        config = last_good_config.load()
    except ConfigError as error:
        found = _instead(options, last_good_config, error)
        if found is None:
            return WRONG_USAGE
        config = found
    if "--check-config" in options:
        return _checked(options)
    _log(options.get("--log-level", config.log.level))
    return _dry_run(config) if "--dry-run" in options else _run(config, options, last_good_config)


def _checked(options: Options) -> int:
    """Report files that root may read and the service's user may not: a start skips them, and a reload fails."""
    hidden = [] if "--config" in options else unreadable()
    for problem in hidden:
        print(f"failoverd: {problem}", file=sys.stderr)
    if hidden:
        return WRONG_USAGE
    print("the configuration is in order")
    return 0


def _instead(options: Options, last_good_config: LastGoodConfig, error: ConfigError) -> Config | None:
    """Return the configuration to run with when the present one has mistakes, and report them. It is None if the user
    asks about just this configuration and reads the answer. The service manager does not read it, and would restart
    failoverd at once."""
    is_service = bool(os.environ.get("NOTIFY_SOCKET"))
    is_asked = bool(options.keys() & {"--check-config", "--dry-run"}) or ("--config" in options and not is_service)
    config = None if is_asked else last_good_config.last()
    if config is None:
        print(f"failoverd: {error}", file=sys.stderr)
        if is_service and not is_asked:
            time.sleep(PAUSE)
        return None
    for problem in error.problems:
        log.error("the configuration has a mistake: %s", problem)
    log.error("running with the last one without; put it right, then failoverctl reload")
    return config


def _run(config: Config, options: Options, last_good_config: LastGoodConfig) -> int:
    """Run until a signal ends it. A signal may also come during the start or the end; nothing needs cleaning up."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))

    def reload() -> Config:
        """Load the configuration anew. This runs in a thread, so the signal handlers stay as they are."""
        new = last_good_config.load()
        logging.getLogger().setLevel(str(options.get("--log-level", new.log.level)).upper())
        return new

    daemon, begun = partial(run, last_good_config=last_good_config), time.monotonic()
    try:
        trio.run(daemon, config, Paths.from_environment(), reload, clock=MonotonicClock())
    except Exception as error:
        code = _broke_down(error)
        if os.environ.get("NOTIFY_SOCKET") and time.monotonic() - begun < SHORT:
            time.sleep(PAUSE)
        return code
    return 0


def _broke_down(error: Exception) -> int:
    """Print why the daemon cannot go on, as the last line. trio's release decides whether the error is in a group."""
    causes = list(_causes(error))
    if all(isinstance(cause, StartError) for cause in causes):
        print("\n".join(f"failoverd: {cause}" for cause in causes), file=sys.stderr)
        return CANNOT_RUN
    logging.getLogger("failoverd").critical("the daemon broke down", exc_info=error)
    what = "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes)
    print(
        f"failoverd: ended by {what}. Traffic goes on without it; start it again, and please report this with the "
        "lines above",
        file=sys.stderr,
    )
    return BROKE_DOWN


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


def _dry_run(config: Config) -> int:
    # The daemon itself starts without --dry-run's modules and without the prediction of the kernel.
    from failoverd.cli.links.forecast import lines_of
    from failoverd.daemon.dryrun import dry_run
    from failoverd.daemon.linkforecast import foretell_links, is_wanted

    async def look() -> list[str]:
        paths = Paths.from_environment()
        pairs = await dry_run(config, paths)
        if not is_wanted(config, paths):
            return pairs.lines
        return [*pairs.lines, "", *lines_of(await foretell_links(config, paths, pairs))]

    try:
        lines = trio.run(look)
    except (OSError, NetlinkError, InterruptedDumpError) as error:
        print(f"failoverd: cannot look at this machine's devices: {error}", file=sys.stderr)
        return CANNOT_RUN
    print("\n".join(terminal_text(line) if line else "" for line in lines))
    return 0


def _log(level: str) -> None:
    handler = Lines(sys.stderr.fileno()) if sys.stderr is not None else logging.NullHandler()
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
