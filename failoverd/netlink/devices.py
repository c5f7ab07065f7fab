"""What RTM_NEWLINK does not say of a device: its driver, and whether its hypervisor offers the kernel's own failover.

The driver comes from ethtool's SIOCETHTOOL, which also names drivers that have no device in sysfs, as that of
net_failover's master. The virtio features are in sysfs as 64 digits, feature 0 first (drivers/virtio/virtio.c,
features_show); VIRTIO_NET_F_STANDBY is number 62.

The kernel takes an ioctl about a device on any socket. A Unix one is used: the sandbox has no AF_INET.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from dataclasses import replace
from pathlib import Path

from failoverd.model.health import Mode
from failoverd.model.links import Link

SIOCETHTOOL = 0x8946
ETHTOOL_GSET, ETHTOOL_GDRVINFO = 1, 3
SET_SIZE, SPEED_LOW, DUPLEX, SPEED_HIGH = 44, 12, 14, 28
"""struct ethtool_cmd (linux/ethtool.h): its size, and where the two halves of the speed and the duplex are,
in bytes."""
HALF = 0
"""DUPLEX_HALF (linux/ethtool.h)."""
UNKNOWN_SPEEDS = (0, 0xFFFF, 0xFFFFFFFF)
DRVINFO_SIZE = 196
DRIVER = slice(4, 36)
IFREQ = struct.Struct("16sP16x")
F_STANDBY = 62
VIRTIO = Path("/sys/bus/virtio/devices")
MOST = 1024
"""Most devices remembered. A VF has a new ifindex each time it is plugged in, so entries of old ones must not add up.
"""


class Devices:
    """Completes links of this network namespace, with one query a device: a driver does not change under an ifindex.

    Of more than MOST devices, the one that has been silent the longest is forgotten, and queried again should it still
    exist.
    """

    def __init__(self, virtio: Path = VIRTIO) -> None:
        self._virtio = virtio
        self._known: dict[tuple[int, str], tuple[str, bool]] = {}

    def complete(self, link: Link) -> Link:
        """Return the link with its driver and its STANDBY feature; a device with a kind has neither."""
        if link.kind:
            return link
        key = (link.ifindex, link.parent)
        known = self._known.pop(key, None)
        if known is None:
            driver = read_driver(link.ifindex, link.name)
            known = (driver, self._has_standby(link))
        if known[0]:
            self._remember(key, known)
        return replace(link, driver=known[0], standby_feature=known[1])

    def _remember(self, key: tuple[int, str], known: tuple[str, bool]) -> None:
        """Remember an entry as the latest: a dict keeps the order of insertion."""
        self._known[key] = known
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def _has_standby(self, link: Link) -> bool:
        if link.bus != "virtio":
            return False
        try:
            digits = (self._virtio / link.parent / "features").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return False
        return digits[F_STANDBY : F_STANDBY + 1] == "1"


def read_speed(name: str) -> int:
    """Return the speed of an interface in megabits a second, 0 where it has none or its driver does not know.

    As `speed` in sysfs, but of this network namespace, and in a sixth of the time. The kernel asks the driver under
    RTNL, so the call may take long.
    """
    return read_mode(name).speed


def read_mode(name: str) -> Mode:
    """Return the speed and the duplex of an interface. Without a known speed the duplex means nothing. As read_speed,
    the call may take long."""
    info = array.array("B", struct.pack("=I", ETHTOOL_GSET).ljust(SET_SIZE, b"\0"))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            raw = name.encode("utf-8", "surrogateescape")
            fcntl.ioctl(sock, SIOCETHTOOL, IFREQ.pack(raw, info.buffer_info()[0]))
    except OSError:
        return Mode()
    low, high = (struct.unpack_from("=H", info, at)[0] for at in (SPEED_LOW, SPEED_HIGH))
    speed = int(high << 16 | low)
    return Mode() if speed in UNKNOWN_SPEEDS else Mode(speed, info[DUPLEX] == HALF)


def read_driver(ifindex: int, name: str) -> str:
    """Return the driver's name, "" where the device has none, has another name or is gone by now.

    The kernel takes an ioctl about a device on any socket (net/socket.c, sock_do_ioctl). A Unix one is used, as the
    daemon's sandbox has no AF_INET. The ioctl goes by name, and while NICs are being renamed the name can be another
    device's by the time of the call.
    """
    info = array.array("B", struct.pack("=I", ETHTOOL_GDRVINFO).ljust(DRVINFO_SIZE, b"\0"))
    raw = name.encode("utf-8", "surrogateescape")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            fcntl.ioctl(sock, SIOCETHTOOL, IFREQ.pack(raw, info.buffer_info()[0]))
            if socket.if_nametoindex(name) != ifindex:
                return ""
    except OSError:
        return ""
    return info.tobytes()[DRIVER].split(b"\0", 1)[0].decode("ascii", "replace")
