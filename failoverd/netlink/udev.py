"""Waiting until udev is done with a device, without libudev.

udev renames a new NIC while it handles the `add` event. On kernels before 6.2 whoever brings the NIC up first makes
that rename fail, so failoverd waits. udev is done when the device's record in /run/udev/data has an `I:` line (the time
it was initialised) and no ID_RENAMING; it sends a message to its monitor group then. So: subscribe, then read, then
read again at every message. Where no udevd runs (a container), every device is ready at once.

The monitor's messages: struct monitor_netlink_header in systemd's src/libsystemd/sd-device/device-monitor.c. What they
say is read from the record, but for one thing. A rename that the kernel refuses is an end, too; systemd 252 (Debian 12)
then leaves a record that says ID_RENAMING for ever and nothing of the name. But its message says it, and is sent when
the rename has been tried: where the device is not called so by then, it failed. (Newer ones complete the record.)
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import trio

from failoverd.netlink.transport import is_overrun

NETLINK_KOBJECT_UEVENT = 15
UDEV_GROUP = 2
PREFIX = b"libudev\0"
MAGIC = struct.pack(">I", 0xFEEDCAFE)
HEADER = struct.Struct("=16xII")
"""Of it, where the properties begin and how many bytes they have."""
SO_PASSCRED = 16
UCRED = struct.Struct("=iII")
LARGEST = 1 << 17
RUN = Path("/run/udev")
DEVICES = Path("/sys/class/net")
KERNELS = "1"


class Udev:
    """udev as failoverd needs it."""

    def __init__(self, run: Path = RUN, devices: Path = DEVICES) -> None:
        self._run = run
        self._devices = devices
        self._renaming: dict[int, str] = {}

    def is_done(self, ifindex: int) -> bool:
        """Whether udev has finished with this device or given it up, or there is no udev to wait for."""
        return self.recorded(ifindex) is not None or self._given_up(ifindex) != ""

    def recorded(self, ifindex: int) -> Mapping[str, str] | None:
        """The properties of a device udev has finished with, None of one it has not. Without udev nothing has any."""
        if not self.is_there():
            return {}
        try:
            text = (self._run / "data" / f"n{ifindex}").read_text("utf-8", "surrogateescape")
        except OSError:
            return None
        lines = text.split("\n")
        found = dict(line[2:].split("=", 1) for line in lines if line.startswith("E:") and "=" in line)
        return found if any(line.startswith("I:") for line in lines) and found.get("ID_RENAMING") != "1" else None

    def is_there(self) -> bool:
        """Whether udevd runs."""
        return (self._run / "control").exists()

    def wanted_name(self, ifindex: int, name: str) -> str:
        """What udev wanted to call a device that still has the name the kernel gave it, "" where it wanted nothing.

        A name that somebody has given since is not the kernel's any more (the device's name_assign_type: NET_NAME_ENUM
        is 1, and kernels that do not tell refuse to say).
        """
        wanted = self._given_up(ifindex) or (self.recorded(ifindex) or {}).get("ID_NET_NAME", "")
        if wanted in ("", name):
            return ""
        try:
            kind = (self._devices / name / "name_assign_type").read_text("ascii").strip()
        except OSError as error:
            kind = KERNELS if error.errno == errno.EINVAL else ""
        return wanted if kind == KERNELS else ""

    def note(self, properties: Mapping[str, str]) -> None:
        """Take in a message: the one of an `add` says what the device is being renamed to."""
        ifindex = properties.get("IFINDEX", "")
        is_renaming = properties.get("ACTION") == "add" and properties.get("ID_RENAMING") == "1"
        if ifindex.isdecimal():
            self._renaming.pop(int(ifindex), None)
            self._renaming |= {int(ifindex): properties.get("ID_NET_NAME", "")} if is_renaming else {}

    def _given_up(self, ifindex: int) -> str:
        """The name udev has tried to give this device in vain, "" for none. It has tried when it says so."""
        wanted = self._renaming.get(ifindex, "")
        try:
            found = (self._devices / wanted / "ifindex").read_text("ascii").strip() if wanted else ""
        except OSError:
            found = ""
        return wanted if found != str(ifindex) else ""

    def is_idle(self) -> bool:
        """Whether udev has nothing to do, or there is no udev: it keeps this file while it has."""
        return not self.is_there() or not (self._run / "queue").exists()

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
                    self.note(properties(data))
                    yield None


def properties(data: bytes) -> Mapping[str, str]:
    """What a message of udev's monitor says; nothing where it is cut."""
    if len(data) < HEADER.size:
        return {}
    start, size = HEADER.unpack_from(data)
    lines = data[start : start + size].decode("utf-8", "surrogateescape").split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


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
