"""The order of the tests in guests."""

from __future__ import annotations

import pytest

LONGEST = ("test_field.py", "test_one_name.py", "test_package.py")
"""Minutes each. They come first: begun as the last, one keeps the tier waiting while the other guest is idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first; all else stays as it was."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
