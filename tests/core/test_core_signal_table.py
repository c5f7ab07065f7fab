"""Signals in words: for people one line, for programs named facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signals import (
    BACK,
    CONFLICT,
    DEGRADED,
    FAILED,
    GOING,
    GONE,
    JOINED,
    LINKS,
    LOST,
    MAC,
    MOMENT,
    NO_MAC,
    PENDING,
    READY,
    RELEASED,
    RENAMED,
)

from failoverd.core.signal_facts import as_text, event, facts, happened, keys, pieces, record, sentence, told
from failoverd.core.signal_table import SIGNALS, WHEN
from failoverd.model.signals import FailedOver, Signal
from failoverd.policy.naming import passing_name

PAIRS = (LOST, BACK, NO_MAC, RENAMED, JOINED, RELEASED)
ALL = (*PAIRS, *LINKS)


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (LOST, "ens3: traffic moved from ens4 to ens3nsby: it was unplugged; silent for 3.1 ms"),
        (BACK, "ens3: traffic moved from ens3nsby to ens4: the VF has been steady"),
        (NO_MAC, "ens3: no slave carries any more; ens4 was the last: it has no carrier"),
        (
            replace(LOST, old="", reason="no slave could carry before", silence=1.25),
            "ens3: ens3nsby carries: no slave could carry before; silent for 1250 ms",
        ),
        (RENAMED, "ens4: the primary of ens3 has this name now, it was eth1"),
        (replace(RENAMED, role="master", new="ens3", old="eth0"), "ens3: the master has this name now, it was eth0"),
        (
            replace(RENAMED, master=passing_name(MAC), role="standby"),
            f"ens4: the standby of the pair {MAC} has this name now, it was eth1",
        ),
        (JOINED, "ens3: joined, ens4 carries"),
        (replace(JOINED, active="", active_ifindex=0, role=""), "ens3: joined, no slave carries"),
        (RELEASED, "ens3: released, its devices are as they were before"),
        (READY, "link web-host: ready, web0"),
        (PENDING, "link web-ct: waits: no container has the label role=web; start one"),
        (replace(PENDING, detail=""), "link web-ct: waits: container-absent"),
        (DEGRADED, "link web-ct: degraded, eth1 in the container label:role=web: its other end is down"),
        (
            CONFLICT,
            "link web-ct: in conflict over eth1 in the container label:role=web: " + CONFLICT.detail,
        ),
        (
            replace(FAILED, namespace="name red"),
            "link web-ct: refused, eth1 in the namespace red: Operation not supported; again in 0.1 s",
        ),
        (
            replace(GOING, namespace="pid 812"),
            "link web-ct: about to be deleted, eth1 in the namespace of process 812: " + GOING.detail,
        ),
        (
            replace(GONE, namespace="path /run/x", reason="", detail=""),
            "link web-ct: gone, eth1 in the namespace /run/x",
        ),
    ],
)
def test_a_sentence(signal: Signal, says: str) -> None:
    assert sentence(signal) == says


@pytest.mark.parametrize("signal", LINKS)
def test_a_signal_about_a_link_names_it_and_no_pair(signal: Signal) -> None:
    found = facts(signal, MOMENT)
    assert told(signal).subject == "link"
    assert found["link"] == ("web-host" if signal is READY else "web-ct")
    assert not found.keys() & {"master", "mac"}
    assert list(found)[-2:] == ["time", "monotonic"]


def test_the_facts_of_a_link() -> None:
    assert facts(PENDING, MOMENT) == {
        "event": "link-pending",
        "link": "web-ct",
        "kind": "veth",
        "device": "eth1",
        "namespace": "container label:role=web",
        "ifindex": None,
        "reason": "container-absent",
        "detail": "no container has the label role=web; start one",
        "time": 1_700_000_000.25,
        "monotonic": 12.5,
    }
    assert not facts(READY, MOMENT).keys() & {"reason", "detail"}


@pytest.mark.parametrize("signal", PAIRS)
def test_every_signal_of_a_pair_names_it_and_its_moment(signal: Signal) -> None:
    found = facts(signal, MOMENT)
    assert told(signal).subject == "master"
    assert (found["event"], found["master"], found["mac"]) == (told(signal).event, "ens3", MAC)
    assert (found["time"], found["monotonic"]) == (MOMENT.time, MOMENT.monotonic)
    assert all(value is None or isinstance(value, str | int | float) for value in found.values())
    assert "" not in found.values()


@pytest.mark.parametrize("signal", ALL)
def test_the_rows_name_every_fact(signal: Signal) -> None:
    named = [piece.key for row in told(signal).fields for piece in pieces(row)]
    assert list(facts(signal, MOMENT)) == ["event", *named, *(row.key for row in WHEN)]
    assert set(named) <= keys().keys()


def test_the_facts_of_a_failover() -> None:
    assert facts(LOST, MOMENT) == {
        "event": "failed-over",
        "master": "ens3",
        "mac": MAC,
        "from": "ens4",
        "from_ifindex": 3,
        "to": "ens3nsby",
        "to_ifindex": 2,
        "to_role": "standby",
        "reason": "it was unplugged",
        "silence_seconds": 0.0031,
        "namespace": None,
        "time": 1_700_000_000.25,
        "monotonic": 12.5,
    }
    nobody = facts(NO_MAC, MOMENT)
    assert (nobody["to"], nobody["to_ifindex"], nobody["to_role"]) == (None, None, None)
    assert nobody["silence_seconds"] == 0


def test_the_facts_of_a_rename() -> None:
    assert facts(RENAMED, MOMENT) == {
        "event": "link-renamed",
        "ifindex": 3,
        "old_name": "eth1",
        "new_name": "ens4",
        "was_up": True,
        "master": "ens3",
        "mac": MAC,
        "role": "primary",
        "time": 1_700_000_000.25,
        "monotonic": 12.5,
    }


def test_what_is_recorded_of_a_failover_does_not_name_its_pair() -> None:
    assert record(LOST) == {key: fact for key, fact in facts(LOST, MOMENT).items() if key in record(LOST)}
    assert not record(LOST).keys() & {"master", "mac", "event", "time"}


def test_the_daemons_own_events() -> None:
    assert happened("started", "0.1.0", MOMENT) == {
        "event": "started",
        "version": "0.1.0",
        "time": 1_700_000_000.25,
        "monotonic": 12.5,
    }


@pytest.mark.parametrize(
    ("fact", "text"), [(None, ""), (True, "1"), (False, "0"), (3.1e-06, "0.000003"), (7, "7"), ("ens3", "ens3")]
)
def test_a_fact_as_text(fact: object, text: str) -> None:
    assert fact is None or isinstance(fact, str | int | float)
    assert as_text(fact) == text


def test_every_event_has_an_id_and_a_name_of_its_own() -> None:
    for column in ("event", "message_id", "counter"):
        values = [getattr(kind, column) for kind in SIGNALS.values()]
        assert len(set(values)) == len(values)


NAMES = st.binary(max_size=15).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(NAMES, NAMES, NAMES)
def test_whatever_the_names_the_sentence_is_printable_and_the_facts_have_the_bytes(a: str, b: str, c: str) -> None:
    signal = FailedOver(a, b, c, "because", 1.0, MAC)
    assert sentence(signal).isprintable()
    assert facts(signal, MOMENT)["to"] == (c or None)


def test_the_kind_of_event_is_a_fact_whose_words_are_all_kinds() -> None:
    row = event()
    assert row.value(facts(LOST, MOMENT)) == "failed-over"
    assert {kind.event for kind in SIGNALS.values()} | {"started"} <= set(row.values)
