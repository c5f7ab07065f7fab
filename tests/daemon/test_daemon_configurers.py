"""Whether those who configure this machine could follow to a bond, by the files they leave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openfolder import open_to_all

from failoverd.daemon.configurers import bond_obstacle
from failoverd.model.links import Link

NO_MAC = 65534
MAC = "52:54:00:fa:11:01"
NIC = Link(2, "enp1s0", MAC, MAC, driver="virtio_net", bus="virtio", altnames=frozenset({"ens1", "enx525400fa1101"}))
RECORD = "I:1\nE:ID_BUS=pci\nE:ID_PATH=pci-0000:01:00.0\nE:ID_NET_DRIVER=virtio_net\nE:FAILOVERD_ROLE=standby\n"
CMDLINE = "BOOT_IMAGE=/vmlinuz root=/dev/vda ip=dhcp 'quoted word' quiet\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with that NIC, on which nothing configures anything."""
    put(tmp_path / "run/udev/data/n2", RECORD)
    put(tmp_path / "sys/class/net/enp1s0/uevent", "INTERFACE=enp1s0\nIFINDEX=2\n")
    put(tmp_path / "sys/class/net/enp1s0/address", f"{MAC}\n")
    put(tmp_path / "sys/class/net/enp1s0/dev_port", "0\n")
    put(tmp_path / "proc/cmdline", CMDLINE)
    put(tmp_path / "proc/sys/kernel/hostname", "Guest.example\n")
    put(tmp_path / "proc/sys/kernel/osrelease", "6.1.0-40-amd64\n")
    put(tmp_path / "etc/machine-id", "6661696c6f7665726467756573743031\n")
    return tmp_path


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def why(root: Path, name: str = "enp1s0") -> str:
    return bond_obstacle(NIC, name, root)


def enable(root: Path, wants: str = "multi-user.target.wants") -> Path:
    """What `systemctl enable NetworkManager` leaves: a link to what need not be there below `root`."""
    link = root / "etc/systemd/system" / wants / "NetworkManager.service"
    link.parent.mkdir(parents=True)
    link.symlink_to("/lib/systemd/system/NetworkManager.service")
    return link


def mask(root: Path, place: str = "etc", unit: str = "NetworkManager") -> None:
    """What `systemctl mask [--runtime]` leaves."""
    link = root / place / f"systemd/system/{unit}.service"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/dev/null")


def run(root: Path, unit: str) -> Path:
    """systemd's note of a unit that runs."""
    link = root / f"run/systemd/units/invocation:{unit}.service"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("0123456789abcdef0123456789abcdef")
    return link


def network(root: Path, match: str, place: str = "etc", name: str = "50-lan.network", more: str = "") -> Path:
    """A file for systemd-networkd."""
    return put(root / place / "systemd/network" / name, f"[Match]\n{match}\n\n[Network]\nDHCP=yes\n{more}")


