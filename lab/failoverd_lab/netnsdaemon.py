"""The daemon as the netns world runs it: complete, except that the lab's veths pass for the NICs that they stand for.

    python3 -m failoverd_lab.netnsdaemon DIRECTORY [BUS]

BUS is the address of a bus that stands for the guest's system bus. Without it the daemon uses no bus, and never that of
the machine on which the lab runs. DIRECTORY holds failoverd.toml, hardware/ (see `failoverd_lab.hardware`), and what
the daemon writes: run/ and state/. That machine's udev knows nothing of devices in another network namespace, so the
daemon does not wait for it; nor does that machine's network manager matter.
"""

from __future__ import annotations

import contextlib
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
from failoverd.daemon.paths import Paths
from failoverd.netlink.udev import Udev
from failoverd_lab.hardware import Shelf

CONFIG = "failoverd.toml"
NICE = -10
"""The nice value of units/failoverd.service, where this process may set it."""


def paths(directory: Path) -> Paths:
    """Return the paths of this daemon's files."""
    return Paths(directory / "run", directory / "state")


def shelf(directory: Path) -> Shelf:
    """Return the shelf that says which NIC each device stands for."""
    return Shelf(directory / "hardware")


def main(directory: Path, bus: str = "") -> None:
    """Run until SIGTERM."""
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus
    with contextlib.suppress(OSError):
        os.nice(NICE)

    def read() -> Config:
        return replace(load(directory / CONFIG), dbus=Dbus(enabled=bool(bus)))

    config = read()
    logging.basicConfig(
        level=config.log.level.upper(), format="%(asctime)s.%(msecs)03d %(levelname)s: %(message)s", datefmt="%H:%M:%S"
    )
    no_udev = Udev(directory / "no-udev")
    daemon = partial(run, complete=shelf(directory).complete, udev=no_udev, no_bond=lambda _nic, _name: "")
    trio.run(daemon, config, paths(directory), read, clock=MonotonicClock())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
