from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from failoverd.cli.tables import table, terminal_text


def test_columns_line_up_and_the_last_is_as_long_as_it_likes() -> None:
    assert table(["NIC", "WHY"], [["ens3", "it is paired"], ["a", ""], ["", "x"]]) == [
        "NIC   WHY",
        "ens3  it is paired",
        "a     -",
        "-     x",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    assert table(["NIC", "WHY"], []) == ["NIC  WHY"]


def test_names_cannot_steer_the_terminal() -> None:
    assert terminal_text("\x1b[31m\udcff\n") == r"\x1b[31m\udcff\n"
    assert terminal_text("ü日本") == "ü日本"


@given(st.lists(st.lists(st.text(max_size=8), min_size=3, max_size=3), max_size=5))
def test_whatever_the_cells_are_each_row_is_one_printable_line(rows: list[list[str]]) -> None:
    lines = table(["A", "B", "C"], rows)
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)
