"""Metrics: what is in the file, by a reader as strict as `promtool check metrics`, and when it is written."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linksfake import CONTAINER, HOST
from signals import BACK, JOINED, LINKS, LOST, MAC, MOMENT, NO_MAC, PENDING, RENAMED

from failoverd.daemon.exposition import Family, render
from failoverd.daemon.metrics import BUCKETS, Metrics
from failoverd.model.etcdcontact import EtcdContact
from failoverd.model.linkstatus import LinkState

SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?P<value>(?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)')
UNESCAPE = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
LINK_EVENTS = ("ready", "pending", "degraded", "conflict", "failed", "going", "gone")
Labels = frozenset[tuple[str, str]]


def labels(text: str) -> Labels:
    found, at = [], 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, text[at:]
        value = re.sub(r"\\.", lambda escape: UNESCAPE[escape[0]], match["value"])
        found.append((match["name"], value))
        at = match.end()
    assert len(dict(found)) == len(found)
    return frozenset(found)


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """Every sample, by its name and labels. Fails over what Prometheus refuses or promtool complains about."""
    assert text.endswith("\n")
    text.encode()
    samples: dict[str, dict[Labels, float]] = {}
    helps, types = set(), {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family, _, words = line[7:].partition(" ")
            assert family not in helps, "a family comes once, in one piece"
            assert words
            helps.add(family)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert (name, name in types) == (family, False)
            assert kind in ("counter", "gauge", "histogram")
            assert name.endswith("_total") == (kind == "counter"), "promtool: only counters end in _total"
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            suffixes = ("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)
            assert match["name"] in {family + suffix for suffix in suffixes}
            rows = samples.setdefault(match["name"], {})
            key = labels(match["labels"] or "")
            assert key not in rows, f"twice: {line}"
            rows[key] = float(match["value"])
    for name, kind in types.items():
        if kind == "histogram":
            check_histogram(samples, name)
    return samples


def check_histogram(samples: dict[str, dict[Labels, float]], name: str) -> None:
    series: dict[Labels, list[tuple[float, float]]] = {}
    for key, value in samples[f"{name}_bucket"].items():
        bound = dict(key)["le"]
        series.setdefault(key - {("le", bound)}, []).append((float(bound), value))
    for key, rows in series.items():
        counts = [count for _, count in sorted(rows)]
        assert counts == sorted(counts)
        assert max(rows)[0] == float("inf")
        assert counts[-1] == samples[f"{name}_count"][key]
        assert key in samples[f"{name}_sum"]


def slave(name: str, **more: Any) -> dict[str, Any]:
    facts = {"master": "ens3", "role": "primary", "active": True, "up": True, "carrier": True, "carrier_losses": 0}
    return {"name": name, "fit": True, "path": "not-probed"} | facts | more


def document(*masters: dict[str, Any]) -> dict[str, Any]:
    return {"version": "0.1.0", "masters": list(masters), "nics": []}


def master(**more: Any) -> dict[str, Any]:
    usual = {"name": "ens3", "mac": MAC, "datapath": "bond", "namespace": "", "state": "accelerated", "drained": False}
    usual |= {"flaps": 0, "penalty": 0, "suppressed": False, "conditions": []}
    return usual | {"primary": slave("ens4"), "standby": slave("ens3nsby", role="standby", active=False)} | more


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def told(where: Path, name: str, **wanted: str) -> float:
    return parse((where / "metrics.prom").read_text())[name][frozenset(wanted.items())]


def test_a_machine_with_a_pair(tmp_path: Path, clock: Clock) -> None:
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 7, clock)
    for signal in (JOINED, LOST, BACK, replace(LOST, silence=0.3), NO_MAC, RENAMED):
        metrics.signalled(signal, MOMENT)
    metrics.stepped(document(master(primary=slave("ens4", carrier=False, carrier_losses=3))))
    found = parse((tmp_path / "metrics.prom").read_text())
    ens3 = {"master": "ens3"}

    def value(name: str, **more: str) -> float:
        return found[name][frozenset(more.items())]

    assert value("failoverd_info", version="0.1.0") == 1
    roles = ("standby", "primary", "none")
    assert [value("failoverd_failovers_total", **ens3, to_role=role) for role in roles] == [2, 1, 1]
    assert value("failoverd_silence_seconds_sum", **ens3) == pytest.approx(0.3031)
    assert value("failoverd_silence_seconds_count", **ens3) == 4
    assert value("failoverd_silence_seconds_bucket", **ens3, le="0.005") == 3
    assert value("failoverd_slave_active", **ens3, slave="ens4", role="primary") == 1
    assert value("failoverd_slave_active", **ens3, slave="ens3nsby", role="standby") == 0
    assert value("failoverd_slave_up", **ens3, slave="ens4", role="primary") == 1
    assert value("failoverd_slave_carrier", **ens3, slave="ens4", role="primary") == 0
    assert value("failoverd_slave_carrier_losses_total", **ens3, slave="ens4", role="primary") == 3
    states = {dict(key)["state"]: count for key, count in found["failoverd_master_state"].items()}
    assert [state for state, count in states.items() if count] == ["accelerated"]
    assert len(states) == 9
    assert value("failoverd_master_info", **ens3, mac=MAC, datapath="bond", namespace="") == 1
    assert value("failoverd_renames_total", **ens3) == 1
    assert [value(f"failoverd_{what}_total", **ens3) for what in ("joins", "releases")] == [1, 0]
    assert value("failoverd_signals_dropped_total") == 7


def test_counters_are_there_before_anything_happens_and_follow_a_rename(tmp_path: Path, clock: Clock) -> None:
    """A counter that first shows up at 1 has, for Prometheus, never risen."""
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 0, clock)
    metrics.stepped(document(master()))
    assert told(tmp_path, "failoverd_failovers_total", master="ens3", to_role="standby") == 0
    metrics.signalled(LOST, MOMENT)
    clock.now += 5
    metrics.stepped(document(master(name="lan0")))
    assert told(tmp_path, "failoverd_failovers_total", master="lan0", to_role="standby") == 1


def test_a_machine_without_pairs(tmp_path: Path, clock: Clock) -> None:
    Metrics(tmp_path / "metrics.prom", lambda: 0, clock).stepped(document())
    assert set(parse((tmp_path / "metrics.prom").read_text())) == {
        "failoverd_info",
        "failoverd_signals_dropped_total",
        *(f"failoverd_link_{what}_total" for what in LINK_EVENTS),
    }


def test_declared_links(tmp_path: Path, clock: Clock) -> None:
    links = [HOST, CONTAINER]
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 0, clock, lambda: links)
    metrics.stepped(document(master()))
    host = {"link": "web-host", "kind": "veth"}
    assert told(tmp_path, "failoverd_link_state", **host, state="ready") == 1
    assert told(tmp_path, "failoverd_link_state", **host, state="pending") == 0
    assert told(tmp_path, "failoverd_link_made_total", link="web-ct", kind="veth") == 2
    links[:] = [replace(HOST, state=LinkState.FAILED, repairs=3)]
    clock.now += 5
    metrics.stepped(document(master()))
    found = parse((tmp_path / "metrics.prom").read_text())
    states = {dict(key)["state"]: value for key, value in found["failoverd_link_state"].items()}
    assert [state for state, value in states.items() if value] == ["failed"]
    assert len(states) == len(LinkState)
    assert found["failoverd_link_repairs_total"] == {frozenset(host.items()): 3}


def test_how_it_stands_with_etcd(tmp_path: Path, clock: Clock) -> None:
    contact: EtcdContact | None = None
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 0, clock, etcd=lambda: contact)
    metrics.stepped(document())
    assert "etcd" not in (tmp_path / "metrics.prom").read_text(), "it is not enabled"
    for connected in (True, False):
        contact = EtcdContact(connected, 5.0, "http://etcd1:2379", 17, "")
        clock.now += 5
        metrics.stepped(document())
        assert told(tmp_path, "failoverd_etcd_connected") == connected
        assert told(tmp_path, "failoverd_etcd_since") == 5
        assert told(tmp_path, "failoverd_etcd_revision") == 17


def test_a_link_that_stays_as_it_is_costs_no_new_lines(tmp_path: Path, clock: Clock) -> None:
    links = [HOST, CONTAINER]
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 0, clock, lambda: links)
    metrics.stepped(document())
    before = metrics._told["web-host"]
    links[1] = replace(CONTAINER, made=3)
    clock.now += 5
    metrics.stepped(document())
    assert metrics._told["web-host"][1] is before[1]
    assert told(tmp_path, "failoverd_link_made_total", link="web-ct", kind="veth") == 3


def test_events_of_links_are_counted_for_all_links_together(tmp_path: Path, clock: Clock) -> None:
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 0, clock)
    for signal in (*LINKS, PENDING):
        metrics.signalled(signal, MOMENT)
    metrics.stepped(document(master()))
    counts = [told(tmp_path, f"failoverd_link_{what}_total") for what in LINK_EVENTS]
    assert counts == [1, 2, 1, 1, 1, 1, 1]


def test_a_master_without_its_vf_and_in_a_state_nobody_knows(tmp_path: Path, clock: Clock) -> None:
    metrics = Metrics(tmp_path / "metrics.prom", lambda: 0, clock)
    metrics.stepped(document(master(state="dreaming", primary=None)))
    assert told(tmp_path, "failoverd_master_state", master="ens3", state="dreaming") == 1
    assert told(tmp_path, "failoverd_slave_active", master="ens3", slave="ens3nsby", role="standby") == 0
    assert told(tmp_path, "failoverd_master_drained", master="ens3") == 0
    clock.now += 1
    metrics.stepped(document(master(drained=True)))
    assert told(tmp_path, "failoverd_master_drained", master="ens3") == 1


def test_masters_without_a_name_have_no_series(tmp_path: Path, clock: Clock) -> None:
    """They would all have the same, which the format forbids; one is a pair whose devices went while it was moved."""
    nameless = [master(name="", mac=f"52:54:00:00:00:0{i}", primary=None, standby=None) for i in (2, 3)]
    Metrics(tmp_path / "metrics.prom", lambda: 0, clock).stepped(document(master(), *nameless))
    assert told(tmp_path, "failoverd_master_drained", master="ens3") == 0
    assert 'master=""' not in (tmp_path / "metrics.prom").read_text()


def test_it_is_written_when_something_changed_and_once_a_second_at_most(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "run" / "metrics.prom"
    metrics = Metrics(path, lambda: 0, clock)
    old = os.umask(0o077)
    try:
        metrics.stepped(document(master()))
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o644
    first = path.stat().st_ino
    clock.now += 10
    metrics.stepped(document(master()))
    assert path.stat().st_ino == first, "nothing is new"
    clock.now += 10
    metrics.stepped(document(master(state="degraded")))
    second = path.stat().st_ino
    assert second != first
    clock.now += 0.9
    metrics.stepped(document(master()))
    assert path.stat().st_ino == second, "too soon"
    clock.now += 0.2
    metrics.stepped(document(master()))
    assert told(path.parent, "failoverd_master_state", master="ens3", state="accelerated") == 1
    assert [one.name for one in path.parent.iterdir()] == ["metrics.prom"]
    metrics.close()
    assert list(path.parent.iterdir()) == []
    metrics.close()


def test_what_could_not_be_written_is_written_with_the_next_step(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "run" / "metrics.prom"
    path.parent.touch()
    metrics = Metrics(path, lambda: 0, clock)
    with pytest.raises(OSError, match="run"):
        metrics.stepped(document())
    path.parent.unlink()
    clock.now += 1
    metrics.stepped(document())
    assert path.is_file()
    assert [one.name for one in path.parent.iterdir()] == ["metrics.prom"]


@given(st.binary(max_size=15))
def test_whatever_a_name_is_made_of_a_label_holds_it_in_a_printable_form(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    family = Family("a", "gauge", "An a.")
    family.add(1, name=name, other="x")
    ((key, _),) = parse(render([family]))["a"].items()
    assert dict(key)["other"] == "x"
    assert dict(key)["name"].isprintable()


@given(st.lists(st.floats(0, 10)))
def test_a_histogram_counts_each_silence_once(seconds: list[float]) -> None:
    metrics = Metrics(Path("/nonexistent"), lambda: 0)
    for one in seconds:
        metrics.signalled(replace(LOST, silence=one), MOMENT)
    counts = metrics._histograms["failoverd_silence_seconds", MAC].counts if seconds else []
    for at, bound in enumerate(BUCKETS if seconds else ()):
        assert sum(counts[: at + 1]) == sum(one <= bound for one in seconds)
    assert sum(counts) == len(seconds)
