"""The matrix leans on what the tests of single guests have."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vm"))

REPRESENT = {
    ("systemd-networkd", "trixie", "hot-plug"),
    ("NetworkManager", "bookworm", "hot-plug"),
}
"""The cells that the guest tier has, too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as tests in a guest."""
    for item in items:
        found = getattr(item, "callspec", None)
        if found is not None and "cells" in found.params:
            neighbour, suite = found.params["cells"]
            if (neighbour.name, suite, found.params["column"]) in REPRESENT:
                item.add_marker(pytest.mark.vm)
