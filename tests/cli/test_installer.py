"""What install-service writes, and where it refuses; what systemd makes of it is shown in a guest."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from failoverd.cli import service, servicefiles, servicemark, servicereach

UNIT = "[Service]\nExecStart=/usr/bin/failoverd\nExecReload=+/usr/bin/failoverctl reload\nExecStop=/usr/bin/true\n"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Files to install, few and plain."""
    where = tmp_path / "share"
    for name, text in {
        "units/failoverd.service": UNIT,
        "units/org.failoverd1.conf": "<busconfig>\n</busconfig>\n",
        "udev-rules/70-failoverd.rules": "# nothing\n",
    }.items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text)
    return where


def test_each_file_goes_to_its_place_and_says_whose_it_is(share: Path) -> None:
    files = servicefiles.service_files(Path("/opt/failoverd/bin"), share)
    assert [str(file.place) for file in files] == [
        "etc/dbus-1/system.d/org.failoverd1.conf",
        "etc/udev/rules.d/70-failoverd.rules",
        "etc/systemd/system/failoverd.service",
    ]
    assert all(servicemark.MARK in file.text.splitlines()[-1] for file in files)
    assert files[0].text.endswith("-->\n")


def test_manual_pages_and_completions_go_where_they_are_looked_for() -> None:
    places = {str(file.place) for file in servicefiles.service_files(Path("/usr/bin"))}
    assert places >= {
        *("usr/local/share/man/man8/failoverctl.8", "usr/local/share/man/man5/failoverd.toml.5"),
        "usr/local/share/bash-completion/completions/failoverctl",
        "usr/local/share/zsh/site-functions/_failoverctl",
    }


@pytest.mark.parametrize(
    ("programs", "start"),
    [
        ("/opt/failoverd/bin", "/opt/failoverd/bin/failoverd"),
        ("/opt/100%/bin", "/opt/100%%/bin/failoverd"),
        ("/opt/my tools/bin", '"/opt/my tools/bin/failoverd"'),
    ],
)
def test_the_unit_starts_the_programs_that_are_here(share: Path, programs: str, start: str) -> None:
    lines = servicefiles.service_files(Path(programs), share)[-1].text.splitlines()
    control = start.replace("bin/failoverd", "bin/failoverctl")
    assert lines[1:4] == [f"ExecStart={start}", f"ExecReload=+{control} reload", "ExecStop=/usr/bin/true"]


def test_a_module_for_others_calls_the_program_that_is_here(share: Path) -> None:
    neighbours = share / "neighbours" / "cloud-init"
    neighbours.mkdir(parents=True)
    (neighbours / "sitecustomize.py").write_text('FAILOVERCTL = "/usr/bin/failoverctl"\n')
    (neighbours / "failoverd.conf").write_text("[Service]\nEnvironment=PYTHONPATH=/usr/share/failoverd/cloud-init\n")
    files = servicefiles.service_files(Path("/opt/my tools/bin"), share)
    texts = {str(file.place): file.text.splitlines()[:-1] for file in files}
    module = texts["usr/local/share/failoverd/cloud-init/sitecustomize.py"]
    assert module == ["FAILOVERCTL = '/opt/my tools/bin/failoverctl'"]
    drop_ins = [lines for place, lines in texts.items() if place.endswith(".service.d/failoverd.conf")]
    assert drop_ins == [["[Service]", "Environment=PYTHONPATH=/usr/local/share/failoverd/cloud-init"]] * 4


def test_a_removal_leaves_no_directory_that_is_empty(tmp_path: Path) -> None:
    mine, theirs = (tmp_path / f"etc/systemd/system/{unit}.service.d" for unit in ("cloud-init", "cloud-init-local"))
    for place in (mine, theirs):
        place.mkdir(parents=True)
        (place / "failoverd.conf").write_text(servicemark.marked("[Unit]\n"))
    (theirs / "other.conf").write_text("[Unit]\n")
    service._remove(service.Hands(tmp_path, dry_run=False))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["other.conf"]
    assert not mine.exists()


def test_an_installation_without_units_says_so(tmp_path: Path) -> None:
    with pytest.raises(servicefiles.RefusedError, match="has no units"):
        servicefiles.service_files(Path("/usr/bin"), tmp_path)


