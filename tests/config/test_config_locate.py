"""The line of a key, whatever stands around it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.locate import locate

TEXT = (Path(__file__).parent / "places.toml").read_text()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["top"], 3),
        (["master"], 4),
        (["master", "create"], 5),
        (["bond"], 9),
        (["bond", "miimon"], 10),
        (["bond", "peer\\n"], 11),
        (["bond", "failing"], 15),
        (["bond", "failing", "hold"], 15),
        (["bond", "failing", "hold", "b"], 15),
        (["bond", "raw"], 16),
        (["failback", "a.b"], 19),
        (["failback", "a.b", "hold"], 20),
        (["many", "two"], 24),
        (["log", "level"], 26),
        (["log", "absent"], 25),
        (["absent"], 0),
        ([], 0),
    ],
)
def test_line(path: list[str], line: int) -> None:
    assert locate(TEXT, path) == line


def test_entries_of_an_array_of_tables_wherever_it_is() -> None:
    text = "[[a.b]]\nx = 1\n[a.b.c]\n[[a.b]]\n[[z]]\n[[a.b]]\nx = 2\n"
    assert [locate(text, ["a", "b", number, "x"]) for number in range(4)] == [2, 4, 7, 2]
    assert [locate(text, ["a", "b", number, "c"]) for number in (0, 1)] == [3, 4]
    assert locate(text, ["a", 0, "b"]) == 1


def test_the_text_is_one_that_tomllib_accepts() -> None:
    assert tomllib.loads(TEXT)["bond"]["raw"] == "[log]\n'quoted''"


def test_no_text_has_no_line() -> None:
    assert locate("", ["bond"]) == 0


def test_text_that_is_not_toml_is_refused() -> None:
    with pytest.raises(ValueError, match="no TOML at character 7: '='"):
        locate("a = 1\n\n=", ["a"])


VALUES = [
    "1",
    '"""\n[x]\nk = 1 \\"""\n"""',
    "[\n1, # ]\n2]",
    "'a # b'",
    '{ a = "}" }',
    "'''\n[x]'\n'''",
    '"\\" # ["',
]
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, st.sampled_from(VALUES), max_size=4), max_size=4))
def test_every_key_of_any_document_is_found(tree: dict[str, dict[str, str]]) -> None:
    text, places = "", {}
    for section, keys in tree.items():
        text += f"# [{section!a}]\n[{_quoted(section)}] # =\n"
        for key, value in keys.items():
            places[section, key] = text.count("\n") + 1
            text += f"  {_quoted(key)} = {value} # {key!a}\n"
    assert tomllib.loads(text).keys() == tree.keys()
    assert {path: locate(text, path) for path in places} == places


def _quoted(word: str) -> str:
    """The word as a TOML basic string, every letter escaped."""
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in word) + '"'
