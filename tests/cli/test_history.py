"""`failoverctl history`, by its function: the table, the JSON, and what a picture says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from failoverd.cli.ctl import main
from failoverd.cli.historyfile import local
from failoverd.cli.lanes import Failover, Span, follow
from failoverd.cli.timeaxis import lasting, ticks
from failoverd.cli.timeline import svg
from failoverd.cli.timestrip import strip

MAC = "52:54:00:fa:11:01"
NS = "{http://www.w3.org/2000/svg}"
HOUR = 3600.0
START = 1_763_712_000.0
"""2025-11-21 08:00 UTC."""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def event(hours: float, what: str, boot: str = "a", **more: Any) -> dict[str, Any]:
    at = START + hours * HOUR
    found = {"event": what, "time": at, "monotonic": hours * HOUR + 10, "boot": boot}
    return found | ({} if what in ("started", "stopped") else {"master": "ens3", "mac": MAC}) | more


STARTED = event(0, "started", version="0.1.0")
JOINED = event(0.5, "joined", active="ens4", active_role="primary")
GONE = event(
    2,
    "failed-over",
    to="ens3nsby",
    to_role="standby",
    reason="it was unplugged",
    silence_seconds=0.0031,
    **{"from": "ens4"},
)
BACK = event(3, "failed-over", to="ens4", to_role="primary", reason="the VF has been <steady>", **{"from": "ens3nsby"})
NO_MAC = event(4, "failed-over", reason="it has no carrier", silence_seconds=12.345678, **{"from": "ens4"})
STOPPED = event(5, "stopped", reason="SIGTERM")
LIFE = [STARTED, JOINED, GONE, BACK, NO_MAC, STOPPED]
NOW = START + 6 * HOUR


def spans(events: list[dict[str, Any]], now: float = NOW, boot: str = "a") -> list[tuple[float, float, str, bool]]:
    (lane,) = follow(events, now, boot).lanes
    return [((s.start - START) / HOUR, (s.end - START) / HOUR, s.kind, s.is_sure) for s in lane.spans]


def show(where: Path, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    path = where / "history"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    monkeypatch.setenv("FAILOVERD_HISTORY", str(path))
    return main(["history", *words])


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = event(1, "link-renamed", role="primary", old_name="eth1", new_name="e\udcff")
    assert show(tmp_path, [*LIFE, renamed], monkeypatch) == 0
    rows = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["TIME", "EVENT", "MASTER", "FROM", "TO", "SILENCE", "REASON"],
        ["2025-11-21 08:00:00.000", "started", "-", "-", "-", "-", "failoverd 0.1.0, again"],
        ["2025-11-21 08:30:00.000", "joined", "ens3", "-", "ens4", "-", "-"],
        ["2025-11-21 10:00:00.000", "failed-over", "ens3", "ens4", "ens3nsby", "3.1 ms", "it was unplugged"],
        ["2025-11-21 11:00:00.000", "failed-over", "ens3", "ens3nsby", "ens4", "-", "the VF has been <steady>"],
        ["2025-11-21 12:00:00.000", "failed-over", "ens3", "ens4", "-", "12 s", "it has no carrier"],
        ["2025-11-21 13:00:00.000", "stopped", "-", "-", "-", "-", "SIGTERM"],
        ["2025-11-21 09:00:00.000", "link-renamed", "ens3", "eth1", r"e\udcff", "-", "the primary"],
    ]


def test_links_stand_in_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    web = {"event": "link-ready", "link": "web-ct", "kind": "veth", "device": "eth1", "namespace": "name red"}
    moment = {"time": START + 1, "monotonic": 12.0, "boot": "a"}
    waits = {"event": "link-pending", "reason": "no-peer", "detail": "its other end is not declared yet"}
    assert show(tmp_path, [STARTED, web | moment, web | moment | waits], monkeypatch) == 0
    head, _, ready, pending = capsys.readouterr().out.splitlines()
    assert "  MASTER OR LINK  " in head
    assert re.fullmatch(r"2025-11-21 08:00:01.000  link-ready +web-ct .* eth1 in the namespace red", ready)
    assert pending.endswith("its other end is not declared yet")


def test_what_programs_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(tmp_path, LIFE, monkeypatch, "--json", "--master", "ens3", "--last", "2") == 0
    assert json.loads(capsys.readouterr().out) == [BACK, NO_MAC]
    assert show(tmp_path, LIFE, monkeypatch, "--json", "--since", "2025-11-21 12:30") == 0
    assert json.loads(capsys.readouterr().out) == [STOPPED]


def test_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FAILOVERD_HISTORY", str(tmp_path / "none"))
    assert main(["history"]) == 1
    assert capsys.readouterr().err == (
        f"failoverctl: no history at {tmp_path}/none; failoverd writes it as soon as it runs\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "soon"],
        ["--last=-1"],
        ["--last", "many"],
        ["--svg", "a", "--strip"],
        ["--json", "--strip"],
        ["--svg", "-", "--json"],
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(["history", *words]) == 2
    assert "; failoverctl history --help says more\n" in capsys.readouterr().err


def test_quiet_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history").write_text('{"event": "started", "time": 1, "monotonic": 1}\n')
    monkeypatch.setenv("FAILOVERD_HISTORY", str(tmp_path / "history"))
    assert main(["history"]) == 0
    assert "started" in capsys.readouterr().out
    assert main(["history", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_it_loads_no_more_than_the_standard_library_and_little_of_it() -> None:
    code = "import sys, failoverd.cli.history; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"trio", "pyroute2", "dbus_next", "asyncio", "logging", "dataclasses", "xml"}
    assert {name for name in loaded if name.startswith("failoverd")} == {
        "failoverd",
        "failoverd.cli",
        "failoverd.cli.arguments",
        "failoverd.cli.history",
        "failoverd.cli.historyfile",
        "failoverd.cli.quick",
        "failoverd.cli.tables",
        "failoverd.config",
        "failoverd.config.regular",
        "failoverd.core",
        "failoverd.core.link_signals",
        "failoverd.core.signal_facts",
        "failoverd.core.signal_table",
        "failoverd.core.told",
        "failoverd.model",
        "failoverd.model.facts",
        "failoverd.model.text",
    }


def test_who_carried_when() -> None:
    record = follow(LIFE, NOW, "a")
    (lane,) = record.lanes
    assert (lane.name, lane.mac) == ("ens3", MAC)
    assert spans(LIFE) == [
        (0.5, 2, "vf", True),
        (2, 3, "pv", True),
        (3, 4, "vf", True),
        (4, 5, "none", True),
    ]
    assert lane.failovers[0] == Failover(GONE["time"], "ens4", "ens3nsby", "it was unplugged", 0.0031)
    assert record.gaps == [(STOPPED["time"], NOW)]
    assert (record.start, record.end, record.boots) == (START, NOW, [])


def test_a_killed_daemon_leaves_what_nobody_knows() -> None:
    again = [event(4, "started"), event(4, "joined", active="ens4", active_role="primary")]
    assert spans([STARTED, JOINED, GONE, *again]) == [
        (0.5, 2, "vf", True),
        (2, 4, "pv", False),
        (4, 6, "vf", True),
    ]


def test_after_a_power_loss_nothing_is_known_up_to_the_boot() -> None:
    again = [
        event(5, "started", boot="b", monotonic=HOUR / 2),
        event(5.25, "joined", boot="b", monotonic=HOUR * 0.75, active="ens4", active_role="primary"),
    ]
    record = follow([STARTED, JOINED, *again], NOW, "b")
    assert record.boots == [START + 4.5 * HOUR]
    assert record.gaps == [(START + 4.5 * HOUR, START + 5 * HOUR)]
    assert spans([STARTED, JOINED, *again], boot="b") == [(0.5, 4.5, "vf", False), (5.25, 6, "vf", True)]


def test_what_runs_now_goes_on_to_now_and_what_ran_in_another_boot_does_not() -> None:
    assert spans([STARTED, JOINED]) == [(0.5, 6, "vf", True)]
    assert spans([STARTED, JOINED], boot="b") == [(0.5, 6, "vf", False)]


def test_released_is_nothing_and_a_rename_is_the_same_lane() -> None:
    renamed = event(1, "link-renamed", master="lan0", role="master", old_name="ens3", new_name="lan0")
    events = [STARTED, JOINED, renamed, event(2, "released", master="lan0")]
    (lane,) = follow(events, NOW, "a").lanes
    assert lane.name == "lan0"
    assert spans(events) == [(0.5, 2, "vf", True)]


def test_a_clock_that_was_set_back_does_not_turn_time_around() -> None:
    early = event(9, "joined", active="ens4", active_role="primary")
    record = follow([event(9, "started"), early, GONE], NOW, "a")
    (lane,) = record.lanes
    assert record.start == GONE["time"]
    assert [span.kind for span in lane.spans] == ["pv"]


def test_a_part_of_it() -> None:
    record = follow(LIFE, NOW, "a", since=START + 2.5 * HOUR)
    (lane,) = record.lanes
    assert lane.spans[0] == Span(START + 2.5 * HOUR, START + 3 * HOUR, "pv", "ens3nsby")
    assert [one.new for one in lane.failovers] == ["ens4", ""]
    assert follow(LIFE, NOW, "a", master="ens9").lanes == []
    assert follow(LIFE, NOW, "a", master=MAC.upper()).lanes == follow(LIFE, NOW, "a").lanes


def test_events_in_any_order_and_with_nothing_in_them_can_be_drawn() -> None:
    bare = [{"event": what, "time": START, "monotonic": 1.0} for what in ("failed-over", "joined", "released", "x")]
    odd = [one | {"master": "a\x1b<"} for one in bare]
    renamed = [event(1, "link-renamed", role="master"), event(1, "released"), GONE, event(0, "stopped"), STOPPED]
    for events in (bare, odd, renamed, [STOPPED, STARTED], []):
        record = follow(events, NOW, "a")
        ElementTree.fromstring(svg(record))
        assert strip(record)


def titles(root: ElementTree.Element) -> list[str]:
    return [title.text or "" for group in root.iter(f"{NS}g") for title in group.findall(f"{NS}title")]


def test_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "history.svg"
    again = event(5.5, "started", boot="b", monotonic=60.0)
    assert show(tmp_path, [*LIFE, again], monkeypatch, "--svg", str(file), "--since", "2025-11-21") == 0
    root = ElementTree.fromstring(file.read_text())
    said = titles(root)
    assert "failoverd did not run, 2025-11-21 13:00:00.000 to 2025-11-21 13:30:00.000, 30 min" in said
    assert "ens4 (VF), 2025-11-21 08:30:00.000 to 2025-11-21 10:00:00.000, 90 min" in said
    assert "no slave, 2025-11-21 12:00:00.000 to 2025-11-21 13:00:00.000, 60 min" in said
    assert "2025-11-21 11:00:00.000: from ens3nsby to ens4: the VF has been <steady>" in said
    assert "2025-11-21 10:00:00.000: from ens4 to ens3nsby: it was unplugged; silent for 3.1 ms" in said
    assert "boot, 2025-11-21 13:29:00" in said
    words = [text.text for text in root.iter(f"{NS}text")]
    assert "it was unplugged, 3.1 ms" in words
    assert MAC in words
    kinds = [rect.get("class") for rect in root.iter(f"{NS}rect") if rect.get("height") == "24"]
    assert kinds == ["vf", "pv", "vf", "none", None]
    assert "prefers-color-scheme:dark" in file.read_text()


def test_a_picture_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(tmp_path, LIFE, monkeypatch, "--svg", str(tmp_path)) == 1
    assert "Is a directory; the picture was not written" in capsys.readouterr().err
    assert show(tmp_path, LIFE, monkeypatch, "--svg", "-") == 0
    ElementTree.fromstring(capsys.readouterr().out)


def test_many_failovers_are_one_picture_with_few_words() -> None:
    many = [GONE | {"time": START + 60 * n, "silence_seconds": n / 1e6} for n in range(1500)]
    root = ElementTree.fromstring(svg(follow(many, START + 100_000, "a")))
    assert sum("it was unplugged" in (text.text or "") for text in root.iter(f"{NS}text")) == 10
    assert sum("it was unplugged" in title for title in titles(root)) == 1500


def test_the_strip() -> None:
    axis, lane, legend = strip(follow(LIFE, NOW, "a"), columns=66, utf8=False).splitlines()
    assert lane == "ens3       " + "#" * 15 + "=" * 11 + "#" * 9 + "x" * 11
    assert axis.index("|10:00") == lane.index("=")
    assert legend.split() == ["#", "VF", "=", "standby", "x", "none", "-", "not", "known"]
    assert "█" in strip(follow(LIFE, NOW, "a"))


def test_a_moment_without_a_carrier_is_never_averaged_away() -> None:
    short = [STARTED, JOINED, NO_MAC, GONE | {"time": NO_MAC["time"] + 0.001}]
    assert strip(follow(short, NOW + 1000 * HOUR, "a"), utf8=False).count("x") == 2


@pytest.mark.parametrize("length", [1, 30, 600, 7200, 86400, 10 * 86400, 400 * 86400, 4000 * 86400])
def test_ticks_are_few_and_in_order_and_have_round_times(length: float) -> None:
    found = ticks(START + 0.3, START + 0.3 + length)
    assert 1 <= len(found) <= 10
    assert [at for at, _ in found] == sorted({at for at, _ in found})
    assert all(START + 0.3 <= at <= START + 0.3 + length for at, _ in found)


def test_a_day_of_25_hours_has_its_ticks_at_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    autumn = time.mktime((2025, 10, 24, 12, 0, 0, 0, 0, -1))
    found = ticks(autumn, autumn + 5 * 86400)
    assert [words for _, words in found if words.endswith("Oct")] == ["25 Oct", "26 Oct", "27 Oct", "28 Oct", "29 Oct"]
    assert all(local(at).endswith("00:00:00.000") for at, _ in found)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0031, "3.1 ms"), (0.25, "250 ms"), (59, "59 s"), (600, "10 min"), (10_000, "3 h"), (1e6, "12 d")],
)
def test_a_length_of_time(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
