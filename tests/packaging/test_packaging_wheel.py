"""The wheel brings what a service needs, and what is put in place of it is what the units say. The lab is another's."""

from __future__ import annotations

import configparser
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
import wheelbuild

from failoverd.cli import service

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's wheel, unpacked."""
    where = tmp_path_factory.mktemp("wheel")
    return unpacked(wheelbuild.build(where), where)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's, unpacked."""
    where = tmp_path_factory.mktemp("lab")
    return unpacked(wheelbuild.build_lab(where), where)


def unpacked(wheel: Path, where: Path) -> Path:
    """What is in a wheel, in a directory beside it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(where / "unpacked")
    return where / "unpacked"


def programs(contents: Path) -> dict[str, str]:
    """The programs that pip makes of a wheel."""
    entries = configparser.ConfigParser()
    entries.read(next(contents.glob("*.dist-info/entry_points.txt")))
    return dict(entries["console_scripts"])


def modules(folder: Path) -> set[str]:
    """The modules below a directory, by their paths."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}


def test_the_wheel_has_the_units_and_rules_of_the_tree(contents: Path) -> None:
    folders = ("units/*", "udev-rules/*", "neighbours/*/[!_]*")
    ours = [path for folder in folders for path in sorted(ROOT.glob(folder))]
    names = {"failoverd.service", "org.failoverd1.conf", "70-failoverd.rules", "sitecustomize.py"}
    assert {path.name for path in ours} >= names
    for name, folder in (("man", "docs/man"), ("completions", "completions")):
        for path in (ROOT / folder).iterdir():
            assert (contents / "failoverd" / "share" / name / path.name).read_bytes() == path.read_bytes()
    for path in ours:
        assert (contents / "failoverd" / "share" / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_every_file_of_the_tree_has_its_place(contents: Path) -> None:
    """A unit of another kind that somebody adds is not forgotten here."""
    share = contents / "failoverd" / "share"
    files = service.files(Path("/opt/x/bin"), share)
    ours = [path for path in share.rglob("*") if path.is_file()]
    # The drop-in is one file, and goes to several services.
    assert len(files) == len(ours) + len(service.CLOUD_INIT) - 1


def test_the_wheel_has_all_programs(contents: Path) -> None:
    modules = {"failoverd": "daemon", **{f"failoverd-{name}": name for name in ("hooks", "libvirt", "netns")}}
    mains = {program: f"failoverd.cli.{module}:main" for program, module in modules.items()}
    assert programs(contents) == mains
    script = next(contents.glob("*.data/scripts/failoverctl")).read_text()
    assert script.startswith("#!python")
    assert "import re" not in script.split("\n", 2)[2]


def test_the_wheel_is_the_package_and_nothing_beside_it(contents: Path) -> None:
    assert {path.name for path in contents.iterdir() if path.suffix not in (".dist-info", ".data")} == {"failoverd"}
    shared = {path for path in modules(contents / "failoverd") if path.startswith("share/")}
    assert modules(contents / "failoverd") - shared == {
        path for path in modules(ROOT / "failoverd") if not path.startswith("share/")
    }
    assert shared == {"share/neighbours/cloud-init/sitecustomize.py"}
    assert not [path for path in contents.rglob("*") if re.search(r"failoverd[-_]lab|/lab[/.]", str(path))]


def test_the_lab_is_a_wheel_of_its_own(lab: Path) -> None:
    assert {path.name for path in lab.iterdir() if path.suffix != ".dist-info"} == {"failoverd_lab"}
    assert modules(lab) == modules(ROOT / "lab")
    assert programs(lab) == {"failoverd-lab": "failoverd_lab.cli:main"}


def test_the_cni_plugin_is_a_wheel_of_its_own(tmp_path: Path) -> None:
    cni = unpacked(wheelbuild.build_cni(tmp_path), tmp_path)
    assert {path.name for path in cni.iterdir() if path.suffix not in (".dist-info", ".data")} == {"failoverd_cni"}
    assert modules(cni) == modules(ROOT / "cni")
    assert "Requires-Dist" not in next(cni.glob("*.dist-info/METADATA")).read_text()
    assert next(cni.glob("*.data/scripts/*")).name == "failoverd-cni"


def test_failoverd_etcd_is_a_wheel_of_its_own_and_brings_its_unit(tmp_path: Path) -> None:
    etcd = unpacked(wheelbuild.build_etcd(tmp_path), tmp_path)
    assert {path.name for path in etcd.iterdir() if path.suffix not in (".dist-info", ".data")} == {"failoverd_etcd"}
    assert modules(etcd) == modules(ROOT / "etcd")
    assert next(etcd.glob("*.data/scripts/*")).name == "failoverd-etcd"
    share = etcd / "failoverd_etcd" / "share"
    for source in (*(ROOT / "etcd/units").iterdir(), *(ROOT / "etcd/man").iterdir()):
        assert (share / source.parent.name / source.name).read_bytes() == source.read_bytes()
    (tmp_path / "site" / "failoverd").mkdir(parents=True)
    (tmp_path / "site" / "failoverd_etcd").symlink_to(etcd / "failoverd_etcd")
    placed = service.files(Path("/opt/failoverd/bin"), tmp_path / "site" / "failoverd" / "share")
    assert set(placed) == {
        "etc/systemd/system/failoverd-etcd.service",
        "etc/sysusers.d/failoverd-etcd.conf",
        "usr/local/share/man/man8/failoverd-etcd.8",
    }
    assert "ExecStart=/opt/failoverd/bin/failoverd-etcd" in placed["etc/systemd/system/failoverd-etcd.service"]


def test_the_lab_has_the_version_that_it_was_made_for() -> None:
    product, lab = (tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"] for path in ("", "lab"))
    assert lab["version"] == product["version"]
    cni = tomllib.loads((ROOT / "cni" / "pyproject.toml").read_text())["project"]
    assert cni["version"] == product["version"]
    assert f"failoverd=={product['version']}" in lab["dependencies"]
