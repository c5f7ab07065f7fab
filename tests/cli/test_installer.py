"""What install-service copies, where it refuses, and what it prints. A guest runs what it prints."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from failoverd.cli import service
from failoverd.cli.client import NotDoneError
from failoverd.cli.ctl import main

PROGRAMS = Path("/opt/failoverd/bin")
UNIT = "etc/systemd/system/failoverd.service"
RULES = "etc/udev/rules.d/70-failoverd.rules"
NO_MAC = 65534
FILES = service.files


def contents(root: Path) -> dict[str, str]:
    """The files below a root, by their places."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_each_file_goes_to_its_place_and_names_the_programs_that_are_here(tmp_path: Path) -> None:
    service.install(tmp_path, PROGRAMS)
    found = contents(tmp_path)
    assert found.keys() >= {
        *(UNIT, RULES, "etc/systemd/system/failoverd-hooks.socket", "etc/sysusers.d/failoverd.conf"),
        *("etc/dbus-1/system.d/org.failoverd1.conf", "etc/systemd/system/cloud-init.service.d/failoverd.conf"),
        *("usr/local/share/man/man8/failoverctl.8", "usr/local/share/man/man5/failoverd.toml.5"),
        "usr/local/share/bash-completion/completions/failoverctl",
        "usr/local/share/zsh/site-functions/_failoverctl",
    }
    assert "\nExecStart=/opt/failoverd/bin/failoverd\n" in found[UNIT]
    module = found[f"{service.LOCAL}/failoverd/cloud-init/sitecustomize.py"]
    assert 'FAILOVERCTL = "/opt/failoverd/bin/failoverctl"' in module
    assert not [place for place, text in found.items() if re.search(r"/usr/(bin/failover|share/failoverd)", text)]
    assert all((tmp_path / place).stat().st_mode & 0o777 == 0o644 for place in found)
    assert (tmp_path / "etc/failoverd/hooks.d").is_dir()


def tree(where: Path) -> Path:
    """Install failoverd in a place, and failoverd-etcd beside it. Returns the directory of failoverd's files."""
    beside = where / "failoverd_etcd" / "share" / "units"
    beside.mkdir(parents=True)
    (beside / "failoverd-etcd.service").write_text("[Service]\nExecStart=/usr/bin/failoverd-etcd\n")
    (beside / "failoverd-etcd.sysusers").write_text("u failoverd-etcd - x -\n")
    share = where / "failoverd" / "share"
    share.parent.mkdir()
    share.symlink_to(service.SHARE)
    return share


def test_what_is_installed_beside_failoverd_is_copied_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = tree(tmp_path / "site")
    monkeypatch.setattr(service, "files", lambda programs: FILES(programs, share))
    root = tmp_path / "root"
    said = service.install(root, PROGRAMS)
    unit = root / "etc/systemd/system/failoverd-etcd.service"
    assert unit.read_text() == "[Service]\nExecStart=/opt/failoverd/bin/failoverd-etcd\n"
    assert (root / "etc/sysusers.d/failoverd-etcd.conf").exists()
    assert said[-1] == f"systemctl --root={root} enable failoverd-etcd.service"
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / unit.name).symlink_to(unit)
    with pytest.raises(
        NotDoneError, match=rf"failoverd-etcd.service is enabled; first run: systemctl --root={root} dis"
    ):
        service.remove(root)
    (wants / unit.name).unlink()
    wants.rmdir()
    service.remove(root)
    assert contents(root) == {}


def test_a_second_run_writes_the_same(tmp_path: Path) -> None:
    said = service.install(tmp_path, PROGRAMS)
    before = contents(tmp_path)
    assert service.install(tmp_path, PROGRAMS) == said
    assert contents(tmp_path) == before


def test_a_run_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    service.install(tmp_path, PROGRAMS)
    before = contents(tmp_path)
    (tmp_path / service.LIST).unlink()
    (tmp_path / RULES).unlink()
    service.install(tmp_path, PROGRAMS)
    assert contents(tmp_path).keys() == before.keys()
    service.remove(tmp_path)
    assert contents(tmp_path) == {}


def test_an_upgrade_replaces_what_the_earlier_release_had_and_removes_what_is_no_more(tmp_path: Path) -> None:
    service.install(tmp_path, PROGRAMS)
    now = contents(tmp_path)
    listed = json.loads(now[service.LIST])
    for place, text in ((UNIT, "of before"), ("etc/udev/rules.d/71-failoverd.rules", "no more")):
        (tmp_path / place).write_text(text)
        listed["files"][place] = service._sum(text)
    changed = tmp_path / "etc/udev/rules.d/72-failoverd.rules"
    changed.write_text("no more, and changed")
    listed["files"]["etc/udev/rules.d/72-failoverd.rules"] = service._sum("no more")
    (tmp_path / service.LIST).write_text(json.dumps(listed))
    assert f"# {changed} was changed since it was copied, and stays" in service.install(tmp_path, PROGRAMS)
    changed.unlink()
    assert contents(tmp_path) == now


@pytest.mark.parametrize("link", [False, True])
def test_what_is_an_administrators_is_neither_replaced_nor_removed(tmp_path: Path, link: bool) -> None:
    service.install(tmp_path, PROGRAMS)
    rules = tmp_path / RULES
    rules.unlink()
    if link:
        rules.symlink_to("/dev/null")
    else:
        rules.write_text("# mine\n")
    before = contents(tmp_path)
    with pytest.raises(NotDoneError, match=rf"^{rules} is there, and not as this command would have left it; move it"):
        service.install(tmp_path, Path("/elsewhere"))
    assert contents(tmp_path) == before, "a refusal comes before anything is written"
    assert service.remove(tmp_path) == [f"# {rules} was changed since it was copied, and stays"]
    assert list(contents(tmp_path)) == ([] if link else [RULES])
    assert os.path.lexists(rules)


