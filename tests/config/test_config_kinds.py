"""Each kind takes what it should, refuses the rest, and says why."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.kinds import (
    Choice,
    Flag,
    InvalidValueError,
    Seconds,
    Suffix,
    ValueKind,
    Whole,
    Words,
    show,
)
from failoverd.config.patterns import Pattern

WHOLE = Whole(10, 10_000, "milliseconds")
SECONDS = Seconds(0.5, 60)
CHOICE = Choice(("low", "high", "off"))
SUFFIX = Suffix(8)
WORDS = Words("bus names")
PATTERN = Pattern(("nic", "mac"))
KINDS: list[ValueKind] = [Flag(), WHOLE, SECONDS, CHOICE, SUFFIX, WORDS, PATTERN]

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.datetimes()
    | st.times(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        (Flag(), True, True),
        (WHOLE, 10, 10),
        (WHOLE, 10_000, 10_000),
        (SECONDS, 0.5, 0.5),
        (SECONDS, 60, 60.0),
        (CHOICE, "off", "off"),
        (SUFFIX, "nsby", "nsby"),
        (SUFFIX, "åäöü", "åäöü"),
        (WORDS, [], ()),
        (WORDS, ["eth*", "52-54-00-AB-CD-EF", "52:54:00:AB:CD:EF"], ("eth*", *["52:54:00:ab:cd:ef"] * 2)),
    ],
)
def test_taken(kind: ValueKind, value: object, taken: object) -> None:
    assert kind.take(value) == taken
    assert type(kind.take(value)) is type(taken)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (Flag(), 1, "1 is a whole number"),
        (Flag(), "true", '"true" is a text'),
        (WHOLE, True, "true is a boolean"),
        (WHOLE, 100.0, "100.0 is a fractional number"),
        (WHOLE, 9, "9 is too small"),
        (WHOLE, 10_001, "10001 is too large"),
        (WHOLE, 10**400, "a number of 1329 bits is too large"),
        (WHOLE, [1], "[1] is a list"),
        (WHOLE, {"a": 1}, "it is a table"),
        (WHOLE, datetime.date(2026, 1, 1), "it is a date or a time"),
        (SECONDS, False, "false is a boolean"),
        (SECONDS, "1", '"1" is a text'),
        (SECONDS, 0.4, "0.4 is too small"),
        (SECONDS, math.nan, "nan is no span of time"),
        (SECONDS, math.inf, "inf is too large"),
        (SECONDS, -math.inf, "-inf is too small"),
        (SECONDS, 10**400, "a number of 1329 bits is too large"),
        (CHOICE, "Off", '"Off" is not known'),
        (CHOICE, 0, "0 is a whole number"),
        (SUFFIX, "", '"" has 0 bytes'),
        (SUFFIX, "åäöüa", '"\\u00e5\\u00e4\\u00f6\\u00fca" has 9 bytes'),
        (SUFFIX, "a/b", '"a/b" holds "/", which no device name may'),
        (SUFFIX, "%d", '"%d" holds "%", which no device name may'),
        (SUFFIX, "a b", '"a b" holds " ", which no device name may'),
        (SUFFIX, "a\0", '"a\\u0000" holds "\\u0000", which no device name may'),
        (SUFFIX, "aå\u00e0", '"a\\u00e5\\u00e0" holds "\\u00e0", which no device name may'),
        (SUFFIX, "s3", '"s3" is how a NIC\'s own name may end'),
        (SUFFIX, "3nsby", '"3nsby" is how a NIC\'s own name may end'),
        (SUFFIX, 1, "1 is a whole number"),
        (WORDS, "eth0", '"eth0" is a text'),
        (WORDS, ["eth0", 1], "1 is a whole number"),
        (WORDS, [""], '"" is empty'),
        (WORDS, ["eth0 eth1"], '"eth0 eth1" holds " "'),
    ],
)
def test_refused(kind: ValueKind, value: object, why: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        kind.take(value)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Flag(), "true or false"),
        (WHOLE, "a whole number from 10 to 10000 (milliseconds)"),
        (Whole(0, 255), "a whole number from 0 to 255"),
        (SECONDS, "a number from 0.5 to 60 (seconds)"),
        (CHOICE, '"low", "high" or "off"'),
        (
            SUFFIX,
            "a text of 3 to 8 bytes, no digit first, without '/', ':', '%', white space or control characters",
        ),
        (WORDS, "a list of bus names"),
    ],
)
def test_described(kind: ValueKind, words: str) -> None:
    assert kind.describe() == words


@given(ANYTHING)
def test_any_value_is_taken_or_refused_in_one_printable_line(value: object) -> None:
    for kind in KINDS:
        try:
            taken = kind.take(value)
            said = ""
        except InvalidValueError as refused:
            taken = None
            said = str(refused)
        assert taken is None or kind.take(taken) == taken
        assert said.isprintable()
        assert len(said) < 200


def test_show_cuts_what_is_endless() -> None:
    assert show("x" * 1000) == '"' + "x" * 56 + "..."
    assert show(["x" * 10] * 10, longest=1000) == "[" + ", ".join(['"xxxxxxxxxx"'] * 10) + "]"
