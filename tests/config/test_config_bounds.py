"""Files that are small and would take minutes, or gigabytes, to be refused."""

from __future__ import annotations

import os
import resource
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.bounds import DEEPEST, LARGEST, LARGEST_TOGETHER, MOST_PROBLEMS, deepest_brackets, too_deep
from failoverd.config.errors import ConfigError, Problem
from failoverd.config.load import load
from failoverd.config.read import build, parse
from failoverd_lab.parse import ScenarioError
from failoverd_lab.parse import parse as parse_scenario

ENOUGH = 10.0
"""Seconds of this process that no file may take: far more than any does, and far less than the faults took."""


def filled(line: str) -> str:
    """As many lines as there is room for; {} is a number."""
    return "".join(line.format(number) for number in range((LARGEST - 100) // (len(line) + 5)))


DEEP = ".".join("a" * (DEEPEST + 1))
BOMBS = {
    "dotted key": f"[master]\ncreate{'.a' * 30_000} = 1\n",
    "dotted key, quoted": "x." + '"\\"".' * 12_000 + "a = 1\n",
    "dotted key, spaced": "x" + " . 'a'" * 9_000 + " = 1\n",
    "dotted header": f"[{'.'.join('a' * 30_000)}]\n",
    "dotted header of an array": f"[[{'.'.join('a' * 30_000)}]]\n",
    "dotted keys": filled(f"[s{{}}]\n{'.'.join('a' * DEEPEST)} = 1\n"),
    "dotted key in a table": f"x = {{ {DEEP} = 1 }}\n",
    "keys": "[master]\n" + filled("k{} = 1\n"),
    "keys of ours": filled("[s{}]\nmiimon = 1\n"),
    "sections": filled("[s{}]\n"),
    "arrays of tables": filled("[[then]]\nx{} = 1\n"),
    "nothing in arrays of tables": filled("[[then]]\n"),
    "brackets": f"x = {'[' * 30_000}{']' * 30_000}\n",
    "brackets that are allowed": f"[pairing]\nignore = {'[' * 200}{']' * 200}\n",
    "braces": f"x = {'{a=' * 9_000}1{'}' * 9_000}\n",
    "links": filled("[link.a{}]\n"),
    "links of a kind": filled("[link.a{}]\nkind='dummy'\n"),
    "links in a loop": filled("[link.a{0}]\nkind='macvlan'\nlower='link:a{0}'\n"),
    "links on each other": "".join(
        f"[link.a{n}]\nkind='macvlan'\nlower='link:a{(n + 1) % 1000}'\n" for n in range(1000)
    ),
    "ports": "[link.a]\nkind='bridge'\nports=[" + ",".join(f"'link:a{n % 4000}'" for n in range(5000)) + "]\n",
    "routes": "[link.a]\n" + filled("[[link.a.routes]]\nto='::{}/1'\n"),
    "routes of nothing": "[link.a]\n" + filled("[[link.a.routes]]\n"),
    "keys of links": "[link.a]\n" + filled("k{}=1\n"),
    "words of links": f"[link.a]\npeer={'{a=' * 9_000}1{'}' * 9_000}\n",
    "brackets of links": f"[link.a]\nports={'[' * 200}{']' * 200}\n",
    "quotes": f"a = {chr(39) * 60_001}\n",
    "escaped quotes": 'a = "' + '\\"' * 30_000 + "\n",
    "open quotes": '"' + 'a"."' * 12_000 + "\n",
    "long key": f"[master]\n{'a' * 60_000} = 1\n",
    "long text": f"[master]\ncreate = '{'a' * 60_000}'\n",
    "long number": f"[bond]\nmiimon = {'9' * 60_000}\n",
    "long hexadecimal number": f"[bond]\nmiimon = 0x{'f' * 60_000}\n",
    "long list": f"[pairing]\nignore = [{','.join(['1'] * 30_000)}]\n",
}


def refused(kind: str, raw: bytes) -> Sequence[Problem]:
    try:
        build([parse("x", raw)]) if kind == "configuration" else parse_scenario(raw, "x")
    except (ConfigError, ScenarioError) as error:
        return error.problems
    return []


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("kind", ["configuration", "story"])
def test_it_is_refused_soon_and_with_the_place(text: str, kind: str) -> None:
    """Memory is bounded, too: what a gigabyte would have been asked for fails."""
    assert len(text) <= LARGEST
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), limits[1]))
    try:
        problems = refused(kind, text.encode())
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert time.process_time() - before < ENOUGH
    assert 0 < len(problems) <= MOST_PROBLEMS + 1
    assert all(problem.line or "missing" in problem.text or "is none" in problem.text for problem in problems[:-1])
    assert sum(len(str(problem)) for problem in problems) < 20_000


def test_the_rest_is_not_kept_secret() -> None:
    text = "[master]\n" + "".join(f"k{number} = 1\n" for number in range(MOST_PROBLEMS + 1))
    with pytest.raises(ConfigError) as caught:
        build([parse("x", text.encode()), parse("y", b"[bond]\nmiimon = 1\n")])
    lines = str(caught.value).splitlines()
    assert len(lines) == MOST_PROBLEMS + 2
    assert lines[-2] == f"x: there may be more mistakes than these {MOST_PROBLEMS}; mend them first"
    assert lines[-1].startswith("y:2: [bond] miimon: ")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"# {DEEP[:-6]}.\n\n{DEEP} = 1\n", 3, f"a key has more than {DEEPEST} words"),
        ("[bond]\nmiimon = 1" + "0" * 4400 + "\n", 2, "a number has too many digits"),
        ("[bond]\n\nmiimon = " + "[" * 5000 + "]" * 5000 + "\n", 3, "brackets are nested too deeply"),
    ],
)
def test_the_place_is_named(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("x", text.encode())
    (problem,) = caught.value.problems
    assert (problem.line, problem.text.startswith(words)) == (line, True)


WORDS = st.sampled_from(["a", '"b"', "'c'", '"\\""', "d-e_f", "'\"'"])


@given(st.lists(WORDS, min_size=1, max_size=DEEPEST + 20), st.sampled_from([".", " . ", "\t."]), st.booleans())
def test_a_deep_key_is_found_however_it_is_spelt_and_no_other(words: list[str], dot: str, header: bool) -> None:
    key = dot.join(words)
    text = "# a 'comment\n" + (f"[{key}]\n" if header else f"{key} = 1\n")
    assert tomllib.loads(text)
    assert too_deep(text) == (2 if len(words) > DEEPEST else 0)


def test_an_address_of_many_words_is_no_deep_key() -> None:
    """The name of an IPv6 address in the DNS is the longest that people write with dots."""
    assert too_deep(f"story = '{'.'.join('0' * 32)}.ip6.arpa'\n") == 0


def test_a_configuration_has_a_size_as_a_whole(tmp_path: Path) -> None:
    main = tmp_path / "failoverd.toml"
    drop_ins = tmp_path / "failoverd.toml.d"
    drop_ins.mkdir()
    main.touch()
    for number in range(LARGEST_TOGETHER // LARGEST + 1):
        (drop_ins / f"{number:02}.toml").write_text("#" * LARGEST)
    with pytest.raises(ConfigError) as caught:
        load(main)
    (problem,) = caught.value.problems
    assert problem.file == str(drop_ins / "16.toml")
    assert "more than 1048576 bytes" in problem.text


def test_brackets_that_are_not_nested_too_deeply_have_no_line() -> None:
    assert deepest_brackets("a = [[1], [2]]\n" * (DEEPEST + 1)) == 0
