"""What is derived from the table of keys: defaults that pass their own limits, the documents, the differences."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from failoverd.config import manual, reference
from failoverd.config.changes import Change, diff
from failoverd.config.keys import Entry, table
from failoverd.config.load import from_mapping
from failoverd.config.reference import example, page
from failoverd.config.spec import Bond, Config, Pairing

DOCS = Path(__file__).parents[2] / "docs" / "reference"
ENTRIES = [entry for keys in table(Config).values() for entry in keys.values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.section}.{entry.name}")
def test_a_default_is_within_its_own_limits_and_documented(entry: Entry) -> None:
    assert entry.kind.take(entry.default) == entry.default
    assert entry.doc.endswith(".")
    assert getattr(getattr(Config(), entry.section), entry.name) == entry.default


@pytest.mark.parametrize(("name", "arguments"), [("configuration.md", []), ("failoverd.toml.example", ["--example"])])
def test_the_documents_are_as_made(
    name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reference", *arguments])
    runpy.run_path(str(reference.__file__), run_name="__main__")
    made = capsys.readouterr().out
    assert (DOCS / name).read_text() == made, "docs/reference is not up to date; run `make docs`"
    assert made == (example() if arguments else page())


def test_the_manual_page_is_made_of_the_same_table(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(manual.__file__), run_name="__main__")
    assert capsys.readouterr().out == manual.page()


def test_the_example_says_the_defaults() -> None:
    assert from_mapping(tomllib.loads(example()), "as it is") == Config()
    told = tomllib.loads(re.sub(r"^#(?=\w)", "", example(), flags=re.MULTILINE))
    assert {section: set(body) for section, body in told.items()} == {
        section: set(keys) for section, keys in table(Config).items()
    }
    assert from_mapping(told, "uncommented") == Config()


def test_the_examples_on_the_page_are_accepted() -> None:
    snippets = re.findall(r"```toml\n(.*?)```", page(), flags=re.DOTALL)
    configs = [from_mapping(tomllib.loads(snippet), "the page") for snippet in snippets]
    assert len(configs) == 2
    assert Config() not in configs


def test_differences_in_the_order_of_the_spec() -> None:
    new = replace(Config(), pairing=Pairing(ignore=("eth1",)), bond=Bond(miimon=50))
    assert diff(Config(), new) == [Change("bond", "miimon", 100, 50), Change("pairing", "ignore", (), ("eth1",))]
    assert [str(change) for change in diff(Config(), new)] == [
        "[bond] miimon: 100 -> 50",
        '[pairing] ignore: [] -> ["eth1"]',
    ]
    assert diff(new, new) == []
