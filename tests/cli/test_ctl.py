from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from failoverd.cli import client
from failoverd.cli.ctl import main

VF = {"name": "ens4", "carrier": True}
NIC = {"name": "ens3nsby", "carrier": True}


def master(state: str = "accelerated", **more: Any) -> dict[str, Any]:
    row = {
        "name": "ens3",
        "mac": "52:54:00:00:00:01",
        "state": state,
        "datapath": "bond",
        "reason": "",
        "active": "ens4",
        "primary": VF,
        "standby": NIC,
    }
    return row | more


def status(*masters: dict[str, Any]) -> bytes:
    return json.dumps({"ok": {"masters": masters, "nics": []}}).encode() + b"\n"


@contextmanager
def daemon(where: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Something at the control socket that answers one call with these bytes; what it was asked."""
    asked: list[bytes] = []
    path = where / "control"
    monkeypatch.setenv("FAILOVERD_CONTROL", str(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(10)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(10)
                asked.append(peer.makefile("rb").readline())
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([], 0),
        (["accelerated"], 0),
        (["accelerated", "released"], 0),
        (["accelerated", "on-standby"], 4),
        (["joining"], 4),
        (["releasing"], 4),
        (["on-standby", "degraded"], 5),
    ],
)
def test_the_exit_code_tells_the_worst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: list[str], code: int
) -> None:
    with daemon(tmp_path, status(*(master(state) for state in states)), monkeypatch):
        assert main(["status"]) == code


def test_status_is_what_is_told_without_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = master("degraded", active=None, primary=None, standby=None, reason="no slave can carry", name="\x1b7")
    with daemon(tmp_path, status(master(), bare), monkeypatch) as asked:
        assert main([]) == 5
    assert capsys.readouterr().out.splitlines() == [
        "MASTER  STATE        ACTIVE  PRIMARY  STANDBY   DATAPATH  MAC                WHY",
        "ens3    accelerated  ens4    ens4     ens3nsby  bond      52:54:00:00:00:01  -",
        "\\x1b7   degraded     -       -        -         bond      52:54:00:00:00:01  no slave can carry",
    ]
    assert json.loads(asked[0]) == {"call": "status", "argument": ""}


@pytest.mark.parametrize("words", [["--json"], ["--json", "status"], ["status", "--json"]])
def test_json_is_the_daemons_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with daemon(tmp_path, status(master(name="\udcff")), monkeypatch):
        assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["masters"] == [master(name="\udcff")]


def test_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"name": "ens4", "mac": "52:54:00:00:00:01", "driver": "", "verdict": "paired", "reason": "with ens3"}
    with daemon(tmp_path, json.dumps({"ok": {"nics": [row]}}).encode() + b"\n", monkeypatch) as asked:
        assert main(["explain", "ens4"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "ens4  52:54:00:00:00:01  -       paired   with ens3"
    assert json.loads(asked[0]) == {"call": "explain", "argument": "ens4"}


def test_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(tmp_path, b'{"ok": {"mac": "52:54:00:00:00:01"}}\n', monkeypatch) as asked:
        assert main(["release", "ens3"]) == 0
    assert "release: under way for 52:54:00:00:00:01" in capsys.readouterr().out
    assert json.loads(asked[0]) == {"call": "release", "argument": "ens3"}


def test_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(tmp_path, b'{"error": {"text": "ens9 belongs to no pair"}}\n', monkeypatch):
        assert main(["adopt", "ens9"]) == 1
    assert capsys.readouterr() == ("", "failoverctl: ens9 belongs to no pair\n")


@pytest.mark.parametrize(
    "answer",
    [b"", b"\n", b"null\n", b"[]\n", b"7\n", b"{}\n", b'{"error": 7}\n', b'{"error": {}}\n', b'{"ok"', b"\xff\xfe\n"],
)
def test_what_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    with daemon(tmp_path, answer, monkeypatch):
        assert main([]) == 3
    assert "systemctl restart failoverd" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none", "x" * 200])
def test_nobody_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / name))
    assert main([]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"failoverctl: no failoverd answers at {tmp_path / name} (")
    assert error.endswith("); systemctl start failoverd\n")


def test_a_daemon_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 1)
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()
        assert main([]) == 3
    assert "no answer at" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["reboot"], ["release"], ["adopt", "a", "b"], ["--frobnicate"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: failoverctl" in capsys.readouterr().err


def test_the_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "failoverctl explain ens4" in out
    assert "3 no daemon" in out
