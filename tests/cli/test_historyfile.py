"""Reading the history: whatever is in the file, what comes out is events."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signals import JOINED, LOST, MAC, MOMENT, RELEASED, RENAMED

from failoverd.cli.historyfile import HistoryError, is_new_boot, moment, place, read, select
from failoverd.core.signal_facts import facts
from failoverd.daemon.history import History
from failoverd.model.signals import Signal


def event(at: float, **more: Any) -> dict[str, Any]:
    return {"event": "joined", "time": at, "monotonic": at, "master": "ens3", "mac": MAC} | more


def test_it_reads_what_the_daemon_writes(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    history.started()
    signals: tuple[Signal, ...] = (JOINED, LOST, RENAMED, RELEASED)
    for signal in signals:
        history.signalled(signal, MOMENT)
    history.stopped("SIGTERM")
    found = read(str(tmp_path / "history"))
    events = ["started", "joined", "failed-over", "link-renamed", "released", "stopped"]
    assert [one["event"] for one in found] == events
    for one, signal in zip(found[1:5], signals, strict=True):
        known = {key: fact for key, fact in facts(signal, MOMENT).items() if fact is not None}
        assert one == known | {"boot": one["boot"]}
    assert found[0]["version"]


GARBAGE = [
    b"",
    b'{"event":"x","time":1,"mono',
    b"null",
    b"[]",
    b'{"event":1,"time":1,"monotonic":1}',
    b'{"event":"x","time":"noon","monotonic":1}',
    b'{"event":"x","time":NaN,"monotonic":1}',
    b'{"event":"x","time":1,"monotonic":Infinity}',
    b'{"event":"x","time":1e300,"monotonic":1}',
    b'{"event":"x","time":-5,"monotonic":1}',
    b'{"event":"x","time":1' + b"0" * 400 + b',"monotonic":1}',
    b'{"event":"x","time":1' + b"0" * 5000 + b',"monotonic":1}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
]


def test_what_is_no_event_is_passed_over_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "history"
    good = json.dumps(event(5)).encode()
    path.write_bytes(b"\n".join(one + b"\n" + good for one in GARBAGE))
    assert read(str(path)) == [event(5)] * len(GARBAGE)


def test_what_is_not_as_expected_is_left_out_of_an_event(tmp_path: Path) -> None:
    path = tmp_path / "history"
    wrong = {"reason": 7, "silence_seconds": True, "ifindex": -1, "to": None, "new": "from later", "was_up": 1}
    path.write_text(json.dumps(event(5, **wrong)))
    assert read(str(path)) == [event(5)]
    right = {"reason": "why", "silence_seconds": 0.5, "ifindex": 4, "was_up": False}
    path.write_text(json.dumps(event(5, **right)))
    assert read(str(path)) == [event(5, **right)]


@given(st.binary(max_size=200))
def test_no_bytes_can_break_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-history"
    path.write_bytes(data)
    assert isinstance(read(str(path)), list)


def test_a_history_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"no history at .*; failoverd writes it as soon as it runs"):
        read(str(tmp_path / "none"))
    with pytest.raises(HistoryError, match="it is a directory, not a regular file; it should be a file"):
        read(str(tmp_path))


def test_what_is_asked_for() -> None:
    other = event(3, master="ens5", mac="x")
    events = [event(1, event="started"), event(2, master="fo525400aabbcc"), other, event(4), event(5)]
    del events[0]["master"], events[0]["mac"], events[4]["mac"]
    assert [one["time"] for one in select(events, "ens3")] == [2, 4, 5]
    assert [one["time"] for one in select(events, "ens5")] == [3]
    events[4]["mac"] = MAC
    assert [one["time"] for one in select(events, MAC.upper(), since=4)] == [4, 5]
    assert [one["time"] for one in select(events, last=2)] == [4, 5]
    assert [one["time"] for one in select(events, last=9)] == [1, 2, 3, 4, 5]
    assert select(events, last=0) == []


def test_a_time_as_people_say_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert moment("90s", 1000.0) == 910.0
        assert moment("2h", 10_000.0) == 2800.0
        assert moment("2026-07-01", 0) == 1_782_856_800
        assert moment("2026-07-01T12:30", 0) == moment("2026-07-01 12:30:00", 0) == 1_782_856_800 + 45_000
    finally:
        monkeypatch.undo()
        time.tzset()
    for wrong in ("", "soon", "2h30", "9" * 30 + "s", "2026-13-01", "-5m", "٣h"):
        with pytest.raises(ValueError, match="is no time"):
            moment(wrong, 0)


def test_a_boot_is_told_by_its_id_or_by_a_clock_that_began_anew() -> None:
    a, b = event(5, boot="a"), event(6, boot="b")
    assert not is_new_boot(None, a)
    assert is_new_boot(a, b)
    assert not is_new_boot(a, event(1, boot="a"))
    assert is_new_boot(event(5), event(1))
    assert not is_new_boot(event(1), b)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAILOVERD_HISTORY", raising=False)
    assert place() == "/var/lib/failoverd/history"
    monkeypatch.setenv("FAILOVERD_HISTORY", "/elsewhere")
    assert place() == "/elsewhere"
