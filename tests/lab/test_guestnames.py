"""What runs in the guest alone: how it reads the kernel, and what it does to a device."""

from __future__ import annotations

import socket
import struct

from privatenet import private_net

from failoverd_lab.guestnames import bring_up, links


def newlink(ifindex: int, name: str, kind: int = 16) -> bytes:
    text = name.encode() + b"\0"
    attribute = struct.pack("=HHI", 8, 4, 1500) + struct.pack("=HH", 4 + len(text), 3) + text
    body = struct.pack("=BBHiII", 0, 0, 1, ifindex, 0, 0) + attribute + bytes(-len(text) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_every_new_link_of_a_datagram_is_read() -> None:
    datagram = newlink(7, "eth1") + newlink(8, "e") + newlink(9, "gone", kind=17) + newlink(10, "enp2s0")
    assert links(datagram) == {7: "eth1", 8: "e", 10: "enp2s0"}
    assert links(datagram[:20]) == {}


@private_net
def test_a_device_is_opened_or_the_error_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        assert bring_up(control, "lo") == "opened"
        assert bring_up(control, "nobody0") == "ENODEV"
