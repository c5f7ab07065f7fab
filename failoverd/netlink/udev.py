"""Waiting until udev is done with a device, without libudev.

udev renames a new NIC while it handles the `add` event. On kernels before 6.2 whoever brings the NIC up first makes
that rename fail, so failoverd waits. udev is done when the device's record in /run/udev/data has an `I:` line (the time
it was initialised) and no ID_RENAMING; it sends a message to its monitor group then. So: subscribe, then read, then
read again at every message. Where no udevd runs (a container), every device is ready at once.

The monitor's messages: struct monitor_netlink_header in systemd's src/libsystemd/sd-device/device-monitor.c. Only their
magic and their sender are looked at; what they say is read from the record.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import trio

from failoverd.netlink.transport import is_overrun

NETLINK_KOBJECT_UEVENT = 15
UDEV_GROUP = 2
PREFIX = b"libudev\0"
MAGIC = struct.pack(">I", 0xFEEDCAFE)
SO_PASSCRED = 16
UCRED = struct.Struct("=iII")
LARGEST = 1 << 17
RUN = Path("/run/udev")


class Udev:
    """udev as failoverd needs it."""

    def __init__(self, run: Path = RUN) -> None:
        self._run = run

    def is_done(self, ifindex: int) -> bool:
        """Whether udev has finished with this device, or there is no udev to wait for."""
        if not (self._run / "control").exists():
            return True
        try:
            lines = (self._run / "data" / f"n{ifindex}").read_bytes().splitlines()
        except OSError:
            return False
        return any(line.startswith(b"I:") for line in lines) and b"E:ID_RENAMING=1" not in lines

    async def messages(self) -> AsyncIterator[None]:
        """One item for every message of udev's monitor. Raises OSError where the socket cannot be had."""
        sock = trio.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT)
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
            await sock.bind((0, UDEV_GROUP))
            yield None
            while True:
                try:
                    data, ancillary, _, sender = await sock.recvmsg(LARGEST, socket.CMSG_SPACE(UCRED.size))
                except OSError as error:
                    if not is_overrun(error):
                        raise
                    yield None
                    continue
                if is_from_udev(data, ancillary, sender):
                    yield None


def is_from_udev(data: bytes, ancillary: list[tuple[int, int, bytes]], sender: object) -> bool:
    """Whether root's udevd sent this: not the kernel (port 0), not some user. `sender` is a netlink address."""
    port = sender[0] if isinstance(sender, tuple) else 0
    if port == 0 or not data.startswith(PREFIX + MAGIC):
        return False
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(value) == UCRED.size:
            _, uid, _ = UCRED.unpack(value)
            return bool(uid == 0)
    return False