def drop_in(root: Path, match: str, place: str = "etc", name: str = "more.conf") -> Path:
    return put(root / place / "systemd/network/50-lan.network.d" / name, f"[Match]\n{match}\n")


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Not as root, if we are root; the folder is his."""
    was = os.geteuid()
    if was == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NO_MAC, NO_MAC, follow_symlinks=False)
        open_to_all(folder)
        os.seteuid(NO_MAC)
    try:
        yield
    finally:
        os.seteuid(was)


def test_nothing_speaks_against_a_bond_where_nobody_is(root: Path) -> None:
    assert why(root) == ""


# NetworkManager


def test_where_it_runs(root: Path) -> None:
    (root / "run/NetworkManager/devices").mkdir(parents=True)
    assert "NetworkManager runs" in why(root)


def test_where_systemd_says_that_it_runs(root: Path) -> None:
    link = run(root, "NetworkManager")
    mask(root)
    assert f"NetworkManager runs (there is {link})" in why(root)


def test_what_only_root_may_see_is_passed_by(root: Path) -> None:
    """netplan closes /run/NetworkManager, and failoverd is not root."""
    (root / "run/NetworkManager/devices").mkdir(parents=True)
    (root / "run/NetworkManager").chmod(0)
    link = enable(root)
    with as_nobody(root):
        found = why(root)
    (root / "run/NetworkManager").chmod(0o755)
    assert f"NetworkManager is enabled (there is {link})" in found


def test_netplan_writes_its_configuration_also_where_it_is_not_used(root: Path) -> None:
    (root / "run/NetworkManager/conf.d").mkdir(parents=True)
    assert why(root) == ""


def test_where_it_will_run(root: Path) -> None:
    link = enable(root)
    assert f"NetworkManager is enabled (there is {link})" in why(root)


def test_another_unit_that_is_enabled_is_none(root: Path) -> None:
    enable(root).rename(root / "etc/systemd/system/multi-user.target.wants/NetworkManager-wait-online.service")
    assert why(root) == ""


@pytest.mark.parametrize("place", ["etc", "run"])
def test_a_masked_unit_does_not_run_however_enabled(root: Path, place: str) -> None:
    enable(root)
    mask(root, place)
    assert why(root) == ""


def test_one_that_runs_still_although_it_is_masked(root: Path) -> None:
    (root / "run/NetworkManager/devices").mkdir(parents=True)
    mask(root)
    assert "NetworkManager runs" in why(root)


# systemd-networkd


@pytest.mark.parametrize(
    ("match", "place"),
    [
        ("Kind=!*", "etc"),
        ("Kind=!*\nType=!loopback", "run"),
        ("Property=ID_BUS=pci", "etc"),
        ('Property="ID_NET_DRIVER=virtio*" ID_BUS=pci', "etc"),
        ("Property=!DEVTYPE=bond", "etc"),
        ("Type=ether", "usr/lib"),
        ("Type=eth*", "etc"),
        ("Type=!bond", "etc"),
        ("Type=wlan ether", "lib"),
        ("Driver=ena virtio_net vif", "usr/lib"),
        ("Driver=!bonding", "etc"),
        ("Path=pci-*", "etc"),
        ("Path = pci-0000:01:00.0", "etc"),
        ("PermanentMACAddress=52:54:00:FA:11:01", "usr/local/lib"),
        ("PermanentMACAddress=5254.00fa.1101", "etc"),
        ("Name=enx*", "etc"),
        ("Name=ens1", "etc"),
        ("[Match]\nDriver=virtio_net", "etc"),
    ],
)
def test_what_matches_the_nic_and_no_bond_is_named(root: Path, match: str, place: str) -> None:
    path = network(root, match, place)
    key = match.removeprefix("[Match]\n").partition("=")[0].split("\n")[-1].strip()
    assert why(root).startswith(f"{path} matches enp1s0 by {key}=")
    assert why(root).endswith(", and no bond")


@pytest.mark.parametrize(
    "match",
    [
        *("Name=en*", "Name=enp1s0 eth0", "Name=!lo", "Name=!enp1s0", f"MACAddress={MAC}", "Name=*", "Type=!loopback"),
        *("#PermanentMACAddress=52:54:00:00:00:1", "; Type=ether", "Type=ether\nType=\nName=en*"),
        *("Type=wlan", "Kind=!vlan", "Driver=\nName=en[a-z]1s?", "[Link]\nPath=x", "Property=!ID_BUS=usb\nName=en*"),
        *("Name=wl*", "PermanentMACAddress=no mac", "Name=en* # not a comment", "", "WLANInterfaceType=station"),
        *("BSSID=52:54:00:00:00:01", "Name=\\enp1s0", "Name=en*\nHost=other", "Name=en* \\\n# said in between\n eth*"),
    ],
)
def test_what_matches_both_or_neither_can_follow(root: Path, match: str) -> None:
    network(root, match)
    assert why(root) == ""


@pytest.mark.parametrize("match", ["Property=ID_BUS=usb", "Path=pci-0000:09*"])
def test_what_udev_has_not_recorded_yet_may_match(root: Path, match: str) -> None:
    network(root, f"Name=en*\n{match}")
    assert why(root) == ""
    (root / "run/udev/data/n2").unlink()
    assert why(root) == "", "there is no udev that will"
    put(root / "run/udev/control", "")
    assert f"matches enp1s0 by {match}" in why(root)
    network(root, "Name=en*\nProperty=!ID_BUS=usb")
    assert why(root) == ""


def test_the_first_file_that_matches_either_counts(root: Path) -> None:
    network(root, "Name=en*", "usr/lib", "10-lan.network")
    network(root, "Type=ether", "etc", "20-lan.network")
    assert why(root) == ""
    path = network(root, "Kind=!*", "run", "00-first.network")
    assert str(path) in why(root)


def test_a_file_in_an_earlier_folder_stands_for_those_of_its_name(root: Path) -> None:
    for place in ("usr/lib", "usr/local/lib", "lib", "run"):
        network(root, "Type=ether", place)
    assert str(root / "run/systemd/network/50-lan.network") in why(root)
    network(root, "Name=en*")
    assert why(root) == ""


@pytest.mark.parametrize("kind", ["null", "empty", "dangling"])
def test_a_file_that_is_masked_is_none(root: Path, kind: str) -> None:
    network(root, "Type=ether", "usr/lib")
    path = network(root, "")
    path.unlink()
    if kind == "empty":
        path.touch()
    else:
        path.symlink_to("/dev/null" if kind == "null" else root / "nowhere")
    assert why(root) == ""


def test_a_drop_in_matches_with_its_file_and_is_named(root: Path) -> None:
    network(root, "Name=en*", "usr/lib")
    drop_in(root, "Driver=foo", "usr/lib")
    assert why(root) == ""
    path = drop_in(root, "Driver=virtio_net", "run")
    assert why(root) == f"{path} matches enp1s0 by Driver=virtio_net, and no bond"
    drop_in(root, "Driver=", "etc", "zz.conf")
    assert why(root) == ""


def test_a_drop_in_of_no_file_is_none(root: Path) -> None:
    drop_in(root, "Driver=virtio_net")
    assert why(root) == ""


def test_a_file_that_matches_nothing_but_by_a_drop_in(root: Path) -> None:
    network(root, "", "usr/lib")
    path = drop_in(root, "Kind=!*", "etc")
    assert str(path) in why(root)


def test_what_is_unmanaged_is_configured_by_nothing(root: Path) -> None:
    network(root, "Type=ether", "etc", "10-none.network", "[Link]\nUnmanaged=yes\n")
    assert why(root) == ""
    path = network(root, "Name=en*", "usr/lib", "20-lan.network")
    assert why(root) == f"{path} would configure a bond called enp1s0, and is not what configures enp1s0"
    network(root, "Name=en*", "etc", "15-none.network", "[Link]\nUnmanaged=1\n")
    assert why(root) == ""


def test_a_file_for_bonds_takes_it_from_the_nics(root: Path) -> None:
    path = network(root, "Kind=bond", "etc", "10-bonds.network")
    network(root, "Name=en*")
    assert why(root) == f"{path} would match a bond called enp1s0, and by Kind=bond not enp1s0"


def test_failoverds_own_files_and_marks_are_nobody_elses(root: Path) -> None:
    network(root, "Property=FAILOVERD_ROLE=standby", "usr/lib", "00-0-failoverd-standby.network")
    network(root, "Property=FAILOVERD_ROLE=standby\nName=en*", "etc")
    assert why(root) == ""


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        *(("Host=guest.*", True), ("Host=!guest.*", False), ("Host=6661696c-6f76-6572-6467-756573743031", True)),
        *(("KernelCommandLine=ip", True), ("KernelCommandLine=ip=dhcp", True), ("KernelCommandLine=!ip", False)),
        *(("KernelCommandLine=ip=off", False), ("KernelVersion=6.1.*", True), ("KernelVersion=5.*", False)),
        *(("KernelVersion=>=5.10", True), ("Architecture=native", True), ("Architecture=vax", False)),
        *(("Firmware=uefi", False), ("Firmware=!uefi", True), ("Firmware=device-tree", True)),
        *(("Virtualization=container", True), ("Credential=x", True), ("Host=other\nHost=", True)),
        *(("Host=00000000000000000000000000000000", False), ("KernelVersion='", True)),
    ],
)
def test_a_condition_that_does_not_hold_makes_a_file_none_and_one_not_known_does_not(
    root: Path, condition: str, counts: bool
) -> None:
    """What a comparison of versions, a hypervisor or a credential says is not known here: that errs to tc."""
    network(root, f"Type=ether\n{condition}")
    assert bool(why(root)) == counts


def test_what_is_not_there_to_be_asked_is_not_known(root: Path) -> None:
    for path in ("proc/cmdline", "proc/sys/kernel/hostname", "proc/sys/kernel/osrelease", "etc/machine-id"):
        (root / path).unlink()
    for condition in ("Host=x", "Host=6661696c6f7665726467756573743031", "KernelCommandLine=x", "KernelVersion=5.*"):
        network(root, f"Type=ether\n{condition}")
        assert why(root)
    put(root / "proc/cmdline", "not 'closed")
    network(root, "Type=ether\nKernelCommandLine=x")
    assert why(root)


def test_a_file_that_may_or_may_not_be_loaded_decides_nothing_where_it_matches_both(root: Path) -> None:
    network(root, "Name=en*\nCredential=x", "etc", "10-first.network")
    path = network(root, "Type=ether")
    assert str(path) in why(root)


def test_one_that_is_unmanaged_may_leave_it_to_the_next(root: Path) -> None:
    network(root, "Type=ether\nCredential=x", "etc", "10-none.network", "[Link]\nUnmanaged=yes\n")
    path = network(root, "Kind=!*")
    assert str(path) in why(root)


def test_where_networkd_cannot_run_its_files_say_nothing(root: Path) -> None:
    network(root, "Type=ether")
    mask(root, unit="systemd-networkd")
    assert why(root) == ""
    run(root, "systemd-networkd")
    assert why(root)


def test_a_master_with_a_name_and_a_file_of_its_own(root: Path) -> None:
    network(root, "Name=en*")
    assert "by Name=en*, and no bond" in why(root, "lan0")
    network(root, "Name=lan0", "etc", "60-bond.network")
    assert why(root, "lan0") == ""


@pytest.mark.parametrize(
    "text", ["[Match\nType=ether\n", "Type=ether\n", "[Match]\nType\n=x\n", "[X]\nType=ether\n", "[Match]\nName='\n"]
)
def test_what_networkd_would_not_take_is_none(root: Path, text: str) -> None:
    put(root / "etc/systemd/network/10-odd.network", text)
    assert why(root) == ""


def test_what_is_no_file_holds_up_nobody(root: Path) -> None:
    folder = root / "etc/systemd/network"
    (folder / "10-folder.network").mkdir(parents=True)
    os.mkfifo(folder / "20-pipe.network")
    network(root, "Type=ether", "etc", ".30-hidden.network")
    assert why(root) == ""


def test_what_cannot_be_read_is_said(root: Path) -> None:
    network(root, "Name=en*", "etc", "10-lan.network")
    path = network(root, "Name=en*")
    path.chmod(0)
    with as_nobody(root):
        assert why(root) == "", "it is the first one that counts"
        (root / "etc/systemd/network/10-lan.network").unlink()
        assert why(root).startswith(f"failoverd cannot read {path} (Permission denied); chmod a+r it")
        path.parent.chmod(0)
        assert why(root).startswith(f"failoverd cannot list {path.parent} (Permission denied); chmod a+rx it")
        path.parent.chmod(0o755)


def note(root: Path, file: str) -> None:
    run(root, "systemd-networkd")
    put(root / "run/systemd/netif/links/2", f"ADMIN_STATE=configured\nNETWORK_FILE={file}\n")


def test_the_file_that_networkd_has_applied_has_to_be_the_bonds_as_well(root: Path) -> None:
    network(root, "Name=en*", "etc", "10-lan.network")
    network(root, "Name=en*", "run", "20-lan.network")
    note(root, '"/etc/systemd/network/10-lan.network"')
    assert why(root) == ""
    (root / "run/systemd/units/invocation:systemd-networkd.service").unlink()
    note(root, "/run/systemd/network/20-lan.network")
    path = root / "etc/systemd/network/10-lan.network"
    assert why(root) == f"{path} would configure a bond called enp1s0, and is not what configures enp1s0"


def test_a_file_that_cannot_be_read_and_is_not_applied_is_none(root: Path) -> None:
    path = network(root, "Name=en*", "etc", "05-other.network")
    network(root, "Name=en*", "etc", "10-lan.network")
    path.chmod(0)
    note(root, "/etc/systemd/network/10-lan.network")
    with as_nobody(root):
        assert why(root) == ""


def test_a_note_of_a_file_that_is_gone_says_nothing(root: Path) -> None:
    network(root, "Name=en*", "etc", "10-lan.network")
    note(root, "/run/systemd/network/99-gone.network")
    assert why(root) == ""
    (root / "run/systemd/netif/links/2").unlink()
    assert why(root) == ""


def test_long_lists_are_cut(root: Path) -> None:
    network(root, f"Name=en* {' '.join(f'eth{i}' for i in range(99))}\nDriver={' '.join(['virtio_net'] * 99)}")
    assert len(why(root)) < 300
    assert "..., and no bond" in why(root)


# ifupdown


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        *(("auto enp1s0", False), ("allow-hotplug /en*", False), ("auto /en*=lan", False)),
        *((f"auto mac/{MAC}=lan", False), ("auto type/1", False), ("no-auto-down dev_port/0", False)),
        *(("auto /en*/1", True), ("auto /eth*/1", False), ("allow-hotplug dev_port/0=lan", True)),
        *(
            ("auto mac/52:*/1=lan", True),
            ("auto dev_port/7", False),
            ("auto nothing/*", False),
            ("#auto /en*/1", False),
        ),
    ],
)
def test_a_pattern_of_ifupdown_that_a_bond_would_not_match(root: Path, line: str, counts: bool) -> None:
    path = put(root / "etc/network/interfaces", f"\n{line}\niface lan inet dhcp\n")
    expected = f"{path} chooses enp1s0 by {line.split()[1]}, and that would not be a bond" if counts else ""
    assert why(root) == expected


def test_what_interfaces_includes_counts_too(root: Path) -> None:
    main = put(root / "etc/network/interfaces", "source interfaces.d/*\nsource /etc/network/more\nsource-directory d\n")
    put(root / "etc/network/more", "source /etc/network/more\n")
    put(root / "etc/network/d/not.this", "auto /en*/1\n")
    assert why(root) == ""
    path = put(root / "etc/network/d/lan", "auto lo \\\n /en*/1\n")
    assert str(path) in why(root)
    path.unlink()
    path = put(root / "etc/network/interfaces.d/lan", "auto /en*/1\n")
    assert str(path) in why(root)
    main.chmod(0)
    with as_nobody(root):
        assert why(root) == ""


@pytest.mark.parametrize("word", ["**x", "/a/**b", ".", "x" * 5000, "/" + "y" * 5000, "a\0b"])
@pytest.mark.parametrize("line", ["source", "source-directory"])
def test_an_include_that_is_no_path_is_passed_over(root: Path, line: str, word: str) -> None:
    path = put(root / "etc/network/interfaces", f"{line} {word}\nauto {word[:9]}/z {word}/z\nauto /en*/1\n")
    assert why(root).startswith(f"{path} chooses enp1s0 by /en*/1")


# DHCP clients


@pytest.mark.parametrize(
    ("client", "file"),
    [
        ("dhclient", "dhclient.enp1s0.pid"),
        ("dhcpcd", "dhcpcd/enp1s0.pid"),
        ("dhcpcd", "dhcpcd/pid"),
        ("udhcpc", "udhcpc.enp1s0.pid"),
    ],
)
def test_a_client_that_runs_stays_with_its_nic(root: Path, client: str, file: str) -> None:
    pid = put(root / "run" / file, "")
    assert why(root) == f"{client} runs (there is {pid}), and stays with its NIC"


def test_what_a_client_has_left_behind_is_none(root: Path) -> None:
    (root / "run/dhcpcd/hook-state").mkdir(parents=True)
    assert why(root) == ""
