"""Patterns and lists of words as systemd reads them: fnmatch(3) is the C library's own, which is here to be asked."""

from __future__ import annotations

import ctypes
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from failoverd.daemon.configurers.patterns import WordError, matches, passes, words

LIBC = ctypes.CDLL(None)
PIECES = st.lists(st.sampled_from([*"ab1-.!^*?[]\\/:", "[a-b]", "[!a]", "[^a]", "[[:digit:]]", "[]a]"]), max_size=6)
TEXTS = st.text(alphabet="ab1-.!^[]\\/:", max_size=5)


def fnmatch(pattern: str, text: str) -> bool:
    return bool(LIBC.fnmatch(pattern.encode(), text.encode(), 0) == 0)


@settings(max_examples=500, deadline=None)
@given(PIECES.map("".join), TEXTS)
@example("en*", "enp1s0")
@example("[!e]n*", "en0")
@example("[^e]n*", "in0")
@example("eth[[:digit:]]", "eth0")
@example("\\*", "*")
@example("a\\", "a\\")
@example("[]a]", "]")
@example("[a", "[a")
@example("[b-a]", "a")
@example("*", ".a/b")
def test_a_pattern_matches_as_the_c_library_has_it(pattern: str, text: str) -> None:
    assert matches(pattern, text) == fnmatch(pattern, text)


@pytest.mark.parametrize(
    ("patterns", "text", "expected"),
    [
        ([], None, True),
        (["!*"], None, True),
        (["!*"], "bond", False),
        (["*"], None, False),
        (["a", "!b"], "b", False),
        (["!b", "!c"], "a", True),
        (["a", "b"], "b", True),
    ],
)
def test_a_list_passes_as_in_systemd(patterns: list[str], text: str | None, expected: bool) -> None:
    assert passes(patterns, text) == expected


@pytest.mark.parametrize(
    ("text", "quotes", "escapes", "expected"),
    [
        (" a\tb  c ", False, "drop", ["a", "b", "c"]),
        ("'a b' \"c\"d ''", True, "keep", ["a b", "cd", ""]),
        ("'a b'", False, "drop", ["'a", "b'"]),
        ("a\\ b\\\\", False, "drop", ["a b\\"]),
        ("a\\ b", True, "keep", ["a\\", "b"]),
        ('\\x41\\102\\u0043\\t\\s\\"', True, "c", ['ABC\t "']),
        ("", False, "drop", []),
    ],
)
def test_words_are_read_as_in_systemd(text: str, quotes: bool, escapes: str, expected: list[str]) -> None:
    assert list(words(text, quotes, escapes)) == expected


@pytest.mark.parametrize(
    ("text", "escapes", "first"),
    [
        ("a 'b", "keep", ["a"]),
        ("a b\\", "drop", ["a"]),
        ("a \\q", "c", ["a"]),
        ("a \\x00", "c", ["a"]),
        ("\\", "c", []),
    ],
)
def test_a_mistake_ends_a_list_behind_what_was_before(text: str, escapes: str, first: list[str]) -> None:
    found: list[str] = []
    with pytest.raises(WordError):
        found.extend(words(text, True, escapes))
    assert found == first


def test_many_stars_cost_no_time() -> None:
    """Each would try every place for every other one: with ten of them, minutes."""
    began = time.process_time()
    assert not matches("*a" * 30 + "*b", "a" * 200)
    assert matches("*a" * 30 + "*", "a" * 30)
    assert time.process_time() - began < 1.0
