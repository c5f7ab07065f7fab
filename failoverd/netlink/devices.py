"""What RTM_NEWLINK does not tell of a device: its driver, and whether its hypervisor offers the kernel's own failover.

The driver comes from ethtool's SIOCETHTOOL, which also names drivers that have no device in sysfs: the master of the
kernel's net_failover is one. The virtio features stand in sysfs as 64 digits, feature 0 first
(drivers/virtio/virtio.c, features_show); VIRTIO_NET_F_STANDBY is number 62.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from dataclasses import replace
from pathlib import Path

from failoverd.model.links import Link

SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO = 3
DRVINFO_SIZE = 196
DRIVER = slice(4, 36)
IFREQ = struct.Struct("16sP16x")
F_STANDBY = 62
VIRTIO = Path("/sys/bus/virtio/devices")
MOST = 1024
"""Devices remembered. A VF that is plugged in has a new ifindex each time, so those that are gone must not add up."""


class Devices:
    """Completes links of this network namespace. Asked once a device: a driver does not change under an ifindex.

    Of more than MOST devices the one that has been silent the longest is forgotten; should it still be there, it is
    asked again.
    """

    def __init__(self, virtio: Path = VIRTIO) -> None:
        self._virtio = virtio
        self._known: dict[tuple[int, str], tuple[str, bool]] = {}

    def complete(self, link: Link) -> Link:
        """The link with its driver and its STANDBY feature; devices of a kind have neither."""
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
        """As the latest: a dict keeps the order in which its keys came."""
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


def read_driver(ifindex: int, name: str) -> str:
    """The driver's name, "" where the device has none to tell, has another name or is gone by now.

    The kernel takes an ioctl about a device on any socket (net/socket.c, sock_do_ioctl): a Unix one, as the daemon's
    sandbox has no AF_INET. It goes by name, and while NICs are being renamed a name can be another device's by the time
    it is asked for.
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
