"""The wheel brings what a service needs, and what is put in place of it is what the units say."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import wheelbuild

from failoverd.cli import servicefiles

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked wheel."""
    where = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(wheelbuild.build(where)) as archive:
        archive.extractall(where / "unpacked")
    return where / "unpacked"


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
    files = servicefiles.service_files(Path("/opt/x/bin"), share)
    ours = [path for path in share.rglob("*") if path.is_file() and path.suffix != ".sysusers"]
    # The drop-in is one file, and goes to several services.
    assert len(files) == len(ours) + len(servicefiles.CLOUD_INIT) - 1


def test_the_wheel_has_all_programs(contents: Path) -> None:
    entries = next(contents.glob("*.dist-info/entry_points.txt")).read_text()
    for name in ("failoverd", "failoverd-hooks", "failoverd-lab"):
        assert f"\n{name} = failoverd." in entries
    script = next(contents.glob("*.data/scripts/failoverctl")).read_text()
    assert script.startswith("#!python")
    assert "import re" not in script.split("\n", 2)[2]
