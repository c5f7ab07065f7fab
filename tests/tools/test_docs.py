"""The pages that are made from the code are as the code is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import write


@pytest.mark.parametrize(("place", "page"), write.PAGES.items(), ids=write.PAGES)
def test_a_page_that_is_made_is_up_to_date(place: str, page: Callable[[], str]) -> None:
    assert (write.DOCS / place).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_all_of_them_are_written_in_their_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in ("reference", "man"):
        (tmp_path / folder).mkdir()
    for place in write.WRITTEN:
        shutil.copy(write.DOCS / place, tmp_path / place)
    monkeypatch.setattr(write, "DOCS", tmp_path)
    write.main()
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {place: page() for place, page in write.PAGES.items()}
