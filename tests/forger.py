"""A process that forges messages for a netlink socket; run as a script, in the socket's network namespace.

    python3 forger.py PROTOCOL PORT GROUP HEX...     sends each, and prints "sent" or the kernel's refusal for each

PORT 0 and a group is a multicast. With "as=0" behind the protocol the sender claims to be root (SCM_CREDENTIALS).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Sequence

UCRED = struct.Struct("=iII")


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    protocol, _, claimed = arguments[0].partition("as=")
    address = (int(arguments[1]), int(arguments[2]))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, int(protocol)) as sock:
        ancillary = []
        if claimed:
            credentials = UCRED.pack(os.getpid(), int(claimed), int(claimed))
            ancillary.append((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, credentials))
        for forged in map(bytes.fromhex, arguments[2 + 1 :]):
            try:
                sock.sendmsg([forged], ancillary, 0, address)
            except OSError as error:
                print(os.strerror(error.errno or 0))
            else:
                print("sent")


if __name__ == "__main__":
    main(sys.argv[1:])
