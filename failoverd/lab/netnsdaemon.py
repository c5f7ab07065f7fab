"""The daemon as the netns world runs it: all of it, but that the lab's veths pass for the NICs they stand for.

    python3 -m failoverd.lab.netnsdaemon DIRECTORY [BUS]

BUS is the address of a bus that stands for the guest's system bus. Without it the daemon is on none: never is it on the
bus of the machine the lab runs on. DIRECTORY holds failoverd.toml, hardware/ (see `failoverd.lab.hardware`), and what
the daemon writes: run/ and state/. The udev of that machine knows nothing of devices in another network namespace, so
it is not waited for; nor does it matter who configures that machine.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from failoverd.config.load import load
from failoverd.config.spec import Config, Dbus
from failoverd.daemon.clock import MonotonicClock
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


def main(directory: Path, bus: str = "") -> None:
    """Run until SIGTERM."""
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus

    def read() -> Config:
        return replace(load(directory / CONFIG), dbus=Dbus(enabled=bool(bus)))

    config = read()
    logging.basicConfig(
        level=config.log.level.upper(), format="%(asctime)s.%(msecs)03d %(levelname)s: %(message)s", datefmt="%H:%M:%S"
    )
    no_udev = Udev(directory / "no-udev")
    daemon = partial(run, complete=shelf(directory).complete, udev=no_udev, no_bond=lambda: "")
    trio.run(daemon, config, places(directory), read, clock=MonotonicClock())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
