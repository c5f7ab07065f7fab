"""Write the per-device sysctls that rtnetlink has no request for.

The files go by name. A name that another device has by now would change that device, so the ifindex behind it is
checked before and after; and the value is read back by ifindex, in the look that every plan begins with.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

from failoverd.model.requests import SetSysctl
from failoverd.model.settings import SYSCTLS

SYSCTL_ROOT = Path("/proc/sys/net")
SIOCGIFINDEX = 0x8933
IFREQ = struct.Struct("16si20x")


def write_sysctl(request: SetSysctl, name: str, root: Path = SYSCTL_ROOT) -> tuple[int, str]:
    """Write it to the file of the device with this name. Returns the errno, 0 for done, and a message."""
    row = SYSCTLS[request.name]
    path = root / row.family / "conf" / name / row.file
    try:
        if _index_of(name) != request.ifindex:
            return errno.ENODEV, ""
        # Not created, and in one write: the kernel takes a value in one.
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{request.value}\n".encode())
        finally:
            os.close(descriptor)
        return (0, "") if _index_of(name) == request.ifindex else (errno.ENODEV, "")
    except OSError as error:
        return error.errno or errno.EIO, str(path)


def _index_of(name: str) -> int:
    """Return a name's ifindex, by an ioctl on a Unix socket: the daemon's sandbox has no AF_INET. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        raw = fcntl.ioctl(sock, SIOCGIFINDEX, IFREQ.pack(name.encode("utf-8", "surrogateescape"), 0))
    return int(IFREQ.unpack(raw)[1])
