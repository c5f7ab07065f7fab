"""Whether those who configure this machine could follow to a bond, by the files they leave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openfolder import open_to_all

from failoverd.daemon.neighbours import why_no_bond

NOBODY = 65534


def enable(root: Path, wants: str = "multi-user.target.wants") -> Path:
    """What `systemctl enable NetworkManager` leaves: a link to what need not be there below `root`."""
    link = root / "etc/systemd/system" / wants / "NetworkManager.service"
    link.parent.mkdir(parents=True)
    link.symlink_to("/lib/systemd/system/NetworkManager.service")
    return link


def mask(root: Path, place: str = "etc") -> None:
    """What `systemctl mask [--runtime] NetworkManager` leaves."""
    link = root / place / "systemd/system/NetworkManager.service"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/dev/null")


def test_nothing_speaks_against_a_bond_where_nobody_is(tmp_path: Path) -> None:
    assert why_no_bond(tmp_path) == ""


def test_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / "run/NetworkManager/devices").mkdir(parents=True)
    assert "NetworkManager runs" in why_no_bond(tmp_path)


def test_where_systemd_says_that_it_runs(tmp_path: Path) -> None:
    link = tmp_path / "run/systemd/units/invocation:NetworkManager.service"
    link.parent.mkdir(parents=True)
    link.symlink_to("0123456789abcdef0123456789abcdef")
    mask(tmp_path)
    assert f"NetworkManager runs (there is {link})" in why_no_bond(tmp_path)


def test_what_only_root_may_see_is_passed_by(tmp_path: Path) -> None:
    """netplan closes /run/NetworkManager, and failoverd is not root."""
    (tmp_path / "run/NetworkManager/devices").mkdir(parents=True)
    (tmp_path / "run/NetworkManager").chmod(0)
    link = enable(tmp_path)
    with as_nobody(tmp_path):
        found = why_no_bond(tmp_path)
    (tmp_path / "run/NetworkManager").chmod(0o755)
    assert f"NetworkManager is enabled (there is {link})" in found


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Not as root, if we are root; the folder is his."""
    was = os.geteuid()
    if was == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        open_to_all(folder)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_netplan_writes_its_configuration_also_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "run/NetworkManager/conf.d").mkdir(parents=True)
    assert why_no_bond(tmp_path) == ""


def test_where_it_will_run(tmp_path: Path) -> None:
    link = enable(tmp_path)
    assert f"NetworkManager is enabled (there is {link})" in why_no_bond(tmp_path)


def test_another_unit_that_is_enabled_is_none(tmp_path: Path) -> None:
    enable(tmp_path).rename(tmp_path / "etc/systemd/system/multi-user.target.wants/NetworkManager-wait-online.service")
    assert why_no_bond(tmp_path) == ""


def test_a_masked_unit_does_not_run_however_enabled(tmp_path: Path) -> None:
    enable(tmp_path)
    mask(tmp_path)
    assert why_no_bond(tmp_path) == ""


def test_one_that_is_masked_until_the_next_boot(tmp_path: Path) -> None:
    enable(tmp_path)
    mask(tmp_path, "run")
    assert why_no_bond(tmp_path) == ""


def test_one_that_runs_still_although_it_is_masked(tmp_path: Path) -> None:
    (tmp_path / "run/NetworkManager/devices").mkdir(parents=True)
    mask(tmp_path)
    assert "NetworkManager runs" in why_no_bond(tmp_path)


def network(root: Path, match: str, place: str = "etc") -> Path:
    """A file for systemd-networkd."""
    path = root / place / "systemd/network/10-lan.network"
    path.parent.mkdir(parents=True)
    path.write_text(f"[Match]\n{match}\n\n[Network]\nDHCP=yes\n")
    return path


def test_a_permanent_mac_is_what_a_bond_has_not(tmp_path: Path) -> None:
    path = network(tmp_path, "PermanentMACAddress=52:54:00:fa:11:01")
    assert why_no_bond(tmp_path) == f"{path} matches PermanentMACAddress=, and no bond"


@pytest.mark.parametrize(
    "match",
    ["Type=ether", "Name=en*\nType=wlan ether", "Driver=virtio_net", "Path = pci-0000:00:03.0", "[Match]\nDriver=x"],
)
def test_nor_has_it_anything_else_of_a_nics(tmp_path: Path, match: str) -> None:
    assert str(network(tmp_path, match)) in why_no_bond(tmp_path)


def test_a_drop_in_matches_as_its_file_does(tmp_path: Path) -> None:
    network(tmp_path, "Name=en*")
    drop_in = tmp_path / "etc/systemd/network/10-lan.network.d/more.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Match]\nDriver=virtio_net\n")
    assert why_no_bond(tmp_path) == f"{drop_in} matches Driver=, and no bond"


def test_what_netplan_makes_at_every_boot_counts(tmp_path: Path) -> None:
    path = network(tmp_path, "PermanentMACAddress=52:54:00:fa:11:01\nName=lan0", "run")
    assert str(path) in why_no_bond(tmp_path)


@pytest.mark.parametrize(
    "match",
    [
        *("Name=en*", "MACAddress=52:54:00:fa:11:01", "#PermanentMACAddress=52:54:00:00:00:1"),
        *("Type=wlan", "Driver=\nKind=bond", "[Link]\nPath=x"),
    ],
)
def test_other_matches_can_follow(tmp_path: Path, match: str) -> None:
    network(tmp_path, match)
    assert why_no_bond(tmp_path) == ""


def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    path = network(tmp_path, "Name=en*")
    path.rename(path.with_suffix(".away"))
    path.symlink_to(tmp_path / "nowhere")
    assert why_no_bond(tmp_path) == ""


@pytest.mark.parametrize(
    ("client", "file"),
    [
        ("dhclient", "dhclient.enp1s0.pid"),
        ("dhcpcd", "dhcpcd/enp1s0.pid"),
        ("dhcpcd", "dhcpcd/pid"),
        ("udhcpc", "udhcpc.enp1s0.pid"),
    ],
)
def test_a_client_that_runs_stays_with_its_nic(tmp_path: Path, client: str, file: str) -> None:
    pid = tmp_path / "run" / file
    pid.parent.mkdir(parents=True)
    pid.touch()
    assert why_no_bond(tmp_path) == f"{client} runs (there is {pid}), and stays with its NIC"


def test_what_a_client_has_left_behind_is_none(tmp_path: Path) -> None:
    (tmp_path / "run/dhcpcd/hook-state").mkdir(parents=True)
    assert why_no_bond(tmp_path) == ""
