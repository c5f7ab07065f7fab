"""What the files of DHCP clients say of an interface."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from failoverd.daemon.leases import LEASES, leased, with_client


def test_leases_of_networkd(tmp_path: Path) -> None:
    folder = tmp_path / LEASES
    folder.mkdir(parents=True)
    (folder / "2").write_text("# private\nADDRESS=10.0.0.2\nROUTER=10.0.0.1\n")
    (folder / "3").write_text("NETMASK=255.0.0.0\n")
    (folder / ".#2xyz").write_text("ADDRESS=10.0.0.3\n")
    (folder / "4").mkdir()
    assert leased(tmp_path) == {2: "10.0.0.2"}
    assert leased(tmp_path / "nothing") == {}


@pytest.fixture
def client() -> Iterator[str]:
    """The number of a process that stands for a DHCP client."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield str(process.pid)
        process.kill()


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_client_that_lives_counts_for_the_interface_in_its_files_name(tmp_path: Path, client: str) -> None:
    for name in ("dhclient.ens3", "udhcpc.eth0.5", "dhclient-a-b", "dhclient6.ens4", "dhcpcd.ens5", "dhclient"):
        write(tmp_path, f"run/{name}.pid", f"{client}\n")
    assert with_client(tmp_path) == {"ens3", "eth0.5", "a-b"}
    assert with_client(tmp_path / "nothing") == frozenset()


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.5", "9" * 20, "²", "4194304999"])
def test_what_is_no_number_of_a_process_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path, "run/dhclient.ens3.pid", text)
    assert with_client(tmp_path) == frozenset()


def test_a_client_that_is_gone_is_none(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    write(tmp_path, "run/dhclient.ens3.pid", str(process.pid))
    assert with_client(tmp_path) == frozenset()


@pytest.mark.parametrize(("command", "is_one"), [("dhclient", True), ("busybox", True), ("sleep", False)])
def test_another_process_of_its_number_is_none(tmp_path: Path, client: str, command: str, is_one: bool) -> None:
    write(tmp_path, "run/dhclient.ens3.pid", client)
    write(tmp_path, f"proc/{client}/comm", f"{command}\n")
    assert with_client(tmp_path) == ({"ens3"} if is_one else set())


def test_a_process_of_another_user_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", kill)
    write(tmp_path, "run/udhcpc.ens3.pid", "77")
    assert with_client(tmp_path) == {"ens3"}
