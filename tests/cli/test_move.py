"""`failoverctl move`: the order, the table of what it would do, and wrong usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from controlfake import Fake, error, ok

from failoverd.cli.commands import DONE, REFUSED, TIMED_OUT, WRONG_USAGE
from failoverd.cli.ctl import main

PLAN = {
    "mac": "52:54:00:fa:11:01",
    "namespace": "web",
    "refused": "",
    "devices": [
        {
            "device": "ens3",
            "kind": "bond",
            "how": "cloned",
            "why": "",
            "takes": ["2 addresses", "MTU 1500"],
            "leaves": ["the policy rule 7 (it names eth7, too)"],
        },
        {"device": "ens4", "kind": "hardware", "how": "moved", "why": "", "takes": [], "leaves": []},
    ],
}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    with Fake(tmp_path / "control", ok(PLAN)) as fake:
        yield fake


def test_what_it_would_do_is_a_table(daemon: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["move", "ens3", "web", "--dry-run"]) == DONE
    assert capsys.readouterr().out.splitlines() == [
        "DEVICE  KIND      HOW     WHAT",
        "ens3    bond      cloned  with 2 addresses, MTU 1500; without the policy rule 7 (it names eth7, too)",
        "ens4    hardware  moved   -",
        "Nothing keeps it from being moved.",
    ]
    assert daemon.asked == [{"call": "move-plan", "arguments": ["ens3", "web"]}]
    assert main(["--json", "move", "ens3", "--home", "--dry-run"]) == DONE
    assert json.loads(capsys.readouterr().out) == PLAN
    assert daemon.asked[1] == {"call": "move-plan", "arguments": ["ens3"]}


def test_what_keeps_it_is_said_and_the_exit_code_tells(daemon: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    why = "gre1 stands on it and is a gre, which cannot be cloned yet; take it away first"
    row = {"device": "gre1", "kind": "gre", "how": "refused", "why": why}
    daemon.answer = ok(PLAN | {"refused": why, "devices": [row]})
    assert main(["move", "ens3", "web", "--dry-run"]) == REFUSED
    assert capsys.readouterr().out.splitlines()[1:] == [f"gre1    gre   refused  {why}", f"It stays where it is: {why}"]


def test_the_order_says_where_it_is(daemon: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answer = ok({"mac": "", "master": "ens3", "namespace": "web"})
    assert main(["move", "ens3", "web"]) == DONE
    assert main(["move", "ens3", "--home"]) == DONE
    said = "with all that stands on it"
    assert capsys.readouterr().out.splitlines() == [
        f"ens3 is in the network namespace web, {said}",
        f"ens3 is at home, {said}",
    ]
    assert [one["arguments"] for one in daemon.asked] == [["ens3", "web"], ["ens3"]]
    why = "there is no network namespace web; it is waited for"
    daemon.answer = ok({"mac": "", "master": "ens3", "namespace": "web", "pending": why})
    assert main(["move", "ens3", "web"]) == TIMED_OUT
    said = f"ens3 moves into the network namespace web as soon as that is there: {why}"
    assert capsys.readouterr().out.splitlines() == [said]
    daemon.answer = ok(PLAN | {"pending": why})
    assert main(["move", "ens3", "web", "--dry-run"]) == DONE
    assert capsys.readouterr().out.splitlines()[-1] == f"Nothing keeps it from being moved. It would wait: {why}."
    daemon.answer = error("ens3 was not moved: enslave ens4 to ens3 failed: EBUSY")
    assert main(["move", "ens3", "web"]) == REFUSED
    assert "was not moved" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["ens3"], ["ens3", "web", "--home"], [], ["ens3", "a", "b"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["move", *words]) == WRONG_USAGE
    assert "failoverctl move" in capsys.readouterr().err
