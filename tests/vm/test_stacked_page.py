"""The table in docs/stacked.md is the one that is tested, row for row."""

from __future__ import annotations

from pathlib import Path

from stacked import table

PAGE = Path(__file__).parents[2] / "docs" / "stacked.md"


def test_the_page_shows_what_is_tested() -> None:
    text = PAGE.read_text()
    head = "| on the master | bond | tc |\n|---|---|---|\n"
    assert head + "\n".join(table()) + "\n\n" in text
