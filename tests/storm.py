"""Rename one device so often that failoverd has many signals to send, and hear each: run in a guest, or beside a test.

    python3 storm.py BUS-SOCKET IFINDEX SIGNALS

The device is set down first, as kernels before 6.2 rename nothing that is up; failoverd sets its slaves up again a
few times, and leaves this one down then. Each rename is two signals, the manager's LinkRenamed and the slave's
Renamed. Both are waited for after each hundred renames, so that none is too many for the daemon's own socket. Prints
how many signals were heard, and in how many seconds.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import sys
import time

from rawbus import RawBus

RENAMES = 100
SIGNALS = 2
"""Of each rename."""
SIOCSIFFLAGS, SIOCSIFNAME = 0x8914, 0x8923
TRIES = 50


def rename(control: socket.socket, old: str, new: str) -> None:
    """Set it down and rename it (man 7 netdevice). Raises OSError."""
    for left in reversed(range(TRIES)):
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", old.encode(), 0))
        try:
            fcntl.ioctl(control, SIOCSIFNAME, struct.pack("16s16s8x", old.encode(), new.encode()))
        except OSError as error:
            if error.errno != errno.EBUSY or not left:
                raise
        else:
            return


def main(path: str, ifindex: int, wanted: int) -> None:
    """See the module. The device has its own name again at the end."""
    first = name = socket.if_indextoname(ifindex)
    heard, began = 0, time.monotonic()
    with RawBus(path) as hearing, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for member in (b"LinkRenamed", b"Renamed"):
            hearing.subscribe(b"type='signal',sender='org.failoverd1',member='%s'" % member)
        while heard < wanted:
            for number in range(RENAMES):
                new = first if number == RENAMES - 1 else f"storm{number % 2}"
                rename(control, name, new)
                name = new
            hearing.count(b"Renamed\0", SIGNALS * RENAMES)
            heard += SIGNALS * RENAMES
    print(heard, round(time.monotonic() - began))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
