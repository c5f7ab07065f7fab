"""Patterns of device names: what is taken, what is refused and why, and what comes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.errors import ConfigError
from failoverd.config.kinds import InvalidValueError
from failoverd.config.patterns import Pattern, fill, gives
from failoverd.config.read import build, parse

NAMES = Pattern(("master", "mac"))


@pytest.mark.parametrize(
    "value", ["{master}", "{master}vf", "vf-{mac}", "fast0", "abcdefghijklmno", "abcdefghijklmn{master}", "a.b"]
)
def test_what_can_be_a_name_is_taken(value: str) -> None:
    assert NAMES.take(value) == value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "gives no name"),
        (".", "gives no name"),
        ("..", "gives no name"),
        ("abcdefghijklmnop", "gives no name"),
        ("abcdefghijklmno{master}", "gives no name"),
        ("vfs-{mac}", "gives no name"),
        ("{mac}{mac}", "gives no name"),
        ("{nic}", 'holds "{nic}", which is none of its fields'),
        ("{}", 'holds "{}", which is none of its fields'),
        ("{master", 'holds "{", which no device name may'),
        ("master}", 'holds "}", which no device name may'),
        ("{master} vf", 'holds " ", which no device name may'),
        ("a/{master}", 'holds "/", which no device name may'),
        ("eth%d", 'holds "%", which no device name may'),
        ("eth:{master}", 'holds ":", which no device name may'),
        ("fo{mac}", "keeps for itself"),
        ("fs{mac}", "keeps for itself"),
        ("fo525400fa1101", "keeps for itself"),
        ("failoverd-x", "keeps for itself"),
        (7, "7 is a whole number"),
    ],
)
def test_what_cannot_is_refused(value: object, says: str) -> None:
    with pytest.raises(InvalidValueError) as info:
        NAMES.take(value)
    assert says in str(info.value)


def test_the_complaint_names_line_and_reason() -> None:
    text = b'[naming]\nprimary = ""\nmaster = "{vf}0"\n'
    with pytest.raises(ConfigError) as info:
        build([parse("f.toml", text)])
    assert str(info.value) == (
        'f.toml:3: [naming] master: "{vf}0" holds "{vf}", which is none of its fields; '
        "give a device name of at most 15 bytes, in which {nic} and {mac} may stand"
    )


def test_an_empty_pattern_is_for_those_who_may() -> None:
    assert Pattern(("master",), optional=True).take("") == ""
    assert 'or "" for none' in Pattern(("master",), optional=True).describe()


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_put_in_is_not_looked_at_again(first: str, second: str) -> None:
    assert fill("{a}-{b}", {"a": first, "b": second}) == f"{first}-{second}"
    assert fill("{a}", {"a": "{b}", "b": "x"}) == "{b}"


@given(st.text(min_size=1, max_size=15))
def test_a_pattern_knows_what_it_gave(name: str) -> None:
    mac = "525400fa1101"
    for pattern in ("{master}vf", "x{mac}", "{master}", "a.{master}{mac}"):
        assert gives(pattern, fill(pattern, {"master": name, "mac": mac}), mac)
    assert not gives("{master}vf", "vf", mac)
    assert not gives("x{mac}", "x525400fa1102", mac)
    assert not gives("a.b", "axb", mac)
