from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
from privatenet import private_net

from failoverd.netlink.udev import MAGIC, PREFIX, Udev, is_from_udev, properties

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


def test_what_udev_has_on_record(run: Path) -> None:
    assert Udev(run).recorded(7) is None
    (run / "data" / "n7").write_bytes(b"I:12345\nE:A=b=c\x0bd\nE:ID_NAME=\xff\nE:odd\nG:systemd\nQ:systemd\nV:1\n")
    assert Udev(run).recorded(7) == {"A": "b=c\x0bd", "ID_NAME": "\udcff"}


def test_without_udevd_every_device_is_ready(tmp_path: Path) -> None:
    assert not Udev(tmp_path).is_there()
    assert Udev(tmp_path).is_done(7)
    assert Udev(tmp_path).recorded(7) == {}


@pytest.mark.parametrize(
    ("record", "kind", "wanted"),
    [
        (b"I:1\nE:ID_NET_NAME=ens4\n", "1\n", "ens4"),
        (b"I:1\nE:ID_NET_NAME=ens4\n", "4\n", ""),
        (b"I:1\nE:ID_NET_NAME=ens4\n", None, ""),
        (b"I:1\nE:ID_NET_NAME=eth1\n", "1\n", ""),
        (b"I:1\nE:ID_BUS=pci\n", "1\n", ""),
        (b"E:ID_NET_NAME=ens4\n", "1\n", ""),
    ],
)
def test_the_name_udev_could_not_give(run: Path, record: bytes, kind: str | None, wanted: str) -> None:
    (run / "data" / "n7").write_bytes(record)
    if kind is not None:
        (run / "class" / "eth1").mkdir(parents=True)
        (run / "class" / "eth1" / "name_assign_type").write_text(kind)
    assert Udev(run, run / "class").wanted_name(7, "eth1") == wanted


@pytest.mark.parametrize("left", [b"E:ID_RENAMING=1\nV:1\n", b""])
def test_a_rename_that_failed_before_anybody_listened(run: Path, left: bytes) -> None:
    """systemd 252 and 257 leave no more than this. While udev is busy, it may yet be renaming."""
    udev = Udev(run, run / "class")
    assert not udev.is_done(7)
    (run / "data" / "n7").write_bytes(left)
    (run / "queue").touch()
    assert not udev.is_done(7)
    (run / "queue").unlink()
    assert udev.is_done(7)
    assert udev.wanted_name(7, "eth1") == ""
    assert udev.recorded(7) is None


def test_a_kernel_that_does_not_say_who_named_a_device_did(run: Path) -> None:
    """Reading what it does not know it answers with EINVAL; so it does for the stand-in, which can only be written."""
    stand_in = Path("/proc/self/clear_refs")
    if not os.access(stand_in, os.R_OK):
        pytest.skip("only root may open what cannot be read")
    (run / "data" / "n7").write_bytes(b"I:1\nE:ID_NET_NAME=ens4\n")
    (run / "class" / "eth1").mkdir(parents=True)
    (run / "class" / "eth1" / "name_assign_type").symlink_to(stand_in)
    assert Udev(run, run / "class").wanted_name(7, "eth1") == "ens4"


def test_a_device_that_udev_fails_at_for_another_reason_is_done_too(run: Path) -> None:
    """A rule's program was killed, say. The device keeps its name, and there is no record that could say so."""
    (run / "queue").touch()
    (run / "class" / "eth1").mkdir(parents=True)
    (run / "class" / "eth1" / "ifindex").write_text("7\n")
    (run / "class" / "eth1" / "name_assign_type").write_text("1\n")
    udev = Udev(run, run / "class")
    for name in ({"ID_NET_NAME": "eth1"}, {}):
        udev.note({"ACTION": "add", "IFINDEX": "7", "UDEV_WORKER_FAILED": "1", "INTERFACE": "eth1"} | name)
        assert udev.is_done(7)
        assert udev.wanted_name(7, "eth1") == ""


def message(**said: str) -> bytes:
    body = b"".join(f"{key}={value}\0".encode() for key, value in said.items())
    return PREFIX + MAGIC + struct.pack("=7I", 40, 40, len(body), 0, 0, 0, 0) + body


@pytest.mark.parametrize(
    ("said", "named", "wanted"),
    [
        ({"ACTION": "add", "IFINDEX": "7", "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "eth1", "ens4"),
        ({"ACTION": "add", "IFINDEX": "7", "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "ens4", ""),
        ({"ACTION": "move", "IFINDEX": "7", "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "eth1", ""),
        ({"ACTION": "add", "IFINDEX": "7", "ID_NET_NAME": "ens4"}, "eth1", ""),
        ({"ACTION": "add", "IFINDEX": "7", "ID_RENAMING": "1", "INTERFACE": "lan0"}, "eth1", "lan0"),
        (
            {"ACTION": "add", "IFINDEX": "7", "ID_RENAMING": "1", "INTERFACE": "lan0", "ID_NET_NAME": "e"},
            "eth1",
            "lan0",
        ),
        ({"ACTION": "add", "IFINDEX": "7", "ID_RENAMING": "1", "INTERFACE": "lan0", "ID_NET_NAME": "e"}, "lan0", ""),
        ({"ACTION": "add", "IFINDEX": "8", "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "eth1", ""),
        ({"ACTION": "add", "IFINDEX": "x", "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "eth1", ""),
        ({"ACTION": "add", "IFINDEX": "7" * 5000, "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "eth1", ""),
        ({"ACTION": "add", "IFINDEX": "٧", "ID_RENAMING": "1", "ID_NET_NAME": "ens4"}, "eth1", ""),
        ({"ACTION": "add", "ID_RENAMING": "1"}, "eth1", ""),
        (
            {"ACTION": "add", "IFINDEX": "7", "UDEV_WORKER_FAILED": "1", "INTERFACE": "eth1", "ID_NET_NAME": "lan0"},
            "eth1",
            "lan0",
        ),
        ({"ACTION": "change", "IFINDEX": "7", "UDEV_WORKER_FAILED": "1", "ID_NET_NAME": "lan0"}, "eth1", ""),
    ],
)
def test_a_rename_that_failed_is_an_end_too(run: Path, said: Mapping[str, str], named: str, wanted: str) -> None:
    (run / "data" / "n7").write_bytes(b"E:ID_RENAMING=1\n")
    (run / "queue").touch()
    (run / "class" / named).mkdir(parents=True)
    (run / "class" / named / "ifindex").write_text("7\n")
    (run / "class" / named / "name_assign_type").write_text("1\n" if named == "eth1" else "4\n")
    udev = Udev(run, run / "class")
    udev.note(properties(message(**said)))
    assert udev.wanted_name(7, named) == wanted
    assert udev.is_done(7) is (wanted != "")
    udev.note({"ACTION": "move", "IFINDEX": "7"})
    assert not udev.is_done(7)


@pytest.mark.parametrize("data", [b"", MESSAGE[:20], message(A="b")[:-3], b"\xff" * 60])
def test_a_message_that_is_cut_says_what_it_says(data: bytes) -> None:
    assert set(properties(data)) <= {"A"}


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
