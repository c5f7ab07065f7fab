"""Signals in words: for people one line, for programs named facts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signals import BACK, JOINED, LOST, MAC, NOBODY, RELEASED, RENAMED

from failoverd.core.sentences import facts, sentence
from failoverd.model.signals import FailedOver, Signal
from failoverd.policy.naming import passing_name


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (LOST, "ens3: traffic moved from ens4 to ens3nsby: it was unplugged; silent for 3.1 ms"),
        (BACK, "ens3: traffic moved from ens3nsby to ens4: the VF has been steady"),
        (NOBODY, "ens3: nobody carries any more; ens4 was the last: it has no carrier"),
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
        (replace(JOINED, active="", active_ifindex=0, role=""), "ens3: joined, nobody carries"),
        (RELEASED, "ens3: released, its devices are as they were before"),
    ],
)
def test_a_sentence(signal: Signal, says: str) -> None:
    assert sentence(signal) == says


@pytest.mark.parametrize("signal", [LOST, BACK, NOBODY, RENAMED, JOINED, RELEASED])
def test_facts_are_plain_and_none_is_empty(signal: Signal) -> None:
    told = facts(signal)
    assert (told["mac"], told["master"]) == (MAC, "ens3")
    assert all(isinstance(value, str | int) for value in told.values())
    assert [name for name, value in told.items() if value == "" or (value == 0 and name != "silence_usec")] == []


def test_the_facts_of_a_failover() -> None:
    assert facts(LOST) == {
        "event": "failed-over",
        "master": "ens3",
        "mac": MAC,
        "ifname": "ens3nsby",
        "ifindex": 2,
        "role": "standby",
        "from": "ens4",
        "from_ifindex": 3,
        "to": "ens3nsby",
        "to_ifindex": 2,
        "reason": "it was unplugged",
        "silence_usec": 3100,
    }
    assert "to" not in facts(NOBODY)
    assert facts(NOBODY)["silence_usec"] == 0


NAMES = st.binary(max_size=15).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(NAMES, NAMES, NAMES)
def test_whatever_the_names_the_sentence_is_printable_and_the_facts_have_the_bytes(a: str, b: str, c: str) -> None:
    signal = FailedOver(a, b, c, "because", 1.0, MAC)
    assert sentence(signal).isprintable()
    assert facts(signal).get("to", "") == c