def options(root: Path, **given: bool) -> argparse.Namespace:
    """As the command line would have it; in words only."""
    return argparse.Namespace(**{"root": root, "dry_run": True, "remove": False, "json": False} | given)


def test_it_refuses_beside_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = tmp_path / "usr/lib/systemd/system/failoverd.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    for remove in (False, True):
        assert service.run(options(tmp_path, remove=remove)) == 1
        assert f"{unit}: a package has installed the service" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("*"))) == 5


def test_only_what_bears_its_mark_is_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = tmp_path / "etc/systemd/system/failoverd.service"
    theirs = tmp_path / "etc/dbus-1/system.d/org.failoverd1.conf"
    for path, text in ((ours, servicemark.marked("[Unit]\n\n[Install]\n")), (theirs, "<busconfig/>\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert service.run(options(tmp_path, remove=True)) == 0
    said = capsys.readouterr().out
    assert f"would remove {ours}" in said
    assert str(theirs) not in said
    assert ours.exists()


@pytest.mark.parametrize(
    "text", ["[Unit]\n", "<busconfig>\n</busconfig>\n", ".TH X 8\n", '.\\" Made.\n.TH X 8\n', "\udcff\r\n", ""]
)
def test_a_file_is_ours_until_somebody_changes_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    written = servicemark.marked(text)

    def judged(text: str) -> tuple[bool, bool]:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return servicemark.is_ours(path), servicemark.was_changed(path)

    assert judged(written) == (True, False)
    for changed in (f"x{written}", f"{written}x\n", written.replace("takes it away.", "takes it away. "), written * 2):
        assert judged(changed) == (False, True)
    assert judged(text) == (False, False)


def test_what_an_administrator_has_put_into_a_file_is_never_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule for a group, say, in the file of the bus's policy."""
    policy = tmp_path / "etc/dbus-1/system.d/org.failoverd1.conf"
    file = next(file for file in servicefiles.service_files(Path("/usr/bin")) if tmp_path / file.place == policy)
    hands = service.Hands(tmp_path, dry_run=False)
    hands.write(file)
    service._refuse_to_replace(policy)
    rule = '<policy group="failoverd-admin"><allow send_destination="org.failoverd1"/></policy>\n</busconfig>\n<!-- Put'
    policy.write_text(file.text.replace("</busconfig>\n<!-- Put", rule))
    with pytest.raises(servicefiles.RefusedError, match="was changed since this command wrote it; what is yours"):
        service._refuse_to_replace(policy)
    assert service.run(options(tmp_path, remove=True)) == 1
    assert f"{policy} was changed since" in capsys.readouterr().err
    assert 'group="failoverd-admin"' in policy.read_text()


def test_the_places_of_hooks_are_made_for_all_to_see(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hands = service.Hands(tmp_path, dry_run=False)
    for place in service.DIRECTORIES * 2:
        hands.make(tmp_path / place)
    assert capsys.readouterr().out.splitlines() == [f"make {tmp_path / place}" for place in service.DIRECTORIES]
    assert (tmp_path / "etc/failoverd/hooks.d").stat().st_mode & 0o777 == 0o755


def test_a_removal_leaves_no_directory_of_its_own(tmp_path: Path) -> None:
    hands = service.Hands(tmp_path, dry_run=False)
    files = [file for file in servicefiles.service_files(Path("/usr/bin")) if file.place.is_relative_to("usr")]
    for file in files:
        hands.write(file)
    theirs = tmp_path / "usr/local/share/zsh/site-functions/_other"
    theirs.touch()
    for file in files:
        hands.remove(tmp_path / file.place)
    service._leave_nothing_empty(hands, files)
    local = tmp_path / "usr/local/share"
    assert sorted(str(path.relative_to(local)) for path in local.rglob("*")) == [
        *("man", "zsh", "zsh/site-functions", "zsh/site-functions/_other")
    ]


def test_it_looks_for_all_programs_that_the_units_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = servicefiles.programs_named(servicefiles.SHARE)
    assert named == ["failoverctl", "failoverd", "failoverd-hooks"]
    monkeypatch.setattr("sys.argv", [str(tmp_path / "failoverctl")])
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    for name in named[:2]:
        (tmp_path / name).touch()
    with pytest.raises(servicefiles.RefusedError, match="need the programs failoverctl, failoverd, failoverd-hooks,"):
        servicereach.programs()


def test_a_file_is_written_whole_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hands = service.Hands(tmp_path, dry_run=False)
    file = servicefiles.File(Path("etc/x/failoverd.conf"), "text\n")
    hands.write(file)
    hands.write(file)
    path = tmp_path / file.place
    assert capsys.readouterr().out.splitlines() == [f"write {path}", f"leave {path} as it is"]
    assert (path.read_text(), path.stat().st_mode & 0o777, len(list(path.parent.iterdir()))) == ("text\n", 0o644, 1)


def test_a_command_that_fails_ends_it_unless_it_may(tmp_path: Path) -> None:
    hands = service.Hands(tmp_path, dry_run=False)
    hands.call("false", needed=False)
    hands.call("no-such-command-here", needed=False)
    with pytest.raises(servicefiles.RefusedError, match="no-such-command-here failed"):
        hands.call("no-such-command-here")


def test_sockets_are_started_before_those_who_write_to_them() -> None:
    names = ("failoverd.service", "failoverd-hooks.socket", "failoverd-hooks.service")
    texts = ("\n[Install]\n", "\n[Install]\n", "")
    files = [servicefiles.File(Path("etc/systemd/system", name), text) for name, text in zip(names, texts, strict=True)]
    assert service._enabled(files) == ["failoverd-hooks.socket", "failoverd.service"]


def old(root: Path, place: str, text: str = "[Unit]\n") -> Path:
    """A file as another release has written it."""
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(servicemark.marked(text))
    return path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """An installation that runs no command and finds its programs; the commands it would run."""
    found: list[tuple[str, ...]] = []
    monkeypatch.setattr(service.Hands, "call", lambda _, *command, needed=True: found.append(command))
    monkeypatch.setattr(service, "programs", lambda: Path("/opt/failoverd/bin"))
    return found


@pytest.mark.parametrize("remove", [False, True])
def test_what_an_earlier_release_has_left_is_taken_away(
    tmp_path: Path, calls: list[tuple[str, ...]], remove: bool
) -> None:
    gone = [
        old(tmp_path, "etc/systemd/system/failoverd-old.service", "[Unit]\n\n[Install]\nWantedBy=x\n"),
        old(tmp_path, "etc/systemd/system/cloud-init.service.d/00-failoverd.conf"),
        old(tmp_path, "etc/udev/rules.d/69-failoverd.rules", "# nothing\n"),
        old(tmp_path, "usr/local/share/man/man8/failoverd-old.8", ".TH X 8\n"),
    ]
    theirs = tmp_path / "etc/systemd/system/theirs.service"
    theirs.write_text("[Unit]\n")
    changed = old(tmp_path, "etc/udev/rules.d/71-failoverd.rules", "# nothing\n")
    changed.write_text("# mine\n" + changed.read_text())
    (service._remove if remove else service._install)(service.Hands(tmp_path, dry_run=False))
    assert [path for path in gone if path.exists()] == []
    assert theirs.exists()
    assert changed.read_text().startswith("# mine\n")
    assert (tmp_path / "etc/udev/rules.d/70-failoverd.rules").exists() is not remove
    disabled = [command[3:] for command in calls if command[1:] == (f"--root={tmp_path}", "disable", *command[3:])]
    assert disabled == [("failoverd-old.service",)]


def test_what_is_left_of_an_earlier_release_is_told(
    tmp_path: Path, calls: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    left = old(tmp_path, "etc/udev/rules.d/71-failoverd.rules", "# nothing\n")
    left.write_text("# mine\n" + left.read_text())
    assert service.run(options(tmp_path)) == 0
    assert f"would leave {left} of an earlier release as it is: it was changed since" in capsys.readouterr().out


def test_an_update_of_the_same_release_takes_nothing_away(
    tmp_path: Path, calls: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    service._install(service.Hands(tmp_path, dry_run=False))
    capsys.readouterr()
    service._install(service.Hands(tmp_path, dry_run=False))
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if not line.startswith("leave ")] == []


def test_a_program_the_service_cannot_see_is_refused() -> None:
    assert servicereach.unreachable(Path("/tmp/venv/bin/failoverd")) == "/tmp is hidden from the service"
    assert servicereach.unreachable(Path("/usr/bin/env")) == ""


@pytest.fixture
def opt(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that anybody may enter, with a home in it that the service does not see."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    (place / "home").mkdir()
    monkeypatch.setattr(servicereach, "HIDDEN", (str(place / "home"),))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def environment(opt: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment, as far as it is looked at, in which all is as it should be."""
    for place in ("bin", "usr", "lib", "lib/site"):
        (opt / place).mkdir()
    for name in servicefiles.programs_named(servicefiles.SHARE):
        (opt / "bin" / name).write_text("#!/bin/sh\n")
    for name in ("usr/python3.11", "lib/os.py", *(f"lib/site/{name}.py" for name in servicereach.MODULES)):
        (opt / name).touch(0o644)
    (opt / "bin" / "python3").symlink_to(opt / "usr" / "python3.11")
    (opt / "bin" / "python").symlink_to("python3")
    monkeypatch.setattr("sys.argv", [str(opt / "bin" / "failoverctl")])
    monkeypatch.setattr("sys.executable", str(opt / "bin" / "python"))
    monkeypatch.setattr(os, "__file__", str(opt / "lib" / "os.py"))
    monkeypatch.setattr(servicereach, "_module", lambda name: opt / "lib" / "site" / f"{name}.py")
    return opt


def test_an_environment_in_plain_sight_will_do(environment: Path) -> None:
    assert servicereach.programs() == environment / "bin"


@pytest.mark.parametrize(
    ("hidden", "what"),
    [
        ("usr/python3.11", "bin/python: it leads to .*/home/python3.11, and .* the Python that is to run it;"),
        ("bin/python3", "bin/python: it leads to .*/home/python3, and .* the Python that is to run it;"),
        ("bin/failoverd", "bin/failoverd: it leads to .*/home/failoverd, and .* could not reach this program;"),
        ("lib/os.py", "lib/os.py: it leads to .*/home/os.py, and .* that Python's own library;"),
        ("lib/site", "lib/site/dbus_next.py: it leads to .*/home/site/dbus_next.py, and .* the module dbus_next;"),
        ("lib/site/trio.py", "lib/site/trio.py: it leads to .*/home/trio.py, and .* the module trio;"),
    ],
)
def test_whatever_a_start_needs_is_refused_in_a_home(environment: Path, hidden: str, what: str) -> None:
    """A venv made by a Python of pyenv's, say, which has its programs below root's home."""
    path = environment / hidden
    path.rename(environment / "home" / path.name)
    path.symlink_to(environment / "home" / path.name)
    with pytest.raises(servicefiles.RefusedError, match=f"{what} install failoverd into a virtual environment"):
        servicereach.programs()


def test_a_way_through_a_home_is_none(environment: Path) -> None:
    """The Python is where all can see it; the link to it is not."""
    (environment / "home" / "python3").symlink_to(environment / "usr" / "python3.11")
    (environment / "bin" / "python3").unlink()
    (environment / "bin" / "python3").symlink_to(environment / "home" / "python3")
    with pytest.raises(servicefiles.RefusedError, match=r"it leads to .*/home/python3, and .* is hidden"):
        servicereach.programs()


def test_what_only_some_may_read_is_refused(environment: Path) -> None:
    (environment / "lib" / "site" / "trio.py").chmod(0o600)
    with pytest.raises(servicefiles.RefusedError, match=r"trio\.py: only some may read it: .* the module trio;"):
        servicereach.programs()
    (environment / "lib").chmod(0o700)
    with pytest.raises(servicefiles.RefusedError, match=r"os\.py: only some may enter .*/lib: "):
        servicereach.programs()


def test_modules_are_found_and_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "not_to_be_run.py").write_text("raise SystemExit('run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert servicereach._module("not_to_be_run") == tmp_path / "not_to_be_run.py"
    with pytest.raises(servicefiles.RefusedError, match="has no module not_there, without which"):
        servicereach._module("not_there")
