"""The matrix in docs/neighbours.md is the one that is tested, cell for cell."""

from __future__ import annotations

from pathlib import Path

from neighbourhood import COLUMNS, NOT_YET, table

PAGE = Path(__file__).parents[2] / "docs" / "neighbours.md"


def test_the_page_shows_what_is_tested() -> None:
    text = PAGE.read_text()
    head = f"| neighbour | Debian | {' | '.join(COLUMNS)} |\n|---|---|---|---|---|---|---|\n"
    assert head + "\n".join(table()) + "\n\n" in text
    for reason in NOT_YET.values():
        assert reason in text
