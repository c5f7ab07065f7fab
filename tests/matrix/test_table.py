"""The matrix in docs/neighbours.md is the one that is tested, cell for cell."""

from __future__ import annotations

from pathlib import Path

from neighbourhood import COLUMNS, table

PAGE = Path(__file__).parents[2] / "docs" / "neighbours.md"


def test_the_page_shows_what_is_tested() -> None:
    """Every cell says `yes`: one that does not hold fails its test."""
    head = f"| neighbour | Debian | {' | '.join(COLUMNS)} |\n|---|---|---|---|---|---|---|\n"
    assert head + "\n".join(table()) + "\n\n" in PAGE.read_text()
