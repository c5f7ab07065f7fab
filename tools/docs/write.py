"""Write the pages that are made from the code: `make docs`. A test compares them (tests/tools/test_docs.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import configman
import configpage
import ctlman
import dbuspage
from tables import filled

DOCS = Path(__file__).parents[2] / "docs"


def _written(place: str) -> Callable[[], str]:
    """A page that people write, with the tables that are made."""
    return lambda: filled((DOCS / place).read_text(encoding="utf-8"))


WRITTEN = ("reference/journal.md", "reference/hooks.md", "reference/metrics.md", "man/failoverd-hooks.8")
"""Pages that people write, but for the tables in them."""

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/configuration.md": configpage.page,
    "reference/failoverd.toml.example": configpage.example,
    "reference/dbus.md": dbuspage.page,
    "man/failoverd.toml.5": configman.page,
    "man/failoverctl.8": ctlman.page,
    **{place: _written(place) for place in WRITTEN},
}
"""Each page's place below docs/, and what makes it."""


def main() -> None:
    """Write all of them."""
    for place, page in PAGES.items():
        (DOCS / place).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
