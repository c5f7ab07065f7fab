from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from failoverd.daemon.notify import READY_PATIENCE, Notifier, sentence, watchdog_period


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_what_the_manager_hears(manager: socket.socket) -> None:
    notifier = Notifier(1.0)
    notifier.ready("ens3 accelerated on ens4")
    notifier.status("ens3 accelerated on ens4")
    notifier.status("ens3 on-standby on ens3nsby")
    notifier.pet()
    notifier.stopping()
    assert heard(manager) == [
        "READY=1\nSTATUS=ens3 accelerated on ens4",
        "STATUS=ens3 on-standby on ens3nsby",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_the_state_in_one_line(manager: socket.socket) -> None:
    joined = {"name": "ens3", "ifindex": 5, "state": "accelerated", "active": "ens4"}
    silent = {"name": "ens5", "ifindex": 6, "state": "degraded", "active": ""}
    apart = {"name": "ens7", "ifindex": 0, "state": "joining", "active": ""}
    document: dict[str, Any] = {"masters": [joined, silent, apart], "nics": []}
    assert sentence(document) == "ens3 accelerated on ens4, ens5 degraded on nothing"
    notifier = Notifier()
    for told in (document, document, document | {"masters": []}):
        notifier.stepped(told)
    assert heard(manager) == [f"STATUS={sentence(document)}", "STATUS=no pair found yet"]


def test_a_reload_tells_its_moment(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("as it was")
    notifier.reloading()
    notifier.reloaded("as it is")
    _, message, over = heard(manager)
    first, second = message.split("\n")
    assert first == "RELOADING=1"
    assert second.removeprefix("MONOTONIC_USEC=").isdigit()
    assert over == "READY=1\nSTATUS=as it is"


def test_who_is_not_ready_yet_is_not_ready_by_a_reload(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.reloading()
    notifier.reloaded("as it is")
    assert heard(manager) == ["STATUS=as it is"]


def test_after_a_reload_nobody_waits_for_a_manager_that_does_not_read(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready("fine")
    for i in range(5000):
        notifier.status(f"{i}")
    before = time.monotonic()
    notifier.reloaded("fine")
    assert time.monotonic() - before < READY_PATIENCE / 2
    heard(manager)
    notifier.status("fine")
    notifier.status("fine")
    assert heard(manager) == ["READY=1\nSTATUS=fine"], "with the next step, and once"


def test_what_is_wrong_is_told_with_every_status(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.trouble = "a mistake"
    notifier.ready("fine")
    notifier.status("better")
    notifier.trouble = ""
    notifier.reloaded("better")
    assert heard(manager) == [
        "READY=1\nSTATUS=a mistake; fine",
        "STATUS=a mistake; better",
        "READY=1\nSTATUS=better",
    ]


def test_a_name_of_odd_bytes_does_not_cost_the_message(manager: socket.socket) -> None:
    Notifier().ready("ü\udcff\n日本 on")
    assert heard(manager) == ["READY=1\nSTATUS=?? ?? on"]


def test_signs_of_life_are_no_more_than_are_wanted(manager: socket.socket) -> None:
    notifier = Notifier(1000.0)
    for _ in range(100):
        notifier.pet()
    assert heard(manager) == ["WATCHDOG=1"]


def test_without_a_watchdog_there_are_none(manager: socket.socket) -> None:
    Notifier().pet()
    assert heard(manager) == []


def test_a_manager_that_does_not_read_holds_up_nothing(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier()
    for i in range(5000):
        notifier.status(f"{i}")
    assert 0 < len(heard(manager)) < 5000
    for i in range(5000):
        notifier.status(f"{i}")
    notifier.ready("")
    assert "does not know that failoverd is ready" in caplog.text
    heard(manager)
    notifier.status("")
    assert heard(manager) == ["READY=1\nSTATUS="], "it would end us without"


def test_a_manager_that_is_gone(manager: socket.socket) -> None:
    notifier = Notifier(1.0)
    manager.close()
    notifier.ready("")
    notifier.pet()
    notifier.stopping()


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_manager_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str | None
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if path is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
    notifier = Notifier(1.0)
    notifier.ready("")
    notifier.pet()
    assert caplog.text == ""


@pytest.mark.parametrize("path", ["/no/such/socket", "@nobody-listens", "x" * 300, "vsock:2:1"])
def test_a_manager_that_cannot_be_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    Notifier(1.0).ready("")
    assert f"NOTIFY_SOCKET={path} cannot be reached" in caplog.text


@pytest.mark.parametrize(
    ("environment", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "x"}, None),
        ({"WATCHDOG_USEC": "1"}, 0.05),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "1e6"}, None),
        ({"WATCHDOG_USEC": "9" * 400}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(environment: dict[str, str], period: float | None) -> None:
    assert watchdog_period(environment) == period
