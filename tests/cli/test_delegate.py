"""The commands whose options argparse takes: the table has the same, and says the same of a mistake."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from failoverd.cli import history, service, servicemark
from failoverd.cli.commands import COMMANDS
from failoverd.cli.ctl import main

NOBODY = 65534


@pytest.mark.parametrize(
    ("command", "add_options"), [("history", history.add_options), ("install-service", service.add_arguments)]
)
def test_the_table_has_their_options(command: str, add_options: Callable[[argparse.ArgumentParser], None]) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_options(parser)
    taken = {(action.option_strings[-1], action.metavar or "") for action in parser._actions}
    assert taken == {(option.flag, option.value) for option in COMMANDS[command].options}


def test_a_wrong_value_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--last", "many"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("failoverctl: argument --last: 'many' is no number of events; failoverctl history --help")
    assert "\nusage: failoverctl history [--master NAME]" in err


def test_install_service_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tmp_path / "usr/lib/systemd/system/failoverd.service"
    package.parent.mkdir(parents=True)
    package.touch()
    assert main(["install-service", "--dry-run", "--root", str(tmp_path)]) == 1
    assert "a package has installed the service" in capsys.readouterr().err


def test_install_service_into_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--dry-run"], ["--dry-run", "--remove"]):
        assert main(["install-service", *words, "--root", str(tmp_path / "typo")]) == 1
        assert capsys.readouterr().err.startswith(f"failoverctl: {tmp_path}/typo is no directory; --root takes")


def test_install_service_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, and errors are text all the same."""
    words = ["--json", "install-service", "--dry-run", "--remove", "--root", str(tmp_path)]
    assert main(words) == 0
    said = "leave everything as it is: there is no service of this kind"
    assert json.loads(capsys.readouterr().out) == {"dry_run": True, "steps": [said]}
    unit = tmp_path / "etc/systemd/system/failoverd.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(f"# {servicemark.MARK}\n")
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"dry_run": True, "steps": []}
    assert err.startswith(f"failoverctl: {unit} was changed since")


def test_install_service_is_roots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        code = main(["install-service", "--root", str(tmp_path)])
    finally:
        os.seteuid(before)
    assert (code, capsys.readouterr().err.partition(";")[0]) == (6, "failoverctl: this is root's")
    assert list(tmp_path.iterdir()) == []


def test_quiet_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history").write_text('{"event": "started", "at": 1, "monotonic": 1}\n')
    monkeypatch.setenv("FAILOVERD_HISTORY", str(tmp_path / "history"))
    assert main(["history"]) == 0
    assert "started" in capsys.readouterr().out
    assert main(["history", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
