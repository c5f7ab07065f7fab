from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.daemon.journal import JournalError, dumps, dumps_inet, loads, loads_inet
from failoverd.kinds import Vlan
from failoverd.model.inet import Address, Hop, Label, Neighbour, Route
from failoverd.model.pairs import Goal, Inet, Journal, StackedVlan

U8, U32, IFINDEX = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF), st.integers(1, 0x7FFFFFFF)
ATTRS = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=4).map(tuple)
NAMES = st.binary(min_size=1, max_size=15).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
ADDRESSES = st.builds(Address, IFINDEX, U8, U8, U8, U32, st.binary(max_size=16), ATTRS, U32, U32)
HOPS = st.builds(Hop, IFINDEX, U8, U8, ATTRS)
ROUTES = st.builds(
    Route,
    *(IFINDEX, U8, U8, U8, U8, U32, U8, U8, U8, U8),
    ATTRS,
    st.lists(HOPS, max_size=2).map(tuple),
    st.none() | U32,
)
NEIGHBOURS = st.builds(Neighbour, IFINDEX, U8, st.integers(0, 0xFFFF), U8, U8, ATTRS)
LABELS = st.builds(Label, IFINDEX, st.binary(max_size=16), U8, U32)
SETTINGS = st.dictionaries(st.sampled_from(["ipv6/accept_ra", "group"]), st.integers(0, 9).map(str)).map(
    lambda found: tuple(found.items())
)
PARTS = (ADDRESSES, ROUTES, NEIGHBOURS, LABELS)
INETS = st.builds(Inet, *(st.lists(part, max_size=2).map(tuple) for part in PARTS), SETTINGS)
QOS = st.binary(max_size=24)
VLANS = st.builds(Vlan, st.integers(0, 4095), st.sampled_from([0x8100, 0x88A8]), st.integers(0, 31), QOS, QOS)
STACKED = st.builds(StackedVlan, NAMES, VLANS, st.booleans(), U32, st.lists(NAMES, max_size=2).map(tuple), INETS)
JOURNALS = st.builds(
    Journal,
    st.just("52:54:00:aa:bb:cc"),
    st.sampled_from(Goal),
    NAMES,
    st.booleans(),
    U32,
    st.lists(NAMES, max_size=3).map(tuple),
    INETS,
    INETS,
    st.booleans(),
    IFINDEX,
    st.lists(STACKED, max_size=2).map(tuple),
)

WHOLE = Journal(
    "52:54:00:aa:bb:cc",
    Goal.JOINED,
    "ens3",
    True,
    1500,
    ("enp0s3",),
    Inet(
        (Address(2, 2, 24, 0, 0x80, b"\n\0\0\2", ((2, b"\n\0\0\2"),)),),
        (Route(2, 2, 0, 0, 0, 254, 3, 0, 1, 0, ((5, b"\n\0\0\1"),), (Hop(2, 0, 1, ((5, b"\n\0\0\1"),)),)),),
    ),
    cut=True,
    vlans=(StackedVlan("storage", Vlan(5), True, 1500, ("disks",)),),
)


@given(JOURNALS)
def test_a_journal_goes_there_and_back(journal: Journal) -> None:
    there = loads(dumps(journal))
    assert there == journal
    assert [vars_of(vlan.info) for vlan in there.vlans] == [vars_of(vlan.info) for vlan in journal.vlans]


def vars_of(vlan: Vlan) -> tuple[object, ...]:
    return (vlan.id, vlan.protocol, vlan.flags, vlan.egress, vlan.ingress)


@given(INETS)
def test_what_is_lost_goes_there_and_back(inet: Inet) -> None:
    assert loads_inet(dumps_inet(inet)) == inet


def test_a_journal_of_an_older_failoverd_is_read() -> None:
    """It knew of no VLANs, neighbours, labels and settings."""
    raw = json.loads(dumps(replace(WHOLE, vlans=())))
    del raw["vlans"]
    for name in ("neighbours", "labels", "settings"):
        del raw["inet"][name], raw["extra"][name]
    assert loads(json.dumps(raw)) == replace(WHOLE, vlans=())


@pytest.mark.parametrize("settings", [{"ipv6/accept_ra": "x"}, {"ipv6/nonsense": "1"}, {"group": "x"}, ["a"]])
def test_settings_that_could_not_be_given_back(settings: object) -> None:
    raw = {"format": 1, "inet": {"addresses": [], "routes": [], "settings": settings}}
    with pytest.raises(JournalError, match="cannot be read"):
        loads_inet(json.dumps(raw))
    with pytest.raises(JournalError, match="its format is 2"):
        loads_inet(json.dumps({**raw, "format": 2}))


def test_an_administrator_can_read_it() -> None:
    text = dumps(WHOLE)
    assert '"name": "ens3"' in text
    assert '"local": "0a000002"' in text
    assert text.isascii()


def test_a_journal_of_another_format_says_which() -> None:
    document = json.loads(dumps(WHOLE)) | {"format": 2}
    with pytest.raises(JournalError, match="its format is 2, and this failoverd reads 1"):
        loads(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "7", "{}", "[" * 100_000, '{"format": 1}', "\0"])
def test_what_is_no_journal(text: str) -> None:
    with pytest.raises(JournalError):
        loads(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    inner = list(document.items()) if isinstance(document, dict) else []
    inner += enumerate(document) if isinstance(document, list) else []
    return [path, *(found for key, value in inner for found in places(value, (*path, key)))]


PLACES = places(json.loads(dumps(WHOLE)))[1:]


@given(st.sampled_from(PLACES), JSON)
def test_a_damaged_journal_is_refused_or_can_be_given_back(path: tuple[Any, ...], value: Any) -> None:
    """Whatever was read without an error can be written again, which is what a move in its middle needs."""
    document = json.loads(dumps(WHOLE))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    try:
        journal = loads(json.dumps(document))
    except JournalError:
        return
    assert loads(dumps(journal)) == journal


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mtu",), -1),
        (("name",), "\ud800"),
        (("altnames", 0), "\ud800"),
        (("inet", "addresses", 0, "family"), 300),
        (("inet", "addresses", 0, "ifindex"), "2"),
        (("inet", "addresses", 0, "attrs", 0), [70_000, "00"]),
        (("inet", "routes", 0, "table"), 1 << 40),
        (("inet", "routes", 0, "hops", 0, "weight"), None),
    ],
)
def test_what_could_not_be_given_back_is_noticed_when_it_is_read(path: tuple[Any, ...], value: Any) -> None:
    """And not in the middle of a move, at every start anew."""
    document = json.loads(dumps(WHOLE))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(JournalError):
        loads(json.dumps(document))


@given(st.integers(0, len(dumps(WHOLE)) - 3))
def test_half_a_journal_is_none(length: int) -> None:
    with pytest.raises(JournalError):
        loads(dumps(WHOLE)[:length])
