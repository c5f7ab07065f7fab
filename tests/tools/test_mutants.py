"""The seeded bugs fit the code: each changes one place of one file. Whether histories find them is measured."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MUTANTS = runpy.run_path(str(ROOT / "tools" / "mutants_table.py"))["MUTANTS"]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_changes_one_place_to_other_python(mutant: Any) -> None:
    text = (ROOT / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    compile(changed, mutant.file, "exec")


def test_there_are_enough_and_each_is_on_the_list() -> None:
    names = Counter(mutant.name for mutant in MUTANTS)
    assert len(names) == len(MUTANTS) >= 30
    listed = (ROOT / "docs" / "mutants.md").read_text()
    assert [name for name in names if f"| {name} |" not in listed] == []
