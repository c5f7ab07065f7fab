"""Rename one device so often that failoverd has many signals to send, and hear each: run in a guest, or beside a test.

    python3 storm.py BUS-SOCKET IFINDEX SIGNALS

The device is set down first, as kernels before 6.2 rename nothing that is up. Each rename is two signals, the manager's
LinkRenamed and the slave's Renamed. Both are waited for after each hundred renames, so that none is too many for the
daemon's own socket. Prints how many signals were heard, and in how many seconds.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time

from rawbus import RawBus

IP = shutil.which("ip") or "/sbin/ip"
RENAMES = 100
SIGNALS = 2
"""Of each rename."""


def main(path: str, ifindex: int, wanted: int) -> None:
    """See the module. The device has its own name again at the end."""
    first = name = socket.if_indextoname(ifindex)
    heard, began = 0, time.monotonic()
    with RawBus(path) as hearing:
        for member in (b"LinkRenamed", b"Renamed"):
            hearing.subscribe(b"type='signal',sender='org.failoverd1',member='%s'" % member)
        while heard < wanted:
            lines = [f"link set dev {name} down"]
            for number in range(RENAMES - 1):
                lines.append(f"link set dev {name} name storm{number % 2}")
                name = f"storm{number % 2}"
            lines.append(f"link set dev {name} name {first}")
            name = first
            subprocess.run([IP, "-batch", "-"], input="\n".join(lines), text=True, check=True)
            hearing.count(b"Renamed\0", SIGNALS * RENAMES)
            heard += SIGNALS * RENAMES
    print(heard, round(time.monotonic() - began))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
