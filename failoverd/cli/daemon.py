"""`failoverd`: the daemon's command line."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from failoverd import __version__
from failoverd.config.errors import ConfigError
from failoverd.config.load import load
from failoverd.config.spec import Config
from failoverd.daemon.dryrun import dry_run
from failoverd.daemon.main import Places, StartError, run
from failoverd.daemon.store import DiskStore
from failoverd.netlink.devices import Devices
from failoverd.netlink.transport import KernelSocket

LEVELS = ("debug", "info", "warning", "error")

EPILOG = """\
examples:
  failoverd --dry-run            what would be done on this machine; changes nothing
  failoverd --check-config       read the configuration, name every mistake
  failoverd --log-level debug    run, and tell of every request to the kernel

exit codes: 0 done, 1 cannot run here, 2 wrong usage or a wrong configuration

files: /etc/failoverd/failoverd.toml and /etc/failoverd/failoverd.toml.d/*.toml, all optional;
SIGHUP reads them anew. Ending the daemon never touches traffic; failoverctl release undoes a pair.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon. Returns the exit code."""
    options = _parser().parse_args(argv)
    _log(options.log_level or "info")
    try:
        config = load(options.config)
    except ConfigError as error:
        print(f"failoverd: {error}", file=sys.stderr)
        return 2
    if options.check_config:
        print("the configuration is in order")
        return 0
    _log(options.log_level or config.log.level)
    try:
        if options.dry_run:
            return _dry_run(config)
        trio.run(run, config, Places.from_environment(), lambda: load(options.config))
    except (StartError, PermissionError) as error:
        print(f"failoverd: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _dry_run(config: Config) -> int:
    async def look() -> list[str]:
        sock = await KernelSocket.open()
        places = Places.from_environment()
        store = DiskStore(places.runtime, places.state)
        try:
            return await dry_run(config, sock, lambda: KernelSocket.open(strict=True), Devices().complete, store)
        finally:
            sock.close()

    print("\n".join(trio.run(look)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="failoverd",
        description="Pair a VM's SR-IOV VF with its paravirtual NIC of the same permanent MAC, join them under one "
        "master, and keep traffic flowing when the VF comes and goes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="read FILE (and FILE.d/*.toml) instead")
    parser.add_argument("--check-config", action="store_true", help="check the configuration and end")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
    parser.add_argument("--log-level", choices=LEVELS, help="how much to tell (default: as configured, info)")
    parser.add_argument("--foreground", action="store_true", help="stay in the foreground, which it always does")
    parser.add_argument("--version", action="version", version=f"failoverd {__version__}")
    return parser


def _log(level: str) -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s", level=level.upper(), stream=sys.stderr, force=True)
