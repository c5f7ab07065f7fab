"""What systemd itself says of the units, where no guest is needed: that they are right, and how open they are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ETCD = ROOT / "etcd" / "units" / "failoverd-etcd.service"
UNITS = sorted([*(ROOT / "units").glob("*.service"), *(ROOT / "units").glob("*.socket"), ETCD])
DEAREST = 1.5
"""Exposure, from 0 (closed) to 10, of what runs all the time; systemd-networkd has 2.6."""

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> str:
    """What systemd-analyze says, on both of its outputs; it must succeed."""
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_verifies_the_units(tmp_path: Path) -> None:
    """All at once, as they name each other."""
    copies = []
    for unit in UNITS:
        copies.append(tmp_path / unit.name)
        # Neither the programs nor their manual pages are installed where the tests run.
        copies[-1].write_text(re.sub(r"/usr/bin/failover[\w-]*", "/bin/true", unit.read_text()))
    said = analyze("verify", "--man=no", "--recursive-errors=no", *map(str, copies))
    assert [line for line in said.splitlines() if "failover" in line] == []


@pytest.mark.parametrize(
    ("name", "most"),
    [("failoverd", DEAREST), ("failoverd-libvirt", 0.5), ("failoverd-netns", 3.6), ("failoverd-etcd", 1.2)],
)
def test_a_process_is_shut_in(name: str, most: float) -> None:
    said = analyze(
        "security", "--offline=true", "--no-pager", str(next(path for path in UNITS if path.name == f"{name}.service"))
    )
    found = re.search(rf"Overall exposure level for {name}.service: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= most, said


def test_the_doorkeeper_is_started_by_its_socket_alone() -> None:
    """And sees what is mounted: a setting that gives it a mount namespace would hide what it makes from all others."""
    units = {path.name: path.read_text() for path in UNITS}
    service = units["failoverd-netns.service"]
    assert "[Install]" not in service
    mounting = "Protect(System|Home|Kernel\\w+|Proc|ControlGroups)|Private(Mounts|Devices|Tmp)|ReadWritePaths"
    assert not re.search(f"^({mounting})=", service, re.MULTILINE)
    for name in ("failoverd.service", "failoverd-hooks.service"):
        assert "failoverd-netns.service" not in re.sub("^#.*", "", units[name], flags=re.MULTILINE)


def test_libvirts_sockets_are_off_and_exclude_virtinterfaceds() -> None:
    """Nothing that is started by itself wants them; each excludes its counterpart, and the process that has both."""
    units = {path.name: path.read_text() for path in UNITS}
    for name, text in units.items():
        if not name.startswith("failoverd-libvirt"):
            assert "libvirt" not in text, name
    for suffix in ("", "-ro"):
        text = units[f"failoverd-libvirt{suffix}.socket"]
        assert f"\nConflicts=virtinterfaced{suffix}.socket virtinterfaced.service\n" in text
        assert f"\nListenStream=/run/libvirt/virtinterfaced-sock{suffix}\n" in text
        assert "\nService=failoverd-libvirt.service\n" in text
        assert not re.search("^(Also|Accept)=", text, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("journalctl"), reason="journalctl is not installed")
def test_the_journal_takes_the_catalog(tmp_path: Path) -> None:
    place = tmp_path / "usr" / "lib" / "systemd" / "catalog"
    place.mkdir(parents=True)
    source = (ROOT / "units" / "failoverd.catalog").read_text()
    (place / "failoverd.catalog").write_text(source)
    command = ["journalctl", f"--root={tmp_path}"]
    done = subprocess.run([*command, "--update-catalog"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    listed = subprocess.run([*command, "--list-catalog"], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == sum(line.startswith("-- ") for line in source.splitlines())
    assert all(" failoverd: " in line for line in listed.splitlines())
