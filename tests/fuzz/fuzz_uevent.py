"""What udev's monitor sends, and what udev has on record of a device.

The first byte says how the sender is made up; the next two cut the rest into a message and a record.
"""

from __future__ import annotations

import socket
import struct
import tempfile
from pathlib import Path

from fuzzing import SCRATCH, Harness

from failoverd.netlink.udev import MAGIC, PREFIX, Udev, is_from_udev, properties

ROOM = tempfile.TemporaryDirectory(prefix="failoverd-fuzz-", dir=SCRATCH)
RUN = Path(ROOM.name)
CREDENTIALS = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", 7, uid, uid)) for uid in (0, 1000)]


def one(data: bytes) -> None:
    """See the module."""
    who, cut = data[:1] or b"\0", int.from_bytes(data[1:3], "little")
    message, record = data[3 : 3 + cut], data[3 + cut :]
    port, ancillary = 300 * (who[0] & 1), [CREDENTIALS[who[0] >> 1 & 1]] * (who[0] >> 2 & 1)
    is_believed = is_from_udev(message, ancillary, (port, 2))
    assert not is_believed or who[0] & 7 == 5, "only root's process is"
    for name in ("control", "data"):
        path = RUN / name
        if not path.exists():
            path.mkdir()
    (RUN / "data" / "n7").write_bytes(record)
    udev = Udev(RUN, RUN / "class")
    said = properties(message)
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in said.items())
    udev.note(said)
    assert len(udev._renaming) <= 1
    udev.is_done(7)
    udev.recorded(7)
    udev.wanted_name(7, "eth1")


def seeds() -> list[bytes]:
    """Messages and records as systemd makes them."""
    said = (
        b"ACTION=add\0IFINDEX=7\0ID_RENAMING=1\0INTERFACE=lan0\0",
        b"ACTION=move\0IFINDEX=7\0INTERFACE=ens4\0ID_NET_NAME=ens4\0",
        b"ACTION=change\0IFINDEX=7\0SYNTH_ARG_FAILOVERD=role\0",
        b"ACTION=remove\0IFINDEX=8\0",
    )
    records = (
        b"I:12345\nE:ID_NET_NAME=ens4\n",
        b"E:ID_RENAMING=1\nV:1\n",
        b"I:1\nE:A=b=c\x0bd\nE:odd\nG:systemd\n",
        b"",
    )
    return [
        b"\5" + len(found).to_bytes(2, "little") + found + record
        for body, record in zip(said, records, strict=True)
        for found in [PREFIX + MAGIC + struct.pack("=7I", 40, 40, len(body), 0, 0, 0, 0) + body]
    ]


HARNESS = Harness("uevent", one, seeds, (b"ACTION=add\0", b"ID_RENAMING=1\0", b"IFINDEX=", b"INTERFACE=", b"I:", b"E:"))
