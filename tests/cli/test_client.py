"""Talking to daemons that are not there, half dead, or something else."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest
from controlfake import Fake, error, ok

from failoverd.cli import client
from failoverd.cli.client import NoDaemonError, NotDoneError, call


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the control socket is looked for; nothing is there yet."""
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    return tmp_path / "control"


def test_a_call_and_its_answer(path: Path) -> None:
    with Fake(path, ok({"a": [1, None, "\udcff"]})) as fake:
        assert call("drain", 'e"n\\s3\n', "\udcff") == {"a": [1, None, "\udcff"]}
    assert fake.asked == [{"call": "drain", "arguments": ['e"n\\s3\n', "\udcff"]}]


def test_an_answer_in_many_pieces(path: Path) -> None:
    document = {"nics": ["x" * 1000] * 5000}
    with Fake(path, ok(document)):
        assert call("explain") == document


@pytest.mark.parametrize(("answer", "kind"), [(error("no", "Unfit"), "Unfit"), (b'{"error":{"text":"no"}}', "Failed")])
def test_a_refusal(path: Path, answer: bytes, kind: str) -> None:
    with Fake(path, answer), pytest.raises(NotDoneError, match=r"^no$") as caught:
        call("switch", "ens3", "ens4")
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "answer",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b'{"error": 7}\n',
        b'{"error": {}}\n',
        b'{"ok": 7}\n',
        b'{"ok"',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"ok": {}} {}\n',
    ],
)
def test_what_is_no_answer(path: Path, answer: bytes) -> None:
    with Fake(path, answer), pytest.raises(NoDaemonError, match="see systemctl status failoverd, and restart it"):
        call("status")


def test_a_daemon_that_ends_over_the_call(path: Path) -> None:
    with Fake(path, b""), pytest.raises(NoDaemonError, match="answered nothing; whether drain was done, its log tells"):
        call("drain", "ens3")


@pytest.mark.parametrize("name", ["none", "x" * 200, "file/control"])
def test_nobody_there(path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (path.parent / "file").touch()
    monkeypatch.setenv("FAILOVERD_CONTROL", str(path.parent / name))
    with pytest.raises(NoDaemonError, match=f"no failoverd answers at {path.parent / name} "):
        call("status")


def test_the_next_step_depends_on_whether_there_is_a_unit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "UNITS", (str(path.parent),))
    with pytest.raises(NoDaemonError, match=r"; there is no failoverd\.service, either: install the package"):
        call("status")
    (path.parent / "failoverd.service").touch()
    with pytest.raises(NoDaemonError, match="; systemctl start failoverd, and systemctl status"):
        call("status")


def test_a_socket_that_a_killed_daemon_left(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(NoDaemonError, match="Connection refused"):
        call("status")


def test_a_socket_that_is_not_for_everybody(path: Path) -> None:
    uid = os.geteuid()
    with Fake(path, ok({})):
        path.chmod(0)
        os.seteuid(uid or 65534)
        try:
            with pytest.raises(NotDoneError, match="Permission denied; try it as root") as caught:
                call("status")
        finally:
            os.seteuid(uid)
    assert caught.value.kind == "AccessDenied"


def test_a_daemon_that_does_not_answer(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(NoDaemonError, match=r"no answer at .* for 0\.2 s: failoverd is there"):
            call("status", patience=0.2)


def test_a_daemon_that_does_not_even_accept(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        begin = time.monotonic()
        with pytest.raises(NoDaemonError, match=r"no answer at .* for 0\.5 s"):
            call("status", patience=0.5)
        assert 0.4 < time.monotonic() - begin < 5


def test_a_byte_now_and_then_is_no_answer(path: Path) -> None:
    """The patience is for the whole answer."""
    stop = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            while not stop.wait(0.05):
                peer.sendall(b" ")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(NoDaemonError, match="no answer at"):
                call("status", patience=0.5)
        finally:
            stop.set()
            thread.join()
