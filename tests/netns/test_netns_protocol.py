"""What the daemon and the doorkeeper say to each other, and what neither takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.model.declared import NamespaceRef
from failoverd.model.places import Absent, Place
from failoverd.model.settings import SYSCTLS
from failoverd.netns.protocol import (
    BY,
    LARGEST,
    LONGEST,
    Findings,
    Found,
    Open,
    Opened,
    ProtocolError,
    Set,
    Watch,
    Written,
    pack_findings,
    pack_open,
    pack_opened,
    pack_refused,
    pack_set,
    pack_watch,
    pack_written,
    read_answer,
    read_request,
)

VALUES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=LONGEST)
REFERENCES = st.builds(NamespaceRef, st.sampled_from(BY), VALUES, st.booleans())
NUMBERS = st.integers(0, (1 << 64) - 1)
PLACES = st.builds(Place, NUMBERS, NUMBERS)
FINDINGS = st.builds(Found, PLACES, NUMBERS) | st.builds(Absent, VALUES, VALUES)
RED = NamespaceRef("name", "red")


@given(st.dictionaries(REFERENCES, NUMBERS, max_size=40))
def test_a_set_arrives_as_it_was_sent(started: dict[NamespaceRef, int]) -> None:
    pieces = [read_request(data) for data in pack_watch(list(started), started)]
    assert all(isinstance(piece, Watch) for piece in pieces)
    watches = [piece for piece in pieces if isinstance(piece, Watch)]
    assert [watch.more for watch in watches] == [True] * (len(watches) - 1) + [False]
    assert [one for watch in watches for one in watch.references] == list(started)
    arrived = {one: when for watch in watches for one, when in watch.started.items()}
    assert arrived == {one: when for one, when in started.items() if when}


@given(st.dictionaries(REFERENCES, FINDINGS, max_size=40))
def test_findings_arrive_as_they_were_sent(findings: dict[NamespaceRef, Found | Absent]) -> None:
    answers = [read_answer(data) for data in pack_findings(findings)]
    assert all(isinstance(answer, Findings) for answer in answers)
    arrived = [answer.by_reference for answer in answers if isinstance(answer, Findings)]
    assert {one: what for part in arrived for one, what in part.items()} == findings


def test_the_longest_fit_into_a_datagram() -> None:
    """Many of the longest, of which each character takes six bytes."""
    references = [NamespaceRef("container", f"{number}{chr(0x1F) * (LONGEST - 4)}") for number in range(1000, 1100)]
    datagrams = pack_watch(references, {})
    datagrams += pack_findings(dict.fromkeys(references, Absent("x", chr(0x1F) * (LONGEST + 1))))
    assert len(datagrams) > 2
    assert max(map(len, datagrams)) <= LARGEST


@given(REFERENCES, PLACES)
def test_a_wish_to_open_arrives_as_it_was_sent(reference: NamespaceRef, place: Place) -> None:
    assert read_request(pack_open(reference, place)) == Open(reference, place)


SETTINGS = st.tuples(st.sampled_from(sorted(SYSCTLS)), st.integers(-(1 << 31), (1 << 31) - 1).map(str))


@given(REFERENCES, PLACES, NUMBERS, st.sampled_from(("ens3", "x", "é" * 7)), st.lists(SETTINGS, max_size=9))
def test_a_wish_to_set_sysctls_arrives_as_it_was_sent(
    reference: NamespaceRef, place: Place, ifindex: int, device: str, settings: list[tuple[str, str]]
) -> None:
    request = Set(reference, place, ifindex, device, tuple(settings))
    assert read_request(pack_set(request)) == request


def test_the_answer_to_it_has_an_errno_for_each() -> None:
    assert read_answer(pack_written(Written((0, 13)))) == Written((0, 13))


def test_the_answers_to_it() -> None:
    assert read_answer(pack_opened()) == Opened()
    assert read_answer(pack_refused(Absent("process-gone", "it has ended"))) == Absent("process-gone", "it has ended")


GARBAGE: list[Any] = [
    None,
    [],
    {},
    {"watch": [], "more": 1},
    {"watch": [], "more": False, "also": 1},
    {"watch": [["name", "red", False]], "more": False},
    {"watch": [["name", "red", False, "1"]], "more": False},
    {"watch": [["name", "red", False, -1]], "more": False},
    {"watch": [["name", "red", False, True]], "more": False},
    {"watch": [["name", "red", False, 1 << 64]], "more": False},
    {"watch": [["own", "", False, 0]], "more": False},
    {"watch": [["name", "", False, 0]], "more": False},
    {"watch": [["name", "a\0b", False, 0]], "more": False},
    {"watch": [["name", "a" * (LONGEST + 1), False, 0]], "more": False},
    {"watch": [["name", "red", 0, 0]], "more": False},
    {"watch": ["name"], "more": False},
    {"open": ["name", "red", False], "nsid": -1, "epoch": 0},
    {"open": ["name", "red", False], "nsid": 1},
    {"open": "red", "nsid": 1, "epoch": 0},
    {"found": [["name", "red", False, 1, 2]]},
    {"found": [["name", "red", False, 1, 2, "3"]]},
    {"found": [], "also": 1},
    {"absent": [["name", "red", False, 1, 2]]},
    {"absent": [], "also": 1},
    {"opened": 1},
    {"opened": False},
    *(
        {"set": ["name", "red", False], "nsid": 1, "epoch": 2, "ifindex": 3, "device": "ens3", "settings": []} | wrong
        for wrong in (
            {"also": 1},
            {"ifindex": -1},
            {"device": ""},
            {"device": "a/b"},
            {"device": ".."},
            {"device": "a\0b"},
            {"device": "e" * 16},
            {"settings": [["ipv4/forwarding"]]},
            {"settings": [["ipv4/../../kernel/x", "1"]]},
            {"settings": [["ipv4/forwarding", "1\n"]]},
            {"settings": [["ipv4/forwarding", ""]]},
            {"settings": [["ipv4/forwarding", "1" * 12]]},
        )
    ),
    {"written": ["0"]},
    {"written": [-1]},
    {"written": [0], "also": 1},
    {"refused": ["x"]},
    {"refused": ["x", 1]},
]


@pytest.mark.parametrize("document", GARBAGE)
def test_garbage_is_refused(document: Any) -> None:
    for read in (read_request, read_answer):
        with pytest.raises(ProtocolError):
            read(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100000, b" " * (LARGEST + 1), b"1e999", b'"\\ud800"'])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    for read in (read_request, read_answer):
        with pytest.raises(ProtocolError):
            read(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for read in (read_request, read_answer):
        try:
            read(data)
        except ProtocolError:
            continue
