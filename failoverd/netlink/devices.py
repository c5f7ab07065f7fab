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


class Devices:
    """Completes links of this network namespace. Asked once a device: a driver does not change under an ifindex."""

    def __init__(self, virtio: Path = VIRTIO) -> None:
        self._virtio = virtio
        self._known: dict[tuple[int, str], tuple[str, bool]] = {}

    def complete(self, link: Link) -> Link:
        """The link with its driver and its STANDBY feature; devices of a kind have neither."""
        if link.kind:
            return link
        key = (link.ifindex, link.parent)
        if key not in self._known:
            driver = read_driver(link.ifindex, link.name)
            if not driver:
                return replace(link, standby_feature=self._has_standby(link))
            self._known[key] = (driver, self._has_standby(link))
        driver, standby = self._known[key]
        return replace(link, driver=driver, standby_feature=standby)

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
