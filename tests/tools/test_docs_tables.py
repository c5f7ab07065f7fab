"""The tables in the pages that people write are those of the code."""

from __future__ import annotations

import re

import pytest
import tables
import write


@pytest.mark.parametrize("place", write.WRITTEN)
def test_an_empty_table_is_found_and_filled_and_the_rest_stays(place: str) -> None:
    page = (write.DOCS / place).read_text()
    emptied = re.sub(r"(table: [a-z-]+(?: -->)?\n)(?:(?!<!-- end|\.\\\" end).*\n)+", r"\1", page)
    assert emptied.count("\n") < page.count("\n") - 4
    assert tables.filled(emptied) == page


def test_a_page_without_a_place_for_a_table_stays_as_it_is() -> None:
    assert tables.filled("# table: metrics\n| a |\n<!-- end -->\n") == "# table: metrics\n| a |\n<!-- end -->\n"
