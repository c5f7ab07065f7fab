"""Writing per-device sysctls to their files: by name, and to no device but the one that is meant."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from privatenet import private_net

from failoverd.model.requests import SetSysctl
from failoverd.netlink.sysctls import write_sysctl

LO = socket.if_nametoindex("lo")
ACCEPT_RA = Path("/proc/sys/net/ipv6/conf/lo/accept_ra")


@private_net
def test_the_file_is_written() -> None:
    assert write_sysctl(SetSysctl(LO, "ipv6/accept_ra", "2"), "lo") == (0, "")
    assert ACCEPT_RA.read_text() == "2\n"


def test_a_name_that_is_another_devices_or_nobodys(tmp_path: Path) -> None:
    file = tmp_path / "ipv6" / "conf" / "lo" / "accept_ra"
    file.parent.mkdir(parents=True)
    file.write_text("1")
    assert write_sysctl(SetSysctl(LO + 1, "ipv6/accept_ra", "2"), "lo", tmp_path) == (errno.ENODEV, "")
    assert write_sysctl(SetSysctl(LO, "ipv6/accept_ra", "2"), "nobody0", tmp_path)[0] == errno.ENODEV
    assert file.read_text() == "1"
    assert write_sysctl(SetSysctl(LO, "ipv6/accept_ra", "2"), "lo", tmp_path) == (0, "")
    assert file.read_text() == "2\n"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    number, path = write_sysctl(SetSysctl(LO, "ipv6/accept_ra", "2"), "lo", tmp_path)
    assert (number, path) == (errno.ENOENT, str(tmp_path / "ipv6/conf/lo/accept_ra"))
    assert list(tmp_path.iterdir()) == []
