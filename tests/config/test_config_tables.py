"""What is derived from the table of keys: defaults that pass their own limits, the documents, the differences."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace

import pytest
from configpage import example, page
from linkkeys import EXAMPLES, MASTER_EXAMPLE, TABLES, master_rows, rows

from failoverd.config.changes import Change, diff
from failoverd.config.keys import WITHIN, Entry, entries, table
from failoverd.config.links.spec import Link
from failoverd.config.load import from_mapping
from failoverd.config.spec import Bond, Config, Pairing

ENTRIES = [entry for keys in table(Config).values() for entry in keys.values()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.section}.{entry.name}")
def test_a_default_is_within_its_own_limits_and_documented(entry: Entry) -> None:
    assert entry.kind.take(entry.default) == entry.default
    assert entry.doc.endswith(".")
    assert getattr(getattr(Config(), entry.section), entry.name) == entry.default


def test_the_example_says_the_defaults() -> None:
    assert from_mapping(tomllib.loads(example()), "as it is") == Config()
    told = tomllib.loads(re.sub(r"^#(?=[\w\[])", "", example(), flags=re.MULTILINE))
    links, masters = told.pop("link"), {"ens3": told["master"].pop("ens3")}
    assert from_mapping(told, "uncommented") == Config()
    told |= {section: told[outer].pop(inner) for section, (outer, inner) in WITHIN.items()}
    assert {section: set(body) for section, body in told.items()} == {
        section: set(keys) for section, keys in table(Config).items()
    }
    assert links == tomllib.loads(EXAMPLES)["link"]
    assert masters == tomllib.loads(MASTER_EXAMPLE)["master"]
    assert masters["ens3"].keys() == {row.name for row in master_rows()}


def test_the_examples_of_links_have_every_key_and_are_accepted() -> None:
    links = tomllib.loads(EXAMPLES)["link"]
    assert {key for link in links.values() for key in link} == {entry.name for entry in entries("link", Link)}
    for key, spec in TABLES.items():
        tables = (link[key] for link in links.values() if key in link)
        given = {name for table in tables for each in (table if isinstance(table, list) else [table]) for name in each}
        assert given == {entry.name for entry in entries(key, spec)}
    assert len(from_mapping({"link": links}, "the examples").declared) == len(links) + 1
    assert [row.name for row in rows()][4:7] == ["namespace", "namespace.name", "namespace.pid"]


def test_the_examples_on_the_page_are_accepted() -> None:
    snippets = re.findall(r"```toml\n(.*?)```", page(), flags=re.DOTALL)
    configs = [from_mapping(tomllib.loads(snippet), "the page") for snippet in snippets]
    assert len(configs) == 4
    assert Config() not in configs


def test_differences_in_the_order_of_the_spec() -> None:
    new = replace(Config(), pairing=Pairing(ignore=("eth1",)), bond=Bond(miimon=50))
    assert diff(Config(), new) == [Change("bond", "miimon", 100, 50), Change("pairing", "ignore", (), ("eth1",))]
    assert [str(change) for change in diff(Config(), new)] == [
        "[bond] miimon: 100 -> 50",
        '[pairing] ignore: [] -> ["eth1"]',
    ]
    assert diff(new, new) == []
