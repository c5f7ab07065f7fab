"""Each neighbour, on each release, at each stop: one cell of docs/neighbours.md, and one test."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
import trio
from judging import Cell
from neighbourhood import COLUMNS, NEIGHBOURS, SUITES
from walk import walk

pytestmark = pytest.mark.matrix

WALKS = [
    pytest.param((neighbour, suite), id=f"{neighbour.name}-{suite}") for neighbour in NEIGHBOURS for suite in SUITES
]


@pytest.fixture(scope="module", params=WALKS)
def cells(request: pytest.FixtureRequest) -> Mapping[str, Cell]:
    """The stops of this walk, as far as tests of it were chosen."""
    neighbour, suite = request.param
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = [str(one.params["column"]) for one in asked if one and one.params.get("cells") == request.param]
    return trio.run(partial(walk, neighbour, suite, chosen, print))


@pytest.mark.parametrize("column", COLUMNS)
def test_the_master_is_configured_and_nobody_fights(cells: Mapping[str, Cell], column: str) -> None:
    assert not cells[column].problems, "\n".join(cells[column].problems)
