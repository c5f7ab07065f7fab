"""The daemon as the netns world runs it: all of it, but that the lab's veths pass for the NICs they stand for.

    python3 -m failoverd.lab.netnsdaemon DIRECTORY

DIRECTORY holds failoverd.toml, hardware/ (see `failoverd.lab.hardware`), and what the daemon writes: run/ and state/.
The udev of the machine the lab runs on knows nothing of devices in another network namespace, so it is not waited for.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from pathlib import Path

import trio

from failoverd.config.load import load
from failoverd.daemon.main import run
from failoverd.daemon.places import Places
from failoverd.lab.hardware import Shelf
from failoverd.netlink.udev import Udev

CONFIG = "failoverd.toml"


def places(directory: Path) -> Places:
    """Where this daemon keeps its files."""
    return Places(directory / "run", directory / "state")


def shelf(directory: Path) -> Shelf:
    """What its devices stand for."""
    return Shelf(directory / "hardware")


def main(directory: Path) -> None:
    """Run until SIGTERM."""
    read = partial(load, directory / CONFIG)
    config = read()
    logging.basicConfig(
        level=config.log.level.upper(), format="%(asctime)s.%(msecs)03d %(levelname)s: %(message)s", datefmt="%H:%M:%S"
    )
    no_udev = Udev(directory / "no-udev")
    trio.run(partial(run, complete=shelf(directory).complete, udev=no_udev), config, places(directory), read)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
