"""What the configuration of a machine's network mentions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from failoverd.daemon.configured import configured


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("etc/systemd/network/20-lan.network", "[Match]\nName=eth0 wlan*\n"),
        ("run/systemd/network/10-netplan-eth0.network", "[Match]\nName=eth0\n"),
        ("etc/netplan/50-cloud-init.yaml", "network: {ethernets: {eth0: {dhcp4: true}}}\n"),
        ("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n"),
        ("etc/network/interfaces.d/eth", "iface eth0 inet dhcp # eth1 is not used\n"),
    ],
)
def test_the_name_a_machine_is_configured_by(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, name, f"# eth7 was here\n{text}")
    found = configured(tmp_path)
    assert "eth0" in found
    assert "eth7" not in found


def test_a_pattern_is_a_word(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/network/20-all.network", "[Match]\nName=e*\n")
    assert "e*" in configured(tmp_path)


def test_what_cannot_be_read_mentions_nothing(tmp_path: Path) -> None:
    put(tmp_path, "etc/netplan/dir.yaml/file", "eth0")
    os.mkfifo(tmp_path / "etc/netplan/fifo.yaml")
    path = tmp_path / "etc/netplan/loop.yaml"
    path.symlink_to(path)
    assert configured(tmp_path) == frozenset()
    assert configured(tmp_path / "nowhere") == frozenset()


def test_a_file_that_is_gone_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "etc/network/interfaces", "iface eth0 inet dhcp\n")

    def open_it(*_args: object, **_more: object) -> None:
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(Path, "open", open_it)
    assert configured(tmp_path) == frozenset()
