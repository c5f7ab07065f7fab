"""`failoverd`: the daemon's command line."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import trio

from failoverd import __version__
from failoverd.cli.tables import printable
from failoverd.config.errors import ConfigError
from failoverd.config.spec import Config
from failoverd.daemon.accepted import Accepted
from failoverd.daemon.clock import MonotonicClock
from failoverd.daemon.dryrun import dry_run
from failoverd.daemon.lines import Lines
from failoverd.daemon.main import run
from failoverd.daemon.neighbours import why_no_bond
from failoverd.daemon.places import Places, StartError
from failoverd.daemon.store import DiskStore
from failoverd.netlink.devices import Devices
from failoverd.netlink.fetch import InterruptedDumpError
from failoverd.netlink.frames import NetlinkError
from failoverd.netlink.transport import KernelSocket

CANNOT_RUN, WRONG_USAGE, BROKE_DOWN = 1, 2, 3
PAUSE = 5.0
"""Seconds until the service manager hears of what will be the same at the next start: it starts us anew at once, and
each start costs lines in the journal and in the history."""
SHORT = 10.0
"""Seconds of life after which an end is taken for one that comes again at once."""
LEVELS = ("debug", "info", "warning", "error")

log = logging.getLogger("failoverd")

EPILOG = """\
examples:
  failoverd --dry-run            what would be done on this machine; changes nothing
  failoverd --check-config       read the configuration, name every mistake
  failoverd --log-level debug    run, and tell of every request to the kernel

exit codes: 0 done, 1 cannot run here, 2 wrong usage or a wrong configuration, 3 ended by an error while running

files: /etc/failoverd/failoverd.toml and /etc/failoverd/failoverd.toml.d/*.toml, all optional;
SIGHUP reads them anew. Ending the daemon never touches traffic; failoverctl release undoes a pair.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon. Returns the exit code."""
    options = _parser().parse_args(argv)
    _log(options.log_level or "info")
    accepted = Accepted(Places.from_environment().accepted, options.config)
    try:
        config = accepted.load()
    except ConfigError as error:
        found = _instead(options, accepted, error)
        if found is None:
            return WRONG_USAGE
        config = found
    if options.check_config:
        print("the configuration is in order")
        return 0
    _log(options.log_level or config.log.level)
    return _dry_run(config) if options.dry_run else _run(config, options, accepted)


def _instead(options: argparse.Namespace, accepted: Accepted, error: ConfigError) -> Config | None:
    """What to run with where the configuration has mistakes; they are told. None is for who asks about just this one
    and reads the answer; the service manager does not, and would start us again at once."""
    is_service = bool(os.environ.get("NOTIFY_SOCKET"))
    is_asked = options.check_config or options.dry_run or (options.config is not None and not is_service)
    config = None if is_asked else accepted.last()
    if config is None:
        print(f"failoverd: {error}", file=sys.stderr)
        if is_service and not is_asked:
            time.sleep(PAUSE)
        return None
    for problem in error.problems:
        log.error("the configuration has a mistake: %s", problem)
    log.error("running with the last one without; put it right, then failoverctl reload")
    return config


def _run(config: Config, options: argparse.Namespace, accepted: Accepted) -> int:
    """Run until we are told to end, which may also be while we start or end already: nothing has to be put away."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))

    def reload() -> Config:
        """In a thread, so the handlers stay as they are."""
        new = accepted.load()
        logging.getLogger().setLevel((options.log_level or new.log.level).upper())
        return new

    daemon, begun = partial(run, accepted=accepted), time.monotonic()
    try:
        trio.run(daemon, config, Places.from_environment(), reload, clock=MonotonicClock())
    except Exception as error:
        code = _broke_down(error)
        if os.environ.get("NOTIFY_SOCKET") and time.monotonic() - begun < SHORT:
            time.sleep(PAUSE)
        return code
    return 0


def _broke_down(error: Exception) -> int:
    """Why the daemon cannot go on, in a last line; whether it comes in a group depends on the release of trio."""
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
    async def look() -> list[str]:
        sock = await KernelSocket.open()
        places = Places.from_environment()
        store = DiskStore(places.runtime, places.state, set_aside=False)
        try:
            opener = partial(KernelSocket.open, strict=True)
            return await dry_run(config, sock, opener, Devices().complete, store, why_no_bond())
        finally:
            sock.close()

    try:
        lines = trio.run(look)
    except (OSError, NetlinkError, InterruptedDumpError) as error:
        print(f"failoverd: cannot look at this machine's devices: {error}", file=sys.stderr)
        return CANNOT_RUN
    print("\n".join(printable(line) if line else "" for line in lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="failoverd",
        description="Pair a VM's SR-IOV VF with its paravirtual NIC of the same permanent MAC, join them under one "
        "master, and keep traffic flowing when the VF comes and goes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=_file, metavar="FILE", help="read FILE (and FILE.d/*.toml) instead")
    parser.add_argument("--check-config", action="store_true", help="check the configuration and end")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
    parser.add_argument("--log-level", choices=LEVELS, help="how much to tell (default: as configured, info)")
    parser.add_argument("--foreground", action="store_true", help="stay in the foreground, which it always does")
    parser.add_argument("--version", action="version", version=f"failoverd {__version__}")
    return parser


def _file(text: str) -> Path:
    path = Path(text)
    if not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} names no file")
    return path


def _log(level: str) -> None:
    handler = Lines(sys.stderr.fileno()) if sys.stderr is not None else logging.NullHandler()
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
