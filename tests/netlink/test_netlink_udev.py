from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
import trio
from privatenet import private_net

from failoverd.netlink.udev import MAGIC, PREFIX, Udev, is_from_udev

ROOTS = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", 300, 0, 0))]
MESSAGE = PREFIX + MAGIC + bytes(28)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "control").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("record", "done"),
    [
        (None, False),
        (b"", False),
        (b"E:ID_BUS=pci\n", False),
        (b"I:12345\nE:ID_NET_NAME=ens4\n", True),
        (b"I:12345\nE:ID_RENAMING=1\n", False),
        (b"I:12345\nE:ID_NAME=\xff\xfe\n", True),
    ],
)
def test_when_udev_is_done(run: Path, record: bytes | None, done: bool) -> None:
    if record is not None:
        (run / "data" / "n7").write_bytes(record)
    assert Udev(run).is_done(7) is done


def test_without_udevd_every_device_is_ready(tmp_path: Path) -> None:
    assert Udev(tmp_path).is_done(7)


@pytest.mark.parametrize(
    ("data", "ancillary", "port", "ours"),
    [
        (MESSAGE, ROOTS, 300, True),
        (MESSAGE, ROOTS, 0, False),
        (MESSAGE, [], 300, False),
        (MESSAGE, [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", 300, 1000, 0))], 300, False),
        (MESSAGE, [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, b"\0")], 300, False),
        (MESSAGE, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes(12))], 300, False),
        (b"add@/devices/virtual/net/eth0\0", ROOTS, 300, False),
        (b"", ROOTS, 300, False),
    ],
)
def test_who_is_believed(data: bytes, ancillary: list[tuple[int, int, bytes]], port: int, ours: bool) -> None:
    assert is_from_udev(data, ancillary, (port, 2)) is ours


@private_net
def test_the_monitor_tells_of_udevs_messages_and_of_no_others() -> None:
    async def listen() -> int:
        heard = 0
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15) as sender:
            with trio.move_on_after(5):
                async for _ in Udev().messages():
                    heard += 1
                    if heard == 1:
                        sender.sendto(b"no message of udev's", (0, 2))
                        sender.sendto(MESSAGE, (0, 2))
                    if heard == 2:
                        return heard
        return heard

    assert trio.run(listen) == 2