def test_a_removal_leaves_what_was_there_before(tmp_path: Path) -> None:
    for place in ("etc/udev/rules.d", "usr/local/share/man"):
        (tmp_path / place).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    service.install(tmp_path, PROGRAMS)
    cache = tmp_path / service.LOCAL / "failoverd/cloud-init/__pycache__"
    cache.mkdir()
    (cache / "sitecustomize.pyc").touch()
    service.remove(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_configuration_stays(tmp_path: Path) -> None:
    service.install(tmp_path, PROGRAMS)
    (tmp_path / "etc/failoverd/failoverd.toml").write_text("# mine\n")
    service.remove(tmp_path)
    assert contents(tmp_path) == {"etc/failoverd/failoverd.toml": "# mine\n"}


def test_a_service_that_is_enabled_is_not_removed(tmp_path: Path) -> None:
    service.install(tmp_path, PROGRAMS)
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants/failoverd.service"
    wants.parent.mkdir()
    wants.symlink_to(f"/{UNIT}")
    with pytest.raises(NotDoneError, match=rf"enabled; first run: systemctl --root={tmp_path} disable failoverd-hooks"):
        service.remove(tmp_path)
    assert (tmp_path / UNIT).exists()


def test_what_is_not_there_is_not_removed(tmp_path: Path) -> None:
    with pytest.raises(NotDoneError, match="this command has installed no service here"):
        service.remove(tmp_path)


def test_beside_a_package_there_is_nothing_to_do(tmp_path: Path) -> None:
    unit = tmp_path / "usr/lib/systemd/system/failoverd.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    with pytest.raises(NotDoneError, match=f"^{unit}: a package has installed the service"):
        service.install(tmp_path, PROGRAMS)
    assert list(contents(tmp_path)) == [str(unit.relative_to(tmp_path))]


def test_a_place_that_a_unit_cannot_name_is_refused() -> None:
    with pytest.raises(NotDoneError, match="a unit cannot name a program there"):
        service.files(Path("/opt/my tools/bin"))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment, as far as it is looked at, and a home beside it that the service does not see."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    for name in ("failoverd", "python"):
        (tmp_path / "bin" / name).touch()
    monkeypatch.setattr(service, "HIDDEN", (str(tmp_path / "home"),))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "failoverctl")])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    return tmp_path


def test_the_programs_are_beside_failoverctl(environment: Path) -> None:
    assert service.programs() == environment / "bin"
    (environment / "bin" / "failoverd").unlink()
    with pytest.raises(NotDoneError, match=r"there is no .*/bin/failoverd; pip install failoverd puts it there"):
        service.programs()


@pytest.mark.parametrize("name", ["failoverd", "python"])
def test_what_leads_into_a_home_is_refused(environment: Path, name: str) -> None:
    """A venv made by a Python of pyenv's, say, which has its programs below a home."""
    (environment / "bin" / name).rename(environment / "home" / name)
    (environment / "bin" / name).symlink_to(environment / "home" / name)
    with pytest.raises(NotDoneError, match=f"^{environment}/home/{name}: {environment}/home is hidden from"):
        service.programs()


def test_the_command_prints_what_to_run_next(
    environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "image"
    root.mkdir()
    assert main(["install-service", "--root", str(root)]) == 0
    enable = f"systemctl --root={root} enable failoverd-hooks.socket failoverd-netns.socket failoverd.service"
    assert capsys.readouterr().out.splitlines() == ["# next, as root:", f"systemd-sysusers --root={root}", enable]
    assert main(["--json", "install-service", "--root", str(root)]) == 0
    assert json.loads(capsys.readouterr().out) == {"next": [f"systemd-sysusers --root={root}", enable]}
    assert main(["install-service", "--remove", "--root", str(root)]) == 0
    assert list(root.iterdir()) == []


def test_on_this_system_the_commands_start_it_and_end_it() -> None:
    enabled = "failoverd-hooks.socket failoverd-netns.socket failoverd.service"
    assert [line for line in service.START if "failoverd" in line] == [
        f"systemctl enable {enabled}",
        "systemctl start failoverd-hooks.socket failoverd-netns.socket",
        "systemctl restart failoverd.service",
    ]
    assert service.STOP.startswith(f"systemctl disable --now {enabled}")


def test_no_directory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--remove"]):
        assert main(["install-service", *words, "--root", str(tmp_path / "typo")]) == 1
        assert capsys.readouterr().err.startswith(f"failoverctl: {tmp_path}/typo is no directory; --root takes")


def test_it_requires_root(environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "image"
    root.mkdir()
    before = os.geteuid()
    root.chmod(0o555)
    if before == 0:
        os.seteuid(NO_MAC)
    try:
        code = main(["install-service", "--root", str(root)])
    finally:
        os.seteuid(before)
    assert code == 6
    assert capsys.readouterr().err.endswith("Permission denied; try it as root\n")
    assert list(root.iterdir()) == []


def test_another_mistake_of_the_system_is_told(
    environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "etc").touch()
    assert main(["install-service", "--root", str(tmp_path / "image")]) == 1
    assert capsys.readouterr().err == f"failoverctl: {tmp_path}/image/etc/systemd/system: Not a directory\n"
