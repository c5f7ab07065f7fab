"""Wait until udev is done with a device, without libudev.

udev renames a new NIC while it handles the `add` event. On kernels before 6.2 that rename fails if any program brings
the NIC up first, so failoverd waits. udev is done when the device's record in /run/udev/data has an `I:` line (the time
of its initialisation) and no ID_RENAMING; it then sends a message to its monitor group. So: subscribe, then read, then
read again at every message. Where no udevd runs (a container), every device is ready at once.

The monitor's messages: struct monitor_netlink_header in systemd's src/libsystemd/sd-device/device-monitor.c. Their
content is read from the record, with one exception. A rename that the kernel refuses is an end, too, and the record
does not say so. systemd 252 (Debian 12) then leaves one that says ID_RENAMING for ever, and not the name; its message
has the name, and is sent when the rename has been tried: if the device does not have the name by then, the rename
failed. systemd 257 (Debian 13) leaves an empty one; its message says UDEV_WORKER_FAILED and has the old name, beside
the new one in ID_NET_NAME (rename_netif in src/udev/udev-event.c, udev_broadcast_result in udev-worker.c).
"""

from __future__ import annotations

import errno
import re
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
"""The header's two fields in use: where the properties begin, and how many bytes they have."""
SO_PASSCRED = 16
UCRED = struct.Struct("=iII")
LARGEST = 1 << 17
RUN = Path("/run/udev")
DEVICES = Path("/sys/class/net")
KERNELS = "1"
IFINDEX = re.compile("[0-9]{1,10}")
RENAMING = "ID_RENAMING"
FAILED = "UDEV_WORKER_FAILED"
INITIALISED = "I:"


class Udev:
    """udev's records, and the messages of its monitor."""

    def __init__(self, run: Path = RUN, devices: Path = DEVICES) -> None:
        self._run = run
        self._devices = devices
        self._renaming: dict[int, str] = {}
        self._failed: set[int] = set()

    def is_done(self, ifindex: int) -> bool:
        """Return whether udev has finished with this device or given it up, or there is no udev to wait for."""
        is_given_up = self._given_up(ifindex) != "" or ifindex in self._failed
        return self.recorded(ifindex) is not None or is_given_up or self._is_stuck(ifindex)

    def recorded(self, ifindex: int) -> Mapping[str, str] | None:
        """Return the properties of a device that udev has finished with, None before that. Without udev, return none at
        all ({})."""
        if not self.is_there():
            return {}
        found = dict(self._record(ifindex))
        return found if found.pop(INITIALISED, None) is not None and found.get(RENAMING) != "1" else None

    def is_there(self) -> bool:
        """Return whether udevd runs."""
        return (self._run / "control").exists()

    def wanted_name(self, ifindex: int, name: str) -> str:
        """Return the name that udev wanted for a device which still has the kernel's name; "" where it wanted none.

        A name that another program has given since is not the kernel's any more.
        """
        wanted = self._given_up(ifindex) or (self.recorded(ifindex) or {}).get("ID_NET_NAME", "")
        return wanted if wanted not in ("", name) and self.is_plain(name) else ""

    def is_plain(self, name: str) -> bool:
        """Return whether a device has its name from the kernel.

        Its name_assign_type is NET_NAME_ENUM (1) then; a kernel that does not know the type refuses to tell it
        (EINVAL).
        """
        try:
            return (self._devices / name / "name_assign_type").read_text("ascii").strip() == KERNELS
        except OSError as error:
            return error.errno == errno.EINVAL

    def note(self, properties: Mapping[str, str]) -> None:
        """Take in a message of the monitor. That of an `add` says what the device is being renamed to, or that udev has
        failed.

        A rule's NAME= is in INTERFACE while the device is being renamed, whatever a .link file has made ID_NET_NAME.
        """
        if not IFINDEX.fullmatch(properties.get("IFINDEX", "")):
            return
        ifindex, is_add = int(properties["IFINDEX"]), properties.get("ACTION") == "add"
        has_failed = is_add and properties.get(FAILED) == "1"
        is_renaming = is_add and properties.get(RENAMING) == "1"
        interface, wanted = properties.get("INTERFACE", ""), properties.get("ID_NET_NAME", "")
        self._renaming.pop(ifindex, None)
        self._failed.discard(ifindex)
        if has_failed:
            self._failed.add(ifindex)
            self._renaming[ifindex] = wanted
        elif is_renaming:
            self._renaming[ifindex] = interface or wanted

    def _given_up(self, ifindex: int) -> str:
        """Return the name that udev has tried to give this device in vain, "" for none. Its message comes after the
        attempt."""
        wanted = self._renaming.get(ifindex, "")
        try:
            found = (self._devices / wanted / "ifindex").read_text("ascii").strip() if wanted else ""
        except (OSError, ValueError):
            # Not a possible name: too long, or with a NUL.
            found = ""
        return wanted if found != str(ifindex) else ""

    def _is_stuck(self, ifindex: int) -> bool:
        """Return whether udev had given up a rename before failoverd listened.

        systemd 252 leaves a record that says only that the device is being renamed, systemd 257 an empty one; the
        intended name is recorded nowhere. While it is busy, udev may be at it yet.
        """
        record = self._record(ifindex)
        is_begun = record.get(RENAMING) == "1" or (not record and (self._run / "data" / f"n{ifindex}").exists())
        return is_begun and INITIALISED not in record and self.is_idle()

    def _record(self, ifindex: int) -> Mapping[str, str]:
        """Return a device's record: its properties, and INITIALISED, a key that no property can have."""
        try:
            text = (self._run / "data" / f"n{ifindex}").read_text("utf-8", "surrogateescape")
        except OSError:
            return {}
        lines = text.split("\n")
        found = dict(line[2:].split("=", 1) for line in lines if line.startswith("E:") and "=" in line)
        return found | dict.fromkeys((line[:2] for line in lines if line.startswith(INITIALISED)), "")

    def is_idle(self) -> bool:
        """Return whether udev is idle, or there is no udev: it keeps this file while it has work."""
        return not self.is_there() or not (self._run / "queue").exists()

    async def messages(self) -> AsyncIterator[None]:
        """Yield once for every message of udev's monitor. Raises OSError where the socket cannot be opened."""
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
    """Return the properties in a message of udev's monitor; none where it is cut."""
    if len(data) < HEADER.size:
        return {}
    start, size = HEADER.unpack_from(data)
    lines = data[start : start + size].decode("utf-8", "surrogateescape").split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def is_from_udev(data: bytes, ancillary: list[tuple[int, int, bytes]], sender: object) -> bool:
    """Return whether root's udevd sent this: not the kernel (port 0), not a user. `sender` is a netlink address."""
    port = sender[0] if isinstance(sender, tuple) else 0
    if port == 0 or not data.startswith(PREFIX + MAGIC):
        return False
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(value) == UCRED.size:
            _, uid, _ = UCRED.unpack(value)
            return bool(uid == 0)
    return False
