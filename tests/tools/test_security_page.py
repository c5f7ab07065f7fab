"""SECURITY.md says what the code does: its numbers are the code's, its tests and harnesses are there, its modes too."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()
BOUNDS = re.findall(r"^\|[^|]*\| `([a-z_.]+)\.([A-Z_]+)` = ([0-9.]+)[^|]*\| `([^`]+)` \|$", PAGE, re.MULTILINE)


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their heads."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for number, row in enumerate(cells) if not set("".join(row)) <= set("-") and number]


def test_the_bounds_are_all_read_here() -> None:
    assert len(BOUNDS) == len(rows("Bounds")) > 30


@pytest.mark.parametrize(("module", "name", "number", "test"), BOUNDS)
def test_a_bound_is_the_codes_and_is_tried(module: str, name: str, number: str, test: str) -> None:
    assert getattr(import_module(f"failoverd.{module}"), name) == float(number)
    assert (ROOT / "tests" / test).is_file()


def test_every_harness_is_listed_and_there() -> None:
    listed = {word for row in rows("What is read, and from whom") for word in re.findall(r"`([a-z]+)`", row[-1])}
    assert listed == {path.stem.removeprefix("fuzz_") for path in (ROOT / "tests" / "fuzz").glob("fuzz_*.py")}


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / target).exists(), target
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text()


def unit(name: str) -> str:
    return (ROOT / "units" / name).read_text()


def test_what_it_says_of_the_units() -> None:
    daemon, hooks, socket = unit("failoverd.service"), unit("failoverd-hooks.service"), unit("failoverd-hooks.socket")
    assert "\nUser=failoverd\n" in daemon
    assert "\nCapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BROADCAST\n" in daemon
    assert "\nRestrictAddressFamilies=AF_NETLINK AF_PACKET AF_UNIX\n" in daemon
    assert "\nUMask=0077\n" in daemon
    assert "DirectoryMode" not in daemon, "0755 is what systemd takes without it"
    assert "\nCapabilityBoundingSet=\n" in hooks
    assert "\nProtectSystem=full\n" in hooks
    assert "--timeout 30\n" in hooks
    assert "\nSocketUser=failoverd\nSocketGroup=root\nSocketMode=0660\n" in socket
    netns, door = unit("failoverd-netns.service"), unit("failoverd-netns.socket")
    assert "\nCapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_NET_ADMIN\n" in netns
    assert "\nRestrictAddressFamilies=AF_NETLINK AF_UNIX\n" in netns
    assert "\nSocketUser=failoverd\nSocketGroup=root\nSocketMode=0660\n" in door
    libvirt = unit("failoverd-libvirt.service")
    assert "\nDynamicUser=yes\n" in libvirt
    assert "\nCapabilityBoundingSet=\n" in libvirt
    assert "\nPrivateNetwork=yes\n" in libvirt
    for name, path in (("failoverd-libvirt", "sock"), ("failoverd-libvirt-ro", "sock-ro")):
        assert f"\nListenStream=/run/libvirt/virtinterfaced-{path}\nSocketMode=0666\n" in unit(f"{name}.socket")
    assert "m failoverd systemd-network" in unit("failoverd.sysusers")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", [f"failoverd{part}.service" for part in ("", "-hooks", "-libvirt", "-netns")])
def test_what_it_says_of_the_sandbox(name: str) -> None:
    told = re.search(rf"{re.escape(name)} ([0-9.]+)", PAGE)
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(ROOT / "units" / name)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(rf"Overall exposure level for {re.escape(name)}: ([0-9.]+)", said)
    assert told is not None
    assert found is not None, said
    assert float(found[1]) <= float(told[1])
